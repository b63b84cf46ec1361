"""What the constructors take and refuse, and what a new module says of itself."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings

import torch

from varlstm import torch as varlstm_torch

from .table import Kind, assert_agree, assert_same_error, differs, refused, same

OPTIONS = {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.25, "bidirectional": True}
ATTRIBUTES = ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
              "proj_size", "training")


def assert_same_module(theirs, ours) -> None:
    assert repr(ours) == repr(theirs)
    assert all(getattr(ours, name) == getattr(theirs, name) for name in ATTRIBUTES)
    for (name, expected), (ours_name, actual) in zip(theirs.named_parameters(), ours.named_parameters()):
        assert ours_name == name and actual.shape == expected.shape
        assert (actual.dtype, actual.device) == (expected.dtype, expected.device)
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))


@same("positional arguments of a constructor, in torch's order")
def positional(kind: Kind) -> None:
    arguments = {"LSTM": (4, 6, 2, False, True, 0.25, True, 2, "cpu", torch.float64),
                 "GRU": (4, 6, 2, False, True, 0.25, True), "RNN": (4, 6, 2)}[kind.name]
    for count in range(2, len(arguments) + 1):
        assert_same_module(kind.theirs(*arguments[:count]), kind.ours(*arguments[:count]))


@same("nonlinearity as the fourth argument", since=(2, 2), kinds=("RNN",))
def positional_nonlinearity(kind: Kind) -> None:
    arguments = (4, 6, 2, "relu", False, True, 0.25, True)
    for count in range(4, len(arguments) + 1):
        assert_same_module(kind.theirs(*arguments[:count]), kind.ours(*arguments[:count]))


@same("named arguments of a constructor")
def named(kind: Kind) -> None:
    assert_same_module(kind.theirs(input_size=4, hidden_size=6, **OPTIONS), kind.ours(input_size=4, hidden_size=6, **OPTIONS))


@same("defaults of a constructor")
def defaults(kind: Kind) -> None:
    assert_same_module(kind.theirs(4, 6), kind.ours(4, 6))


@same("nonlinearity: tanh or relu", kinds=("RNN",))
def nonlinearity(kind: Kind) -> None:
    for value in ("tanh", "relu"):
        theirs, ours = kind.pair(nonlinearity=value)
        assert ours.nonlinearity == theirs.nonlinearity and ours.mode == theirs.mode
        assert_agree(theirs, ours, torch.randn(5, 3, 4))


@refused("an unknown nonlinearity", ValueError, "nonlinearity = 'gelu' is not supported", kinds=("RNN",))
def unknown_nonlinearity(kind: Kind) -> None:
    kind.ours(4, 6, nonlinearity="gelu")


@same("proj_size", kinds=("LSTM",))
def projection(kind: Kind) -> None:
    assert_same_module(kind.theirs(4, 6, 2, proj_size=3, bidirectional=True), kind.ours(4, 6, 2, proj_size=3, bidirectional=True))


@refused("a negative proj_size", ValueError, "proj_size should be a positive integer or zero", kinds=("LSTM",))
def negative_projection(kind: Kind) -> None:
    kind.ours(4, 6, proj_size=-1)


@refused("a proj_size that is not smaller than hidden_size", ValueError, "proj_size has to be smaller than hidden_size",
         kinds=("LSTM",))
def wide_projection(kind: Kind) -> None:
    kind.ours(4, 6, proj_size=6)


@refused("no input_size", ValueError, "input_size = 0 is not supported, and must be at least 1")
def no_features(kind: Kind) -> None:
    kind.ours(0, 6)


@refused("no hidden_size", ValueError, "hidden_size = 0 is not supported, and must be at least 1")
def no_units(kind: Kind) -> None:
    kind.ours(4, 0)


@refused("no num_layers", ValueError, "num_layers = 0 is not supported, and must be at least 1")
def no_layers(kind: Kind) -> None:
    kind.ours(4, 6, 0)


@refused("a negative size", ValueError, "hidden_size = -6 is not supported, and must be at least 1")
def negative_size(kind: Kind) -> None:
    kind.ours(4, -6)


@refused("a size that is no integer", TypeError, "hidden_size = 6.0 is of float, and must be an integer")
def fractional_size(kind: Kind) -> None:
    kind.ours(4, 6.0)


@refused("a text for a flag", TypeError, "batch_first = 'False' is of str, and must be True or False")
def text_for_a_flag(kind: Kind) -> None:
    kind.ours(4, 6, batch_first="False")


@differs("0 or 1 for a flag", "taken for False and True, as torch does it before 2.10")
def number_for_a_flag(kind: Kind) -> None:
    assert kind.ours(4, 6, bias=0).bias is False and kind.ours(4, 6, batch_first=1).batch_first is True


@refused("a missing hidden_size", TypeError, "hidden_size")
def missing(kind: Kind) -> None:
    kind.ours(4)


@refused("an unknown argument", TypeError, "layers")
def unknown(kind: Kind) -> None:
    kind.ours(4, 6, layers=2)


@refused("dropout beyond 1", ValueError, "dropout = 1.5 is not supported, and must be at least 0 and at most 1")
def dropout_beyond(kind: Kind) -> None:
    kind.ours(4, 6, 2, dropout=1.5)


@refused("a negative dropout", ValueError, "dropout = -0.1 is not supported")
def negative_dropout(kind: Kind) -> None:
    kind.ours(4, 6, 2, dropout=-0.1)


@refused("a flag for dropout", TypeError, "dropout = True is of bool, and must be a number")
def flag_for_dropout(kind: Kind) -> None:
    kind.ours(4, 6, 2, dropout=True)


@same("the warning of dropout with one layer")
def dropout_warning(kind: Kind) -> None:
    texts = []
    for make in (kind.theirs, kind.ours):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make(4, 6, dropout=0.5)
        texts.append([(warning.category, str(warning.message)) for warning in caught])
    assert texts[0] == texts[1] and len(texts[0]) == 1


@same("initial values, and the state of torch's generator after them")
def initial_values(kind: Kind) -> None:
    found = []
    for make in (kind.theirs, kind.ours):
        torch.manual_seed(7)
        found.append([*make(4, 6, **OPTIONS).parameters(), torch.rand(1)])
    assert all(torch.equal(a, b) for a, b in zip(*found))


@same("dtype of the constructor")
def dtype(kind: Kind) -> None:
    for value in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        assert_same_module(kind.theirs(4, 6, dtype=value), kind.ours(4, 6, dtype=value))


@refused("a complex dtype", TypeError, "dtype = torch.complex64 is not supported, and must be one of torch.float32")
def complex_dtype(kind: Kind) -> None:
    kind.ours(4, 6, dtype=torch.complex64)


@same("torch.set_default_dtype")
def default_dtype(kind: Kind) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        assert_same_module(*kind.pair())
    finally:
        torch.set_default_dtype(torch.float32)


@same("device of the constructor")
def device(kind: Kind) -> None:
    for value in ("cpu", "meta", torch.device("meta")):
        assert_same_module(kind.theirs(4, 6, device=value), kind.ours(4, 6, device=value))


@same("a device as a context", since=(2, 0))
def device_context(kind: Kind) -> None:
    with torch.device("meta"):
        theirs, ours = kind.theirs(4, 6), kind.ours(4, 6)
    assert_same_module(theirs, ours)
    assert ours.weight_ih_l0.is_meta


@differs("torch.nn.utils.skip_init", "a module without initial values, which torch refuses for its own networks")
def skip_init(kind: Kind) -> None:
    assert_same_module(kind.theirs(4, 6), torch.nn.utils.skip_init(kind.ours, 4, 6))


@same("repr and extra_repr")
def texts(kind: Kind) -> None:
    for options in ({}, OPTIONS, {"num_layers": 3}, {"bidirectional": True}):
        theirs, ours = kind.theirs(4, 6, **options), kind.ours(4, 6, **options)
        assert (repr(ours), str(ours), ours.extra_repr()) == (repr(theirs), str(theirs), theirs.extra_repr())


@same("the name of the class, and __constants__")
def class_name(kind: Kind) -> None:
    theirs, ours = kind.pair()
    assert type(ours).__name__ == type(theirs).__name__ and ours._get_name() == theirs._get_name()
    assert ours.__constants__ == theirs.__constants__


@same("isinstance(module, torch.nn.RNNBase)")
def is_base(kind: Kind) -> None:
    assert isinstance(kind.ours(4, 6), torch.nn.RNNBase) and issubclass(kind.ours, torch.nn.RNNBase)


@differs("isinstance(module, torch.nn.LSTM)", "False, because torch.compile breaks its graph at each such instance; "
         "ask for torch.nn.RNNBase and module.mode, or ask before replace_rnn")
def is_instance(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    assert not isinstance(ours, kind.theirs) and isinstance(ours.to_torch(), kind.theirs)
    with varlstm_torch.patch():  # where the question is asked of the patched name
        assert isinstance(ours, getattr(torch.nn, kind.name))


@refused("proj_size of a network that has none", ValueError, "proj_size argument is only supported for LSTM",
         kinds=("GRU", "RNN"))
def projection_of_another(kind: Kind) -> None:
    kind.ours(4, 6, proj_size=2)


@same("a subclass with a constructor of its own")
def subclass(kind: Kind) -> None:
    def derived(base: type) -> type:
        class Encoder(base):
            def __init__(self, size: int) -> None:
                super().__init__(size, 2 * size, batch_first=True)
        return Encoder

    theirs, ours = derived(kind.theirs)(4), derived(kind.ours)(4)
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    assert_agree(theirs, ours, torch.randn(3, 5, 4))
