"""varlstm.torch.GRU and RNN against torch.nn's with the same parameters: outputs, states and every gradient."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from torch_cases import MODULES, Case, assert_close  # noqa: E402
from varlstm.torch import pack_padded_sequence as pack_with_zeros  # noqa: E402

CASES = 320
NAMES = [name for name in MODULES if name != "LSTM"]


def pair(name: str, *sizes: int, **options) -> tuple:
    """torch's module and ours with the same parameters."""
    theirs, ours, own = MODULES[name]
    theirs, ours = theirs(*sizes, **own, **options), ours(*sizes, **own, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("first", range(0, CASES, 40))
@pytest.mark.parametrize("name", NAMES)
def test_equals_torch(name: str, first: int) -> None:
    for seed in range(first, first + 40):
        Case(seed, name).check()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_sequences_of_length_0_keep_their_state(name: str, packed: bool) -> None:
    torch.manual_seed(0)
    lengths, keep = [0, 4, 0, 2, 4, 0], [1, 3, 4]
    theirs, ours = pair(name, 3, 5, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    hx = torch.randn(4, 6, 5, dtype=torch.float64, requires_grad=True)
    if packed:
        output, h_n = ours(pack_with_zeros(x, lengths, enforce_sorted=False), hx)
        output = output.data
    else:
        output, h_n = ours(x, hx, lengths=lengths)
        assert not output[:, [0, 2, 5]].any() and not output[2:, 3].any()
    (output.sum() + 2 * h_n.sum()).backward()
    kept = hx.detach()[:, keep].requires_grad_()
    reference, h_k = theirs(pack_padded_sequence(x[:, keep], [4, 2, 4], enforce_sorted=False), kept)
    (reference.data.sum() + 2 * h_k.sum()).backward()
    assert_close(h_n[:, keep], h_k, "h_n")
    assert_close(hx.grad[:, keep], kept.grad, "dh_0")
    assert torch.equal(h_n[:, [0, 2, 5]], hx[:, [0, 2, 5]]) and (hx.grad[:, [0, 2, 5]] == 2).all()
    for actual, expected in zip(ours.parameters(), theirs.parameters()):
        assert_close(actual.grad, expected.grad, "parameters")


@pytest.mark.parametrize("lengths", [[0, 0, 0], []])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_tokens(name: str, lengths: list) -> None:
    batch = len(lengths)
    _, ours = pair(name, 3, 5, 2)
    x = torch.full((4, batch, 3), float("nan"), requires_grad=True)  # padding alone, which is not read
    hx = torch.randn(2, batch, 5, requires_grad=True)
    assert not ours(x, lengths=lengths)[1].any()
    output, h_n = ours(x, hx, lengths=lengths)
    assert output.shape == (4, batch, 5) and not output.any() and torch.equal(h_n, hx)
    (output.sum() + 2 * h_n.sum()).backward()
    assert (hx.grad == 2).all() and not x.grad.any() and not any(p.grad.any() for p in ours.parameters())


@pytest.mark.parametrize("wanted", ["x", "hx", "parameter"])
@pytest.mark.parametrize("name", NAMES)
def test_whatever_alone_needs_a_gradient_gets_it(name: str, wanted: str) -> None:
    torch.manual_seed(0)
    gradients = []
    tensors = {"x": torch.randn(5, 2, 3), "hx": torch.randn(2, 2, 4)}
    for module in pair(name, 3, 4, 2):
        module.requires_grad_(False)
        leaves = {key: tensor.clone() for key, tensor in tensors.items()}
        leaf = module.bias_hh_l1 if wanted == "parameter" else leaves[wanted]
        leaf.requires_grad_()
        output, h_n = module(leaves["x"], leaves["hx"])
        (output.square().sum() + h_n.sum()).backward()
        gradients.append(leaf.grad)
    assert gradients[0].any()
    assert_close(gradients[1], gradients[0], wanted)


@pytest.mark.parametrize("name", NAMES)
def test_only_one_result_has_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    x, hx = torch.randn(5, 2, 3), torch.randn(1, 2, 4)
    for which in (0, 1):
        gradients = []
        for module in pair(name, 3, 4):
            leaf = x.clone().requires_grad_()
            module(leaf, hx)[which].transpose(0, -1).square().sum().backward()
            gradients.append([leaf.grad, *(p.grad for p in module.parameters())])
        for expected, actual in zip(*gradients):
            assert_close(actual, expected, f"from result {which}")


@pytest.mark.parametrize("name", NAMES)
def test_gradcheck(name: str) -> None:
    torch.manual_seed(0)
    _, ours = pair(name, 2, 3, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    hx = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, hx: ours(x, hx, lengths=[2, 4, 0]), (x, hx))


@pytest.mark.parametrize("name", NAMES)
def test_dropout(name: str) -> None:
    _, ours = pair(name, 8, 64, 3, dropout=0.4)
    x = torch.randn(30, 4, 8)

    def output(seed: int):
        torch.manual_seed(seed)
        return ours(x)[0]

    first, again, other = output(1), output(1), output(2)
    assert torch.equal(first, again) and not torch.equal(first, other)
    ours.eval()
    assert torch.equal(output(1), output(2)) and output(1).requires_grad


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 2.0**-6), (torch.float16, 2.0**-9)])
@pytest.mark.parametrize("name", NAMES)
def test_16_bits(name: str, dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    exact, half = pair(name, 6, 8, 2)
    half, x = half.to(dtype), torch.randn(5, 3, 6).to(dtype)
    exact.load_state_dict(half.state_dict())
    output, _ = half(x, lengths=[5, 2, 3])
    expected, _ = exact(pack_padded_sequence(x.float(), [5, 2, 3], enforce_sorted=False))
    expected, _ = pad_packed_sequence(expected)
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=tolerance)
    output.float().sum().backward()
    expected.sum().backward()
    for parameter, reference in zip(half.parameters(), exact.parameters()):
        assert parameter.grad.dtype == dtype
        assert (parameter.grad.float() - reference.grad).norm() <= 4 * tolerance * reference.grad.norm()


@pytest.mark.parametrize("name", NAMES)
def test_autocast(name: str) -> None:
    """Results of torch's dtype: a GRU keeps that of its states if it is wider than autocast's."""
    theirs, ours = pair(name, 6, 8, 2)
    x, hx = torch.randn(5, 3, 6), torch.randn(2, 3, 8)
    for rows, state in ((x, hx), (x, None), (x.bfloat16(), None)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output, h_n = ours(rows, state)
            expected = theirs(rows, state)
        assert output.dtype == h_n.dtype == expected[0].dtype == expected[1].dtype
        torch.testing.assert_close(output, expected[0], rtol=0.02, atol=0.02)
        torch.testing.assert_close(h_n, expected[1], rtol=0.02, atol=0.02)
        exact = ours if output.dtype == torch.float32 else copy.deepcopy(ours).bfloat16()
        alone = exact(rows.to(output.dtype), state if state is None else state.to(output.dtype))
        assert torch.equal(output, alone[0]) and torch.equal(h_n, alone[1])
    output.float().sum().backward()
    assert ours.weight_hh_l1.grad.dtype == torch.float32 and ours.weight_hh_l1.grad.any()
