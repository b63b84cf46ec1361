"""Optimiser steps and gradient norms, in place over parameters and gradients of one shape; float32 or float64."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, Optional

from ._call import Array, Call
from ._context import Context
from ._declarations import Dtype, Op
from ._library import lib


def sgd_step(context: Context, params: Array, grads: Array, velocity: Optional[Array] = None, *, lr: float,
             momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False, stream: Any = None) -> None:
    """As torch.optim.SGD without dampening. velocity is zero before the first step, None if momentum is 0."""
    call = Call(context, stream, params=params, grads=grads, velocity=velocity)
    view, dtype = call.view("params"), call.dtype("params")
    lib.varlstm_sgd_step(
        context.handle, dtype, view.count, lr, momentum, weight_decay, nesterov,
        call.write("params", view.shape, dtype, "any shape"), call.read("grads", view.shape, dtype, "that of params"),
        None if velocity is None else call.write("velocity", view.shape, dtype, "that of params"), call.stream)


def adam_step(context: Context, params: Array, grads: Array, m: Array, v: Array, step: Array, *, lr: float,
              beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0,
              decoupled: bool = False, stream: Any = None) -> None:
    """As torch.optim.Adam, or AdamW if decoupled. m, v and step [1] int64 are zero before the first step; step is
    incremented."""
    call = Call(context, stream, params=params, grads=grads, m=m, v=v, step=step)
    view, dtype = call.view("params"), call.dtype("params")
    moments = [_state(call, name, view.shape, dtype) for name in ("m", "v")]
    lib.varlstm_adam_step(
        context.handle, dtype, view.count, lr, beta1, beta2, eps, weight_decay, decoupled,
        call.write("params", view.shape, dtype, "any shape"), call.read("grads", view.shape, dtype, "that of params"),
        *moments, _state(call, "step", (1,), Dtype.I64), call.stream)


def _state(call: Call, name: str, shape: tuple[int, ...], dtype: Dtype) -> Optional[int]:
    call.view(name)  # it is the caller's: None is an error, and makes no new one
    return call.write(name, shape, dtype, "that of params" if name != "step" else "1")


def grad_norm(context: Context, grads: Array, *, norm: Optional[Array] = None, stream: Any = None) -> Any:
    """norm [1] float64, in the back end's memory <- Euclidean norm of grads."""
    call = Call(context, stream, grads=grads, norm=norm)
    view, dtype = call.view("grads"), call.dtype("grads")
    lib.varlstm_grad_norm(
        context.handle, dtype, view.count, call.read("grads", view.shape, dtype, "any shape"),
        call.write("norm", (1,), Dtype.F64, "1"), *call.workspace(Op.GRAD_NORM, dtype, view.count), call.stream)
    return call.outputs["norm"]


def clip_grad_norm(context: Context, grads: Array, max_norm: float, *, norm: Optional[Array] = None,
                   stream: Any = None) -> Any:
    """The same, and then grads *= min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. Returns the norm
    before clipping."""
    call = Call(context, stream, grads=grads, norm=norm)
    view, dtype = call.view("grads"), call.dtype("grads")
    lib.varlstm_clip_grad_norm(
        context.handle, dtype, view.count, max_norm, call.write("grads", view.shape, dtype, "any shape"),
        call.write("norm", (1,), Dtype.F64, "1"), *call.workspace(Op.GRAD_NORM, dtype, view.count), call.stream)
    return call.outputs["norm"]
