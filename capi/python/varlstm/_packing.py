"""Pack, unpack and their adjoints: padded or ragged rows to packed ones and back.

Layouts of the unpacked side, with F features; without a last dimension there is one feature, as for token ids:
    "batch_first"  [B, padded_len, F]
    "time_major"   [padded_len, B, F]
    "ragged"       [N, F], sequence after sequence
The packed side is [N, F]. Any dtype, for the adjoints any but int64.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, Optional, Union

from ._batch import LAYOUT_WORDS as _WORDS, Batch
from ._call import Array, Call
from ._declarations import Dtype, Layout
from ._handles import member
from ._library import InvalidArgumentError, lib


def _from_unpacked(batch: Batch, name: str, value: Array, packed_name: str, packed: Optional[Array], layout: Any,
                   dtype: Any, stream: Any) -> tuple:
    """The arguments of a call that reads the unpacked side and writes the packed one, and that one's array."""
    layout = member("layout", Layout, layout)
    call = Call(batch.context, stream, batch=batch, **{name: value, packed_name: packed})
    dimensions = 1 if layout == Layout.RAGGED else 2
    shape = call.view(name).shape
    if len(shape) not in (dimensions, dimensions + 1):
        raise InvalidArgumentError(f"{name}: shape {shape}, wanted {dimensions} or {dimensions + 1} dimensions: "
                                   f"{_WORDS[layout]}, by F features")
    features = shape[dimensions:]
    padded_len = 0 if layout == Layout.RAGGED else shape[1 if layout == Layout.BATCH_FIRST else 0]
    dtype = call.dtype(name, dtype)
    source = call.read(name, _unpacked_shape(batch, layout, padded_len) + features, dtype, _WORDS[layout] + ", by F")
    target = call.write(packed_name, (batch.rows,) + features, dtype, "N rows of the batch by F")
    return call, (batch.handle, dtype, layout, padded_len, _count(features)), (source, target, call.stream)


def _to_unpacked(batch: Batch, name: str, value: Optional[Array], packed_name: str, packed: Array, layout: Any,
                 padded_len: Optional[int], dtype: Any, stream: Any) -> tuple:
    """The same the other way."""
    layout = member("layout", Layout, layout)
    call = Call(batch.context, stream, batch=batch, **{name: value, packed_name: packed})
    features = call.view(packed_name).shape[1:2]
    if layout == Layout.RAGGED:
        padded_len = 0
    elif padded_len is None:
        padded_len = batch.steps
    dtype = call.dtype(packed_name, dtype)
    source = call.read(packed_name, (batch.rows,) + features, dtype, "N rows of the batch by F")
    target = call.write(name, _unpacked_shape(batch, layout, padded_len) + features, dtype, _WORDS[layout] + ", by F")
    return call, (batch.handle, dtype, layout, padded_len, _count(features)), (source, target, call.stream)


def _unpacked_shape(batch: Batch, layout: Layout, padded_len: int) -> tuple[int, ...]:
    if layout == Layout.RAGGED:
        return (batch.rows,)
    return (batch.batch, padded_len) if layout == Layout.BATCH_FIRST else (padded_len, batch.batch)


def _is_double(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False


def _count(features: tuple[int, ...]) -> int:
    return features[0] if features else 1


def pack(batch: Batch, src: Array, layout: Union[str, Layout] = "batch_first", *, packed: Optional[Array] = None,
         dtype: Any = None, stream: Any = None) -> Any:
    """packed [N, F] <- src in that layout. The padded length is at least T; padding is never read."""
    call, head, tail = _from_unpacked(batch, "src", src, "packed", packed, layout, dtype, stream)
    lib.varlstm_pack(*head, *tail)
    return call.outputs["packed"]


def unpack(batch: Batch, packed: Array, layout: Union[str, Layout] = "batch_first", *, padded_len: Optional[int] = None,
           pad_value: float = 0.0, dst: Optional[Array] = None, dtype: Any = None, stream: Any = None) -> Any:
    """dst in that layout <- packed [N, F]; every padded position gets pad_value, which is passed on as a double: an
    integer that this does not hold exactly is an error with int64. padded_len None is T."""
    call, head, tail = _to_unpacked(batch, "dst", dst, "packed", packed, layout, padded_len, dtype, stream)
    if head[1] == Dtype.I64 and isinstance(pad_value, int) and not _is_double(pad_value):
        raise InvalidArgumentError(f"pad_value: {pad_value} is not a double, wanted an integer that is one: all are up "
                                   f"to 2**53")
    lib.varlstm_unpack(*head, pad_value, *tail)
    return call.outputs["dst"]


def pack_backward(batch: Batch, dpacked: Array, layout: Union[str, Layout] = "batch_first", *,
                  padded_len: Optional[int] = None, dsrc: Optional[Array] = None, dtype: Any = None,
                  stream: Any = None) -> Any:
    """Adjoint of pack: dsrc in that layout <- dpacked [N, F], 0 at the padding. padded_len None is T."""
    call, head, tail = _to_unpacked(batch, "dsrc", dsrc, "dpacked", dpacked, layout, padded_len, dtype, stream)
    lib.varlstm_pack_backward(*head, *tail)
    return call.outputs["dsrc"]


def unpack_backward(batch: Batch, ddst: Array, layout: Union[str, Layout] = "batch_first", *,
                    dpacked: Optional[Array] = None, dtype: Any = None, stream: Any = None) -> Any:
    """Adjoint of unpack: dpacked [N, F] <- ddst in that layout; gradients at the padding are not read."""
    call, head, tail = _from_unpacked(batch, "ddst", ddst, "dpacked", dpacked, layout, dtype, stream)
    lib.varlstm_unpack_backward(*head, *tail)
    return call.outputs["dpacked"]
