"""varlstm.torch's cells as modules: arguments, parameters, copies, errors, from_torch and to_torch."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import inspect
import io
import pickle
import re

import pytest

torch = pytest.importorskip("torch")

from torch_cell_test import CELLS, call, pair, states_of  # noqa: E402
from varlstm.torch import GRUCell, LSTMCell, RNNCell, _flat  # noqa: E402

OPTIONS = [{}, {"bias": False}, {"dtype": torch.float64}]
X, H = torch.randn(3, 4), torch.randn(3, 6)


def is_flat(cell) -> bool:
    params = list(cell.parameters())
    return _flat.flat_elements(params) > 0 and all(map(_flat.owns_its_storage, params))


def test_torchs_arguments_in_torchs_order() -> None:
    for name, first in (("LSTM", ""), ("GRU", ""), ("RNN_TANH", "nonlinearity: str = tanh, ")):
        assert str(inspect.signature(CELLS[name][1].__init__)).replace("'", "") == (
            f"(self, input_size: int, hidden_size: int, bias: bool = True, {first}device=None, dtype=None) -> None")
    for theirs, ours in ((torch.nn.LSTMCell, LSTMCell), (torch.nn.GRUCell, GRUCell)):
        for arguments in ((4, 6), (4, 6, False), (4, 6, True, "cpu", torch.float64)):
            a, b = theirs(*arguments), ours(*arguments)
            assert repr(a) == repr(b) and a.weight_ih.dtype == b.weight_ih.dtype
    for arguments in ((4, 6), (4, 6, False), (4, 6, True, "relu"), (4, 6, False, "relu", "cpu", torch.float64)):
        a, b = torch.nn.RNNCell(*arguments), RNNCell(*arguments)
        assert repr(a) == repr(b) and a.nonlinearity == b.nonlinearity and a.weight_ih.dtype == b.weight_ih.dtype


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("options", OPTIONS)
def test_same_parameters_from_the_same_seed_and_state_dict_both_ways(name: str, options: dict) -> None:
    made, after = [], []
    for one in (0, 1):
        torch.manual_seed(7)
        made.append(CELLS[name][one](4, 6, **CELLS[name][2], **options))
        after.append(torch.rand(1))
    theirs, ours = made
    assert torch.equal(*after) and list(ours.state_dict()) == list(theirs.state_dict()) and is_flat(ours)
    assert repr(ours) == repr(theirs) and ours.bias_ih is None or options.get("bias", True)
    for (key, expected), (ours_key, actual) in zip(theirs.named_parameters(), ours.named_parameters()):
        assert ours_key == key and torch.equal(actual, expected)
    torch.nn.init.constant_(ours.weight_hh, 0.1)
    file = io.BytesIO()
    torch.save(ours.state_dict(), file)
    file.seek(0)
    theirs.load_state_dict(torch.load(file), strict=True)
    x = X.to(options.get("dtype"))
    for actual, expected in zip(call(ours, x, None), call(theirs, x, None)):
        torch.testing.assert_close(actual, expected)
    with pytest.raises(RuntimeError, match="extra"):
        ours.load_state_dict(dict(theirs.state_dict(), extra=torch.zeros(1)))
    assert is_flat(ours)


@pytest.mark.parametrize("name", CELLS)
def test_copies_and_conversions_keep_parameters_flat(name: str) -> None:
    _, ours = pair(name, 4, 6)
    expected = call(ours, X, None)[0]
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert is_flat(copied) and repr(copied) == repr(ours) and torch.equal(call(copied, X, None)[0], expected)
        with torch.no_grad():
            copied.weight_ih += 1
        assert not torch.equal(call(copied, X, None)[0], expected)
    for convert in (lambda m: m.double(), lambda m: m.to(torch.float32), lambda m: m.bfloat16(), lambda m: m.half()):
        converted = convert(copy.deepcopy(ours))
        assert is_flat(converted)
        output = call(converted, X.to(converted.weight_ih.dtype), None)[0]
        torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.02)
    assert copy.deepcopy(ours).to_empty(device="meta").weight_ih.is_meta
    for key, parameter in list(ours.named_parameters()):
        setattr(ours, key, torch.nn.Parameter(parameter.detach().clone()))
    assert not is_flat(ours) and torch.equal(call(ours, X, None)[0], expected)
    ours.flatten_parameters()
    assert is_flat(ours) and torch.equal(call(ours, X, None)[0], expected)


@pytest.mark.parametrize("name", CELLS)
def test_optimiser_steps_are_torchs(name: str) -> None:
    cells = pair(name, 4, 6)
    for cell in cells:
        optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            call(cell, X, None)[0].square().sum().backward()
            optimizer.step()
    for expected, actual in zip(*(cell.parameters() for cell in cells)):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


# --- errors

def twice(state):
    return state, state


# The arguments after the input, of a cell with one state; an LSTMCell gets the state twice. Then the type of the error,
# which is that of torch's newest cells, and its text. What is no tensor is a TypeError, for which torch has several.
BAD_CALLS = {
    "dtype": (X.double(), None, RuntimeError, "input is of torch.float64, weight_ih of torch.float32"),
    "integers": (X.long(), None, RuntimeError, "input is of torch.int64, weight_ih of torch.float32"),
    "device": (X.to("meta"), None, RuntimeError, "input is on meta, weight_ih on cpu"),
    "features": (X[:, :3], None, RuntimeError, "input has inconsistent input_size: got 3, expected 4"),
    "features of one sample": (X[0, :3], None, RuntimeError, "input has inconsistent input_size: got 3, expected 4"),
    "0-D": (torch.tensor(1.0), None, ValueError, "Cell: Expected input to be 1D or 2D, got 0D instead"),
    "3-D": (X[None], None, ValueError, "Cell: Expected input to be 1D or 2D, got 3D instead"),
    "no input": (None, None, TypeError, "input is of NoneType, and must be a tensor"),
    "an array": (X.numpy(), None, TypeError, "input is of ndarray, and must be a tensor"),
    "hx batch": (X, H[:2], RuntimeError, "Input batch size 3 doesn't match {} batch size 2"),
    "hx hidden": (X, H[:, :5], RuntimeError, "{} has inconsistent hidden_size: got 5, expected 6"),
    "hx 1-D": (X, H[0], RuntimeError, "{} is 1D, and must be 2D"),
    "hx 2-D": (X[0], H[:1], RuntimeError, "{} is 2D, and must be 1D"),
    "hx 3-D": (X, H[None], ValueError, "to be 1D or 2D, got 3D instead"),
    "hx dtype": (X, H.double(), RuntimeError, "input is of torch.float32, {} of torch.float64"),
    "hx device": (X, H.to("meta"), RuntimeError, "input is on cpu, {} on meta"),
    "hx an array": (X, H.numpy(), TypeError, "{} is of ndarray, and must be a tensor"),
}
NOT_TENSORS = (TypeError, AttributeError)


@pytest.mark.parametrize("case", BAD_CALLS)
@pytest.mark.parametrize("name", CELLS)
def test_bad_calls(name: str, case: str) -> None:
    x, hx, error, text = BAD_CALLS[case]
    theirs, ours = pair(name, 4, 6)
    hx = twice(hx) if hx is not None and name == "LSTM" else hx
    text = text.replace("{}", "hx[0]" if name == "LSTM" else "hx")
    with pytest.raises(error, match=re.escape(text)):
        ours(x, hx)
    assert call(ours, X, None)[0].isfinite().all()  # and nothing is broken by it
    if not hasattr(torch.library, "custom_op"):
        return  # the types of older cells are others, and some of these calls pass
    with pytest.raises(NOT_TENSORS if error is TypeError else error):
        theirs(x, hx)


@pytest.mark.parametrize("hx, error, text", [
    ((H, H[:2]), RuntimeError, "Input batch size 3 doesn't match hx[1] batch size 2"),
    ((H, H[:, :5]), RuntimeError, "hx[1] has inconsistent hidden_size: got 5, expected 6"),
    ((H,), RuntimeError, "hx has 1 tensors, and must have 2: h_0 and c_0"),
    ((H, H, H), RuntimeError, "hx has 3 tensors, and must have 2: h_0 and c_0"),
    (H, TypeError, "hx is of Tensor, and must be a tuple of two tensors: h_0 and c_0"),
    ({}, TypeError, "hx is of dict, and must be a tuple of two tensors"),
    (5, TypeError, "hx is of int, and must be a tuple of two tensors"),
    ((None, H), TypeError, "hx[0] is of NoneType, and must be a tensor"),
    ((H, H.numpy()), TypeError, "hx[1] is of ndarray, and must be a tensor"),
])
def test_bad_pairs(hx, error, text: str) -> None:
    theirs, ours = pair("LSTM", 4, 6)
    with pytest.raises(error, match=re.escape(text)):
        ours(X, hx)
    with pytest.raises(NOT_TENSORS if error is TypeError else error):
        theirs(X, hx)
    assert torch.equal(ours(X, [H, H])[0], ours(X, (H, H))[0])  # a list is right, as in torch


def test_two_states_for_a_cell_of_one() -> None:
    for cell in (GRUCell(4, 6), RNNCell(4, 6)):
        with pytest.raises(TypeError, match="hx is of tuple, and must be a tensor"):
            cell(X, (H, H))
    with pytest.raises(RuntimeError, match=r"input is of torch.float32, hx\[1\] of torch.float64"):
        LSTMCell(4, 6)(X, (H, H.double()))  # which torch takes


@pytest.mark.parametrize("options, error, text", [
    ({"input_size": 0}, ValueError, "input_size = 0 is not supported, and must be at least 1"),
    ({"hidden_size": -1}, ValueError, "hidden_size = -1 is not supported, and must be at least 1"),
    ({"hidden_size": 4.0}, TypeError, "hidden_size = 4.0 is of float, and must be an integer"),
    ({"bias": "False"}, TypeError, "bias = 'False' is of str, and must be True or False"),
    ({"dtype": torch.int64}, TypeError, "dtype = torch.int64 is not supported"),
    ({"nonlinearity": "sigmoid"}, ValueError, "nonlinearity = 'sigmoid' is not supported, and must be 'tanh' or"),
    ({"nonlinearity": None}, ValueError, "nonlinearity = None is not supported"),
    ({"num_layers": 2}, TypeError, "num_layers"),
])
@pytest.mark.parametrize("cell", [LSTMCell, GRUCell, RNNCell])
def test_bad_options(cell, options: dict, error, text: str) -> None:
    if cell is not RNNCell and "nonlinearity" in options:
        error, text = TypeError, "nonlinearity"
    with pytest.raises(error, match=re.escape(text)):
        cell(**{"input_size": 4, "hidden_size": 6, **options})


@pytest.mark.parametrize("name, rows", [("LSTM", 24), ("GRU", 18), ("RNN_TANH", 6), ("RNN_RELU", 6)])
def test_parameters_of_other_shapes_are_refused(name: str, rows: int) -> None:
    for key, shape, text in (("weight_ih", (4, rows), f"(4, {rows}), and must be ({rows}, 4)"),
                             ("weight_hh", (rows, 7), f"({rows}, 7), and must be ({rows}, 6)"),
                             ("bias_hh", (rows, 1), f"({rows}, 1), and must be ({rows},)")):
        _, ours = pair(name, 4, 6)
        setattr(ours, key, torch.nn.Parameter(torch.zeros(shape)))
        with pytest.raises(ValueError, match=re.escape(f"{key} is of shape {text}")):
            ours(X)
    ours.bias_hh = None
    with pytest.raises(TypeError, match="bias_hh is of NoneType, and must be a tensor"):
        ours(X)


@pytest.mark.parametrize("name", CELLS)
def test_the_second_derivative_is_refused(name: str) -> None:
    x = X.clone().requires_grad_()
    gradient, = torch.autograd.grad(call(pair(name, 4, 6)[1], x, None)[0].sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match=f"the gradient of {name.lower()}_cell cannot be differentiated again"):
        gradient.square().sum().backward()


def test_an_output_that_changed_before_backward_is_found() -> None:
    output = GRUCell(4, 6)(X)
    output += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_torch_jit_trace_is_refused() -> None:
    with pytest.raises(RuntimeError, match="torch.jit.trace cannot look into the library"):
        torch.jit.trace(GRUCell(4, 6), (X,))


# --- there and back

@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("options", OPTIONS)
def test_from_torch_and_to_torch(name: str, options: dict) -> None:
    theirs = CELLS[name][0](4, 6, **CELLS[name][2], **options).eval()
    theirs.weight_hh.requires_grad_(False)
    parameters = list(theirs.parameters())
    ours = CELLS[name][1].from_torch(theirs)
    back = ours.to_torch()
    assert type(back) is type(theirs) and repr(back) == repr(ours) == repr(theirs)
    assert not ours.training and not back.training and is_flat(ours)
    for module in (ours, back):
        assert list(module.state_dict()) == list(theirs.state_dict())
        assert all(a is b for a, b in zip(module.parameters(), parameters))
    x, states = X.to(options.get("dtype")), states_of(name, 3, 6, dtype=options.get("dtype"))
    for actual, expected in zip(call(ours, x, states), call(theirs, x, states)):
        torch.testing.assert_close(actual, expected)
    with torch.no_grad():
        back.weight_ih.mul_(2)  # all see it
    torch.testing.assert_close(call(ours, x, states)[0], call(theirs, x, states)[0])


def test_from_torch_refuses_what_it_cannot_take() -> None:
    class Other(torch.nn.GRUCell):
        pass

    for module, word in ((Other(4, 6), "Other"), (torch.nn.LSTMCell(4, 6), "LSTMCell"), (None, "NoneType")):
        with pytest.raises(TypeError, match=f"module is of {word}, and must be a torch.nn.GRUCell"):
            GRUCell.from_torch(module)
    with pytest.raises(ValueError, match="nonlinearity = 'sigmoid' is not supported"):
        RNNCell.from_torch(torch.nn.RNNCell(4, 6, nonlinearity="sigmoid"))
