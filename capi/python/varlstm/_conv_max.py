"""Convolution over the rows of each word, and the maximum over the word's positions: a character CNN.

Arrays and outputs are as in embedding and linear: an output is an array to write to, None to have one made, or False
for one that is not wanted.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, Optional, Union

from ._call import Array, Call, Output
from ._context import Context
from ._declarations import Activation, Dtype
from ._handles import member
from ._library import lib


class ConvMaxResult(NamedTuple):
    y: Any  # [words, filters]
    argmax: Any  # [words, filters] int64, for backward


class ConvMaxGradients(NamedTuple):
    dx: Any  # [rows, in]
    dweight: Any  # [filters, in, width]
    dbias: Any  # [filters]


def _workspace(call: Call, backward: bool, dtype: Dtype, *sizes: int) -> tuple[Optional[int], int]:
    forward_bytes, backward_bytes = ctypes.c_int64(), ctypes.c_int64()
    lib.varlstm_conv_max_size(call.context.handle, dtype, *sizes, ctypes.byref(forward_bytes),
                              ctypes.byref(backward_bytes))
    needed = (backward_bytes if backward else forward_bytes).value
    return call.context.workspace(needed, call.stream), needed


def _sizes(call: Call) -> tuple[int, int, int, int, int]:
    """words, rows, in, filters, width."""
    words = max(call.shape("offsets", 1, "words + 1")[0] - 1, 0)
    rows = call.shape("x", 2, "rows by in")[0]
    filters, n_in, width = call.shape("weight", 3, "filters by in by width")
    return words, rows, n_in, filters, width


def conv_max_forward(context: Context, offsets: Array, x: Array, weight: Array, bias: Optional[Array] = None, *,
                     activation: Union[str, Activation] = "none", y: Optional[Array] = None, argmax: Output = None,
                     dtype: Any = None, stream: Any = None) -> ConvMaxResult:
    """y [words, filters] <- the activation of the maximum over the positions of each word of its convolution, with rows
    of zeros around it. A word of no rows gives zeros.

    All arrays are of the context's memory and, but for the int64 ones, of one dtype: that of x, or `dtype`.
      offsets     [words + 1] int64, not decreasing, in 0 ... rows: word w has the rows offsets[w] to offsets[w + 1] - 1
      x           [rows, in]
      weight      [filters, in, width], none of them 0, as in torch.nn.Conv1d with padding="same"
      bias        [filters], or None: zeros
      activation  "none", "tanh" or "relu", or a varlstm.Activation
      y           [words, filters] to write to, or None: a new one
      argmax      [words, filters] int64 to write to, for backward; None: a new one; False: not wanted
      stream      a CUDA stream, or None
    InvalidArgumentError names the argument and the value. On CUDA a wrong offset raises a bit of Context.device_status
    instead.
    """
    call = Call(context, stream, offsets=offsets, x=x, weight=weight, bias=bias, y=y, argmax=argmax)
    words, rows, n_in, filters, width = sizes = _sizes(call)
    dtype = call.dtype("x", dtype)
    lib.varlstm_conv_max_forward(
        context.handle, dtype, *sizes, member("activation", Activation, activation),
        call.read("offsets", (words + 1,), Dtype.I64, "words + 1"), call.read("x", (rows, n_in), dtype, "rows by in"),
        call.read("weight", (filters, n_in, width), dtype, "filters by in by width"),
        call.read_or_null("bias", (filters,), dtype, "filters"),
        call.write("y", (words, filters), dtype, "words by filters"), filters,
        call.write("argmax", (words, filters), Dtype.I64, "words by filters"), *_workspace(call, False, dtype, *sizes),
        call.stream)
    return ConvMaxResult(call.outputs["y"], call.outputs["argmax"])


def conv_max_backward(context: Context, offsets: Array, x: Array, weight: Array, y: Array, dy: Array, argmax: Array, *,
                      activation: Union[str, Activation] = "none", dx: Output = None, dweight: Output = None,
                      dbias: Output = None, dtype: Any = None, stream: Any = None) -> ConvMaxGradients:
    """The gradients for dy. Arguments that forward has too are as there; y and argmax [words, filters] are what it gave.

      dy       [words, filters]
      dx       [rows, in], overwritten
      dweight  [filters, in, width]; the gradient is added to what a given array holds
      dbias    [filters], likewise
    Each of the last three is an array to write to, None: a new one, or False: not wanted. Errors are as in forward.
    """
    call = Call(context, stream, offsets=offsets, x=x, weight=weight, y=y, dy=dy, argmax=argmax, dx=dx,
                dweight=dweight, dbias=dbias)
    words, rows, n_in, filters, width = sizes = _sizes(call)
    dtype = call.dtype("x", dtype)
    lib.varlstm_conv_max_backward(
        context.handle, dtype, *sizes, member("activation", Activation, activation),
        call.read("offsets", (words + 1,), Dtype.I64, "words + 1"), call.read("x", (rows, n_in), dtype, "rows by in"),
        call.read("weight", (filters, n_in, width), dtype, "filters by in by width"),
        call.read("y", (words, filters), dtype, "words by filters"),
        call.read("dy", (words, filters), dtype, "words by filters"), filters,
        call.read("argmax", (words, filters), Dtype.I64, "words by filters"),
        call.write("dx", (rows, n_in), dtype, "rows by in"),
        call.write("dweight", (filters, n_in, width), dtype, "filters by in by width", zero=True),
        call.write("dbias", (filters,), dtype, "filters", zero=True), *_workspace(call, True, dtype, *sizes),
        call.stream)
    return ConvMaxGradients(*(call.outputs[name] for name in ConvMaxGradients._fields))
