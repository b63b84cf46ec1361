"""replace_rnn: every recurrent network and cell of torch.nn in a model becomes this library's; patch: those that are made."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import threading
import warnings
from typing import Iterator, Optional, Tuple

import torch

from ._exchange import move_hooks, obstacle
from ._rnn_base import RnnBase
from .cells import CellBase, GRUCell, LSTMCell, RNNCell
from .gru import GRU, RNN
from .lstm import LSTM

_TORCH_LSTM = torch.nn.LSTM  # whatever patch() does
_KINDS = {_TORCH_LSTM: LSTM, torch.nn.GRU: GRU, torch.nn.RNN: RNN, torch.nn.LSTMCell: LSTMCell,
          torch.nn.GRUCell: GRUCell, torch.nn.RNNCell: RNNCell}
# What a subclass may define and still compute what its base does.
_HARMLESS = {"__init__", "__repr__", "extra_repr", "reset_parameters", "__constants__",
             "__module__", "__qualname__", "__doc__", "__annotations__", "__annotate__", "__annotate_func__",
             "__annotations_cache__", "__dict__", "__weakref__", "__firstlineno__", "__static_attributes__",
             "__parameters__", "__orig_bases__", "__type_params__", "__abstractmethods__", "_abc_impl"}


def _kind_of(module: torch.nn.Module) -> Optional[type]:
    """The class of torch.nn that computes what the module does."""
    return next((base for base in type(module).__mro__ if base in _KINDS), None)


def _obstacle(module: torch.nn.Module) -> str:
    """Why the module cannot be replaced; empty if it can."""
    kind, name = _kind_of(module), type(module).__name__
    if kind is None:
        return f"it is a subclass, {name}"
    for base in type(module).__mro__[:type(module).__mro__.index(kind)]:
        own = sorted(set(vars(base)) - _HARMLESS)
        if own:
            return f"it is a subclass, {name}, with {own[0]} of its own"
    return obstacle(module)


def _replacement(module: torch.nn.Module) -> torch.nn.Module:
    """This library's module in the place of one of torch.nn, with its hooks and what a program has set on it."""
    ours = _KINDS[_kind_of(module)]._taken(module)
    move_hooks(module, ours)
    for name, value in vars(module).items():
        if name not in vars(ours):
            setattr(ours, name, value)
    return ours


def _replace(model: torch.nn.Module, classes: Tuple[type, ...], caller: str) -> torch.nn.Module:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is of {type(model).__name__}, and must be a torch.nn.Module")
    swapped, left, ours = {}, [], []

    def swap(module: torch.nn.Module, path: str) -> torch.nn.Module:
        if module not in swapped:
            why = _obstacle(module)
            if why:
                left.append(f"{path or 'the model'} ({why})")
            swapped[module] = module if why else _replacement(module)
        return swapped[module]

    def concerns(module: Optional[torch.nn.Module]) -> bool:
        if isinstance(module, (RnnBase, CellBase)):
            ours.append(module)
            return False
        return isinstance(module, classes)

    if concerns(model):
        model = swap(model, "")
    else:
        for path, parent in list(model.named_modules()):
            for name, child in list(parent._modules.items()):
                if concerns(child):
                    setattr(parent, name, swap(child, f"{path}.{name}" if path else name))
    if left:
        warnings.warn(f"{caller} leaves in place {', '.join(left)}", stacklevel=3)
    elif not swapped and not ours:
        warnings.warn(f"{caller} has found nothing to replace in this {type(model).__name__}", stacklevel=3)
    return model


def replace_rnn(model: torch.nn.Module) -> torch.nn.Module:
    """Swaps every torch.nn.LSTM, GRU, RNN, LSTMCell, GRUCell and RNNCell in `model` for varlstm.torch's, in place, and
    returns the model.

    The Parameter objects stay the same, so that optimisers made before go on; hooks and attributes that a program has set
    go over to the new module. A module that is used in several places is swapped for one. A subclass is swapped too if it
    computes what its base does: it may have a constructor, reset_parameters, extra_repr and __repr__ of its own. A module
    that cannot be swapped (another subclass, parameters that are not its own, buffers, modules, a dtype or
    nonlinearity that is not supported) stays, and one warning names the path of each and why. Another warning tells of a
    model in which there is nothing to swap. A model that is itself such a module is returned as the new one. to_torch() of
    a new module is the way back.
    """
    return _replace(model, (torch.nn.RNNBase, torch.nn.RNNCellBase), "replace_rnn")


def replace_lstm(model: torch.nn.Module) -> torch.nn.Module:
    """replace_rnn for every torch.nn.LSTM alone: other modules stay without a warning."""
    return _replace(model, (_TORCH_LSTM,), "replace_lstm")


class _Patches:
    """The contexts of patch() that some thread is in: the last one that is left restores what the first one found."""

    def __init__(self) -> None:
        self._lock, self._entered, self._before = threading.Lock(), 0, []

    def enter(self) -> None:
        with self._lock:
            self._entered += 1
            if self._entered > 1:
                return
            for place in (torch.nn, torch.nn.modules):
                for kind, ours in _KINDS.items():
                    self._before.append((place, kind.__name__, getattr(place, kind.__name__)))
                    setattr(place, kind.__name__, ours)

    def leave(self) -> None:
        with self._lock:
            self._entered -= 1
            if self._entered == 0:
                for place, name, value in self._before:
                    setattr(place, name, value)
                self._before = []


_patches = _Patches()


@contextlib.contextmanager
def patch() -> Iterator[None]:
    """Inside of `with patch():` the names LSTM, GRU, RNN and those of their cells in torch.nn are varlstm.torch's, so that a
    model that other code makes there has this library's modules.

    It holds for the whole process, until the last thread leaves it, and not for code that has imported a name before
    («from torch.nn import LSTM»), for classes that have been derived from one, or for a file of a whole model, which
    torch.save(model) wrote: replace_rnn is for those.
    """
    _patches.enter()
    try:
        yield
    finally:
        _patches.leave()
