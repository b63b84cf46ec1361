"""Convolution over the rows of each word and the maximum over its positions, as an operation of torch.

input [rows, in], weight [filters, in, width], bias [filters] or None, offsets [words + 1] int64. Annotations stand
unquoted here: torch reads the operations' schemas from them.
"""
# SPDX-License-Identifier: Apache-2.0
import ctypes
from typing import Optional, Tuple

import torch
from torch import Tensor

from .._library import lib
from ._device import address, context_of, dense, dtype_code, scratch
from ._differentiable import adjoint, differentiable, refuse_again


def _sizes(input: Tensor, weight: Tensor, offsets: Tensor) -> Tuple[int, int, int, int, int]:
    return (offsets.size(0) - 1, input.size(0), input.size(1), weight.size(0), weight.size(2))


def _workspaces(pointer, code: int, sizes: Tuple[int, int, int, int, int]) -> Tuple[int, int]:
    forward, backward = ctypes.c_int64(), ctypes.c_int64()
    lib.varlstm_conv_max_size(pointer, code, *sizes, ctypes.byref(forward), ctypes.byref(backward))
    return forward.value, backward.value


def _conv_max(input: Tensor, weight: Tensor, bias: Optional[Tensor], offsets: Tensor,
              activation: int) -> Tuple[Tensor, Tensor]:
    """y and the rows of the maxima, [words, filters] each."""
    context, input, weight = context_of(input), dense(input), dense(weight)
    offsets, bias = dense(offsets), dense(bias)
    sizes, code = _sizes(input, weight, offsets), dtype_code("input", input.dtype)
    shape = (sizes[0], sizes[3])
    y, argmax = input.new_empty(shape), offsets.new_empty(shape)
    workspace = scratch(_workspaces(context.pointer, code, sizes)[0], input)
    lib.varlstm_conv_max_forward(context.pointer, code, *sizes, activation, offsets.data_ptr(), input.data_ptr(),
                                 weight.data_ptr(), address(bias), y.data_ptr(), sizes[3], argmax.data_ptr(),
                                 workspace.data_ptr(), workspace.numel(), context.stream)
    return y, argmax


def _conv_max_fake(input, weight, bias, offsets, activation):
    shape = (offsets.size(0) - 1, weight.size(0))
    return input.new_empty(shape), offsets.new_empty(shape)


def _conv_max_backward(dy: Tensor, input: Tensor, weight: Tensor, offsets: Tensor, y: Tensor, argmax: Tensor,
                       activation: int, need_dinput: bool, need_dweight: bool,
                       need_dbias: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """The gradients of input, weight and bias; a gradient that is not needed has no elements."""
    context, dy, input, weight = context_of(input), dense(dy), dense(input), dense(weight)
    offsets = dense(offsets)
    sizes, code = _sizes(input, weight, offsets), dtype_code("input", input.dtype)
    dinput = input.new_empty(input.shape if need_dinput else 0)
    dweight = input.new_zeros(weight.shape if need_dweight else 0)
    dbias = input.new_zeros(weight.size(0) if need_dbias else 0)
    workspace = scratch(_workspaces(context.pointer, code, sizes)[1], input)
    lib.varlstm_conv_max_backward(context.pointer, code, *sizes, activation, offsets.data_ptr(), input.data_ptr(),
                                  weight.data_ptr(), y.data_ptr(), dy.data_ptr(), sizes[3], argmax.data_ptr(),
                                  dinput.data_ptr(), dweight.data_ptr(), dbias.data_ptr(), workspace.data_ptr(),
                                  workspace.numel(), context.stream)
    return dinput, dweight, dbias


def _conv_max_backward_fake(dy, input, weight, offsets, y, argmax, activation, need_dinput, need_dweight, need_dbias):
    return (input.new_empty(input.shape if need_dinput else 0), input.new_empty(weight.shape if need_dweight else 0),
            input.new_empty(weight.size(0) if need_dbias else 0))


_conv_max_adjoint = adjoint("conv_max_backward", _conv_max_backward, _conv_max_backward_fake,
                            *refuse_again("conv_max", "torch.nn.functional.conv1d and a maximum"))


def _conv_max_setup(ctx, inputs, output):
    input, weight, _, offsets, ctx.activation = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(input, weight, offsets, *output)


def _conv_max_autograd(ctx, needs, dy, *unused):
    if dy is None:
        return (None,) * 4
    gradients = _conv_max_adjoint(dy, *ctx.saved_tensors, ctx.activation, *needs[:3])
    return tuple(gradient if need else None for gradient, need in zip(gradients, needs[:3])) + (None,)


conv_max = differentiable("conv_max", _conv_max, _conv_max_fake, _conv_max_setup, _conv_max_autograd, kept=1)
