"""Steps of varlstm.torch's LSTM, GRU and RNN: one token of each of several streams, whose states are in a table."""
# SPDX-License-Identifier: Apache-2.0
import functools
import operator
from typing import List, Sequence, Tuple

import torch
from torch import Tensor

from .._library import lib
from . import _options
from ._device import Rnn, _query, address, compute_dtype, context_of, dense, scratch
from ._differentiable import is_traced
from ._math import Product
from ._rnn_checks import check_all_like, check_params, check_rows, layout
from ._rnn_op import RNN_OPS
from .prepared import prepared


@functools.lru_cache(maxsize=4096)
def _workspace_bytes(rnn: Rnn, streams: int, table_slots: int) -> int:
    return _query(lib.varlstm_rnn_step_size, rnn.pointer, streams, table_slots)


def _check_table(name: str, table: Tensor, dtype: torch.dtype, input: Tensor, layers: int, width: int) -> None:
    """Whether the table is one that a step may write to."""
    if table.dim() != 3 or table.size(0) != layers or table.size(2) != width:
        raise ValueError(f"{name} is of shape {tuple(table.shape)}, and must be [{layers}, slots, {width}]")
    if table.dtype != dtype:
        raise ValueError(f"{name} is of {table.dtype}, and must be of {dtype} for an input of {input.dtype}")
    if table.device != input.device:
        raise ValueError(f"input is on {input.device}, {name} on {table.device}: they must be on one device")
    if not table.is_contiguous():
        raise ValueError(f"{name} is not contiguous, and a step writes to it")
    if table.is_neg():
        raise ValueError(f"{name} is a view whose memory has the other sign, and a step writes to it: pass a clone")
    if table.requires_grad:
        raise ValueError(f"{name} requires a gradient, and a step has none")


def _slots_of(slots, input: Tensor) -> Tensor:
    """int64 [B] on the input's device."""
    if not isinstance(slots, Tensor):
        try:
            slots = [operator.index(slot) for slot in slots]
        except TypeError:
            raise TypeError(f"slots are {slots!r}, and must be integers") from None
        return torch.tensor(slots, dtype=torch.int64, device=input.device)
    if slots.dtype != torch.int64:
        raise TypeError(f"slots are of {slots.dtype}, and must be of torch.int64")
    if slots.device != input.device:
        raise ValueError(f"input is on {input.device}, slots on {slots.device}: they must be on one device")
    return dense(slots)


def _mark_written(table: Tensor) -> None:
    """Lets autograd see that the table has other values."""
    increment = getattr(torch.autograd.graph, "increment_version", None)
    if increment is not None:
        increment(table)
    else:  # before torch 2.1: an empty view, which has the table's version, is written to
        table[:0].zero_()


def step(module, input: Tensor, states: Sequence[Tensor], names: Tuple[str, ...], slots) -> Tensor:
    """y [B, H or P] of one token of each stream. `states`, which are called `names`, are the tables of h and c."""
    _options.tensor("input", input)
    if is_traced(input):
        raise RuntimeError("step writes to memory that a traced graph does not see: call it outside torch.compile")
    if module.bidirectional:
        raise ValueError("bidirectional = True: a network that steps has one direction")
    op, param_names = RNN_OPS[module.mode], module._flat_weights_names
    params: List[Tensor] = [getattr(module, name) for name in param_names]
    check_params(param_names, params,
                 layout(tuple(param_names), op.gates, module.input_size, module._state_widths(), 1))
    with torch.no_grad():
        dtype = compute_dtype(input, states[0], module._keeps_states)
        if dtype is not None:
            input, params = input.to(dtype), [param.to(dtype) for param in params]
        check_rows(input, module.input_size)
        check_all_like(param_names, params, input)
        c_dtype = torch.float64 if input.dtype == torch.float64 else torch.float32
        widths = module._state_widths()
        for name, table, of, width in zip(names, states, (input.dtype, c_dtype), widths):
            _options.tensor(name, table)
            _check_table(name, table, of, input, module.num_layers, width)
        streams, table_slots = input.size(0), states[0].size(1)
        if len(states) > 1 and states[1].size(1) != table_slots:
            raise ValueError(f"{names[0]} has {table_slots} slots, {names[1]} has {states[1].size(1)}")
        slots = _slots_of(slots, input)
        if streams > table_slots:
            raise ValueError(f"streams = {streams} is larger than table_slots = {table_slots}")
        if slots.shape != (streams,):
            raise ValueError(f"slots are of shape {tuple(slots.shape)}, and must be ({streams},): one for each row")
        context, input = context_of(input, Product.RNN), dense(input)
        rnn = op._rnn(context, input, module.hidden_size, module.proj_size, module.num_layers, False, params, 0.0,
                      module._cell_options())
        flat = op._flat(rnn, params)
        y = input.new_empty((streams, widths[0]))
        nbytes = _workspace_bytes(rnn, streams, table_slots)
        workspace = scratch(nbytes, input)
        used = prepared(rnn, params) if flat is params[0] else rnn
        lib.varlstm_rnn_step(used.pointer, streams, flat.data_ptr(), input.data_ptr(), slots.data_ptr(), table_slots,
                             states[0].data_ptr(), address(states[1] if op.has_c else None), y.data_ptr(),
                             workspace.data_ptr(), nbytes, context.stream)
        for table in states:
            _mark_written(table)
        return y
