"""A recurrent network over packed rows as an operation of torch, one for each cell.

Annotations stand unquoted here: torch reads the operations' schemas from them. All cells have the same schema. If a
cell has no c, c0 and dc_n are None, and c_n and dc0 have no elements. c of every token has none if it is not wanted.
"""
# SPDX-License-Identifier: Apache-2.0
import math
from typing import List, Optional, Tuple

import torch
from torch import Tensor

from .._cells import CELLS
from .._declarations import Cell, Key, Mode
from .._library import unchecked
from ._differentiable import adjoint, differentiable, is_differentiated, refuse_again
from ._device import OPTIONS, Rnn, address, addresses, context_of, dense, rnn_sizes, scratch, workspace
from ._flat import Placed, flat_elements, join, split_gradients
from ._math import Product
from .prepared import prepared


_LAYER_NORM = OPTIONS.index(Key.LAYER_NORM)
# Without the checks of arguments that the caller chose: all are addresses and sizes of tensors.
_rnn_forward, _rnn_backward = unchecked("varlstm_rnn_forward_with_c"), unchecked("varlstm_rnn_backward_with_c")
_SAVE, _INFER = int(Mode.SAVE), int(Mode.INFER)
_RESERVE_ALIGNMENT = 64


class RnnOp:
    """The operation of one cell."""

    def __init__(self, cell: Cell) -> None:
        self._cell, self._code = cell, int(cell)  # an enum is slow to hash
        self.gates, self.has_c = CELLS[cell]
        name = cell.name.lower()
        self._adjoint = adjoint(f"{name}_backward", self.backward, self._backward_fake,
                                *refuse_again(name, "what module.to_torch() gives"))
        self._operation = differentiable(name, self.forward, self._forward_fake, self._setup_context,
                                         self._autograd_backward, kept=1)

    def run(self, x, sizes, resets, h0, c0, seed, from_batch_sizes, batch_size, max_len, hidden_size, proj_size,
            num_layers, bidirectional, dropout, options, cell_states, params) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """y, h_n, c_n and c of `forward`. What backward needs is saved if anything requires gradients, in training and in
        evaluation mode."""
        save = is_differentiated(x, h0, c0, *params)
        return self._operation(x, sizes, resets, h0, c0, seed, from_batch_sizes, batch_size, max_len, hidden_size,
                               proj_size, num_layers, bidirectional, dropout, options, cell_states, save, params)[:4]

    def run_dropped(self, x, sizes, resets, h0, c0, seed, from_batch_sizes, batch_size, max_len, hidden_size, proj_size,
                    num_layers, bidirectional, dropout, options, cell_states, params) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """`run` with a dropout of 1, which the library does not take: one layer after the other, of which those above the
        first read zeros."""
        directions, count, states = 1 + bidirectional, len(params) // num_layers, []
        for layer in range(num_layers):
            first = layer * directions
            h, c = (state if state is None else state[first:first + directions] for state in (h0, c0))
            y, h_n, c_n, cells = self.run(
                x, sizes, resets, h, c, seed if seed is None else seed + layer, from_batch_sizes, batch_size, max_len,
                hidden_size, proj_size, 1, bidirectional, 0.0, options, cell_states, params[layer * count:][:count])
            states.append((h_n, c_n))
            x = y * 0.0  # as torch: NaN stays, and gradients are zeros
        return (y, *[each[0] if each[0] is None else torch.cat(each) for each in zip(*states)], cells)

    def _flat(self, rnn: Rnn, params: List[Tensor]) -> Tensor:
        """A tensor at whose address all parameters begin, one after the other. It is the first parameter if they are
        placed so, as a module places them; else it is a copy of their current values."""
        if (params.elements if type(params) is Placed else flat_elements(params)) == rnn.elements:
            return params[0]
        count = sum(map(Tensor.numel, params))
        if count != rnn.elements:
            raise ValueError(f"the parameters have {count} elements, this {self._cell.name} has {rnn.elements}")
        return join(params)

    def _rnn(self, context, x: Tensor, hidden_size: int, proj_size: int, num_layers: int, bidirectional: bool,
             params: List[Tensor], dropout: float, options: List[float], resets: bool = False,
             cell_states: bool = False) -> Rnn:
        # weight_ih, weight_hh, perhaps weight_hr, and those of layer normalisation
        others = 2 + (proj_size > 0) + (2 + 2 * self.has_c if options[_LAYER_NORM] else 0)
        has_bias = len(params) > others * num_layers * (1 + bidirectional)
        return context.rnn(self._code, x.dtype, x.size(-1), hidden_size, proj_size, num_layers, bidirectional, has_bias,
                           dropout, tuple(options), resets, cell_states)

    def forward(self, x: Tensor, sizes: Optional[Tensor], resets: Optional[Tensor], h0: Optional[Tensor], c0: Optional[Tensor],
                seed: Optional[Tensor], from_batch_sizes: bool, batch_size: int, max_len: int, hidden_size: int,
                proj_size: int, num_layers: int, bidirectional: bool, dropout: float, options: List[float],
                cell_states: bool, save: bool, params: List[Tensor]) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """y [rows, D*H], h_n and c_n [L*D, B, H], with `cell_states` c of every token [rows, D*H], and with `save` the
        reserve that backward needs; None for what there is not. If proj_size = P > 0, y, h0 and h_n have P in the place of H.

        x [rows, I] are packed rows of the batch that Context.batch makes of sizes, from_batch_sizes, batch_size and
        max_len, longest first; there may be more of them than the lengths add up to. The rows may have two dimensions,
        [T, B], in x, y and c: a view less for autograd. resets [T, B], bool or uint8, are
        in the order of the sizes. Without a seed there is no dropout. options are the numbers of OPTIONS.
        """
        context = context_of(x, Product.RNN)
        x = dense(x)
        rnn = self._rnn(context, x, hidden_size, proj_size, num_layers, bidirectional, params, dropout,
                        options, resets is not None, cell_states)
        flat = self._flat(rnn, params)
        directions, width, rows = 1 + bidirectional, proj_size or hidden_size, x.shape[:-1]
        # Sizes one by one are read sooner than in a tuple.
        y = x.new_empty(*rows, directions * width)
        c = x.new_empty(*rows, directions * hidden_size) if cell_states else None
        h_n = x.new_empty(directions * num_layers, batch_size, width)
        c_n = x.new_empty(directions * num_layers, batch_size, hidden_size) if self.has_c else None
        h0, c0, resets = dense(h0), dense(c0), dense(resets)
        with context.batch(sizes, from_batch_sizes, batch_size, max_len, rows.numel(), resets) as batch:
            workspace_bytes, reserve_bytes = rnn_sizes(rnn, batch.bounds, save)
            work, reserve = workspace(workspace_bytes, x), scratch(reserve_bytes, x) if save else None
            used = prepared(rnn, params) if not save and flat is params[0] else rnn
            _rnn_forward(
                used.pointer, batch.pointer, _SAVE if save else _INFER, 0 if seed is None else int(seed),
                *addresses(flat, x, h0, c0, y, h_n, c_n, c), work.data_ptr(), workspace_bytes, address(reserve),
                reserve_bytes, context.stream)
        return y, h_n, c_n, c, reserve

    def _forward_fake(self, x, sizes, resets, h0, c0, seed, from_batch_sizes, batch_size, max_len, hidden_size,
                      proj_size, num_layers, bidirectional, dropout, options, cell_states, save, params):
        directions, width = 1 + bidirectional, proj_size or hidden_size
        reserve_bytes = self._reserve_bytes(x, sizes, resets, batch_size, max_len, hidden_size, proj_size, num_layers,
                                            bidirectional, dropout, options, cell_states, params) if save else 0
        return (x.new_empty((*x.shape[:-1], directions * width)),
                x.new_empty((directions * num_layers, batch_size, width)),
                x.new_empty((directions * num_layers, batch_size, hidden_size) if self.has_c else 0),
                x.new_empty((*x.shape[:-1], directions * hidden_size) if cell_states else 0),
                x.new_empty((reserve_bytes,), dtype=torch.uint8))

    def _reserve_bytes(self, x, sizes, resets, batch_size, max_len, hidden_size, proj_size, num_layers, bidirectional,
                       dropout, options, cell_states, params) -> int:
        """Of a forward that a trace passes over: the library knows it by the sizes, where the trace knows those."""
        bounds = batch_size, max_len, math.prod(x.shape[:-1])  # numel() makes constants of dynamic sizes
        if not all(isinstance(size, int) for size in (*bounds, x.size(-1))):
            return torch.library.get_ctx().new_dynamic_size()
        context = context_of(x, Product.RNN)
        rnn = self._rnn(context, x, hidden_size, proj_size, num_layers, bidirectional, params, dropout, options,
                        resets is not None, cell_states)
        return rnn_sizes(rnn, context.bounds(sizes, *bounds), True)[1]

    def backward(self, x: Tensor, sizes: Optional[Tensor], resets: Optional[Tensor], h0: Optional[Tensor], c0: Optional[Tensor],
                 y: Tensor, reserve: Tensor, dy: Optional[Tensor], dh_n: Optional[Tensor], dc_n: Optional[Tensor],
                 dc: Optional[Tensor], from_batch_sizes: bool, batch_size: int, max_len: int, hidden_size: int,
                 proj_size: int, num_layers: int, bidirectional: bool, dropout: float, options: List[float],
                 cell_states: bool, need_dx: bool, need_dh0: bool, need_dc0: bool, need_dparams: bool, params: List[Tensor]) -> Tuple[Tensor, Tensor, Tensor, List[Tensor]]:
        """dx, dh0 and dc0, None if they are not needed, and the gradients of all params, which are an empty list if they
        are not needed."""
        context = context_of(x, Product.RNN)
        x = dense(x)
        rnn = self._rnn(context, x, hidden_size, proj_size, num_layers, bidirectional, params, dropout,
                        options, resets is not None, cell_states)
        flat = self._flat(rnn, params)
        dy, dh_n, dc_n, dc, h0, c0, resets = [tensor if tensor is None else dense(tensor)
                                              for tensor in (dy, dh_n, dc_n, dc, h0, c0, resets)]
        states = (num_layers * (1 + bidirectional), batch_size)
        dx = torch.empty_like(x) if need_dx else None
        dh0 = x.new_empty(*states, proj_size or hidden_size) if need_dh0 else None
        dc0 = x.new_empty(*states, hidden_size) if need_dc0 else None
        dparams = x.new_empty(rnn.elements) if need_dparams else None  # only written: Key.ADD_DPARAMS
        with context.batch(sizes, from_batch_sizes, batch_size, max_len, x.shape[:-1].numel(), resets) as batch:
            workspace_bytes, _ = rnn_sizes(rnn, batch.bounds, True)
            work = workspace(workspace_bytes, x)
            if reserve.data_ptr() % _RESERVE_ALIGNMENT:  # torch's saved_tensors_hooks have moved it
                reserve = reserve.clone()
            _rnn_backward(
                rnn.pointer, batch.pointer,
                *addresses(flat, x, h0, c0, y, dy, dh_n, dc_n, dc, dx, dh0, dc0, dparams, work), workspace_bytes,
                reserve.data_ptr(), reserve.numel(), context.stream)
        return dx, dh0, dc0, split_gradients(dparams, params) if need_dparams else []

    def _backward_fake(self, x, sizes, resets, h0, c0, y, reserve, dy, dh_n, dc_n, dc, from_batch_sizes, batch_size,
                       max_len, hidden_size, proj_size, num_layers, bidirectional, dropout, options, cell_states,
                       need_dx, need_dh0, need_dc0, need_dparams, params):
        states = (num_layers * (1 + bidirectional), batch_size)
        return (x.new_empty(x.shape if need_dx else 0),
                x.new_empty((*states, proj_size or hidden_size) if need_dh0 else 0),
                x.new_empty((*states, hidden_size) if need_dc0 else 0),
                [x.new_empty(param.shape) for param in params] if need_dparams else [])

    def _setup_context(self, ctx, inputs, output):
        x, sizes, resets, h0, c0, _, *shape, _, params = inputs
        ctx.shape = shape  # from_batch_sizes to cell_states
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, sizes, resets, h0, c0, output[0], output[4], *params)

    def _autograd_backward(self, ctx, needs, dy, dh_n, dc_n, dc, *unused):
        x, sizes, resets, h0, c0, y, reserve, *params = ctx.saved_tensors
        need_dx, _, _, need_dh0, need_dc0, _, of_params = needs
        need_dparams = any(of_params)
        dx, dh0, dc0, *dparams = self._adjoint(x, sizes, resets, h0, c0, y, reserve, dy, dh_n,
                                              dc_n if self.has_c else None, dc if ctx.shape[-1] else None, *ctx.shape,
                                              need_dx, need_dh0, need_dc0, need_dparams, params)
        return (dx if need_dx else None, None, None, dh0 if need_dh0 else None, dc0 if need_dc0 else None, None,
                dparams or None)


RNN_OPS = {cell.name: RnnOp(cell) for cell in CELLS}
