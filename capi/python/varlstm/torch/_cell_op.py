"""One step of a recurrent network as an operation of torch, one for each cell: a sequence of length 1 for each row.

Annotations stand unquoted here: torch reads the operations' schemas from them. All cells have the same schema. If a
cell has no c, c0 and dc are None, and c and dc0 have no elements.
"""
# SPDX-License-Identifier: Apache-2.0
from typing import List, Optional, Tuple

import torch
from torch import Tensor

from .._cells import CELLS
from .._declarations import Cell
from ._device import NO_OPTIONS
from ._differentiable import adjoint, differentiable, is_differentiated, refuse_again
from ._rnn_op import RNN_OPS, RnnOp


def _shape(x: Tensor, params: List[Tensor]) -> tuple:
    """from_batch_sizes to cell_states of RnnOp, for sequences of length 1 in one layer and direction."""
    return False, x.size(0), 1, params[1].size(1), 0, 1, False, 0.0, NO_OPTIONS, False


class CellOp:
    """The operation of one cell."""

    def __init__(self, cell: Cell) -> None:
        self._sequence: RnnOp = RNN_OPS[cell.name]
        self.gates, self.has_c = CELLS[cell]
        name = f"{cell.name.lower()}_cell"
        self._adjoint = adjoint(f"{name}_backward", self.backward, self._backward_fake,
                                *refuse_again(name, "what module.to_torch() gives"))
        self._operation = differentiable(name, self.forward, self._forward_fake, self._setup_context,
                                         self._autograd_backward, kept=1)

    def run(self, x: Tensor, h0: Optional[Tensor], c0: Optional[Tensor], params: List[Tensor]) -> Tuple[Tensor, Tensor]:
        """h and c of `forward`. What backward needs is saved if anything requires gradients."""
        save = is_differentiated(x, h0, c0, *params)
        return self._operation(x, h0, c0, save, params)[:2]

    def forward(self, x: Tensor, h0: Optional[Tensor], c0: Optional[Tensor], save: bool,
                params: List[Tensor]) -> Tuple[Tensor, Tensor, Tensor]:
        """h and c [B, H] after x [B, I], and, with `save`, the reserve that backward needs; None for what there is not."""
        y, _, c_n, _, reserve = self._sequence.forward(x, None, None, h0, c0, None, *_shape(x, params), save, params)
        return y, c_n[0] if self.has_c else c_n, reserve

    def _forward_fake(self, x, h0, c0, save, params):
        h = x.new_empty((x.size(0), params[1].size(1)))
        from_batch_sizes, *shape = _shape(x, params)
        reserve_bytes = self._sequence._reserve_bytes(x, None, None, *shape, params) if save else 0
        c = torch.empty_like(h) if self.has_c else x.new_empty(0)
        return h, c, x.new_empty((reserve_bytes,), dtype=torch.uint8)

    def backward(self, x: Tensor, h0: Optional[Tensor], c0: Optional[Tensor], h: Tensor, reserve: Tensor,
                 dh: Optional[Tensor], dc: Optional[Tensor], need_dx: bool, need_dh0: bool, need_dc0: bool,
                 need_dparams: bool, params: List[Tensor]) -> Tuple[Tensor, Tensor, Tensor, List[Tensor]]:
        """dx, dh0 and dc0, None if they are not needed, and the gradients of all params, which are an empty list if they
        are not needed."""
        dx, dh0, dc0, dparams = self._sequence.backward(
            x, None, None, h0, c0, h, reserve, dh, None, dc, None, *_shape(x, params), need_dx, need_dh0, need_dc0,
            need_dparams, params)
        return dx, dh0[0] if need_dh0 else dh0, dc0[0] if need_dc0 else dc0, dparams

    def _backward_fake(self, x, h0, c0, h, reserve, dh, dc, need_dx, need_dh0, need_dc0, need_dparams, params):
        return (x.new_empty(x.shape if need_dx else 0), x.new_empty(h.shape if need_dh0 else 0),
                x.new_empty(h.shape if need_dc0 else 0),
                [x.new_empty(param.shape) for param in params] if need_dparams else [])

    def _setup_context(self, ctx, inputs, output):
        x, h0, c0, _, params = inputs
        h, _, reserve = output
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, h0, c0, h, reserve, *params)

    def _autograd_backward(self, ctx, needs, dh, dc, *unused):
        x, h0, c0, h, reserve, *params = ctx.saved_tensors
        need_dx, need_dh0, need_dc0, need_dparams = needs[0], needs[1], needs[2], any(needs[-1])
        dx, dh0, dc0, *dparams = self._adjoint(x, h0, c0, h, reserve, dh, dc if self.has_c else None, need_dx, need_dh0,
                                              need_dc0, need_dparams, params)
        return dx if need_dx else None, dh0 if need_dh0 else None, dc0 if need_dc0 else None, dparams or None


CELL_OPS = {cell.name: CellOp(cell) for cell in CELLS}
