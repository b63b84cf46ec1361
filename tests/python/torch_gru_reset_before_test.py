"""varlstm.torch.GRU(reset_after=False), which torch.nn does not have, against a plain loop of torch operations: outputs,
states and every gradient."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

from torch_cases import Case, GruResetBefore, assert_close  # noqa: E402
from varlstm.torch import GRU  # noqa: E402

CASES = 120
NAME = "GRU_RESET_BEFORE"
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def pair(*sizes: int, **options) -> tuple:
    """The loop and our module with the same parameters."""
    theirs, ours = (kind(*sizes, reset_after=False, **options) for kind in (GruResetBefore, GRU))
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("first", range(0, CASES, 40))
def test_equals_the_loop(first: int) -> None:
    for seed in range(first, first + 40):
        Case(seed, NAME).check()


def test_sequences_of_length_0_keep_their_state() -> None:
    torch.manual_seed(0)
    theirs, ours = pair(3, 5, 2, bidirectional=True, dtype=torch.float64)
    x, lengths = torch.randn(4, 5, 3, dtype=torch.float64), torch.tensor([0, 4, 2, 0, 3])
    hx = torch.randn(4, 5, 5, dtype=torch.float64)
    output, h_n = ours(x, hx, lengths=lengths)
    kept = [1, 2, 4]
    packed = torch.nn.utils.rnn.pack_padded_sequence(x[:, kept], lengths[kept], enforce_sorted=False)
    expected, h_k = theirs(packed, hx[:, kept])
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(expected)
    assert_close(output[:, kept], expected, "output")
    assert_close(h_n[:, kept], h_k, "h_n")
    assert torch.equal(h_n[:, [0, 3]], hx[:, [0, 3]])


def test_gradcheck() -> None:
    torch.manual_seed(0)
    ours = GRU(2, 3, 2, bidirectional=True, dtype=torch.float64, reset_after=False)
    x = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    hx = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, hx: ours(x, hx, lengths=[2, 4, 0]), (x, hx))


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_are_the_module_over_the_sequence(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module, x = GRU(4, 6, 2, dtype=dtype, reset_after=False), torch.randn(5, 3, 4, dtype=dtype)
    output, last = module(x)
    state, slots = torch.zeros(2, 8, 6, dtype=dtype), torch.tensor([7, 0, 2])
    for t in range(5):
        assert torch.equal(module.step(x[t], state, slots), output[t])
    assert torch.equal(state[:, slots], last)


def test_options_of_the_cell_act_in_training_mode() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4)
    for option in ({"recurrent_dropout": 0.4, "recurrent_dropout_kind": kind} for kind in ("weights", "state",
                                                                                          "candidate")):
        ours = GRU(4, 6, reset_after=False, **option)
        plain = GRU(4, 6, reset_after=False)
        plain.load_state_dict(ours.state_dict())
        assert not torch.equal(ours(x)[0], plain(x)[0]) and torch.equal(ours.eval()(x)[0], plain(x)[0])
    assert not torch.equal(GRU(4, 6, reset_after=False, zoneout_h=0.5).eval()(x)[0], plain(x)[0])


def test_the_argument_is_seen_and_kept() -> None:
    after, before = GRU(4, 6, reset_after=True), GRU(4, 6, reset_after=False)
    assert repr(after) == repr(torch.nn.GRU(4, 6)) and repr(before) == "GRU(4, 6, reset_after=False)"
    before.load_state_dict(after.state_dict())
    x = torch.randn(5, 2, 4)
    assert not torch.allclose(before(x)[0], after(x)[0])
    for copied in (copy.deepcopy(before), pickle.loads(pickle.dumps(before))):
        assert not copied.reset_after and torch.equal(copied(x)[0], before(x)[0])
    state = after.__dict__.copy()  # as an earlier version has pickled it, too
    older = GRU.__new__(GRU)
    older.__setstate__(state)
    assert older.reset_after and torch.equal(older(x)[0], after(x)[0])
    with pytest.raises(ValueError, match="there is none with reset_after=False"):
        before.to_torch()
    with pytest.raises(TypeError, match="reset_after = 'no' is of str, and must be True or False"):
        GRU(4, 6, reset_after="no")


def test_reset_after_is_fixed() -> None:
    for reset_after in (True, False):
        module = GRU(3, 4, reset_after=reset_after)
        with pytest.raises(AttributeError):
            module.reset_after = not reset_after
        assert module.reset_after is reset_after and copy.deepcopy(module).reset_after is reset_after
