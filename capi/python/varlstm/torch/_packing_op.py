"""pack and unpack, each the other's adjoint, as operations of torch.

Annotations stand unquoted here: torch reads the operations' schemas from them.
"""
# SPDX-License-Identifier: Apache-2.0
import math

import torch
from torch import Tensor

from .._declarations import Dtype, Layout
from .._library import lib
from ._differentiable import adjoint, differentiable
from ._device import DTYPES, context_of, dense

_DTYPES = {**DTYPES, torch.int64: Dtype.I64.value}
BATCH_FIRST, TIME_MAJOR, RAGGED = Layout.BATCH_FIRST.value, Layout.TIME_MAJOR.value, Layout.RAGGED.value


def _dtype_code(name: str, tensor: Tensor) -> int:
    code = _DTYPES.get(tensor.dtype)
    if code is None:
        raise TypeError(f"{name} is of {tensor.dtype}, and must be of " + ", ".join(map(str, _DTYPES)))
    return code


def _padded_shape(layout: int, batch_size: int, padded_len: int):
    return (batch_size, padded_len) if layout == BATCH_FIRST else (padded_len, batch_size)


def _packed_from(function, name: str, src: Tensor, sizes: Tensor, from_batch_sizes: bool, batch_size: int, max_len: int,
                 layout: int, rows: int) -> Tensor:
    """Packed rows [rows, *] by varlstm_pack or varlstm_unpack_backward from `src` in `layout`."""
    lead, padded_len = (1, 0) if layout == RAGGED else (2, src.size(1 if layout == BATCH_FIRST else 0))
    context, src = context_of(src), dense(src)
    code = _dtype_code(name, src)
    packed = src.new_empty((rows, *src.shape[lead:]))
    with context.batch(sizes, from_batch_sizes, batch_size, max_len, rows) as batch:
        function(batch.pointer, code, layout, padded_len, math.prod(src.shape[lead:]), src.data_ptr(),
                 packed.data_ptr(), context.stream)
    return packed


def _pack(src: Tensor, sizes: Tensor, from_batch_sizes: bool, batch_size: int, max_len: int, layout: int,
          rows: int) -> Tensor:
    """Packed rows of src in `layout`: [B, T, *], [T, B, *] or ragged [N, *]."""
    return _packed_from(lib.varlstm_pack, "input", src, sizes, from_batch_sizes, batch_size, max_len, layout, rows)


def _unpack_backward(dpadded: Tensor, sizes: Tensor, from_batch_sizes: bool, batch_size: int, max_len: int, layout: int,
                     rows: int) -> Tensor:
    return _packed_from(lib.varlstm_unpack_backward, "grad", dpadded, sizes, from_batch_sizes, batch_size, max_len,
                        layout, rows)


def _packed_fake(src, sizes, from_batch_sizes, batch_size, max_len, layout, rows):
    return src.new_empty((rows, *src.shape[1 if layout == RAGGED else 2:]))


def _unpack(packed: Tensor, sizes: Tensor, from_batch_sizes: bool, batch_size: int, max_len: int, layout: int,
            padded_len: int, padding_value: float) -> Tensor:
    """[B, padded_len, *] or [padded_len, B, *] of packed rows, with padding_value at the padding."""
    context, packed = context_of(packed), dense(packed)
    code = _dtype_code("sequence.data", packed)
    padded = packed.new_empty(_padded_shape(layout, batch_size, padded_len) + packed.shape[1:])
    with context.batch(sizes, from_batch_sizes, batch_size, max_len, packed.size(0)) as batch:
        lib.varlstm_unpack(batch.pointer, code, layout, padded_len, math.prod(packed.shape[1:]), padding_value,
                           packed.data_ptr(), padded.data_ptr(), context.stream)
    return padded


def _unpack_fake(packed, sizes, from_batch_sizes, batch_size, max_len, layout, padded_len, padding_value):
    return packed.new_empty(_padded_shape(layout, batch_size, padded_len) + packed.shape[1:])


def _pack_backward(dpacked: Tensor, sizes: Tensor, from_batch_sizes: bool, batch_size: int, max_len: int, layout: int,
                   padded_len: int) -> Tensor:
    """The gradient of src; padded_len is the number of rows if src is ragged."""
    context, dpacked = context_of(dpacked), dense(dpacked)
    code, features = _dtype_code("grad", dpacked), dpacked.shape[1:]
    dsrc = dpacked.new_empty(((padded_len,) if layout == RAGGED else _padded_shape(layout, batch_size, padded_len)) +
                             features)
    with context.batch(sizes, from_batch_sizes, batch_size, max_len, dpacked.size(0)) as batch:
        lib.varlstm_pack_backward(batch.pointer, code, layout, padded_len, math.prod(features), dpacked.data_ptr(),
                                  dsrc.data_ptr(), context.stream)
    return dsrc


def _pack_backward_fake(dpacked, sizes, from_batch_sizes, batch_size, max_len, layout, padded_len):
    shape = (padded_len,) if layout == RAGGED else _padded_shape(layout, batch_size, padded_len)
    return dpacked.new_empty(shape + dpacked.shape[1:])


# Each adjoint's own adjoint is the operation again, up to the padding's value.

def _pack_setup(ctx, inputs, output):
    src, sizes, *batch, layout, _ = inputs
    ctx.plan = (*batch, layout, src.size(1 if layout == BATCH_FIRST else 0))
    ctx.save_for_backward(sizes)


def _pack_autograd(ctx, needs, dpacked):
    return _pack_adjoint(dpacked, *ctx.saved_tensors, *ctx.plan), None


def _pack_adjoint_setup(ctx, inputs, output):
    dpacked, sizes, *batch, layout, _ = inputs
    ctx.plan = (*batch, layout, dpacked.size(0))
    ctx.save_for_backward(sizes)


def _pack_adjoint_autograd(ctx, needs, ddsrc):
    return pack(ddsrc, *ctx.saved_tensors, *ctx.plan), None


def _unpack_setup(ctx, inputs, output):
    packed, sizes, *batch, layout, _, _ = inputs
    ctx.plan = (*batch, layout, packed.size(0))
    ctx.save_for_backward(sizes)


def _unpack_autograd(ctx, needs, dpadded):
    return _unpack_adjoint(dpadded, *ctx.saved_tensors, *ctx.plan), None


def _unpack_adjoint_autograd(ctx, needs, ddpacked):
    return unpack(ddpacked, *ctx.saved_tensors, *ctx.plan, 0.0), None


pack = differentiable("pack", _pack, _packed_fake, _pack_setup, _pack_autograd)
unpack = differentiable("unpack", _unpack, _unpack_fake, _unpack_setup, _unpack_autograd)
_pack_adjoint = adjoint("pack_backward", _pack_backward, _pack_backward_fake, _pack_adjoint_setup,
                        _pack_adjoint_autograd)
_unpack_adjoint = adjoint("unpack_backward", _unpack_backward, _packed_fake, _pack_setup, _unpack_adjoint_autograd)
