"""from_torch, to_torch and state_dict of varlstm.torch's modules and cells: every option that torch has goes over and
comes back, and what torch does not have is refused by name."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import random
import warnings

import pytest

torch = pytest.importorskip("torch")

import varlstm.torch as ours  # noqa: E402

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
if hasattr(torch, "get_autocast_dtype"):  # torch 1.13 does not compute in float16 on the CPU
    DTYPES += (torch.float16,)
MODULES, CELLS = ("LSTM", "GRU", "RNN"), ("LSTMCell", "GRUCell", "RNNCell")
CONFIGURATIONS = 20  # of each class


def draw_module(name: str, seed: int) -> torch.nn.Module:
    """A module of torch.nn with random options, some of whose parameters are frozen."""
    draw = random.Random(f"{name} {seed}")
    torch.manual_seed(seed)
    options = {"bias": draw.random() < 0.6, "dtype": draw.choice(DTYPES)}
    inputs, hidden = draw.randint(1, 6), draw.randint(2, 7)
    if name.startswith("RNN"):
        options["nonlinearity"] = draw.choice(("tanh", "relu"))
    if name in MODULES:
        options.update(num_layers=draw.randint(1, 3), batch_first=draw.random() < 0.5, dropout=draw.choice((0, 0.25)),
                       bidirectional=draw.random() < 0.5)
    if name == "LSTM":
        options["proj_size"] = draw.choice((0, draw.randint(1, hidden - 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of dropout in one layer
        module = getattr(torch.nn, name)(inputs, hidden, **options)
    for parameter in module.parameters():
        parameter.requires_grad_(draw.random() < 0.7)
    return module.train(draw.random() < 0.5)


def new(kind, like: torch.nn.Module) -> torch.nn.Module:
    """Another module of the class `kind` with the options of `like`, by its constructor, and with other parameters."""
    names = ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size", "nonlinearity")
    cell = isinstance(like, torch.nn.RNNCellBase)
    options = {name: getattr(like, name) for name in names[1:2] * cell + names * (not cell) if hasattr(like, name)}
    options.update({"nonlinearity": like.nonlinearity} if hasattr(like, "nonlinearity") else {})
    if "proj_size" in options and not isinstance(like, torch.nn.LSTM):
        del options["proj_size"]
    dtype = next(like.parameters()).dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(like.input_size, like.hidden_size, dtype=dtype, **options)


def outputs(module: torch.nn.Module) -> list:
    torch.manual_seed(7)
    dtype = next(module.parameters()).dtype
    shape = (3, 2, module.input_size) if isinstance(module, torch.nn.RNNBase) else (2, module.input_size)
    result = copy.deepcopy(module).eval()(torch.randn(shape).to(dtype))
    flat = []
    for one in result if isinstance(result, tuple) else (result,):
        flat += one if isinstance(one, tuple) else [one]
    return flat


def assert_computes(actual: torch.nn.Module, expected: torch.nn.Module) -> None:
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-10}.get(next(expected.parameters()).dtype, 3e-2)
    for a, b in zip(outputs(actual), outputs(expected)):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODULES + CELLS)
def test_modules_go_over_and_come_back(name: str) -> None:
    for seed in range(CONFIGURATIONS):
        theirs = draw_module(name, seed)
        parameters = dict(theirs.named_parameters())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = getattr(ours, name).from_torch(theirs)
            back = module.to_torch()
        assert type(module) is getattr(ours, name) and type(back) is type(theirs)
        assert repr(module) == repr(back) == repr(theirs)
        for other in (module, back):
            assert other.training == theirs.training
            assert list(dict(other.named_parameters())) == list(parameters)
            assert all(one is parameters[key] for key, one in other.named_parameters())  # so dtype, device, requires_grad
        assert_computes(module, theirs)
        assert_computes(back, theirs)


@pytest.mark.parametrize("name", MODULES + CELLS)
def test_state_dicts_go_over_and_come_back(name: str) -> None:
    for seed in range(CONFIGURATIONS):
        theirs = draw_module(name, seed)
        module, back = new(getattr(ours, name), theirs), new(type(theirs), theirs)
        result = module.load_state_dict(theirs.state_dict(), strict=True)
        assert not result.missing_keys and not result.unexpected_keys
        state = module.state_dict()
        assert list(state) == list(theirs.state_dict())
        result = back.load_state_dict(state, strict=True)
        assert not result.missing_keys and not result.unexpected_keys
        for one in (module, back):
            for key, value in one.state_dict().items():
                assert value.dtype == theirs.state_dict()[key].dtype and torch.equal(value, theirs.state_dict()[key])
        assert_computes(module, theirs)


@pytest.mark.parametrize("name", MODULES + CELLS)
def test_a_copy_trains_by_itself(name: str) -> None:
    theirs = getattr(torch.nn, name)(3, 4)
    module = getattr(ours, name).from_torch(copy.deepcopy(theirs))
    before = copy.deepcopy(theirs.state_dict())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2)
    assert all(torch.equal(value, before[key]) for key, value in theirs.state_dict().items())


def weight_normed(name: str) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.utils.weight_norm(getattr(torch.nn, name)(3, 4),
                                          "weight_hh" if name.endswith("Cell") else "weight_hh_l0")


@pytest.mark.parametrize("name", MODULES + CELLS)
def test_what_cannot_be_taken_over_is_refused(name: str) -> None:
    theirs, kind = getattr(torch.nn, name), getattr(ours, name)

    class Other(theirs):
        pass

    for module, word in ((Other(3, 4), "Other"), (torch.nn.Linear(3, 4), "Linear"), (None, "NoneType"),
                         (kind(3, 4), name)):
        with pytest.raises(TypeError, match=f"module is of {word}, and must be a torch.nn.{name}"):
            kind.from_torch(module)
    with pytest.raises(ValueError, match="its parameters are not its own"):
        kind.from_torch(weight_normed(name))
    with_buffer = theirs(3, 4)
    with_buffer.register_buffer("mean", torch.zeros(1))
    with pytest.raises(ValueError, match="it has buffers or modules of its own"):
        kind.from_torch(with_buffer)
    hooked = theirs(3, 4)
    hooked.register_forward_hook(lambda module, args, output: None)
    with pytest.warns(UserWarning, match=f"from_torch does not move the hooks of this torch.nn.{name}"):
        kind.from_torch(hooked)


def test_options_of_torch_that_are_not_supported() -> None:
    module = torch.nn.GRU(3, 4, 2, dtype=torch.complex64)
    with pytest.raises(ValueError, match="this torch.nn.GRU cannot be taken over: weight_ih_l0 is of torch.complex64"):
        ours.GRU.from_torch(module)


@pytest.mark.parametrize("name, options, text", [
    ("LSTM", {"recurrent_dropout": 0.5}, "torch.nn.LSTM has no recurrent_dropout = 0.5: set to 0"),
    ("LSTM", {"zoneout_h": 0.25, "zoneout_c": 0.125}, "torch.nn.LSTM has no zoneout_h = 0.25, zoneout_c = 0.125: set"),
    ("LSTM", {"cell_clip": 3}, "torch.nn.LSTM has no cell_clip = 3.0"),
    ("LSTM", {"proj_size": 2, "projection_clip": 1}, "torch.nn.LSTM has no projection_clip = 1.0"),
    ("GRU", {"zoneout_h": 0.5}, "torch.nn.GRU has no zoneout_h = 0.5"),
    ("GRU", {"reset_after": False}, "torch.nn.GRU resets after the product: there is none with reset_after=False"),
    ("RNN", {"recurrent_dropout": 0.5}, "torch.nn.RNN has no recurrent_dropout = 0.5")])
def test_to_torch_names_what_torch_does_not_have(name: str, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        getattr(ours, name)(3, 4, **options).to_torch()
