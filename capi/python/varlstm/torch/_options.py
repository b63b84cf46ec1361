"""Arguments of varlstm.torch, checked one by one: whatever is wrong is refused by its name and value."""
# SPDX-License-Identifier: Apache-2.0
import numbers
import operator

import torch

from .._declarations import RecurrentDropout
from ._device import DTYPES


def size(name: str, value) -> int:
    """A positive integer: of Python, NumPy or a tensor without dimensions; a bool is none."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} = {value!r} is of {type(value).__name__}, and must be an integer")
    if number < 1:
        raise ValueError(f"{name} = {number} is not supported, and must be at least 1")
    return number


def flag(name: str, value) -> bool:
    """True or False. 1, 0 and None are taken for them; a text such as "False", which is true in Python, is an error."""
    if value is not None and value not in (0, 1):
        raise TypeError(f"{name} = {value!r} is of {type(value).__name__}, and must be True or False")
    return bool(value)


def probability(name: str, value, or_one: bool = False) -> float:
    """At least 0 and smaller than 1, which would leave nothing, or 1 if that is allowed."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} = {value!r} is of {type(value).__name__}, and must be a number")
    if not (0 <= value < 1 or (or_one and value == 1)):
        raise ValueError(f"{name} = {value} is not supported, and must be at least 0 and " +
                         ("at most 1" if or_one else "smaller than 1"))
    return float(value)


def clip(name: str, value) -> float:
    """Positive and finite, or 0: no clip."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} = {value!r} is of {type(value).__name__}, and must be a number")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} = {value} is not supported, and must be positive and finite, or 0: no clip")
    return float(value)


def dropout_kind(value, has_candidate: bool) -> RecurrentDropout:
    kinds = [kind.name.lower() for kind in RecurrentDropout if has_candidate or kind != RecurrentDropout.CANDIDATE]
    if value not in kinds:
        raise ValueError(f"recurrent_dropout_kind = {value!r} is not supported, and must be one of " +
                         ", ".join(map(repr, kinds)))
    return RecurrentDropout[value.upper()]


def projection(proj_size, hidden_size) -> int:
    """0, or smaller than hidden_size. As torch says it."""
    try:
        number = None if isinstance(proj_size, bool) else operator.index(proj_size)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"proj_size = {proj_size!r} is of {type(proj_size).__name__}, and must be an integer")
    if number < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections, "
                         f"and proj_size = {number}")
    if number >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size, "
                         f"and proj_size = {number}, hidden_size = {hidden_size}")
    return number


def no_projection(proj_size) -> None:
    """Of a network other than an LSTM. As torch says it, which takes no value at all."""
    if proj_size is not None:
        raise ValueError(f"proj_size argument is only supported for LSTM, not RNN or GRU, and proj_size = {proj_size}")


def dtype(value) -> None:
    if value is not None and value not in DTYPES:
        raise TypeError(f"dtype = {value} is not supported, and must be one of " + ", ".join(map(str, DTYPES)))


def tensor(name: str, value) -> None:
    if not isinstance(value, torch.Tensor):
        if type(value).__module__ == "torch.fx.proxy":
            raise TypeError("torch.fx.symbolic_trace cannot look into the library: is_leaf_module of its Tracer must be True "
                            "for this module; torch.export needs nothing")
        raise TypeError(f"{name} is of {type(value).__name__}, and must be a tensor")


def int64(name: str, value) -> int:
    """An integer of any sign: of Python, NumPy or a tensor without dimensions."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} = {value!r} is of {type(value).__name__}, and must be an integer") from None
    if not -2**63 <= number < 2**63:
        raise ValueError(f"{name} = {number} does not fit in an int64")
    return number


def share(name: str, value) -> float:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"{name} = {value!r} is of {type(value).__name__}, and must be a number")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} = {value} is not in [0, 1]")
    return float(value)


def dense(name: str, value: torch.Tensor) -> None:
    if value.is_nested:
        raise ValueError(f"{name} is a nested tensor, and must be a PackedSequence, or a padded tensor with lengths")
    if value.layout != torch.strided:
        raise ValueError(f"{name} is of the layout {value.layout}, and must be of torch.strided")
