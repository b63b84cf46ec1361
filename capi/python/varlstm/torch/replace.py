"""replace_rnn: every torch.nn.LSTM, GRU and RNN of a model becomes this library's."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings
from typing import Tuple

import torch

from ._device import DTYPES
from ._rnn_base import RnnBase
from .gru import GRU, RNN
from .lstm import LSTM

_KINDS = {torch.nn.LSTM: LSTM, torch.nn.GRU: GRU, torch.nn.RNN: RNN}


def _obstacle(module: torch.nn.Module) -> str:
    """Why the module cannot be replaced; empty if it can."""
    if isinstance(module, torch.nn.RNNCellBase):
        return f"it is a cell, {type(module).__name__}"
    if type(module) not in _KINDS:
        return f"it is a subclass, {type(module).__name__}"
    if module.proj_size > 0:
        return f"proj_size = {module.proj_size} is not supported"
    if module.dropout == 1:
        return "dropout = 1 is not supported"
    if list(module._parameters) != module._flat_weights_names:
        return "its parameters are not its own (a parametrization or pruning)"
    if module._buffers or module._modules:
        return "it has buffers or modules of its own"
    for name, parameter in module._parameters.items():
        if parameter.dtype not in DTYPES:
            return f"{name} is of {parameter.dtype}"
    return ""


def _has_hooks(module: torch.nn.Module) -> bool:
    return any(hooks for name, hooks in vars(module).items() if name.endswith("_hooks"))


def _swapped(module: torch.nn.RNNBase) -> RnnBase:
    """A module of this library with the module's options and its very Parameter objects."""
    options = {"nonlinearity": module.nonlinearity} if isinstance(module, torch.nn.RNN) else {}
    ours = _KINDS[type(module)](
        module.input_size, module.hidden_size, module.num_layers, bias=module.bias, batch_first=module.batch_first,
        dropout=module.dropout, bidirectional=module.bidirectional, device="meta", **options)
    for name in ours._flat_weights_names:
        setattr(ours, name, getattr(module, name))
    ours.train(module.training)
    ours.flatten_parameters()
    return ours


def _replace(model: torch.nn.Module, classes: Tuple[type, ...], caller: str) -> torch.nn.Module:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is of {type(model).__name__}, and must be a torch.nn.Module")
    swapped = {}

    def swap(module: torch.nn.Module, path: str) -> torch.nn.Module:
        if module not in swapped:
            obstacle = _obstacle(module)
            if obstacle:
                warnings.warn(f"{caller} leaves {path or 'the model'} as it is: {obstacle}", stacklevel=4)
            elif _has_hooks(module):
                warnings.warn(f"{caller} does not move the hooks of {path or 'the model'}", stacklevel=4)
            swapped[module] = module if obstacle else _swapped(module)
        return swapped[module]

    def concerns(module: torch.nn.Module) -> bool:
        return isinstance(module, classes) and not isinstance(module, RnnBase)

    if concerns(model):
        return swap(model, "")
    for path, parent in list(model.named_modules()):
        for name, child in list(parent._modules.items()):
            if concerns(child):
                setattr(parent, name, swap(child, f"{path}.{name}" if path else name))
    return model


def replace_rnn(model: torch.nn.Module) -> torch.nn.Module:
    """Swaps every torch.nn.LSTM, GRU and RNN in `model` for varlstm.torch's, in place, and returns the model.

    The Parameter objects stay the same, so that optimisers made before go on. A module that is used in several places
    is swapped for one. A module that cannot be swapped (proj_size > 0, dropout = 1, a subclass, parameters that are not
    its own, buffers, modules, a dtype that is not supported) stays, and so does a cell (nn.LSTMCell, GRUCell, RNNCell),
    with a warning that names its path. Hooks are not moved, of which a warning tells as well. A model that is itself an
    nn.LSTM, GRU or RNN is returned as the new module. to_torch() of the new module is the way back.
    """
    return _replace(model, (torch.nn.RNNBase, torch.nn.RNNCellBase), "replace_rnn")


def replace_lstm(model: torch.nn.Module) -> torch.nn.Module:
    """replace_rnn for every torch.nn.LSTM alone: other modules stay without a warning."""
    return _replace(model, (torch.nn.LSTM,), "replace_lstm")
