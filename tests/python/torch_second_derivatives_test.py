"""Derivatives of gradients: those of pack, unpack and the losses, and the refusal of what has none."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Callable

import pytest

torch = pytest.importorskip("torch")
from torch.autograd import gradcheck, gradgradcheck  # noqa: E402

from varlstm import torch as ours  # noqa: E402

LOGITS = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
TARGET = torch.tensor([1, 0, -100, 2])
WEIGHT = torch.tensor([0.5, 0.0, 1.5], dtype=torch.float64)
X = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)  # [B, T, *]


def third(function: Callable, x: torch.Tensor) -> torch.Tensor:
    gradient = x
    for _ in range(3):
        gradient, = torch.autograd.grad(function(x).square().sum() if gradient is x else gradient.square().sum(), x,
                                        create_graph=True)
    return gradient


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(reduction: str, weight, smoothing: float) -> None:
    options = {"weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    assert gradcheck(lambda x: ours.cross_entropy(x, TARGET, **options), LOGITS)
    assert gradgradcheck(lambda x: ours.cross_entropy(x, TARGET, **options), LOGITS)
    torch.testing.assert_close(
        third(lambda x: ours.cross_entropy(x, TARGET, **options), LOGITS),
        third(lambda x: torch.nn.functional.cross_entropy(x, TARGET, **options), LOGITS))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("target, weight", [(-100, None), (-100, WEIGHT), (1, WEIGHT)])
def test_cross_entropy_of_targets_that_are_all_ignored_or_of_weight_0(target: int, weight, smoothing: float) -> None:
    x, targets = LOGITS.detach().requires_grad_(), torch.full((4,), target)
    loss = ours.cross_entropy(x, targets, weight, label_smoothing=smoothing)
    gradient, = torch.autograd.grad(loss, x, create_graph=True)
    second, = torch.autograd.grad(gradient.square().sum() + gradient.sum(), x)
    assert loss.isnan() and not gradient.any() and not second.any()


def test_cross_entropy_in_sixteen_bits() -> None:
    def gradient_norm(loss: Callable, x: torch.Tensor) -> torch.Tensor:
        x = x.detach().requires_grad_()
        gradient, = torch.autograd.grad(loss(x, TARGET), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), x)[0]

    expected = gradient_norm(torch.nn.functional.cross_entropy, LOGITS)
    actual = gradient_norm(ours.cross_entropy, LOGITS.bfloat16())
    assert actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual.double(), expected, rtol=0.05, atol=0.005)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_nll_loss_and_log_softmax(reduction: str, weight) -> None:
    assert gradgradcheck(lambda x: ours.nll_loss(x.sin(), TARGET, weight, reduction=reduction), LOGITS)
    assert gradgradcheck(lambda x: ours.nll_loss(ours.log_softmax(x, 1), TARGET, weight, reduction=reduction), LOGITS)
    torch.testing.assert_close(third(lambda x: ours.log_softmax(x, 1), LOGITS),
                               third(lambda x: torch.nn.functional.log_softmax(x, 1), LOGITS))


@pytest.mark.parametrize("batch_first", [True, False])
def test_packing(batch_first: bool) -> None:
    lengths = [5, 0, 3] if batch_first else [3, 0, 2, 1, 3]

    def there_and_back(x: torch.Tensor) -> torch.Tensor:
        packed = ours.pack_padded_sequence(x.sin(), lengths, batch_first, False)
        return ours.pad_packed_sequence(packed._replace(data=packed.data.square()), batch_first, 2.0)[0].square()

    assert gradgradcheck(there_and_back, X)
    assert gradgradcheck(lambda x: ours.pack_sequence([x[0].sin(), x[1, :2], x[2, :0]], False).data, X)


def second_of(name: str, loss: torch.Tensor, x: torch.Tensor) -> None:
    gradient, = torch.autograd.grad(loss, x, create_graph=True)
    assert gradient.isfinite().all()
    with pytest.raises(RuntimeError, match=f"the gradient of {name} cannot be differentiated again"):
        (loss + gradient.square().sum()).backward()


def test_what_has_none_is_an_error_and_not_a_zero() -> None:
    x = torch.randn(5, 3, 4, requires_grad=True)
    target = torch.randint(0, 4, (5, 3))
    second_of("lstm", ours.LSTM(4, 6)(x)[0].sum(), x)
    second_of("gru", ours.GRU(4, 6, 2)(x, lengths=[5, 0, 3])[1].sum(), x)
    second_of("lstm_cell", ours.LSTMCell(4, 6)(x[0])[0].sum(), x)
    second_of("linear_cross_entropy", ours.linear_cross_entropy(x, torch.ones(4, 4), None, target), x)
