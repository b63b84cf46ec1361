"""replace_rnn: every recurrent network and cell of torch.nn in a model becomes this library's."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings
from typing import Tuple

import torch

from ._exchange import has_hooks, obstacle
from ._rnn_base import RnnBase
from .cells import CellBase, GRUCell, LSTMCell, RNNCell
from .gru import GRU, RNN
from .lstm import LSTM

_KINDS = {torch.nn.LSTM: LSTM, torch.nn.GRU: GRU, torch.nn.RNN: RNN, torch.nn.LSTMCell: LSTMCell,
          torch.nn.GRUCell: GRUCell, torch.nn.RNNCell: RNNCell}


def _obstacle(module: torch.nn.Module) -> str:
    """Why the module cannot be replaced; empty if it can."""
    return obstacle(module) if type(module) in _KINDS else f"it is a subclass, {type(module).__name__}"


def _replace(model: torch.nn.Module, classes: Tuple[type, ...], caller: str) -> torch.nn.Module:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model is of {type(model).__name__}, and must be a torch.nn.Module")
    swapped, left, hooked = {}, [], []

    def swap(module: torch.nn.Module, path: str) -> torch.nn.Module:
        if module not in swapped:
            why = _obstacle(module)
            if why:
                left.append(f"{path or 'the model'} ({why})")
            elif has_hooks(module):
                hooked.append(path or "the model")
            swapped[module] = module if why else _KINDS[type(module)]._taken(module)
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
