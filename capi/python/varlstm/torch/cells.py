"""LSTMCell, GRUCell and RNNCell: torch.nn's modules of one step over this library."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, List, Optional, Tuple

import torch
from torch import Tensor

from . import _cell_checks as check
from . import _exchange, _options
from ._cell_op import CELL_OPS
from ._device import compute_dtype
from ._differentiable import refuse_jit_trace
from ._flat import flatten


class CellBase(torch.nn.RNNCellBase):
    """What the cells share. The options and parameters are torch.nn.RNNCellBase's."""

    _mode: str  # names the operation
    _torch_class: type
    _keeps_states = True  # under torch.autocast on a CPU: see compute_dtype

    def __init__(self, input_size, hidden_size, bias, device, dtype) -> None:
        _options.dtype(dtype)
        super().__init__(_options.size("input_size", input_size), _options.size("hidden_size", hidden_size),
                         _options.flag("bias", bias), CELL_OPS[self._mode].gates, device=device, dtype=dtype)
        self.flatten_parameters()

    @property
    def _names(self) -> Tuple[str, ...]:
        return ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if self.bias else ("weight_ih", "weight_hh")

    def flatten_parameters(self) -> None:
        """Places the parameters one after the other in memory, as varlstm.torch.LSTM does. Nobody needs to call it."""
        flatten([self._parameters.get(name) for name in self._names])

    def _apply(self, *arguments, **keywords):
        result = super()._apply(*arguments, **keywords)
        self.flatten_parameters()
        return result

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        self.flatten_parameters()

    @classmethod
    def from_torch(cls, module: torch.nn.RNNCellBase) -> CellBase:
        """The cell with the options, the mode and the very Parameter objects of torch's: training one trains the other.
        What is refused is as in varlstm.torch.LSTM.from_torch."""
        _exchange.check_import(cls._torch_class, module)
        return cls._taken(module)

    @classmethod
    def _taken(cls, module: torch.nn.RNNCellBase) -> CellBase:
        """from_torch without its checks."""
        ours = cls(module.input_size, module.hidden_size, module.bias, **cls._own_options(module), device="meta")
        return ours._take(module)

    def to_torch(self) -> torch.nn.RNNCellBase:
        """torch's cell with these options and these very Parameter objects. copy.deepcopy of it has parameters of its
        own."""
        module = self._torch_class(self.input_size, self.hidden_size, self.bias, **self._own_options(self),
                                   device="meta")
        return CellBase._take(module, self)

    @staticmethod
    def _own_options(module: torch.nn.RNNCellBase) -> dict:
        return {}

    def _take(self, source: torch.nn.RNNCellBase) -> torch.nn.RNNCellBase:
        """`self`, a cell of torch or of this library, with the parameters and the mode of `source`."""
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(self, name, getattr(source, name))
        if isinstance(self, CellBase):
            self.flatten_parameters()
        return self.train(source.training)

    def _step(self, input: Tensor, names: Tuple[str, ...], states: List[Tensor]) -> Tuple[Tensor, Tensor]:
        """h and c after one step from `states`, which are called `names`; no state is zeros."""
        op = CELL_OPS[self._mode]
        params = [getattr(self, name) for name in self._names]
        check.check_params(self._names, params, op.gates, self.input_size, self.hidden_size)
        check.check_input(input, self.input_size)
        for name, state in zip(names, states):
            check.check_state(name, state, input, self.hidden_size)
        dtype = compute_dtype(input, states[0] if states else None, self._keeps_states)
        if dtype is not None:
            input, params = input.to(dtype), [param.to(dtype) for param in params]
            states = [state.to(dtype) for state in states]
        check.check_alike(names + self._names, states + params, input)
        batched = input.dim() == 2
        if not batched:
            input, states = input.unsqueeze(0), [state.unsqueeze(0) for state in states]
        h0, c0 = (states + [None, None])[:2]
        h, c = op.run(input, h0, c0, params)
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0) if op.has_c else c)

    def _checked_input(self, input: Any) -> None:
        refuse_jit_trace()
        _options.tensor("input", input)
        check.check_dimensions(type(self).__name__, "input", input)


class LSTMCell(CellBase):
    """One step of an LSTM, with the arguments, parameters, results and errors of torch.nn.LSTMCell.

    input [B, I] or [I]; hx (h_0, c_0), each [B, H] or [H], zeros if absent. Returns (h_1, c_1), of the same shape.

    Dtypes, gradients and threads are as in varlstm.torch.LSTM. A loop over steps costs much more than one call of the
    LSTM over all of them.
    """

    _mode, _torch_class = "LSTM", torch.nn.LSTMCell

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[Tensor, Tensor]:
        self._checked_input(input)
        if hx is None:
            return self._step(input, (), [])
        check.check_two_states(hx)
        for k, state in enumerate(hx):
            check.check_dimensions("LSTMCell", f"hx[{k}]", state)
        return self._step(input, ("hx[0]", "hx[1]"), list(hx))


class _OneState(CellBase):
    """A cell that has h and no c."""

    def forward(self, input: Tensor, hx: Optional[Tensor] = None) -> Tensor:
        self._checked_input(input)
        if hx is None:
            return self._step(input, (), [])[0]
        _options.tensor("hx", hx)
        check.check_dimensions(type(self).__name__, "hidden", hx)
        return self._step(input, ("hx",), [hx])[0]


class GRUCell(_OneState):
    """One step of a GRU, with the arguments, parameters, results and errors of torch.nn.GRUCell.

    input [B, I] or [I]; hx, h_0 [B, H] or [H], zeros if absent. Returns h_1, of the same shape. Everything else is as
    in varlstm.torch.LSTMCell.
    """

    _mode, _torch_class = "GRU", torch.nn.GRUCell

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device=None, dtype=None) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)


class RNNCell(_OneState):
    """One step of a plain network, with the arguments, parameters, results and errors of torch.nn.RNNCell.
    `nonlinearity` is 'tanh' or 'relu'; another one is an error here, and not only when the cell is called.

    input [B, I] or [I]; hx, h_0 [B, H] or [H], zeros if absent. Returns h_1, of the same shape. Everything else is as
    in varlstm.torch.LSTMCell.
    """

    _torch_class, _keeps_states = torch.nn.RNNCell, False

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device=None,
                 dtype=None) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity = {nonlinearity!r} is not supported, and must be 'tanh' or 'relu'")
        self._mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    @staticmethod
    def _own_options(module: torch.nn.RNNCell) -> dict:
        return {"nonlinearity": module.nonlinearity}
