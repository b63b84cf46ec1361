"""replace_lstm: every torch.nn.LSTM of a model becomes this library's."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings

import torch

from ._device import DTYPES
from .lstm import LSTM


def _obstacle(module: torch.nn.LSTM) -> str:
    """Why the module cannot be replaced; empty if it can."""
    if type(module) is not torch.nn.LSTM:
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


def _swapped(module: torch.nn.LSTM) -> LSTM:
    """An LSTM with the module's options and its very Parameter objects."""
    lstm = LSTM(module.input_size, module.hidden_size, module.num_layers, module.bias, module.batch_first,
                module.dropout, module.bidirectional, device="meta")
    for name in lstm._flat_weights_names:
        setattr(lstm, name, getattr(module, name))
    lstm.train(module.training)
    lstm.flatten_parameters()
    return lstm


def replace_lstm(model: torch.nn.Module) -> torch.nn.Module:
    """Swaps every torch.nn.LSTM in `model` for varlstm.torch.LSTM, in place, and returns the model.

    The Parameter objects stay the same, so that optimisers made before go on. A module that is used in several places
    is swapped for one. An LSTM that cannot be swapped (proj_size > 0, dropout = 1, a subclass, parameters that are not
    its own, buffers, modules, a dtype that is not supported) stays, with a warning that names its path. Hooks are not
    moved, of which a warning tells as well. A model that is itself an nn.LSTM is returned as the new module.
    """
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is of {type(model).__name__}, and must be a torch.nn.Module")
    swapped = {}

    def swap(module: torch.nn.Module, path: str) -> torch.nn.Module:
        if module not in swapped:
            obstacle = _obstacle(module)
            if obstacle:
                warnings.warn(f"replace_lstm leaves {path or 'the model'} as it is: {obstacle}", stacklevel=3)
            elif _has_hooks(module):
                warnings.warn(f"replace_lstm does not move the hooks of {path or 'the model'}", stacklevel=3)
            swapped[module] = module if obstacle else _swapped(module)
        return swapped[module]

    if isinstance(model, torch.nn.LSTM):
        return swap(model, "")
    for path, parent in list(model.named_modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, torch.nn.LSTM):
                setattr(parent, name, swap(child, f"{path}.{name}" if path else name))
    return model
