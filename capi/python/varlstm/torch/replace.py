"""replace_rnn: every recurrent network and cell of torch.nn in a model becomes this library's."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings
from typing import List, Tuple

import torch

from ._device import DTYPES
from ._rnn_base import RnnBase
from .cells import CellBase, GRUCell, LSTMCell, RNNCell
from .gru import GRU, RNN
from .lstm import LSTM

_KINDS = {torch.nn.LSTM: LSTM, torch.nn.GRU: GRU, torch.nn.RNN: RNN, torch.nn.LSTMCell: LSTMCell,
          torch.nn.GRUCell: GRUCell, torch.nn.RNNCell: RNNCell}


def _parameter_names(module: torch.nn.Module) -> List[str]:
    if isinstance(module, torch.nn.RNNBase):
        return module._flat_weights_names
    return ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]  # of a cell, whose biases may be None


def _obstacle(module: torch.nn.Module) -> str:
    """Why the module cannot be replaced; empty if it can."""
    if type(module) not in _KINDS:
        return f"it is a subclass, {type(module).__name__}"
    if getattr(module, "dropout", 0) == 1:
        return "dropout = 1 is not supported"
    if getattr(module, "nonlinearity", "tanh") not in ("tanh", "relu"):
        return f"nonlinearity = {module.nonlinearity!r} is not supported"
    if list(module._parameters) != _parameter_names(module):
        return "its parameters are not its own (a parametrization or pruning)"
    if module._buffers or module._modules:
        return "it has buffers or modules of its own"
    for name, parameter in module._parameters.items():
        if parameter is not None and parameter.dtype not in DTYPES:
            return f"{name} is of {parameter.dtype}"
    return ""


def _has_hooks(module: torch.nn.Module) -> bool:
    return any(hooks for name, hooks in vars(module).items() if name.endswith("_hooks"))


def _swapped(module: torch.nn.Module) -> torch.nn.Module:
    """A module of this library with the module's options and its very Parameter objects."""
    if isinstance(module, torch.nn.RNNCellBase):
        return _KINDS[type(module)].from_torch(module)
    options = {name: getattr(module, name) for kind, name in ((torch.nn.RNN, "nonlinearity"),
                                                              (torch.nn.LSTM, "proj_size")) if isinstance(module, kind)}
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
    swapped, left, hooked = {}, [], []

    def swap(module: torch.nn.Module, path: str) -> torch.nn.Module:
        if module not in swapped:
            obstacle = _obstacle(module)
            if obstacle:
                left.append(f"{path or 'the model'} ({obstacle})")
            elif _has_hooks(module):
                hooked.append(path or "the model")
            swapped[module] = module if obstacle else _swapped(module)
        return swapped[module]

    def concerns(module: torch.nn.Module) -> bool:
        return isinstance(module, classes) and not isinstance(module, (RnnBase, CellBase))

    if concerns(model):
        model = swap(model, "")
    else:
        for path, parent in list(model.named_modules()):
            for name, child in list(parent._modules.items()):
                if concerns(child):
                    setattr(parent, name, swap(child, f"{path}.{name}" if path else name))
    texts = [f"{words} {', '.join(paths)}" for words, paths in (("leaves in place", left),
                                                                ("does not move the hooks of", hooked)) if paths]
    if texts:
        warnings.warn(f"{caller} {'; it '.join(texts)}", stacklevel=3)
    return model


def replace_rnn(model: torch.nn.Module) -> torch.nn.Module:
    """Swaps every torch.nn.LSTM, GRU, RNN, LSTMCell, GRUCell and RNNCell in `model` for varlstm.torch's, in place, and
    returns the model.

    The Parameter objects stay the same, so that optimisers made before go on. A module that is used in several places
    is swapped for one. A module that cannot be swapped (dropout = 1, a subclass, parameters that are not its own,
    buffers, modules, a dtype or nonlinearity that is not supported) stays, and one warning names the path of each and
    why. Hooks are not moved, of which it tells as well. A model that is itself such a module is returned as
    the new one. to_torch() of a new module is the way back.
    """
    return _replace(model, (torch.nn.RNNBase, torch.nn.RNNCellBase), "replace_rnn")


def replace_lstm(model: torch.nn.Module) -> torch.nn.Module:
    """replace_rnn for every torch.nn.LSTM alone: other modules stay without a warning."""
    return _replace(model, (torch.nn.LSTM,), "replace_lstm")
