"""cross_entropy, nll_loss, log_softmax and linear_cross_entropy of varlstm.torch against torch.nn.functional's."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402

from varlstm import torch as ours  # noqa: E402

# (rows, 5 classes), unbatched, and with dimensions behind the classes
SHAPES = [(7, 5), (5,), (3, 5, 4), (2, 5, 3, 2), (0, 5)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def assert_close(actual, expected) -> None:
    tolerance = TOLERANCE[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance, equal_nan=True)


def compare(ours_function, theirs_function, *inputs) -> None:
    """Values and the gradients of all inputs that are floating point."""
    results = []
    for function in (ours_function, theirs_function):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        out = function(*leaves)
        torch.manual_seed(1)
        out.backward(torch.randn(out.shape, dtype=out.dtype))
        results.append([out.detach()] + [leaf.grad for leaf in leaves])
    for actual, expected in zip(*results):
        assert_close(actual, expected)


def targets_of(shape: tuple, ignore_index: int, ignored: float) -> torch.Tensor:
    target = torch.randint(0, 5, shape[:1] + shape[2:] if len(shape) > 1 else ())
    return torch.where(torch.rand(target.shape) < ignored, torch.tensor(ignore_index), target)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy_and_nll_loss(shape: tuple, dtype) -> None:
    torch.manual_seed(0)
    for weighted, ignore_index, ignored, reduction in itertools.product(
            (False, True), (-100, 2), (0.0, 0.4, 1.0), ("none", "mean", "sum")):
        logits = torch.randn(shape, dtype=dtype)
        target = targets_of(shape, ignore_index, ignored)
        options = {"weight": torch.rand(5, dtype=dtype) if weighted else None, "ignore_index": ignore_index,
                   "reduction": reduction}
        log_probs = F.log_softmax(logits, 0 if logits.dim() == 1 else 1)
        compare(lambda x: ours.nll_loss(x, target, **options), lambda x: F.nll_loss(x, target, **options), log_probs)
        for smoothing in (0.0, 0.3):
            options["label_smoothing"] = smoothing
            compare(lambda x: ours.cross_entropy(x, target, **options), lambda x: F.cross_entropy(x, target, **options),
                    logits)


def test_a_retained_graph_gives_the_same_gradient_twice() -> None:
    logits = torch.randn(4, 5, requires_grad=True)
    loss = ours.cross_entropy(logits, torch.tensor([0, 1, 2, 3]))
    first, = torch.autograd.grad(3 * loss, logits, retain_graph=True)
    second, = torch.autograd.grad(3 * loss, logits)
    assert torch.equal(first, second) and first.any()


def test_probabilities_as_targets_and_old_arguments_are_torchs() -> None:
    logits, probabilities = torch.randn(4, 5), torch.rand(4, 5).softmax(1)
    assert torch.equal(ours.cross_entropy(logits, probabilities), F.cross_entropy(logits, probabilities))
    target = torch.tensor([0, 1, 2, 3])
    with pytest.warns(UserWarning, match="size_average"):
        summed = ours.cross_entropy(logits, target, size_average=False)
    assert_close(summed, F.cross_entropy(logits, target, reduction="sum"))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("bias", [False, True])
def test_linear_cross_entropy(bias: bool, dtype) -> None:
    torch.manual_seed(0)
    for lead, weighted, reduction, smoothing in itertools.product(
            ((7,), (3, 4), ()), (False, True), ("none", "mean", "sum"), (0.0, 0.2)):
        tensors = [torch.randn(*lead, 6, dtype=dtype), torch.randn(5, 6, dtype=dtype)]
        tensors += [torch.randn(5, dtype=dtype)] if bias else []
        target = torch.where(torch.rand(lead) < 0.3, torch.tensor(-100), torch.randint(0, 5, lead))
        weight = torch.rand(5, dtype=dtype) if weighted else None

        def fused(x, w, b=None):
            return ours.linear_cross_entropy(x, w, b, target, weight, reduction=reduction, label_smoothing=smoothing)

        def parts(x, w, b=None):
            loss = F.cross_entropy(F.linear(x, w, b).reshape(-1, 5), target.reshape(-1), weight, reduction=reduction,
                                   label_smoothing=smoothing)
            return loss.view(lead) if reduction == "none" else loss

        compare(fused, parts, *tensors)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_log_softmax(dtype) -> None:
    torch.manual_seed(0)
    for shape, dim in (((7, 5), 1), ((7, 5), 0), ((5,), 0), ((2, 3, 4), 1), ((2, 3, 4), -1), ((0, 5), 1), ((), 0)):
        compare(lambda x: ours.log_softmax(x, dim), lambda x: F.log_softmax(x, dim), torch.randn(shape, dtype=dtype))
    x = torch.randn(3, 4)
    assert ours.log_softmax(x, 1, dtype=torch.float64).dtype == torch.float64
    assert_close(ours.log_softmax(x, 1, dtype=torch.float64), F.log_softmax(x, 1, dtype=torch.float64))


def test_gradchecks() -> None:
    torch.manual_seed(0)
    x, w, b = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((4, 3), (5, 3), (5,)))
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 4, -100, 2])
    for call, inputs in ((lambda x: ours.cross_entropy(x, target, label_smoothing=0.1), (logits,)),
                         (lambda x: ours.nll_loss(x, target), (logits,)),
                         (lambda x: ours.log_softmax(x, 1), (logits,)),
                         (lambda x, w, b: ours.linear_cross_entropy(x, w, b, target), (x, w, b))):
        assert torch.autograd.gradcheck(call, inputs)


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 2.0**-7), (torch.float16, 2.0**-10)])
def test_16_bits(dtype, tolerance: float) -> None:
    logits, target = torch.randn(6, 5).to(dtype).requires_grad_(), torch.tensor([0, 1, 2, 3, 4, -100])
    loss = ours.cross_entropy(logits, target)
    loss.backward()
    reference = logits.detach().float().requires_grad_()
    expected = F.cross_entropy(reference, target)
    expected.backward()
    assert loss.dtype == logits.grad.dtype == dtype
    torch.testing.assert_close(loss.float(), expected, rtol=tolerance, atol=0)
    torch.testing.assert_close(logits.grad.float(), reference.grad, rtol=tolerance, atol=tolerance)


def test_class_weights_need_not_be_contiguous() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(7, 5), torch.tensor([0, 1, 2, 3, 4, 2, -100])
    x, w = torch.randn(7, 3), torch.randn(5, 3)
    for weight in (torch.rand(10)[::2], torch.rand(5, 2)[:, 1], torch.rand(1).expand(5), torch.rand(10).double()[1::2]):
        assert not weight.is_contiguous()
        expected = weight.float().contiguous()
        compare(lambda x: ours.cross_entropy(x, target, weight), lambda x: F.cross_entropy(x, target, expected), logits)
        compare(lambda x: ours.nll_loss(x, target, weight), lambda x: F.nll_loss(x, target, expected), logits)
        compare(lambda x, w: ours.linear_cross_entropy(x, w, None, target, weight),
                lambda x, w: F.cross_entropy(F.linear(x, w), target, expected), x, w)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_autocast_gives_torchs_dtypes(dtype) -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(6, 5).to(dtype), torch.tensor([0, 1, 2, 3, 4, -100])
    for reduction in ("none", "mean"):
        for name in ("cross_entropy", "nll_loss"):
            losses = []
            for module in (ours, F):
                leaf = logits.clone().requires_grad_()
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    # What torch gets is in float32 already: its log-softmax has no float16 on some CPUs.
                    given = leaf if module is ours or dtype == torch.float64 else leaf.float()
                    loss = getattr(module, name)(given, target, reduction=reduction)
                loss.sum().backward()
                losses.append((loss.detach(), leaf.grad))
            (loss, gradient), (expected, expected_gradient) = losses
            assert loss.dtype == expected.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
            assert_close(loss, expected)  # as exact as if no 16-bit loss had been in between
            assert gradient.dtype == dtype
            torch.testing.assert_close(gradient, expected_gradient)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ours.log_softmax(logits, 1).dtype == dtype  # on the CPU; on a GPU it is one of those in float32
    assert ours.cross_entropy(logits, target).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_autocast_of_linear_cross_entropy_casts_as_linear_does(dtype) -> None:
    torch.manual_seed(0)
    target = torch.tensor([0, 1, 2, 3, 4, -100])
    leaves = [tensor.requires_grad_() for tensor in (torch.randn(6, 3).to(dtype), torch.randn(5, 3), torch.randn(5))]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = ours.linear_cross_entropy(*leaves, target)
    loss.backward()
    rounded = [leaf.detach().bfloat16().float().requires_grad_() for leaf in leaves]
    expected = F.cross_entropy(F.linear(*rounded), target)
    expected.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)  # of inputs rounded to bfloat16, and not rounded itself
    for leaf, reference in zip(leaves, rounded):
        assert leaf.grad.dtype == leaf.dtype
        torch.testing.assert_close(leaf.grad.float(), reference.grad, rtol=2**-7, atol=2**-9)
    x, w = (leaf.detach().double() for leaf in leaves[:2])
    with torch.autocast("cpu", dtype=torch.bfloat16):  # which leaves float64 alone
        assert_close(ours.linear_cross_entropy(x, w, None, target), F.cross_entropy(F.linear(x, w), target))
        with pytest.raises(ValueError, match="weight is of torch.float64"):
            ours.linear_cross_entropy(leaves[0], w, None, target)


def test_errors_name_the_argument() -> None:
    logits, target, weight = torch.randn(4, 5), torch.tensor([0, 1, 2, 3]), torch.randn(5, 3)
    x = torch.randn(4, 3)
    for call, error, text in (
            (lambda: ours.cross_entropy(logits, target + 2), IndexError, r"target\[3\] = 5 is not in 0 \.\.\. 4"),
            (lambda: ours.nll_loss(logits, target - 1), IndexError, r"target\[0\] = -1 is not in 0"),
            (lambda: ours.cross_entropy(logits, target[:3]), ValueError, r"shape \(3,\), and must be \(4,\)"),
            (lambda: ours.cross_entropy(logits, target.int()), TypeError, "target is of torch.int32"),
            (lambda: ours.cross_entropy(logits, target, torch.ones(4)), ValueError, r"weight is of shape \(4,\)"),
            (lambda: ours.cross_entropy(logits, target, reduction="max"), ValueError, "reduction = 'max'"),
            (lambda: ours.cross_entropy(logits, target, label_smoothing=1.5), ValueError, "label_smoothing = 1.5"),
            (lambda: ours.log_softmax(target.view(2, 2), 1), TypeError, "input is of torch.int64"),
            (lambda: ours.linear_cross_entropy(x, weight.t(), None, target), ValueError, "does not fit weight"),
            (lambda: ours.linear_cross_entropy(x, weight, torch.ones(4), target), ValueError, "bias is of shape"),
            (lambda: ours.linear_cross_entropy(x, weight.double(), None, target), ValueError, "weight is of torch.f"),
            (lambda: ours.linear_cross_entropy(x, weight, None, target[:2]), ValueError, "target is of shape")):
        with pytest.raises(error, match=text):
            call()
