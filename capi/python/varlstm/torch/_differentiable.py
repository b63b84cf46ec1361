"""Makes functions over memory into operations that torch differentiates, and compiles where it can."""
# SPDX-License-Identifier: Apache-2.0
from typing import Callable

import torch
from torch.autograd.function import once_differentiable

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


def differentiable(name: str, forward: Callable, fake: Callable, setup_context: Callable, backward: Callable) -> Callable:
    """`forward` with a gradient: `setup_context(ctx, inputs, output)` keeps what `backward(ctx, needs, *gradients)` reads.

    `needs` tells of each input whether its gradient is wanted. The last input may be a list of tensors; then the last of
    `needs` and of the gradients are lists as well. A gradient that nobody gave is None.
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
        @once_differentiable
        def backward(ctx, *gradients):
            needs = ctx.needs_input_grad[1:]
            if ctx.heads is None:
                return (None,) + backward(ctx, needs, *gradients)
            needs = needs[:ctx.heads] + (needs[ctx.heads:],)
            *firsts, last = backward(ctx, needs, *gradients)
            return (None, *firsts, *(last or [None] * len(needs[-1])))

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
