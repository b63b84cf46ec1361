"""GRU and RNN: the modules of torch.nn with one state, over this library."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Tuple

import torch
from torch import Tensor

from . import _options
from ._rnn_base import RnnBase
from ._rnn_checks import check_one_state


class _OneState(RnnBase):
    """A network whose cell has h and no c: hx and what forward returns of it are one tensor."""

    _state_name = "hx"

    def _states_of(self, hx) -> Tuple[Tensor]:
        check_one_state(hx)
        return (hx,)

    def _tables_of(self, state):
        return (state,), ("state",)


class GRU(_OneState):
    """A GRU over sequences of different lengths, with the arguments, parameters and results of torch.nn.GRU.

    hx is h_0 [L*D, B, H], or [L*D, H] for one sequence; zeros if absent. Returns (output, h_n). Everything else is as
    in varlstm.torch.LSTM: the kinds of input, `lengths`, `resets`, gradients, dropout, dtypes and threads, and the
    options recurrent_dropout, whose "candidate" is n, and zoneout_h. Under torch.autocast on a CPU it computes in the dtype
    of h_0, or of the input if there is none, where that is wider than autocast's, and so is its output, as torch's.

    With reset_after=False the reset gate r acts before the product: n = tanh(W_in x + b_in + W_hn (r * h) + b_hn), as in
    Keras with reset_after=False and in ONNX with linear_before_reset=0. torch has no such GRU. The parameters are of
    the same names and shapes, but they are not those of a GRU with the reset after.
    """

    _torch_class, _keeps_states = torch.nn.GRU, True

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device=None,
                 dtype=None, *, recurrent_dropout: float = 0.0, recurrent_dropout_kind: str = "weights",
                 zoneout_h: float = 0.0, reset_after: bool = True, proj_size=None) -> None:
        _options.no_projection(proj_size)
        reset_after = _options.flag("reset_after", reset_after)
        super().__init__("GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device,
                         dtype, recurrent_dropout=recurrent_dropout, recurrent_dropout_kind=recurrent_dropout_kind,
                         zoneout_h=zoneout_h)
        if not reset_after:
            self.mode = "GRU_RESET_BEFORE"

    @property
    def reset_after(self) -> bool:
        """Fixed when the module is made: other parameters would be needed."""
        return self.mode != "GRU_RESET_BEFORE"

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")

    def _check_export(self) -> None:
        if not self.reset_after:
            raise ValueError("torch.nn.GRU resets after the product: there is none with reset_after=False")
        super()._check_export()


class RNN(_OneState):
    """A plain recurrent network over sequences of different lengths, with the arguments, parameters and results of
    torch.nn.RNN. `nonlinearity` is 'tanh' or 'relu'. It is the fourth argument, as torch documents it; torch 1.13 reads
    a fourth argument as `bias`.

    hx is h_0 [L*D, B, H], or [L*D, H] for one sequence; zeros if absent. Returns (output, h_n). Everything else is as
    in varlstm.torch.LSTM: the kinds of input, `lengths`, `resets`, gradients, dropout, dtypes and threads, and the
    options recurrent_dropout, which has no "candidate" here, and zoneout_h.
    """

    _torch_class = torch.nn.RNN

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
                 bias: bool = True, batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
                 device=None, dtype=None, *, recurrent_dropout: float = 0.0,
                 recurrent_dropout_kind: str = "weights", zoneout_h: float = 0.0, proj_size=None) -> None:
        _options.no_projection(proj_size)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity = {nonlinearity!r} is not supported, and must be 'tanh' or 'relu'")
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
                         bidirectional, device, dtype, recurrent_dropout=recurrent_dropout,
                         recurrent_dropout_kind=recurrent_dropout_kind, zoneout_h=zoneout_h)
        self.nonlinearity = nonlinearity

    @staticmethod
    def _own_options(module: torch.nn.RNN) -> dict:
        return {"nonlinearity": module.nonlinearity}
