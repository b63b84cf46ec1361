"""Embedding, linear layer, dropout, log-softmax and conversion.

`rows` is N for packed rows, and any number will do. Where `batch` is given, only its first N rows count and the rest
gives zeros: for lengths that only the device knows. Outputs: an array to write to, None to have one made, False for
one that is not wanted. Gradients of parameters are added to what a given array holds; made here, they start as zeros.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, NamedTuple, Optional

from ._batch import Batch
from ._call import Array, Call, Output
from ._context import Context
from ._declarations import Dtype, Op
from ._dtypes import as_dtype, size_of
from ._library import InvalidArgumentError, lib


class LinearGradients(NamedTuple):
    dx: Any  # [rows, in]
    dweight: Any  # [out, in]
    dbias: Any  # [out]


def handle_or_null(batch: Optional[Batch]) -> Optional[int]:
    return None if batch is None else batch.handle


def embedding_forward(context: Context, table: Array, ids: Array, *, batch: Optional[Batch] = None,
                      y: Optional[Array] = None, dtype: Any = None, stream: Any = None) -> Any:
    """y [rows, features] <- table [vocab, features] at ids [rows] int64. An id outside [0, vocab) gives zeros and
    raises a bit of Context.device_status."""
    call = Call(context, stream, batch=batch, table=table, ids=ids, y=y)
    (rows,), (vocab, features) = call.shape("ids", 1, "rows"), call.shape("table", 2, "vocab by features")
    dtype = call.dtype("table", dtype)
    lib.varlstm_embedding_forward(
        context.handle, handle_or_null(batch), dtype, rows, vocab, features,
        call.read("table", (vocab, features), dtype, "vocab by features"), call.read("ids", (rows,), Dtype.I64, "rows"),
        call.write("y", (rows, features), dtype, "rows by features"), call.stream)
    return call.outputs["y"]


def embedding_backward(context: Context, ids: Array, dy: Array, vocab: Optional[int] = None, *, padding_idx: int = -1,
                       batch: Optional[Batch] = None, dtable: Optional[Array] = None, dtype: Any = None,
                       stream: Any = None) -> Any:
    """dtable [vocab, features] += rows of dy [rows, features] at ids [rows]; the row padding_idx gets nothing (-1: no
    such row). vocab is required if dtable is not given."""
    call = Call(context, stream, batch=batch, ids=ids, dy=dy, dtable=dtable)
    rows, features = call.shape("dy", 2, "rows by features")
    if vocab is None:
        if dtable is None:
            raise InvalidArgumentError("vocab: None, wanted a number where dtable is not given")
        vocab = call.shape("dtable", 2, "vocab by features")[0]
    dtype = call.dtype("dy", dtype)
    lib.varlstm_embedding_backward(
        context.handle, handle_or_null(batch), dtype, rows, vocab, features, padding_idx,
        call.read("ids", (rows,), Dtype.I64, "rows"), call.read("dy", (rows, features), dtype, "rows by features"),
        call.write("dtable", (vocab, features), dtype, "vocab by features", zero=True),
        *call.workspace(Op.EMBEDDING_BACKWARD, dtype, rows, vocab, features), call.stream)
    return call.outputs["dtable"]


def linear_forward(context: Context, x: Array, weight: Array, bias: Optional[Array] = None, *,
                   y: Optional[Array] = None, dtype: Any = None, stream: Any = None) -> Any:
    """y [rows, out] <- x [rows, in] weight^T + bias, weight [out, in], bias [out] or None."""
    call = Call(context, stream, x=x, weight=weight, bias=bias, y=y)
    rows = call.shape("x", 2, "rows by in")[0]
    n_out, n_in = call.shape("weight", 2, "out by in")
    dtype = call.dtype("x", dtype)
    lib.varlstm_linear_forward(
        context.handle, dtype, rows, n_in, n_out, call.read("x", (rows, n_in), dtype, "rows by in"),
        call.read("weight", (n_out, n_in), dtype, "out by in"), call.read_or_null("bias", (n_out,), dtype, "out"),
        call.write("y", (rows, n_out), dtype, "rows by out"),
        *call.workspace(Op.LINEAR_FORWARD, dtype, rows, n_in, n_out), call.stream)
    return call.outputs["y"]


def linear_backward(context: Context, x: Optional[Array], weight: Optional[Array], dy: Array, *, dx: Output = None,
                    dweight: Output = None, dbias: Output = None, dtype: Any = None,
                    stream: Any = None) -> LinearGradients:
    """dx [rows, in] <- dy [rows, out] weight; dweight [out, in] += dy^T x; dbias [out] += column sums of dy. weight may
    be None if dx is False, and x may be None if dweight is False."""
    call = Call(context, stream, x=x, weight=weight, dy=dy, dx=dx, dweight=dweight, dbias=dbias)
    rows, n_out = call.shape("dy", 2, "rows by out")
    source = "weight" if call.given("weight") else "x"
    n_in = call.shape(source, 2, "out by in" if source == "weight" else "rows by in")[1]
    dtype = call.dtype("dy", dtype)
    lib.varlstm_linear_backward(
        context.handle, dtype, rows, n_in, n_out, call.read_or_null("x", (rows, n_in), dtype, "rows by in"),
        call.read_or_null("weight", (n_out, n_in), dtype, "out by in"),
        call.read("dy", (rows, n_out), dtype, "rows by out"), call.write("dx", (rows, n_in), dtype, "rows by in"),
        call.write("dweight", (n_out, n_in), dtype, "out by in", zero=True),
        call.write("dbias", (n_out,), dtype, "out", zero=True),
        *call.workspace(Op.LINEAR_BACKWARD, dtype, rows, n_in, n_out), call.stream)
    return LinearGradients(*(call.outputs[name] for name in LinearGradients._fields))


def convert(context: Context, src: Array, to_dtype: Any, *, dst: Optional[Array] = None, from_dtype: Any = None,
            stream: Any = None) -> Any:
    """dst <- src, of any shape, in another dtype than int64; to 16 bits by way of float."""
    call = Call(context, stream, src=src, dst=dst)
    view, from_dtype, to_dtype = call.view("src"), call.dtype("src", from_dtype), as_dtype(to_dtype, "to_dtype")
    lib.varlstm_convert(context.handle, from_dtype, to_dtype, view.count,
                        call.read("src", view.shape, from_dtype, "any shape"),
                        call.write("dst", view.shape, to_dtype, "that of src"), call.stream)
    return call.outputs["dst"]


def copy_columns(context: Context, src: Array, columns: int, *, src_column: int = 0, dst: Optional[Array] = None,
                 dst_column: int = 0, dtype: Any = None, stream: Any = None) -> Any:
    """Columns dst_column, dst_column + 1, ... of dst <- `columns` columns of src from src_column on, and returns dst.

    src [rows, any] and dst [rows, any] are of the context's memory and of one dtype, int64 too; they may not overlap,
    and the other columns of dst stay as they are. A dst that is not given has dst_column columns of zeros and then the
    copied ones. columns is at least 1. InvalidArgumentError names the argument if the columns are not there, or if an
    array has another shape, dtype or memory.
    """
    call = Call(context, stream, src=src, dst=dst)
    dtype = call.dtype("src", dtype)
    rows, ld_src = call.shape("src", 2, "rows by columns")
    ld_dst = call.shape("dst", 2, "rows by columns")[1] if call.given("dst") else dst_column + columns
    for name, first, width in (("src_column", src_column, ld_src), ("dst_column", dst_column, ld_dst)):
        if not 0 <= first <= width - columns:
            raise InvalidArgumentError(f"{name}: {first} and {columns} columns after it are not in 0 ... {width}")
    source = call.read("src", (rows, ld_src), dtype, "rows by columns")
    target = call.write("dst", (rows, ld_dst), dtype, "rows by columns", zero=True)
    size = size_of(dtype)
    lib.varlstm_copy_columns(context.handle, dtype, rows, columns, source + src_column * size, ld_src,
                             target + dst_column * size, ld_dst, call.stream)
    return call.outputs["dst"]


def dropout_forward(context: Context, x: Array, p: float, seed: int, *, y: Optional[Array] = None, dtype: Any = None,
                    stream: Any = None) -> Any:
    """y <- x * keep(seed) / (1 - p), of any shape: inverted dropout. The mask depends on the seed only. y may be x."""
    call = Call(context, stream, x=x, y=y)
    view, dtype = call.view("x"), call.dtype("x", dtype)
    lib.varlstm_dropout_forward(context.handle, dtype, view.count, p, seed,
                                call.read("x", view.shape, dtype, "any shape"),
                                call.write("y", view.shape, dtype, "that of x"), call.stream)
    return call.outputs["y"]


def dropout_backward(context: Context, dy: Array, p: float, seed: int, *, dx: Optional[Array] = None, dtype: Any = None,
                     stream: Any = None) -> Any:
    """dx <- dy * keep(seed) / (1 - p). dx may be dy."""
    call = Call(context, stream, dy=dy, dx=dx)
    view, dtype = call.view("dy"), call.dtype("dy", dtype)
    lib.varlstm_dropout_backward(context.handle, dtype, view.count, p, seed,
                                 call.read("dy", view.shape, dtype, "any shape"),
                                 call.write("dx", view.shape, dtype, "that of dy"), call.stream)
    return call.outputs["dx"]


def log_softmax_forward(context: Context, x: Array, *, y: Optional[Array] = None, dtype: Any = None,
                        stream: Any = None) -> Any:
    """y [rows, classes] <- x - log(sum(exp(x))) along each row. y may be x."""
    call = Call(context, stream, x=x, y=y)
    rows, classes = shape = call.shape("x", 2, "rows by classes")
    dtype = call.dtype("x", dtype)
    lib.varlstm_log_softmax_forward(context.handle, dtype, rows, classes,
                                    call.read("x", shape, dtype, "rows by classes"),
                                    call.write("y", shape, dtype, "rows by classes"), call.stream)
    return call.outputs["y"]


def log_softmax_backward(context: Context, y: Array, dy: Array, *, dx: Optional[Array] = None, dtype: Any = None,
                         stream: Any = None) -> Any:
    """dx [rows, classes] <- dy - exp(y) * sum(dy) along each row, y from forward. dx may be dy."""
    call = Call(context, stream, y=y, dy=dy, dx=dx)
    rows, classes = shape = call.shape("y", 2, "rows by classes")
    dtype = call.dtype("y", dtype)
    lib.varlstm_log_softmax_backward(context.handle, dtype, rows, classes,
                                     call.read("y", shape, dtype, "rows by classes"),
                                     call.read("dy", shape, dtype, "rows by classes"),
                                     call.write("dx", shape, dtype, "rows by classes"), call.stream)
    return call.outputs["dx"]
