"""varlstm.torch.LSTM with proj_size against torch.nn.LSTM: outputs, states, every gradient; steps; the way in and out."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import io
import re
import warnings

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

from torch_cases import Case, assert_close  # noqa: E402
from varlstm.torch import LSTM, replace_lstm, replace_rnn  # noqa: E402

CASES = 320


@pytest.mark.parametrize("first", range(0, CASES, 20))
def test_equals_torch(first: int) -> None:
    for seed in range(first, first + 20):
        Case(seed, "LSTM", projected=True).check()


def pair(**options) -> tuple:
    options = {"dtype": torch.float64, "proj_size": 3, **options}
    theirs, ours = torch.nn.LSTM(4, 6, 2, **options), LSTM(4, 6, 2, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def test_parameters_have_torchs_names_shapes_and_order() -> None:
    for bias in (False, True):
        theirs, ours = pair(bias=bias, bidirectional=True)
        shapes = [(name, tuple(p.shape)) for name, p in ours.named_parameters()]
        assert shapes == [(name, tuple(p.shape)) for name, p in theirs.named_parameters()]
        assert ("weight_hr_l1_reverse", (3, 6)) in shapes and ("weight_ih_l1", (24, 6)) in shapes


def test_sequences_of_length_0_keep_their_states() -> None:
    torch.manual_seed(0)
    theirs, ours = pair(bidirectional=True)
    x, lengths, keep = torch.randn(5, 4, 4, dtype=torch.float64), [0, 5, 0, 2], [1, 3]
    hx = [torch.randn(4, 4, width, dtype=torch.float64, requires_grad=True) for width in (3, 6)]
    output, (h_n, c_n) = ours(x, hx, lengths=lengths)
    assert output.shape == (5, 4, 6) and not output[:, [0, 2]].any() and not output[2:, 3].any()
    (output.sum() + h_n.square().sum() + c_n.square().sum()).backward()
    kept = [state.detach()[:, keep].requires_grad_() for state in hx]
    packed, (h_k, c_k) = theirs(pack_padded_sequence(x[:, keep], [5, 2]), kept)
    (packed.data.sum() + h_k.square().sum() + c_k.square().sum()).backward()
    assert_close(output[:, keep], pad_packed_sequence(packed)[0], "output")
    for actual, state, after, reference in zip((h_n, c_n), hx, (h_k, c_k), kept):
        assert_close(actual[:, keep], after, "states")
        assert torch.equal(actual[:, [0, 2]], state[:, [0, 2]])
        assert_close(state.grad[:, keep], reference.grad, "gradient of hx")
        assert torch.equal(state.grad[:, [0, 2]], 2 * state.detach()[:, [0, 2]])
    for actual, reference in zip(ours.parameters(), theirs.parameters()):
        assert_close(actual.grad, reference.grad, "parameters")


def test_gradcheck() -> None:
    torch.manual_seed(0)
    lstm = LSTM(2, 4, 2, bidirectional=True, proj_size=3, dtype=torch.float64)
    x = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    hx = [torch.randn(4, 3, width, dtype=torch.float64, requires_grad=True) for width in (3, 4)]

    def call(x, h_0, c_0, *_):
        output, states = lstm(x, (h_0, c_0), lengths=[2, 4, 0])
        return (output, *states)

    assert torch.autograd.gradcheck(call, (x, *hx, *lstm.parameters()))


def test_dropout_has_the_gradient_of_its_own_mask() -> None:
    lstm = LSTM(2, 4, 2, dropout=0.5, proj_size=3, dtype=torch.float64)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def call(x):
        torch.manual_seed(3)
        return lstm(x)[0]

    assert torch.autograd.gradcheck(call, (x,))


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 2.0**-6), (torch.float16, 2.0**-9)])
def test_16_bits(dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    half, x = LSTM(6, 8, 2, proj_size=5).to(dtype), torch.randn(5, 3, 6).to(dtype)
    exact = torch.nn.LSTM(6, 8, 2, proj_size=5)
    exact.load_state_dict(half.state_dict())
    output, _ = half(x, lengths=[5, 2, 3])
    expected = pad_packed_sequence(exact(pack_padded_sequence(x.float(), [5, 2, 3], enforce_sorted=False))[0])[0]
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=tolerance)
    output.float().sum().backward()
    expected.sum().backward()
    for parameter, reference in zip(half.parameters(), exact.parameters()):
        assert (parameter.grad.float() - reference.grad).norm() <= 4 * tolerance * reference.grad.norm()


def test_steps_give_what_forward_gives() -> None:
    torch.manual_seed(0)
    lstm, x = LSTM(4, 6, 2, proj_size=3), torch.randn(5, 3, 4)
    h, c = torch.zeros(2, 7, 3), torch.zeros(2, 7, 6)
    y = torch.stack([lstm.step(x[t], (h, c), [6, 0, 2]) for t in range(5)])
    with torch.no_grad():
        output, (h_n, c_n) = lstm(x)
    assert torch.equal(y, output) and torch.equal(h[:, [6, 0, 2]], h_n) and torch.equal(c[:, [6, 0, 2]], c_n)
    with pytest.raises(ValueError, match=re.escape("state[0] is of shape (2, 7, 6), and must be [2, slots, 3]")):
        lstm.step(x[0], (c, c), [6, 0, 2])


def test_the_way_in_and_the_way_out() -> None:
    model = torch.nn.Sequential(torch.nn.LSTM(4, 6, 2, bidirectional=True, proj_size=3))
    theirs, x = model[0], torch.randn(5, 3, 4)
    expected = theirs(x)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for replace in (replace_lstm, replace_rnn):
            ours = replace(torch.nn.Sequential(theirs))[0]
            assert isinstance(ours, LSTM) and ours.proj_size == 3 and repr(ours) == repr(theirs)
            assert all(a is b for a, b in zip(ours.parameters(), theirs.parameters()))
            torch.testing.assert_close(ours(x)[0], expected)
    back = ours.to_torch()
    assert type(back) is torch.nn.LSTM and back.proj_size == 3 and back.weight_hr_l1 is ours.weight_hr_l1
    torch.testing.assert_close(back(x)[0], expected)
    stored = io.BytesIO()
    torch.save(ours.state_dict(), stored)
    stored.seek(0)
    fresh = torch.nn.LSTM(4, 6, 2, bidirectional=True, proj_size=3)
    fresh.load_state_dict(torch.load(stored))
    torch.testing.assert_close(fresh(x)[0], expected)
    twin = copy.deepcopy(ours)
    assert torch.equal(twin(x)[0], ours(x)[0]) and twin.weight_hr_l0 is not ours.weight_hr_l0


def test_states_and_parameters_of_other_widths_are_refused() -> None:
    _, ours = pair(dtype=torch.float32)
    x, h_0, c_0 = torch.randn(5, 3, 4), torch.randn(2, 3, 3), torch.randn(2, 3, 6)
    assert ours(x, (h_0, c_0))[0].shape == (5, 3, 3)
    with pytest.raises(RuntimeError, match=re.escape("Expected hidden[0] size (2, 3, 3), got [2, 3, 6]")):
        ours(x, (c_0, c_0))
    with pytest.raises(RuntimeError, match=re.escape("Expected hidden[1] size (2, 3, 6), got [2, 3, 3]")):
        ours(x, (h_0, h_0))
    ours.weight_hr_l1 = torch.nn.Parameter(torch.randn(6, 3))
    with pytest.raises(ValueError, match=re.escape("weight_hr_l1 is of shape (6, 3), and must be (3, 6)")):
        ours(x)
