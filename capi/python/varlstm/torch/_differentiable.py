"""Turns functions on memory into operations that torch can differentiate, and compile if its version can."""
# SPDX-License-Identifier: Apache-2.0
import contextlib
from typing import Callable

import torch

# torch.library.custom_op makes an operation opaque to torch.compile. It exists from torch 2.4 on.
COMPILABLE = hasattr(torch.library, "custom_op")
_PLAIN = (torch.Tensor, torch.nn.Parameter)  # a fake or functional tensor is of another class
# torch.func.grad and similar transforms, from torch 2.0 on, pass tensors without memory that wrap others.
_is_transformed = getattr(torch._C, "_are_functorch_transforms_active", lambda: False)
_unwrap_if_dead = getattr(getattr(torch._C, "_functorch", None), "unwrap_if_dead", lambda tensor: tensor)


def refuse_jit_trace() -> None:
    """The traced graph would treat the output of a call as a constant, or as memory that nothing writes."""
    if torch.jit.is_tracing():
        raise RuntimeError("varlstm.torch: torch.jit.trace cannot look into the library; trace what "
                           "module.to_torch() gives, or take torch.export, which passes over it")


def is_traced(tensor: torch.Tensor) -> bool:
    """Whether torch compiles or traces this call, so that memory may not be read. Eager calls do not use custom_op,
    because its dispatch costs about 0.1 ms."""
    refuse_jit_trace()
    return COMPILABLE and (type(tensor) not in _PLAIN or torch.compiler.is_compiling())


def _plain_function(name: str, forward: Callable, setup_context: Callable, backward: Callable):
    """The autograd.Function of these functions, in the form that torch calls fastest: for the other one it looks at
    forward's signature in each call, which takes longer than a forward of one token."""

    def forward_and_setup(ctx, *inputs):
        output = forward(*inputs)
        setup_context(ctx, inputs, output)
        return output

    return _with_methods(name, {"forward": forward_and_setup, "backward": backward})


def _function(name: str, forward: Callable, setup_context: Callable, backward: Callable):
    """The same, in the form that torch.func needs if this torch has it."""
    if not hasattr(torch.autograd.Function, "setup_context"):
        return _plain_function(name, forward, setup_context, backward)
    return _with_methods(name, {"forward": forward, "setup_context": setup_context, "backward": backward})


def _with_methods(name: str, methods: dict):
    return type(f"varlstm_{name}", (torch.autograd.Function,),
                {method: staticmethod(function) for method, function in methods.items()})


def _unwrapped(values) -> list:
    """Each value, or the tensor that it wraps if its transform has ended, as for what the pullback of torch.func.vjp
    saved. A list among them is unwrapped element by element."""
    return [_unwrap_if_dead(value) if isinstance(value, torch.Tensor) else
            _unwrapped(value) if isinstance(value, list) else value for value in values]


def _refuse(name: str) -> Callable:
    def backward(ctx, *unused):
        raise RuntimeError(f"varlstm.torch: {name} cannot be differentiated again")

    return backward


def opaque(name: str, function: Callable, fake: Callable) -> Callable:
    """`function`, as an operation that torch.compile leaves alone. `fake` makes its outputs' shapes from its arguments,
    of which the first is a tensor."""
    operation = None
    if COMPILABLE:
        operation = torch.library.custom_op(f"varlstm::{name}", function, mutates_args=())
        operation.register_fake(fake)
    transformable = _function(name, function, lambda ctx, inputs, output: None, _refuse(name))

    def call(*arguments):
        if is_traced(arguments[0]):
            return operation(*arguments)
        if _is_transformed():
            return transformable.apply(*arguments)
        return function(*_unwrapped(arguments))

    return call


def _once(name: str) -> Callable:
    """Passes gradients on, so that an attempt to differentiate them by `sources` is an error and not a zero."""
    function = _function(f"{name}_gradient", lambda count, *tensors: tensors[:count], lambda ctx, inputs, output: None,
                         _refuse(f"the gradient of {name}"))

    def mark(gradients: tuple, sources: tuple) -> tuple:
        tensors = [gradient for gradient in gradients if gradient is not None]
        if not tensors:
            return gradients
        marked = iter(function.apply(len(tensors), *tensors, *sources))
        return tuple(gradient if gradient is None else next(marked) for gradient in gradients)

    return mark


def differentiable(name: str, forward: Callable, fake: Callable, setup_context: Callable,
                   backward: Callable) -> Callable:
    """`forward` with a gradient: `setup_context(ctx, inputs, output)` keeps what `backward(ctx, needs, *gradients)`
    reads.

    `needs` tells of each input whether its gradient is wanted. The last input may be a list of tensors; then the last
    of `needs` and of the gradients are lists as well.
    """
    once = _once(name)

    # The function is called with a list's tensors as arguments of their own, after the count of the inputs before it.
    def inputs_of(heads, arguments: tuple) -> tuple:
        return arguments if heads is None else arguments[:heads] + (list(arguments[heads:]),)

    def setup(ctx, arguments, output):
        ctx.heads, *arguments = arguments
        setup_context(ctx, inputs_of(ctx.heads, tuple(arguments)), output)

    def backward_of_all(ctx, *gradients):
        needs = ctx.needs_input_grad[1:]
        if ctx.heads is not None:
            needs = needs[:ctx.heads] + (needs[ctx.heads:],)
        again = torch.is_grad_enabled()
        with torch.set_grad_enabled(False) if again else contextlib.nullcontext():
            *firsts, last = backward(ctx, needs, *gradients)
        lasts = [last] if ctx.heads is None else last or [None] * len(needs[-1])
        results = (None, *firsts, *lasts)
        return once(results, gradients + ctx.saved_tensors) if again else results

    def forward_of_all(heads, *arguments):
        return forward(*inputs_of(heads, arguments))

    function = _function(name, forward_of_all, setup, backward_of_all)
    plain = _plain_function(name, forward_of_all, setup, backward_of_all)

    def eager(*inputs):
        is_transformed = _is_transformed()
        if not torch.is_grad_enabled() and not is_transformed:
            return forward(*inputs)
        apply = function.apply if is_transformed else plain.apply
        if isinstance(inputs[-1], list):
            return apply(len(inputs) - 1, *inputs[:-1], *inputs[-1])
        return apply(None, *inputs)

    operation = None
    if COMPILABLE:
        operation = torch.library.custom_op(f"varlstm::{name}", forward, mutates_args=())
        operation.register_fake(fake)
        operation.register_autograd(lambda ctx, *gradients: backward(ctx, ctx.needs_input_grad, *gradients),
                                    setup_context=setup_context)

    def call(*inputs):
        return operation(*inputs) if is_traced(inputs[0]) else eager(*inputs)

    return call
