"""Turns functions on memory into operations that torch can differentiate, and compile if its version can."""
# SPDX-License-Identifier: Apache-2.0
import functools
from typing import Callable, List, NamedTuple, Optional, Tuple

import torch
from torch.autograd import forward_ad

# torch.library.custom_op makes an operation opaque to torch.compile. It exists from torch 2.4 on.
COMPILABLE = hasattr(torch.library, "custom_op")
_PLAIN = (torch.Tensor, torch.nn.Parameter)  # a fake or functional tensor is of another class
# torch.func.grad, vmap and similar transforms, from torch 2.0 on, pass tensors without memory that wrap others.
_functorch = getattr(torch._C, "_functorch", None)
_is_transformed = getattr(torch._C, "_are_functorch_transforms_active", lambda: False)
_is_legacy_batched = getattr(_functorch, "is_legacy_batchedtensor", lambda tensor: False)
_unwrap_if_dead = getattr(_functorch, "unwrap_if_dead", lambda tensor: tensor)


def refuse_jit_trace() -> None:
    """The traced graph would treat the output of a call as a constant, or as memory that nothing writes."""
    if torch.jit.is_tracing():
        raise RuntimeError("varlstm.torch: torch.jit.trace cannot look into the library; trace what "
                           "module.to_torch() gives, or take torch.export, which passes over it")


def is_traced(tensor: torch.Tensor) -> bool:
    """Whether torch compiles or traces this call, or the tensor is on the device meta: there is no memory to read. Eager
    calls do not use custom_op, because its dispatch costs about 0.1 ms."""
    refuse_jit_trace()
    return COMPILABLE and (type(tensor) not in _PLAIN or tensor.is_meta or torch.compiler.is_compiling() or
                           # make_fx, whose tensors may be plain
                           torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None)


class Eager(list):
    """Tensors of a call of which is_traced has said that it is not traced."""

    __slots__ = ()


def is_vmapped(tensor: torch.Tensor) -> bool:
    """Whether torch.vmap runs over the tensor, so that its values differ from call to call."""
    return _is_transformed() and _functorch.is_batchedtensor(tensor)


def is_wrapped(tensor: torch.Tensor) -> bool:
    """Whether the tensor has no memory of its own, because a transform of torch.func wraps another."""
    return _is_transformed() and _functorch.is_functorch_wrapped_tensor(tensor)


def values_of(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor; where transforms of torch.func wrap it, the one below, over whose calls vmap runs: so that values can
    be checked."""
    while is_wrapped(tensor):
        tensor = _functorch.get_unwrapped(tensor)
    return tensor


def list_of(tensor: torch.Tensor) -> list:
    """values_of as a list, which torch 2.6 cannot make inside a transform."""
    if not _is_transformed():
        return tensor.tolist()
    tensor = values_of(tensor)
    with torch._C._DisableFuncTorch():
        return tensor.tolist()


def is_differentiated(*tensors) -> bool:
    """Whether a call must save what backward needs. Inside a transform nobody can tell by the tensors."""
    if not torch.is_grad_enabled():
        return False
    for tensor in tensors:  # a generator would take three times as long
        if tensor is not None and tensor.requires_grad:
            return True
    return _is_transformed()


def _function(name: str, forward: Callable, setup_context: Callable, backward: Callable):
    """The autograd.Function of these functions, in the form that torch.func needs; None if this torch has none."""
    if not hasattr(torch.autograd.Function, "setup_context"):
        return None

    def vmap(info, in_dims, *inputs):
        """One call after the other, each of which has a reserve of its own."""
        if info.batch_size == 0:
            raise ValueError(f"varlstm.torch: torch.vmap of {name} over 0 elements")
        calls = [function.apply(*[input.select(dim, k) if isinstance(dim, int) else input
                                  for input, dim in zip(inputs, in_dims)])
                 for k in range(info.batch_size)]
        if isinstance(calls[0], torch.Tensor):
            return torch.stack(calls), 0
        return tuple(map(torch.stack, zip(*calls))), (0,) * len(calls[0])

    function = _with_methods(name, {"forward": forward, "setup_context": setup_context, "backward": backward,
                                    "vmap": vmap})
    return function


def _with_methods(name: str, methods: dict):
    def jvp(ctx, *tangents):
        raise NotImplementedError(f"varlstm.torch: {name} has no forward mode (jvp, jacfwd); take torch.func.vjp or jacrev")

    return type(f"varlstm_{name}", (torch.autograd.Function,),
                {method: staticmethod(function) for method, function in dict(methods, jvp=jvp).items()})


_was_transformed = False  # whether a transform has ever been active: only then there are tensors to unwrap


def _note_transform() -> None:
    global _was_transformed  # pylint: disable=global-statement
    _was_transformed = True


def _unwrapped(values) -> list:
    """Each value, or the tensor that it wraps if its transform has ended, as for what the pullback of torch.func.vjp
    saved. A list among them is unwrapped element by element."""
    return [_unwrap_if_dead(value) if isinstance(value, torch.Tensor) else
            _unwrapped(value) if isinstance(value, list) else value for value in values]


def _tensors_only(function: Callable) -> Callable:
    """`function`, whose first argument is a tensor, with tensors without elements in the place of outputs that are None:
    what torch compiles or transforms has tensors alone."""

    @functools.wraps(function)
    def call(first, *others):
        outputs = function(first, *others)
        if not isinstance(outputs, tuple):
            return outputs
        return tuple([first.new_empty(0) if output is None else output for output in outputs])

    return call


def _flat(values: tuple) -> tuple:
    """Whose last value may be a list of tensors: those become values of their own."""
    return (*values[:-1], *values[-1]) if isinstance(values, tuple) and isinstance(values[-1], list) else values


def differentiable(name: str, forward: Callable, fake: Callable, setup_context: Callable, backward: Callable,
                   kept: int = 0) -> Callable:
    """`forward` with a gradient: `setup_context(ctx, inputs, output)` keeps what `backward(ctx, needs, *gradients)`
    reads. `fake` makes the outputs' shapes from the inputs, of which the first is a tensor.

    Tensors come first among the inputs, and the last input may be a list of tensors. `needs` tells of each tensor whether
    its gradient is wanted, and of the list's in a list; what `backward` returns has the same form. The last output may be
    a list of tensors, too; then what setup_context and backward are given ends with its tensors one by one. Outputs of
    `forward` that are None may be tensors without elements. The last `kept` outputs are for backward alone: they have no
    gradient, and a call may return without them.
    """
    return _differentiable(name, forward, fake, setup_context, backward, kept, True)


class _Inputs(NamedTuple):
    """Those of an operation."""

    tensors: int  # which come first
    others: int
    has_list: bool  # of tensors, at the end

    @classmethod
    def of(cls, function: Callable) -> "_Inputs":
        kinds = [kind for argument, kind in function.__annotations__.items() if argument != "return"]
        is_tensor = [kind in (torch.Tensor, Optional[torch.Tensor]) for kind in kinds]
        tensors, has_list = sum(is_tensor), kinds[-1] == List[torch.Tensor]
        assert all(is_tensor[:tensors])
        return cls(tensors, len(kinds) - tensors - has_list, has_list)

    def needs(self, of_all) -> tuple:
        """Those of the tensors, and the list's, from one of each input."""
        return (*of_all[:self.tensors], *of_all[self.tensors + self.others:])

    def gradients(self, results) -> tuple:
        """One of each input, from those of the tensors, and the list's."""
        return (*results[:self.tensors], *[None] * self.others, *results[self.tensors:])


def _plain(name: str, forward: Callable, setup_context: Callable, backward: Callable, kept: int) -> Callable:
    """The function of `forward` for calls outside transforms, where time counts: torch calls a function faster without
    a setup_context of its own, for which it looks at forward's signature in each call, and with fewer arguments and outputs.
    So the arguments are all inputs in one tuple, and once more each of those that can be tensors, and what is kept for
    backward is no output."""
    count, _, has_list = _Inputs.of(forward)
    returned = slice(None, -kept)

    def forward_and_setup(ctx, inputs, *tensors):
        if _was_transformed:  # torch has unwrapped the arguments
            inputs = ((*tensors[:count], *inputs[count:-1], list(tensors[count:])) if has_list else
                      (*tensors, *inputs[count:]))
        output = _flat(forward(*inputs))
        setup_context(ctx, inputs, output)
        return output[returned] if kept else output

    def backward_of_tensors(ctx, *gradients):
        needs = ctx.needs_input_grad
        if not has_list:
            return (None, *backward(ctx, needs[1:], *gradients))
        of_list = needs[1 + count:]
        *results, last = backward(ctx, (*needs[1:1 + count], of_list), *gradients)
        return (None, *results, *(last or [None] * len(of_list)))

    function = _with_methods(name, {"forward": forward_and_setup, "backward": backward_of_tensors})

    without_transforms = super(torch.autograd.Function, function).apply  # which has no look at every argument first

    def apply(inputs: tuple):
        call = function.apply if _was_transformed else without_transforms
        return call(inputs, *inputs[:count], *inputs[-1]) if has_list else call(inputs, *inputs[:count])

    return apply


def _differentiable(name, forward, fake, setup_context, backward, kept, compiled_gradient) -> Callable:
    kinds = _Inputs.of(forward)
    heads = kinds.tensors + kinds.others

    def setup_and_mark(ctx, inputs, output):
        setup_context(ctx, inputs, output)
        if kept:
            ctx.mark_non_differentiable(*output[-kept:])

    # The function is called with a list's tensors as arguments of their own.
    def setup(ctx, arguments, output):
        inputs = (*arguments[:heads], list(arguments[heads:])) if kinds.has_list else arguments
        setup_and_mark(ctx, inputs, output)

    def backward_of_all(ctx, *gradients):
        needs = ctx.needs_input_grad
        if not kinds.has_list:
            return kinds.gradients(backward(ctx, kinds.needs(needs), *gradients))
        *firsts, last = backward(ctx, kinds.needs((*needs[:heads], needs[heads:])), *gradients)
        return (*kinds.gradients(firsts), *(last or [None] * len(needs[heads:])))

    whole = _tensors_only(forward)

    def forward_of_all(*arguments):
        return _flat(whole(*arguments[:heads], list(arguments[heads:])) if kinds.has_list else whole(*arguments))

    function = _function(name, forward_of_all, setup, backward_of_all)
    plain = _plain(name, forward, setup_context, backward, kept)
    operation = None
    if COMPILABLE:
        operation = torch.library.custom_op(f"varlstm::{name}", whole, mutates_args=())
        operation.register_fake(fake)
        if compiled_gradient:
            operation.register_autograd(
                lambda ctx, *gradients: kinds.gradients(backward(ctx, kinds.needs(ctx.needs_input_grad), *gradients)),
                setup_context=setup_and_mark)

    def call(*inputs):
        if not isinstance(inputs[-1], Eager) and is_traced(inputs[0]):
            return operation(*inputs)
        if _is_transformed():
            _note_transform()
            return function.apply(*inputs[:-1], *inputs[-1]) if kinds.has_list else function.apply(*inputs)
        if torch.is_grad_enabled() or forward_ad._current_level >= 0:
            return plain(inputs)
        return forward(*inputs)

    return call


def adjoint(name: str, forward: Callable, fake: Callable, setup_context: Callable, backward: Callable) -> Callable:
    """The gradient of another operation, as an operation whose own gradient is of second order. torch.compile has no
    such gradients. It returns a tuple without a list at its end: that list's tensors are values of their own."""
    call = _differentiable(name, forward, fake, setup_context, backward, 0, False)

    def unwrapped(*inputs):
        if _was_transformed and not is_traced(inputs[0]):
            inputs = _unwrapped(inputs)
        try:
            return _flat(call(*inputs))
        except RuntimeError:
            if any(isinstance(value, torch.Tensor) and _is_legacy_batched(value) for value in inputs):
                raise RuntimeError(f"varlstm.torch: {name} takes no gradients of is_grads_batched=True or vectorize=True; take "
                                   "torch.vmap over what torch.func.vjp gives, or torch.func.jacrev") from None
            raise

    return unwrapped


def refuse_again(name: str, instead: str) -> Tuple[Callable, Callable]:
    """setup_context and backward of the adjoint of `name` that has no derivative: an error in place of a zero."""
    def backward(ctx, *unused):
        raise RuntimeError(f"varlstm.torch: the gradient of {name} cannot be differentiated again; take {instead}")

    return lambda ctx, inputs, output: None, backward
