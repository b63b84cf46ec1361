"""What transforms functions: torch.func, forward mode, second derivatives, vmap."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch

from .table import Kind, assert_close, refused, same

X = torch.randn(5, 3, 4)
FUNC = (2, 0)  # torch.func


def loss_of(module, options=()):
    """A loss as a function of a module's parameters and input."""
    return lambda params, x: torch.func.functional_call(module, params, (x, *options))[0].square().mean()


def detached(module) -> dict:
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


@same("torch.func.functional_call", since=FUNC)
def functional_call(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2)
    params = {name: value + 0.1 for name, value in detached(theirs).items()}
    expected = torch.func.functional_call(theirs, params, (X,))
    assert_close(torch.func.functional_call(ours, params, (X,)), expected)
    some = {"weight_hh_l0": params["weight_hh_l0"]}
    assert_close(torch.func.functional_call(ours, some, (X,)), torch.func.functional_call(theirs, some, (X,)))
    assert_close(ours(X), theirs(X))


@same("torch.func.grad and grad_and_value", since=FUNC)
def func_grad(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2)
    params = detached(theirs)
    found = [torch.func.grad_and_value(loss_of(module), argnums=(0, 1))(params, X) for module in (theirs, ours)]
    assert_close(found[1][1], found[0][1])
    assert_close(found[1][0][0].values(), found[0][0][0].values())
    assert_close(found[1][0][1], found[0][0][1])


@same("torch.func.vjp", since=FUNC)
def vjp(kind: Kind) -> None:
    theirs, ours = kind.pair()
    cotangent = torch.randn(5, 3, 6)
    found = [torch.func.vjp(lambda x: module(x)[0], X)[1](cotangent) for module in (theirs, ours)]
    assert_close(found[1], found[0])


@same("torch.vmap over inputs, one call after the other", since=FUNC)
def vmap(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2)
    inputs = torch.stack([X, -X])
    assert_close(torch.vmap(lambda x: ours(x)[0])(inputs), torch.stack([theirs(x)[0] for x in inputs]))


@same("torch.vmap over the weights of several networks", since=FUNC)
def vmap_over_weights(kind: Kind) -> None:
    pairs = [kind.pair() for _ in range(3)]
    params, _ = torch.func.stack_module_state([ours for _, ours in pairs])
    call = torch.vmap(lambda params: torch.func.functional_call(pairs[0][1], params, (X,))[0])
    assert_close(call(params), torch.stack([theirs(X)[0] for theirs, _ in pairs]))


@same("gradients of each sample: torch.vmap of torch.func.grad", since=FUNC)
def per_sample(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2)
    inputs = torch.stack([X, -X, 2 * X])
    actual = torch.vmap(torch.func.grad(loss_of(ours)), in_dims=(None, 0))(detached(ours), inputs)
    expected = [torch.autograd.grad(theirs(x)[0].square().mean(), list(theirs.parameters())) for x in inputs]
    assert_close(actual.values(), [torch.stack(each) for each in zip(*expected)])


@same("torch.func.jacrev and torch.autograd.functional.jacobian", since=FUNC)
def jacrev(kind: Kind) -> None:
    theirs, ours = kind.pair()
    expected = torch.autograd.functional.jacobian(lambda x: theirs(x)[0][-1], X)
    assert_close(torch.func.jacrev(lambda x: ours(x)[0][-1])(X), expected)
    assert_close(torch.autograd.functional.jacobian(lambda x: ours(x)[0][-1], X), expected)


@refused("a gradient of a gradient", RuntimeError, "cannot be differentiated again; take what module.to_torch() gives")
def second_derivative(kind: Kind) -> None:
    x = X.clone().requires_grad_()
    gradient, = torch.autograd.grad(kind.ours(4, 6)(x)[0].sum(), x, create_graph=True)
    gradient.square().sum().backward()


@refused("forward mode: torch.func.jvp", NotImplementedError, "has no forward mode (jvp, jacfwd); take torch.func.vjp",
         since=FUNC)
def jvp(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    torch.func.jvp(lambda x: ours(x)[0], (X,), (X,))


@refused("forward mode: torch.autograd.forward_ad", NotImplementedError, "has no forward mode (jvp, jacfwd)")
def dual_tensors(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    with torch.no_grad(), torch.autograd.forward_ad.dual_level():
        ours(torch.autograd.forward_ad.make_dual(X, X))
