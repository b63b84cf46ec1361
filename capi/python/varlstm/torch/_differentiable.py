"""Makes functions over memory into operations that torch differentiates, and compiles where it can."""
# SPDX-License-Identifier: Apache-2.0
from typing import Callable

import torch

# torch.library.custom_op, with which torch.compile passes over an operation without looking into it, is of torch 2.4.
COMPILABLE = hasattr(torch.library, "custom_op")
_PLAIN = (torch.Tensor, torch.nn.Parameter)  # a fake or functional tensor is of another class


def is_traced(tensor: torch.Tensor) -> bool:
    """Whether torch compiles or traces this call, so that memory may not be looked at. Eager calls spare the time of
    custom_op's dispatch, some 0.1 ms."""
    return COMPILABLE and (type(tensor) not in _PLAIN or torch.compiler.is_compiling())


def opaque(name: str, function: Callable, fake: Callable) -> Callable:
    """`function`, as an operation that torch.compile leaves alone. `fake` makes its outputs' shapes from its arguments,
    of which the first is a tensor."""
    if not COMPILABLE:
        return function
    operation = torch.library.custom_op(f"varlstm::{name}", function, mutates_args=())
    operation.register_fake(fake)

    def call(*arguments):
        return operation(*arguments) if is_traced(arguments[0]) else function(*arguments)

    return call


class _Once(torch.autograd.Function):
    """Passes `count` gradients on, so that an attempt to differentiate them by `sources` is an error and not a zero."""

    @staticmethod
    def forward(ctx, name, count, *tensors):
        ctx.name = name
        return tensors[:count]

    @staticmethod
    def backward(ctx, *unused):
        raise RuntimeError(f"varlstm.torch: the gradient of {ctx.name} cannot be differentiated again")


def _once(name: str, gradients: tuple, sources: tuple) -> tuple:
    tensors = [gradient for gradient in gradients if gradient is not None]
    if not tensors:
        return gradients
    marked = iter(_Once.apply(name, len(tensors), *tensors, *sources))
    return tuple(gradient if gradient is None else next(marked) for gradient in gradients)


def differentiable(name: str, forward: Callable, fake: Callable, setup_context: Callable,
                   backward: Callable) -> Callable:
    """`forward` with a gradient: `setup_context(ctx, inputs, output)` keeps what `backward(ctx, needs, *gradients)`
    reads.

    `needs` tells of each input whether its gradient is wanted. The last input may be a list of tensors; then the last
    of `needs` and of the gradients are lists as well.
    """

    class Function(torch.autograd.Function):
        """Called with a list's tensors as arguments of their own, after the count of the inputs before it."""

        @staticmethod
        def forward(ctx, heads, *arguments):
            ctx.heads = heads
            inputs = arguments if heads is None else arguments[:heads] + (list(arguments[heads:]),)
            output = forward(*inputs)
            setup_context(ctx, inputs, output)
            return output

        @staticmethod
        def backward(ctx, *gradients):
            needs = ctx.needs_input_grad[1:]
            if ctx.heads is not None:
                needs = needs[:ctx.heads] + (needs[ctx.heads:],)
            with torch.no_grad():
                *firsts, last = backward(ctx, needs, *gradients)
            lasts = [last] if ctx.heads is None else last or [None] * len(needs[-1])
            results = (None, *firsts, *lasts)
            return _once(name, results, gradients + ctx.saved_tensors) if torch.is_grad_enabled() else results

    Function.__name__ = Function.__qualname__ = f"varlstm_{name}"

    def eager(*inputs):
        if not torch.is_grad_enabled():
            return forward(*inputs)
        if isinstance(inputs[-1], list):
            return Function.apply(len(inputs) - 1, *inputs[:-1], *inputs[-1])
        return Function.apply(None, *inputs)

    if not COMPILABLE:
        return eager
    operation = torch.library.custom_op(f"varlstm::{name}", forward, mutates_args=())
    operation.register_fake(fake)
    operation.register_autograd(lambda ctx, *gradients: backward(ctx, ctx.needs_input_grad, *gradients),
                                setup_context=setup_context)

    def call(*inputs):
        return operation(*inputs) if is_traced(inputs[0]) else eager(*inputs)

    return call
