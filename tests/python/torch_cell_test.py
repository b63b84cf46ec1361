"""varlstm.torch.LSTMCell, GRUCell and RNNCell against torch.nn's with the same parameters: outputs and gradients."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import random

import pytest

torch = pytest.importorskip("torch")

from torch_cases import assert_close  # noqa: E402
from varlstm.torch import GRUCell, LSTMCell, RNNCell  # noqa: E402

CASES = 320
# By name: the class of torch.nn, ours, and the options of both.
CELLS = {"LSTM": (torch.nn.LSTMCell, LSTMCell, {}), "GRU": (torch.nn.GRUCell, GRUCell, {}),
         "RNN_TANH": (torch.nn.RNNCell, RNNCell, {}), "RNN_RELU": (torch.nn.RNNCell, RNNCell, {"nonlinearity": "relu"})}


def pair(name: str, *sizes: int, **options) -> tuple:
    """torch's cell and ours with the same parameters."""
    theirs, ours, own = CELLS[name]
    theirs, ours = theirs(*sizes, **own, **options), ours(*sizes, **own, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def states_of(name: str, *shape: int, dtype=None) -> list:
    return [torch.randn(*shape, dtype=dtype) for _ in range(2 if name == "LSTM" else 1)]


def call(cell, x, states) -> list:
    """The outputs as a list. `states` is a list, or None."""
    hx = states if states is None else tuple(states) if len(states) == 2 else states[0]
    output = cell(x, hx)
    return list(output) if isinstance(output, tuple) else [output]


def check_case(seed: int, name: str) -> None:
    """One random configuration in both: up to 4 steps, of which each takes the states of the one before."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    dtype = (torch.float32, torch.float64)[seed % 2]
    inputs, hidden, bias = draw.randint(1, 40), draw.randint(1, 48), draw.random() < 0.7
    batch = draw.choice((None, 0, 1, 2, 3, 8, draw.randint(1, 70)))  # None: one sample without a batch
    steps, with_states = draw.choice((1, 1, 2, 4)), draw.random() < 0.6
    shape = () if batch is None else (batch,)
    x = torch.randn(steps, *shape, inputs, dtype=dtype)
    if draw.random() < 0.3:
        x = x.transpose(0, -1).contiguous().transpose(0, -1)  # rows that are not one after the other
    before = states_of(name, *shape, hidden, dtype=dtype) if with_states else None
    results = []
    for cell in pair(name, inputs, hidden, bias=bias, dtype=dtype):
        leaf = x.clone().requires_grad_()
        leaves = before and [state.clone().requires_grad_() for state in before]
        states, outputs = leaves, []
        for step in range(steps):
            states = call(cell, leaf[step], states)
            outputs += states
        torch.manual_seed(seed)
        scale = max(1, batch or 1) ** -0.5  # gradients of order 1
        torch.autograd.backward(outputs, [scale * torch.randn_like(output) for output in outputs])
        gradients = [leaf.grad, *(state.grad for state in leaves or []), *(p.grad for p in cell.parameters())]
        results.append([output.detach() for output in outputs] + gradients)
    assert len(results[0]) == len(results[1])
    for k, (expected, actual) in enumerate(zip(*results)):
        assert_close(actual, expected, f"result {k} of seed {seed}: {name}({inputs}, {hidden}), bias {bias}, {dtype}, "
                                       f"batch {batch}, {steps} steps, {'with' if with_states else 'without'} hx")


@pytest.mark.parametrize("first", range(0, CASES, 80))
@pytest.mark.parametrize("name", CELLS)
def test_equals_torch(name: str, first: int) -> None:
    for seed in range(first, first + 80):
        check_case(seed, name)


@pytest.mark.parametrize("name", CELLS)
def test_no_states_are_zeros(name: str) -> None:
    _, ours = pair(name, 4, 6)
    x = torch.randn(3, 4)
    zeros = [torch.zeros(3, 6) for _ in states_of(name, 3, 6)]
    for actual, expected in zip(call(ours, x, None), call(ours, x, zeros)):
        assert torch.equal(actual, expected)


@pytest.mark.parametrize("wanted", ["x", "hx", "weight_hh", "bias_hh"])
@pytest.mark.parametrize("name", CELLS)
def test_whatever_alone_needs_a_gradient_gets_it(name: str, wanted: str) -> None:
    torch.manual_seed(0)
    x, states, gradients = torch.randn(2, 3), states_of(name, 2, 4), []
    for cell in pair(name, 3, 4):
        cell.requires_grad_(False)
        leaves = {"x": x.clone(), "hx": states[-1].clone()}
        leaf = leaves[wanted] if wanted in leaves else getattr(cell, wanted)
        leaf.requires_grad_()
        call(cell, leaves["x"], states[:-1] + [leaves["hx"]])[-1].square().sum().backward()
        gradients.append(leaf.grad)
    assert gradients[0].any()
    assert_close(gradients[1], gradients[0], wanted)


@pytest.mark.parametrize("which", [0, 1])
def test_only_one_result_has_a_gradient(which: int) -> None:
    torch.manual_seed(0)
    x, states, gradients = torch.randn(2, 3), states_of("LSTM", 2, 4), []
    for cell in pair("LSTM", 3, 4):
        leaf = x.clone().requires_grad_()
        call(cell, leaf, states)[which].square().sum().backward()
        gradients.append([leaf.grad, *(p.grad for p in cell.parameters())])
    for expected, actual in zip(*gradients):
        assert_close(actual, expected, f"from result {which}")


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("name", CELLS)
def test_gradcheck(name: str, batch: tuple) -> None:
    torch.manual_seed(0)
    _, ours = pair(name, 2, 3, dtype=torch.float64)
    leaves = [torch.randn(*batch, 2, dtype=torch.float64), *states_of(name, *batch, 3, dtype=torch.float64)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(lambda x, *states: call(ours, x, list(states)), leaves)


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 2.0**-6), (torch.float16, 2.0**-9)])
@pytest.mark.parametrize("name", CELLS)
def test_16_bits(name: str, dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    exact, half = pair(name, 6, 8)
    half, x = half.to(dtype), torch.randn(5, 6).to(dtype)
    states = [state.to(dtype) for state in states_of(name, 5, 8)]
    exact.load_state_dict(half.state_dict())
    outputs, expected = call(half, x, states), call(exact, x.float(), [state.float() for state in states])
    for output, reference in zip(outputs, expected):
        assert output.dtype == dtype
        torch.testing.assert_close(output.float(), reference, rtol=tolerance, atol=tolerance)
    sum(output.float().sum() for output in outputs).backward()
    sum(reference.sum() for reference in expected).backward()
    for parameter, reference in zip(half.parameters(), exact.parameters()):
        assert parameter.grad.dtype == dtype
        assert (parameter.grad.float() - reference.grad).norm() <= 4 * tolerance * reference.grad.norm()


@pytest.mark.parametrize("name", CELLS)
def test_autocast(name: str) -> None:
    """Results of torch's dtype: LSTMCell and GRUCell keep that of the states if it is wider than autocast's."""
    theirs, ours = pair(name, 6, 8)
    x, states = torch.randn(5, 6), states_of(name, 5, 8)
    for rows, before in ((x, states), (x, None), (x.bfloat16(), None)):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs, expected = call(ours, rows, before), call(theirs, rows, before)
        for actual, reference in zip(outputs, expected):
            assert actual.dtype == reference.dtype
            torch.testing.assert_close(actual, reference, rtol=0.02, atol=0.02)
        exact = ours if outputs[0].dtype == torch.float32 else copy.deepcopy(ours).bfloat16()
        dtype = outputs[0].dtype
        alone = call(exact, rows.to(dtype), before if before is None else [state.to(dtype) for state in before])
        assert all(torch.equal(a, b) for a, b in zip(outputs, alone))
    outputs[-1].float().sum().backward()
    assert ours.weight_ih.grad.dtype == torch.float32 and ours.weight_ih.grad.any()


@pytest.mark.parametrize("name", CELLS)
def test_a_loop_equals_the_sequence_call(name: str) -> None:
    """A cell is a network of one layer over sequences of one token."""
    import varlstm.torch
    torch.manual_seed(0)
    _, cell = pair(name, 5, 7)
    network = getattr(varlstm.torch, name[:3] if name[:3] in ("GRU", "RNN") else "LSTM")(5, 7, **CELLS[name][2])
    network.load_state_dict({f"{key}_l0": value for key, value in cell.state_dict().items()})
    x, states, outputs = torch.randn(6, 3, 5), None, []
    for step in x:
        states = call(cell, step, states)
        outputs.append(states[0])
    torch.testing.assert_close(torch.stack(outputs), network(x)[0], rtol=1e-6, atol=1e-6)


def test_batches_of_different_sizes_in_turn() -> None:
    """Each finds the lengths that were set for its size."""
    theirs, ours = pair("GRU", 4, 6)
    for batch in (1, 3, 200, 3, 0, 64, 1, 3):
        x = torch.randn(batch, 4)
        assert_close(ours(x), theirs(x), f"batch {batch}")
