"""step of varlstm.torch's LSTM, GRU and RNN: the bits of the module over the whole sequence, and what is refused."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from varlstm.torch import GRU, LSTM, RNN  # noqa: E402

MAKE = {"LSTM": LSTM, "GRU": GRU, "RNN_TANH": RNN, "RNN_RELU": lambda *sizes, **options: RNN(*sizes, "relu", **options)}
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


def tables(module, slots: int):
    dtype = module.weight_ih_l0.dtype
    h = torch.zeros(module.num_layers, slots, module.hidden_size, dtype=dtype)
    c = torch.zeros_like(h, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    return (h, c) if isinstance(module, LSTM) else h


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [1, 3])
def test_steps_are_the_module_over_the_sequence(name: str, dtype: torch.dtype, layers: int) -> None:
    torch.manual_seed(layers)
    module = MAKE[name](4, 6, layers, dtype=dtype)
    x = torch.randn(5, 3, 4, dtype=dtype)
    output, last = module(x)
    state, slots = tables(module, 8), torch.tensor([7, 0, 2])
    for t in range(5):
        order = torch.randperm(3)
        y = module.step(x[t, order], state, slots[order] if t % 2 else slots[order].tolist())
        assert torch.equal(y, output[t, order]) and not y.requires_grad
    h = state[0] if name == "LSTM" else state
    assert torch.equal(h[:, slots], last[0] if name == "LSTM" else last)
    assert not h[:, [1, 3, 4, 5, 6]].any()
    if name == "LSTM":
        assert torch.equal(state[1][:, slots].to(dtype), last[1])


def test_a_step_reads_the_parameters_as_they_are_now_and_any_layout_of_input() -> None:
    module, state = GRU(4, 6, dropout=0.5, num_layers=2), torch.zeros(2, 3, 6)
    x = torch.randn(4, 2).t()
    before = module.step(x, state.clone(), [0, 2])
    with torch.no_grad():
        module.bias_ih_l1.add_(1)
    after = module.step(x, state, [0, 2])
    assert not torch.equal(before, after)
    assert torch.equal(after, module.eval()(x.unsqueeze(0))[0][0])


def test_under_autocast_the_input_is_rounded() -> None:
    module, x = LSTM(4, 6), torch.randn(2, 4)
    state = torch.zeros(1, 2, 6, dtype=torch.bfloat16), torch.zeros(1, 2, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module.step(x, state, [0, 1])
        assert y.dtype == torch.bfloat16 and torch.equal(y, module(x.unsqueeze(0))[0][0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_a_gru_keeps_the_dtype_of_its_states(dtype) -> None:
    module, x, state = GRU(4, 6), torch.randn(3, 2, 4).to(dtype), torch.zeros(1, 2, 6, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        steps = [module.step(rows, state, [0, 1]) for rows in x]
        expected = module(x)[0]
    assert expected.dtype == dtype and torch.equal(torch.stack(steps), expected)


def test_autograd_sees_that_a_table_was_written() -> None:
    module, state = GRU(4, 6), torch.zeros(1, 2, 6)
    product = torch.ones(6, requires_grad=True) * state[0, 0]
    module.step(torch.randn(1, 4), state, [0])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


def test_wrong_arguments() -> None:
    lstm, gru, x = LSTM(4, 6, 2), GRU(4, 6, 2), torch.randn(2, 4)
    h, c = tables(lstm, 5)
    cases = [
        (lstm, (x, h, [0, 1]), TypeError, "state must be two tensors, h and c"),
        (lstm, (x, (h, 3), [0, 1]), TypeError, "state[1] is of int, and must be a tensor"),
        (gru, (x, (h, c), [0, 1]), TypeError, "state is of tuple, and must be a tensor"),
        (gru, (x[0], h, [0]), RuntimeError, "input must have 2 dimensions, got 1"),
        (gru, (x[:, :3], h, [0, 1]), RuntimeError, "Expected 4, got 3"),
        (gru, (x, h[:1], [0, 1]), ValueError, "state is of shape (1, 5, 6), and must be [2, slots, 6]"),
        (gru, (x, h.double(), [0, 1]), ValueError, "state is of torch.float64, and must be of torch.float32"),
        (gru, (x, h[:, ::2], [0, 1]), ValueError, "state is not contiguous"),
        (gru, (x, h.clone().requires_grad_(), [0, 1]), ValueError, "state requires a gradient"),
        (gru, (torch.randn(6, 4), h, range(6)), ValueError, "streams = 6 is larger than table_slots = 5"),
        (lstm, (x, (h, c[:, :4].contiguous()), [0, 1]), ValueError, "state[0] has 5 slots, state[1] has 4"),
        (gru, (x, h, [0, 1, 2]), ValueError, "slots are of shape (3,), and must be (2,)"),
        (gru, (x, h, torch.tensor([0, 1], dtype=torch.int32)), TypeError, "slots are of torch.int32"),
        (gru, (x, h, [0, 5]), ValueError, "slots[1] = 5 is not in 0 ... 4"),
        (gru, (x, h, [0, 1.5]), TypeError, "slots are [0, 1.5], and must be integers"),
        (gru, (x, h, [3, 3]), ValueError, "slots[1] = 3 occurs twice: it is slots[0] as well"),
        (gru, (torch.randn(6, 4), h, list(range(6))), ValueError, "larger than table_slots = 5"),
        (GRU(4, 6, bidirectional=True), (x, h, [0, 1]), ValueError, "bidirectional = True"),
    ]
    for module, arguments, kind, text in cases:
        with pytest.raises(kind, match=re.escape(text)):
            module.step(*arguments)
    assert not h.any() and not c.any(), "a call that failed has written something"
