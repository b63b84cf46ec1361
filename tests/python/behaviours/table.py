"""A row of the table is a small function that checks one behaviour of torch.nn.LSTM, GRU and RNN.

Each row says what varlstm.torch does:

    @same("...")                   the same; the function compares both
    @differs("...", "...")         something else, which the second text tells; the function checks that
    @refused("...", error, text)   an error of one line, in which `text` is found; the function makes the call

`since` is the version of torch that has the behaviour; `kinds` are the networks that it concerns. A function is called
with one of them: kind.theirs and kind.ours are the classes of torch.nn and of varlstm.torch.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import re
from typing import Callable, List, Optional, Tuple

import torch
from torch.nn.utils.rnn import PackedSequence

from varlstm import torch as varlstm_torch

TORCH = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
ALL = ("LSTM", "GRU", "RNN")


@dataclasses.dataclass(frozen=True)
class Kind:
    name: str
    theirs: type
    ours: type

    def pair(self, *sizes: int, **options) -> tuple:
        """Both modules, with 4 features, 6 units and the same parameters if nothing else is said."""
        sizes = sizes or (4, 6)
        theirs, ours = self.theirs(*sizes, **options), self.ours(*sizes, **options)
        ours.load_state_dict(theirs.state_dict())
        return theirs, ours

    def states(self, *shape: int, **options):
        """Random h_0, or (h_0, c_0)."""
        h, c = torch.randn(*shape, **options), torch.randn(*shape, **options)
        return (h, c) if self.name == "LSTM" else h


KINDS = {name: Kind(name, getattr(torch.nn, name), getattr(varlstm_torch, name)) for name in ALL}


@dataclasses.dataclass(frozen=True)
class Row:
    behaviour: str
    does: str
    check: Callable[[Kind], None]
    since: Tuple[int, int]
    kinds: Tuple[str, ...]
    error: Optional[type] = None
    text: str = ""


ROWS: List[Row] = []


def _row(behaviour: str, does: str, since, kinds, error=None, text="") -> Callable:
    def add(check: Callable[[Kind], None]) -> Callable[[Kind], None]:
        ROWS.append(Row(behaviour, does, check, since, kinds, error, text))
        return check
    return add


def same(behaviour: str, since=(1, 13), kinds=ALL) -> Callable:
    return _row(behaviour, "the same", since, kinds)


def differs(behaviour: str, does: str, since=(1, 13), kinds=ALL) -> Callable:
    return _row(behaviour, does, since, kinds)


def refused(behaviour: str, error: type, text: str, since=(1, 13), kinds=ALL) -> Callable:
    return _row(behaviour, "refused", since, kinds, error, text)


def tensors_of(value) -> list:
    """All tensors of a result, the data of a PackedSequence alone."""
    if isinstance(value, PackedSequence):
        return [value.data]
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for each in value if each is not None for tensor in tensors_of(each)]


def assert_close(actual, expected, **tolerance) -> None:
    """Whether two nested results have the same tensors, up to rounding."""
    for a, b in zip(tensors_of(actual), tensors_of(expected)):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 1e-5, "atol": 1e-5}))
    assert len(tensors_of(actual)) == len(tensors_of(expected))


def leaves(value):
    """Copies of the floating-point tensors in a nested value, which require gradients."""
    if isinstance(value, PackedSequence):
        return PackedSequence(leaves(value.data), *value[1:])
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.is_floating_point())
    return value if value is None else type(value)(leaves(each) for each in value)


def results(module, *arguments) -> tuple:
    """(outputs, gradients of the arguments and of the parameters) for gradients that are the same each time."""
    arguments = leaves(arguments)
    outputs = tensors_of(module(*arguments))
    module.zero_grad()
    torch.manual_seed(1)
    torch.autograd.backward(outputs, [torch.randn(output.shape).to(output.dtype) for output in outputs])
    return outputs, [tensor.grad for tensor in (*tensors_of(arguments), *module.parameters()) if tensor.grad is not None]


def assert_agree(theirs, ours, *arguments, **tolerance) -> None:
    """Whether both modules give the same outputs and gradients."""
    expected, actual = results(theirs, *arguments), results(ours, *arguments)
    assert_close(actual[0], expected[0], **tolerance)
    assert_close(actual[1], expected[1], **tolerance)


def error_of(function: Callable, *arguments, **named) -> Exception:
    try:
        function(*arguments, **named)
    except Exception as error:  # whatever it is: that is what is asked
        return error
    raise AssertionError("no error was raised")


def assert_same_error(theirs: Callable, ours: Callable) -> None:
    """Whether both refuse by an error of one type and text."""
    expected, actual = error_of(theirs), error_of(ours)
    assert type(actual) is type(expected) and str(actual) == str(expected), f"{actual!r}, and torch's: {expected!r}"
