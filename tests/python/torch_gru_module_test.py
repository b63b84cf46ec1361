"""varlstm.torch.GRU and RNN as modules: arguments, parameters, errors and to_torch."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import inspect
import pickle
import re
import warnings

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

from torch_cases import MODULES  # noqa: E402
from varlstm.torch import GRU, LSTM, RNN, _flat, replace_rnn  # noqa: E402

NAMES = [name for name in MODULES if name != "LSTM"]
OPTIONS = [{}, {"num_layers": 3, "bidirectional": True}, {"bias": False}, {"batch_first": True},
           {"num_layers": 2, "dropout": 0.3}]
X, STATE = torch.randn(5, 3, 4), torch.randn(1, 3, 6)


def make(name: str, **options) -> tuple:
    theirs, ours, own = MODULES[name]
    return theirs(4, 6, **own, **options), ours(4, 6, **own, **options)


def is_flat(module) -> bool:
    params = list(module.parameters())
    return _flat.flat_elements(params) > 0 and all(map(_flat.owns_its_storage, params))


def test_torchs_arguments_in_torchs_order() -> None:
    rest = "bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, " \
           "device=None, dtype=None, *, recurrent_dropout: float = 0.0, recurrent_dropout_kind: str = weights, " \
           "zoneout_h: float = 0.0"
    first = "(self, input_size: int, hidden_size: int, num_layers: int = 1, "
    assert str(inspect.signature(GRU.__init__)).replace("'", "") == first + rest + \
        ", reset_after: bool = True, proj_size=None) -> None"
    own = first + "nonlinearity: str = tanh, " + rest + ", proj_size=None) -> None"
    assert str(inspect.signature(RNN.__init__)).replace("'", "") == own
    arguments = (4, 6, 2, False, True, 0.25, True)
    for count in range(2, len(arguments) + 1):
        assert repr(GRU(*arguments[:count])) == repr(torch.nn.GRU(*arguments[:count]))
    for count in range(2, len(arguments) + 1):
        keywords = dict(zip(("bias", "batch_first", "dropout", "bidirectional"), arguments[3:count]))
        theirs = torch.nn.RNN(4, 6, 2, nonlinearity="relu", **keywords)
        ours = RNN(4, 6, 2, "relu", *arguments[3:count])
        assert repr(ours) == repr(theirs) and ours.mode == theirs.mode and ours.nonlinearity == theirs.nonlinearity
    assert RNN(4, 6).mode == "RNN_TANH" and RNN(4, 6, nonlinearity="relu").mode == "RNN_RELU"
    assert GRU(4, 6, dtype=torch.float64, device="cpu").weight_ih_l0.dtype == torch.float64


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", OPTIONS)
def test_same_parameters_and_state_dict(name: str, options: dict) -> None:
    modules = []
    for one in (0, 1):
        torch.manual_seed(7)
        modules.append(MODULES[name][one](4, 6, **MODULES[name][2], **options))
    theirs, ours = modules
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict()) and is_flat(ours)
    for (key, expected), (ours_key, actual) in zip(theirs.named_parameters(), ours.named_parameters()):
        assert ours_key == key and torch.equal(actual, expected)
    torch.nn.init.constant_(ours.weight_hh_l0, 0.1)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = X.transpose(0, 1) if options.get("batch_first") else X
    torch.testing.assert_close(ours.eval()(x)[0], theirs.eval()(x)[0])
    with pytest.raises(RuntimeError, match="extra"):
        ours.load_state_dict(dict(theirs.state_dict(), extra=torch.zeros(1)))


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_conversions_keep_parameters_flat(name: str) -> None:
    _, ours = make(name, num_layers=2)
    expected = ours(X)[0]
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert is_flat(copied) and torch.equal(copied(X)[0], expected)
    double = copy.deepcopy(ours).double()
    assert is_flat(double) and double(X.double())[0].dtype == torch.float64
    for key, parameter in list(ours.named_parameters()):
        setattr(ours, key, torch.nn.Parameter(parameter.detach().clone()))
    assert not is_flat(ours) and torch.equal(ours(X)[0], expected)
    ours.flatten_parameters()
    assert is_flat(ours) and torch.equal(ours(X)[0], expected)


@pytest.mark.parametrize("name, rows", [("GRU", 18), ("RNN_TANH", 6), ("RNN_RELU", 6)])
def test_parameters_of_other_shapes_are_refused(name: str, rows: int) -> None:
    _, ours = make(name)
    ours.weight_ih_l0 = torch.nn.Parameter(torch.zeros(4, rows))
    with pytest.raises(ValueError, match=rf"weight_ih_l0 is of shape \(4, {rows}\), and must be \({rows}, 4\)"):
        ours(X)
    _, ours = make(name)
    ours.num_layers = 2
    with pytest.raises(ValueError, match=f"the parameters have {rows * 12} elements, this {name} has {rows * 22}"):
        ours(X)


def test_permute_hidden_is_torchs() -> None:
    order = torch.tensor([2, 0, 1])
    for module in make("GRU"):
        assert torch.equal(module.permute_hidden(STATE, order), STATE[:, order])


# --- errors

BAD_CALLS = {
    "dtype": ((X.double(),), {}, ValueError, "input is of torch.float64, weight_ih_l0 of torch.float32"),
    "features": ((X[:, :, :3],), {}, RuntimeError, "input_size. Expected 4, got 3"),
    "two states": ((X, (STATE, STATE)), {}, TypeError, "hx is of tuple, and must be a tensor: h_0"),
    "an array": ((X, STATE.numpy()), {}, TypeError, "hx is of ndarray, and must be a tensor: h_0"),
    "batch": ((X, STATE[:, :2]), {}, RuntimeError, "Expected hidden size (1, 3, 6), got [1, 2, 6]"),
    "hidden": ((X, STATE[:, :, :5]), {}, RuntimeError, "Expected hidden size (1, 3, 6), got [1, 3, 5]"),
    "2-D": ((X, STATE[0]), {}, RuntimeError, "For batched 3-D input, hx should also be 3-D but got 2-D tensor"),
    "3-D": ((X[:, 0], STATE), {}, RuntimeError, "For unbatched 2-D input, hx should also be 2-D but got 3-D tensor"),
    "hx dtype": ((X, STATE.double()), {}, ValueError, "input is of torch.float32, hx of torch.float64"),
    "hx device": ((X, STATE.to("meta")), {}, ValueError, "input is on cpu, hx on meta"),
    "packed": ((pack_padded_sequence(X, [5, 4, 1]), STATE[:, :2]), {}, RuntimeError, "Expected hidden size (1, 3, 6)"),
    "lengths": ((X,), {"lengths": [5, 6, 1]}, ValueError, "lengths[1] = 6 is not in 0 ... 5"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
@pytest.mark.parametrize("name", NAMES)
def test_bad_calls(name: str, case: str) -> None:
    arguments, keywords, error, text = BAD_CALLS[case]
    _, ours = make(name)
    with pytest.raises(error, match=re.escape(text)):
        ours(*arguments, **keywords)
    assert ours(X, STATE, lengths=[5, 4, 1])[0].isfinite().all()


@pytest.mark.parametrize("options, error, text", [
    ({"nonlinearity": "sigmoid"}, ValueError, "nonlinearity = 'sigmoid' is not supported, and must be 'tanh' or 'relu'"),
    ({"nonlinearity": False}, ValueError, "nonlinearity = False is not supported"),
    ({"hidden_size": 0}, ValueError, "hidden_size = 0 is not supported, and must be at least 1"),
    ({"num_layers": 2.0}, TypeError, "num_layers = 2.0 is of float, and must be an integer"),
    ({"dropout": 2}, ValueError, "dropout = 2 is not supported, and must be at least 0 and at most 1"),
    ({"dtype": torch.int64}, TypeError, "dtype = torch.int64 is not supported"),
    *(({"proj_size": value}, ValueError, f"proj_size argument is only supported for LSTM, not RNN or GRU, and proj_size = {value}")
      for value in (2, 0)),
])
@pytest.mark.parametrize("module", [GRU, RNN])
def test_bad_options(module, options: dict, error, text: str) -> None:
    if module is GRU and "nonlinearity" in options:
        error, text = TypeError, "nonlinearity"
    with pytest.raises(error, match=re.escape(text)):
        module(**{"input_size": 4, "hidden_size": 6, **options})


@pytest.mark.parametrize("name", NAMES)
def test_the_second_derivative_is_refused(name: str) -> None:
    x = X.clone().requires_grad_()
    loss = make(name)[1](x)[0].sum()
    gradient, = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match=f"the gradient of {name.lower()} cannot be differentiated again"):
        gradient.square().sum().backward()


# --- there and back

@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("options", [*OPTIONS, {"dtype": torch.float64}])
def test_to_torch(name: str, options: dict) -> None:
    theirs, ours = make(name, **options)
    ours.eval()
    ours.weight_hh_l0.requires_grad_(False)
    back = ours.to_torch()
    assert type(back) is type(theirs) and repr(back) == repr(ours) and not back.training
    assert all(a is b for a, b in zip(back.parameters(), ours.parameters()))
    assert list(back.state_dict()) == list(ours.state_dict())
    x = torch.randn(3, 3, 4, dtype=options.get("dtype"))
    torch.testing.assert_close(back(x)[0], ours(x)[0])
    with torch.no_grad():
        back.weight_ih_l0.mul_(2)  # both see it
    torch.testing.assert_close(back(x)[0], ours(x)[0])
    own, x = copy.deepcopy(back), x.requires_grad_()
    assert not any(a is b for a, b in zip(own.parameters(), ours.parameters()))
    own(x)[0].sum().backward()
    assert own.weight_hh_l0.grad is None and own.weight_ih_l0.grad.any() and x.grad.any()
    again = replace_rnn(back)
    assert type(again) is type(ours) and torch.equal(again(x)[0], ours(x)[0])
