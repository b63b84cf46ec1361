"""Gradients, modes of autograd, dropout, hooks and autocast."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from .table import Kind, assert_agree, assert_close, assert_same_error, differs, refused, results, same

DEEP = {"num_layers": 2, "bidirectional": True}
X = torch.randn(5, 3, 4)


@same("gradients of the input and of the states")
def inputs(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    for options in ({}, {"requires_grad": False}):
        theirs.requires_grad_(**options)
        ours.requires_grad_(**options)
        assert_agree(theirs, ours, X, kind.states(4, 3, 6))


@same("torch.autograd.gradcheck")
def gradcheck(kind: Kind) -> None:
    ours, x = kind.ours(2, 3, dtype=torch.float64), torch.randn(2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ours(x)[0], x)


@same("torch.no_grad and torch.inference_mode")
def without_gradients(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            actual, expected = ours(X), theirs(X)
        assert not actual[0].requires_grad and actual[0].is_inference() == expected[0].is_inference()
        assert_close(actual, expected)


@same("gradients in evaluation mode")
def in_evaluation_mode(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2, dropout=0.5)
    assert_agree(theirs.eval(), ours.eval(), X)


@same("retain_graph: backward twice")
def retain_graph(kind: Kind) -> None:
    found = []
    for module in kind.pair():
        loss = module(X)[0].square().mean()
        loss.backward(retain_graph=True)
        loss.backward()
        found.append([parameter.grad for parameter in module.parameters()])
    assert_close(found[1], found[0])


@same("the error of backward twice without retain_graph")
def backward_twice(kind: Kind) -> None:
    losses = [module(X)[0].sum() for module in kind.pair()]
    for loss in losses:
        loss.backward()
    assert_same_error(losses[0].backward, losses[1].backward)


@refused("parameters that change before backward", RuntimeError, "modified by an inplace operation")
def changed_parameters(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    loss = ours(X)[0].sum()
    with torch.no_grad():
        ours.weight_hh_l0.add_(1)
    loss.backward()


@refused("an output that changes before backward, as with torch's on a GPU", RuntimeError, "modified by an inplace operation")
def changed_output(kind: Kind) -> None:
    output, _ = kind.ours(4, 6)(X)
    output.mul_(2)
    output.sum().backward()


@same("gradients of some results alone")
def some_results(kind: Kind) -> None:
    for pick in (lambda output, states: output[-1], lambda output, states: states[0] if kind.name == "LSTM" else states):
        found = []
        for module in kind.pair(**DEEP):
            pick(*module(X)).square().sum().backward()
            found.append([parameter.grad for parameter in module.parameters()])
        assert_close(found[1], found[0])


@same("truncated backpropagation: states are detached")
def truncated(kind: Kind) -> None:
    found = []
    for module in kind.pair():
        hx = None
        for piece in X.split(2):
            output, hx = module(piece, hx)
            output.square().mean().backward()
            hx = tuple(state.detach() for state in hx) if kind.name == "LSTM" else hx.detach()
        found.append([parameter.grad for parameter in module.parameters()])
    assert_close(found[1], found[0])


@same("torch.utils.checkpoint")
def checkpoints(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    for reentrant in (True, False):
        found = []
        for module in (theirs, ours):
            x = X.clone().requires_grad_()
            module.zero_grad()
            checkpoint(lambda x: module(x)[0], x, use_reentrant=reentrant).square().sum().backward()
            found.append([x.grad, *(parameter.grad for parameter in module.parameters())])
        assert_close(found[1], found[0])


@same("torch.autograd.graph.save_on_cpu")
def saved_tensors(kind: Kind) -> None:
    theirs, ours = kind.pair()
    expected = results(theirs, X)
    with torch.autograd.graph.save_on_cpu():
        assert_close(results(ours, X), expected)


@same("torch.autograd.detect_anomaly")
def anomaly(kind: Kind) -> None:
    theirs, ours = kind.pair()
    with torch.autograd.detect_anomaly():
        assert_agree(theirs, ours, X)


@same("hooks of tensors: an input's and a parameter's")
def tensor_hooks(kind: Kind) -> None:
    found = []
    for module in kind.pair():
        seen, x = [], X.clone().requires_grad_()
        x.register_hook(seen.append)
        module.weight_hh_l0.register_hook(seen.append)
        module(x)[0].square().sum().backward()
        found.append(sorted(seen, key=torch.Tensor.numel))
    assert_close(found[1], found[0])


@same("hooks before and after forward, which may change input and output")
def forward_hooks(kind: Kind) -> None:
    found = []
    for module in kind.pair():
        handles = [module.register_forward_pre_hook(lambda module, inputs: (inputs[0] * 2,)),
                   module.register_forward_hook(lambda module, inputs, output: (output[0] + 1, output[1]))]
        found.append(module(X))
        for handle in handles:
            handle.remove()
        found[-1] = [found[-1], module(X)]
    assert_close(found[1], found[0])


@same("hooks that see named arguments", since=(2, 0))
def named_hooks(kind: Kind) -> None:
    seen = []
    for module in kind.pair():
        module.register_forward_pre_hook(lambda module, inputs, named: seen.append(list(named)), with_kwargs=True)
        module(X, hx=kind.states(1, 3, 6))
    assert seen == [["hx"], ["hx"]]


@same("full backward hooks")
def backward_hooks(kind: Kind) -> None:
    found = []
    for module in kind.pair():
        module.register_full_backward_hook(lambda module, dx, dy: found.append([dx, dy[0]]))
        module(X.clone().requires_grad_())[0].square().sum().backward()
    assert_close(found[1], found[0])


@same("dropout in training mode: its share, and the same again from the same seed")
def dropout(kind: Kind) -> None:
    shares = []
    for module in kind.pair(4, 64, num_layers=2, dropout=0.5):
        with torch.no_grad():
            module.weight_ih_l1.zero_()[:64].fill_diagonal_(1.0)  # a gate of layer 1 sees which units were dropped
        x = torch.randn(6, 8, 4)
        torch.manual_seed(4)
        first = module(x)[0]
        torch.manual_seed(4)
        assert torch.equal(module(x)[0], first) and not torch.equal(module(x)[0], first)
        shares.append(float((first - module.eval()(x)[0]).abs().mean()))
    assert abs(shares[1] - shares[0]) < 0.15 * shares[0], shares


@same("dropout = 1: nothing goes from a layer to the next")
def whole_dropout(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP, dropout=1.0)
    assert_agree(theirs, ours, X, kind.states(4, 3, 6))
    assert_agree(theirs, ours, pack_padded_sequence(X, [5, 3, 1]))
    assert_agree(theirs.eval(), ours.eval(), X)


@differs("the masks of dropout", "others than torch's from the same seed, one mask for any number of threads")
def masks(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2, dropout=0.5)
    found = []
    for module in (theirs, ours):
        torch.manual_seed(4)
        found.append(module(X)[0])
    assert not torch.allclose(*found)


@same("torch.autocast: the dtype of the output, and its values to that precision", since=(2, 1))
def autocast(kind: Kind) -> None:
    theirs, ours = kind.pair()
    with torch.autocast("cpu", torch.bfloat16):
        expected, actual = theirs(X)[0], ours(X)[0]
        with torch.autocast("cpu", enabled=False):
            inner = ours(X)[0]
    assert actual.dtype == expected.dtype and inner.dtype == torch.float32
    torch.testing.assert_close(actual.float(), expected.float(), rtol=0.02, atol=0.02)
    torch.testing.assert_close(inner, theirs(X)[0])


@same("torch.cuda.amp's scaler without a GPU: gradients in float32 under autocast", since=(2, 1))
def autocast_gradients(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        loss = ours(X)[0].float().square().mean()
    loss.backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in ours.parameters())
