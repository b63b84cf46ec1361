"""varlstm.torch.LSTM against torch.nn.LSTM with the same parameters: outputs, states and every gradient."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from torch_cases import Case, assert_close  # noqa: E402
from varlstm.torch import LSTM  # noqa: E402
from varlstm.torch import pack_padded_sequence as pack_with_zeros  # noqa: E402
from varlstm.torch import pad_packed_sequence as unpack_with_zeros  # noqa: E402

CASES = 320


@pytest.mark.parametrize("first", range(0, CASES, 20))
def test_equals_torch(first: int) -> None:
    for seed in range(first, first + 20):
        Case(seed, "LSTM").check()


@pytest.mark.parametrize("packed", [False, True])
def test_sequences_of_length_0_keep_their_states(packed: bool) -> None:
    torch.manual_seed(0)
    lengths, keep = [0, 4, 0, 2, 4, 0], [1, 3, 4]
    theirs = torch.nn.LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    ours = LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 6, 3, dtype=torch.float64)
    hx = [torch.randn(4, 6, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    if packed:
        sequence = pack_with_zeros(x, lengths, enforce_sorted=False)
        assert sequence.batch_sizes.tolist() == [3, 3, 2, 2] and sequence.sorted_indices.tolist() == [1, 4, 3, 0, 2, 5]
        output, (h_n, c_n) = ours(sequence, hx)
        assert output.sorted_indices is sequence.sorted_indices
        output = output.data
    else:
        output, (h_n, c_n) = ours(x, hx, lengths=lengths)
        assert not output[:, [0, 2, 5]].any() and not output[2:, 3].any()
    (output.sum() + (h_n * c_n).sum()).backward()
    gradients, ours_grads = [state.grad for state in hx], [p.grad for p in ours.parameters()]

    kept = [state.detach()[:, keep].requires_grad_() for state in hx]
    reference, (h_k, c_k) = theirs(pack_padded_sequence(x[:, keep], [4, 2, 4], enforce_sorted=False), kept)
    (reference.data.sum() + (h_k * c_k).sum()).backward()
    assert_close(h_n[:, keep], h_k, "h_n")
    assert torch.equal(h_n[:, [0, 2, 5]], hx[0][:, [0, 2, 5]]) and torch.equal(c_n[:, [0, 2, 5]], hx[1][:, [0, 2, 5]])
    for k, gradient in enumerate(gradients):
        assert_close(gradient[:, keep], kept[k].grad, f"gradient of hx[{k}]")
        assert torch.equal(gradient[:, [0, 2, 5]], hx[1 - k].detach()[:, [0, 2, 5]])
    for actual, parameter in zip(ours_grads, theirs.parameters()):
        assert_close(actual, parameter.grad, "parameters")


@pytest.mark.parametrize("lengths", [[0, 0, 0], []])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("steps", [0, 4])
def test_a_batch_without_tokens(lengths: list, batch_first: bool, steps: int) -> None:
    batch = len(lengths)
    shape = (batch, steps) if batch_first else (steps, batch)
    lstm = LSTM(3, 5, 2, batch_first=batch_first)
    x = torch.full((*shape, 3), float("nan"), requires_grad=True)  # padding alone, which is not read
    states = [torch.randn(2, batch, 5, requires_grad=True) for _ in range(2)]
    for hx in (None, states):
        for given in (lengths, torch.tensor(lengths, dtype=torch.int64)):
            output, (h_n, c_n) = lstm(x, hx, lengths=given)
            assert output.shape == (*shape, 5) and not output.any()
            if hx is None:
                assert not h_n.any() and not c_n.any()
            else:
                assert torch.equal(h_n, hx[0]) and torch.equal(c_n, hx[1])
    lstm.zero_grad()
    (output.sum() + 2 * h_n.sum() + 3 * c_n.sum()).backward()
    assert not x.grad.any() and not any(parameter.grad.any() for parameter in lstm.parameters())
    assert (states[0].grad == 2).all() and (states[1].grad == 3).all()


def test_a_packed_batch_without_tokens() -> None:
    """By way of a PackedSequence and back, which is as long as its padding asks for."""
    lstm, x = LSTM(3, 5), torch.full((4, 3, 3), float("nan"))
    sequence = pack_with_zeros(x, [0, 0, 0], enforce_sorted=False)
    output, (h_n, _) = lstm(sequence)
    assert output.data.shape == (0, 5) and h_n.shape == (1, 3, 5) and not h_n.any()
    padded, lengths = unpack_with_zeros(output, padding_value=-7.0, total_length=4)
    assert padded.shape == (4, 3, 5) and (padded == -7).all() and lengths.tolist() == [0, 0, 0]
    assert unpack_with_zeros(output)[0].shape == (0, 3, 5)


@pytest.mark.parametrize("wanted", ["x", "h_0", "c_0", "parameter"])
def test_whatever_alone_needs_a_gradient_gets_it(wanted: str) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(3, 4, 2).requires_grad_(False)
    ours = LSTM(3, 4, 2).requires_grad_(False)
    ours.load_state_dict(theirs.state_dict())
    tensors = {"x": torch.randn(5, 2, 3), "h_0": torch.randn(2, 2, 4), "c_0": torch.randn(2, 2, 4)}
    gradients = []
    for lstm in (theirs, ours):
        leaves = {name: tensor.clone() for name, tensor in tensors.items()}
        leaf = lstm.bias_hh_l1 if wanted == "parameter" else leaves[wanted]
        leaf.requires_grad_()
        output, (h_n, c_n) = lstm(leaves["x"], (leaves["h_0"], leaves["c_0"]))
        (output.square().sum() + (h_n * c_n).sum()).backward()
        gradients.append(leaf.grad)
    assert gradients[0].any()
    assert_close(gradients[1], gradients[0], wanted)


def test_gradients_of_the_results_need_not_be_contiguous() -> None:
    torch.manual_seed(0)
    lstm = LSTM(3, 4, 2, dtype=torch.float64)
    x, state = torch.randn(5, 2, 3, dtype=torch.float64), torch.randn(2, 2, 4, dtype=torch.float64)
    results = (torch.randn(5, 2, 4), torch.randn(2, 2, 4), torch.randn(2, 2, 4))
    cotangents = [result.double().transpose(0, -1).contiguous().transpose(0, -1) for result in results]
    assert not any(cotangent.is_contiguous() for cotangent in cotangents)
    for chosen in ((0,), (1,), (2,), (0, 1, 2)):
        gradients = []
        for dense in (False, True):
            leaves = [tensor.clone().requires_grad_() for tensor in (x, state, state)]
            output, states = lstm(leaves[0], (leaves[1], leaves[2]))
            outputs = (output, *states)
            gradients.append(torch.autograd.grad(
                [outputs[k] for k in chosen], leaves + list(lstm.parameters()),
                [cotangents[k].contiguous() if dense else cotangents[k] for k in chosen]))
        assert all(torch.equal(a, b) for a, b in zip(*gradients))


def test_padding_is_not_read() -> None:
    lstm = LSTM(3, 5, batch_first=True)
    x = torch.randn(2, 6, 3)
    clean = lstm(x, lengths=[6, 2])
    x[1, 2:] = float("nan")
    x.requires_grad_()
    output, (h_n, _) = lstm(x, lengths=[6, 2])
    assert torch.equal(output, clean[0]) and torch.equal(h_n, clean[1][0])
    output.sum().backward()
    assert not x.grad[1, 2:].any() and x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64])
def test_lengths_of_any_integer_type_and_as_a_list(dtype) -> None:
    lstm, x = LSTM(2, 3), torch.randn(5, 2, 2)
    expected = lstm(x, lengths=[5, 3])[0]
    assert torch.equal(lstm(x, lengths=torch.tensor([5, 3], dtype=dtype))[0], expected)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    lstm = LSTM(2, 3, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    hx = [torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    params = [parameter.detach().clone().requires_grad_() for parameter in lstm.parameters()]
    names = [name for name, _ in lstm.named_parameters()]

    def call(x, h_0, c_0, *params):
        for name in names:
            if name in lstm._parameters:
                delattr(lstm, name)
        for name, parameter in zip(names, params):
            object.__setattr__(lstm, name, parameter)
        output, states = lstm(x, (h_0, c_0), lengths=[2, 4, 0])
        return (output, *states)

    assert torch.autograd.gradcheck(call, (x, *hx, *params))


def test_gradients_in_eval_mode_and_none_without_grad() -> None:
    lstm, x = LSTM(3, 4, 2, dropout=0.5), torch.randn(5, 2, 3)
    lstm.eval()
    output, _ = lstm(x)
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in lstm.parameters())
    with torch.no_grad():
        silent, states = lstm(x)
    assert not silent.requires_grad and not states[0].requires_grad and torch.equal(silent, output)


def test_frozen_parameters_and_inputs_get_no_gradient() -> None:
    lstm, x = LSTM(3, 4, 2), torch.randn(5, 2, 3, requires_grad=True)
    for name, parameter in lstm.named_parameters():
        parameter.requires_grad_(name == "bias_hh_l1")
    lstm(x)[1][1].sum().backward()
    assert [name for name, p in lstm.named_parameters() if p.grad is not None] == ["bias_hh_l1"]
    assert x.grad.any()


def test_dropout_follows_torchs_generator() -> None:
    lstm, x = LSTM(8, 64, 3, dropout=0.4), torch.randn(30, 4, 8)

    def outputs(seed: int):
        torch.manual_seed(seed)
        return lstm(x)[0]

    first, again, other = outputs(1), outputs(1), outputs(2)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(lstm(x)[0], other)  # the generator went on
    lstm.eval()
    plain = lstm(x)[0]
    assert torch.equal(plain, lstm(x)[0])
    lstm.train()
    mean = torch.stack([outputs(seed) for seed in range(40)]).mean(0)
    # Inverted dropout keeps the mean to first order: far closer to the plain output than a single draw is.
    assert (mean - plain).norm() < 0.6 * (first - plain).norm()


def test_dropout_has_the_gradient_of_its_own_mask() -> None:
    lstm = LSTM(2, 3, 2, dropout=0.5, dtype=torch.float64)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def call(x):
        torch.manual_seed(3)
        return lstm(x)[0]

    assert torch.autograd.gradcheck(call, (x,))


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 2.0**-6), (torch.float16, 2.0**-9)])
def test_16_bits(dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    lstm, x = LSTM(6, 8, 2), torch.randn(5, 3, 6)
    half, x = lstm.to(dtype), x.to(dtype)
    exact = torch.nn.LSTM(6, 8, 2)
    exact.load_state_dict(half.state_dict())
    output, _ = half(x, lengths=[5, 2, 3])
    expected, _ = exact(pack_padded_sequence(x.float(), [5, 2, 3], enforce_sorted=False))
    expected, _ = pad_packed_sequence(expected)
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=tolerance)  # h is rounded as each step stores it
    output.float().sum().backward()
    expected.sum().backward()
    for parameter, reference in zip(half.parameters(), exact.parameters()):
        assert parameter.grad.dtype == dtype
        error = (parameter.grad.float() - reference.grad).norm()
        assert error <= 4 * tolerance * reference.grad.norm()


def test_autocast() -> None:
    lstm, x, state = LSTM(6, 8, 2), torch.randn(5, 3, 6), torch.randn(2, 3, 8)
    expected = copy.deepcopy(lstm).bfloat16()(x.bfloat16(), (state.bfloat16(), state.bfloat16()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16):
            output, states = lstm(x.to(dtype), (state.to(dtype), state))
            assert torch.equal(output, expected[0]) and torch.equal(states[0], expected[1][0])
        assert copy.deepcopy(lstm).double()(x.double())[0].dtype == torch.float64
    output.float().sum().backward()
    assert lstm.weight_hh_l1.grad.dtype == torch.float32 and lstm.weight_hh_l1.grad.any()


@pytest.mark.skipif(not hasattr(torch, "set_default_device"), reason="came with torch 2.0")
def test_torchs_default_device_does_not_matter() -> None:
    lstm, x = LSTM(3, 4, 2, dropout=0.5), torch.randn(5, 2, 3)
    sequence = pack_padded_sequence(x, [5, 3])
    torch.set_default_device("meta")
    try:
        outputs = [lstm(x)[0], lstm(x, lengths=[5, 0])[0], lstm(x[:, 0])[0], lstm(sequence)[0].data,
                   lstm(pack_with_zeros(x, [5, 0]))[0].data]
    finally:
        torch.set_default_device(None)
    assert all(output.isfinite().all() for output in outputs)


def test_inputs_need_not_be_contiguous() -> None:
    lstm, x = LSTM(3, 4), torch.randn(3, 2, 5).permute(2, 1, 0)
    h_0 = torch.randn(4, 2, 1).permute(2, 1, 0)
    assert not x.is_contiguous() and not h_0.is_contiguous()
    for lengths in (None, [5, 3]):
        expected = lstm(x.contiguous(), (h_0.contiguous(), h_0.contiguous()), lengths=lengths)[0]
        assert torch.equal(lstm(x, (h_0, h_0), lengths=lengths)[0], expected)
    expanded = torch.randn(1, 1, 3).expand(5, 2, 3)  # stride 0
    assert torch.equal(lstm(expanded)[0], lstm(expanded.contiguous())[0])
