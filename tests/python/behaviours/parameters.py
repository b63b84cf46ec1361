"""Parameters, state_dict, copies, moves, and what other code does to a module's parameters."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import io
import pickle

import torch
from torch.nn.utils import clip_grad_norm_, parameters_to_vector, parametrizations, prune, vector_to_parameters

from .table import Kind, assert_agree, assert_close, assert_same_error, differs, refused, same

DEEP = {"num_layers": 2, "bidirectional": True}
X = torch.randn(5, 3, 4)


def train(module, x=X) -> None:
    module.zero_grad()
    module(x)[0].square().mean().backward()


def assert_equal_parameters(theirs, ours) -> None:
    assert_close(list(ours.parameters()), list(theirs.parameters()))


@same("named_parameters: names, order, shapes")
def names(kind: Kind) -> None:
    for options in (DEEP, {"bias": False}):
        theirs, ours = kind.pair(**options)
        assert [(n, p.shape) for n, p in ours.named_parameters()] == [(n, p.shape) for n, p in theirs.named_parameters()]
        assert list(ours._parameters) == list(theirs._parameters)


@same("state_dict: keys, prefix, metadata")
def state_dict(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    expected, actual = theirs.state_dict(prefix="encoder."), ours.state_dict(prefix="encoder.")
    assert list(actual) == list(expected) and actual._metadata == expected._metadata


@same("load_state_dict: errors of missing and unexpected keys and of sizes")
def load_errors(kind: Kind) -> None:
    theirs, ours = kind.pair()
    state = theirs.state_dict()
    for wrong in ({**state, "extra": torch.zeros(1)}, {n: v for n, v in state.items() if n != "bias_hh_l0"},
                  {**state, "weight_hh_l0": torch.zeros(3, 3)}):
        assert_same_error(lambda: theirs.load_state_dict(wrong), lambda: ours.load_state_dict(wrong))


@same("load_state_dict with strict=False")
def load_not_strict(kind: Kind) -> None:
    theirs, ours = kind.pair()
    state = {"extra": torch.zeros(1), "bias_hh_l0": torch.ones_like(theirs.bias_hh_l0)}
    assert ours.load_state_dict(state, strict=False) == theirs.load_state_dict(state, strict=False)
    assert_agree(theirs, ours, X)


@same("load_state_dict with assign=True", since=(2, 1))
def load_assign(kind: Kind) -> None:
    theirs, ours = kind.pair()
    state = {name: value + 0.1 for name, value in theirs.state_dict().items()}
    for module in (theirs, ours):
        module.load_state_dict(state, assign=True)
        assert module.weight_hh_l0.data_ptr() == state["weight_hh_l0"].data_ptr()
    assert_agree(theirs, ours, X)


@same("hooks of state_dict and load_state_dict")
def state_hooks(kind: Kind) -> None:
    calls = []
    for module in kind.pair():
        module._register_state_dict_hook(lambda module, state, prefix, metadata: calls.append(list(state)))
        module._register_load_state_dict_pre_hook(lambda state, *rest: calls.append(list(state)))
        module.register_load_state_dict_post_hook(lambda module, keys: calls.append(list(keys)))
        module.load_state_dict(module.state_dict())
    assert calls[:3] == calls[3:] and len(calls) == 6


@same("all_weights")
def all_weights(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    assert [len(each) for each in ours.all_weights] == [len(each) for each in theirs.all_weights]
    assert all(a is b for a, b in zip(sum(ours.all_weights, []), ours.parameters()))


@same("_flat_weights follows a parameter that is set")
def flat_weights(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for module in (theirs, ours):
        module.weight_hh_l0 = torch.nn.Parameter(torch.full_like(module.weight_hh_l0, 0.1))
        assert all(a is b for a, b in zip(module._flat_weights, module.parameters()))
    assert_agree(theirs, ours, X)


@same("flatten_parameters")
def flatten_parameters(kind: Kind) -> None:
    theirs, ours = kind.pair()
    before = list(ours.parameters())
    assert ours.flatten_parameters() is None
    assert all(a is b for a, b in zip(before, ours.parameters()))
    assert_agree(theirs, ours, X)


@same("reset_parameters")
def reset_parameters(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    for module in (theirs, ours):
        torch.manual_seed(5)
        module.reset_parameters()
    assert_equal_parameters(theirs, ours)


@same("torch.nn.init over a parameter")
def init(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for module in (theirs, ours):
        torch.manual_seed(5)
        torch.nn.init.orthogonal_(module.weight_hh_l0)
        torch.nn.init.zeros_(module.bias_ih_l0)
    assert_agree(theirs, ours, X)


@same("a value that is no parameter in the place of one")
def set_a_value(kind: Kind) -> None:
    theirs, ours = kind.pair()
    assert_same_error(lambda: setattr(theirs, "weight_hh_l0", 5), lambda: setattr(ours, "weight_hh_l0", 5))


@same("get_parameter, children, buffers, apply")
def walks(kind: Kind) -> None:
    theirs, ours = kind.pair()
    assert ours.get_parameter("weight_hh_l0") is ours.weight_hh_l0
    assert not list(ours.children()) and not list(ours.buffers())
    seen = []
    assert ours.apply(seen.append) is ours and seen == [ours]
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]


@same("to, float, double, half, bfloat16")
def conversions(kind: Kind) -> None:
    for convert in (lambda m: m.double(), lambda m: m.to(torch.float64), lambda m: m.half().float(),
                    lambda m: m.bfloat16().double(), lambda m: m.to("cpu", torch.float32), lambda m: m.type(torch.float64)):
        theirs, ours = map(convert, kind.pair(**DEEP))
        assert_agree(theirs, ours, X.to(theirs.weight_ih_l0.dtype))


@same("to_empty, and the device meta")
def to_empty(kind: Kind) -> None:
    theirs, ours = kind.pair()
    ours.to("meta")
    ours.to_empty(device="cpu").load_state_dict(theirs.state_dict())
    assert_agree(theirs, ours, X)


@same("share_memory")
def share_memory(kind: Kind) -> None:
    theirs, ours = kind.pair()
    assert ours.share_memory() is ours and all(parameter.is_shared() for parameter in ours.parameters())
    assert_agree(theirs, ours, X)


@same("copy.deepcopy and pickle")
def copies(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(other) is kind.ours and other.weight_hh_l0 is not ours.weight_hh_l0
        assert_agree(theirs, other, X)


@same("torch.save and torch.load of a whole module")
def save_a_module(kind: Kind) -> None:
    theirs, ours = kind.pair()
    file = io.BytesIO()
    torch.save(ours, file)
    file.seek(0)
    assert_agree(theirs, torch.load(file, **({"weights_only": False} if hasattr(torch, "func") else {})), X)


@same("the size of a saved state_dict")
def save_sizes(kind: Kind) -> None:
    sizes = []
    for module in kind.pair(16, 32, **DEEP):
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        sizes.append(len(file.getvalue()))
    assert abs(sizes[1] - sizes[0]) <= 1024, sizes


@same("requires_grad_(False) of some parameters")
def frozen(kind: Kind) -> None:
    theirs, ours = kind.pair(**DEEP)
    for module in (theirs, ours):
        module.weight_hh_l0.requires_grad_(False)
        module.bias_ih_l1.requires_grad_(False)
        train(module)
        assert module.weight_hh_l0.grad is None and module.bias_ih_l1.grad is None
    assert_agree(theirs, ours, X)


@same("requires_grad_(False) of the whole module")
def all_frozen(kind: Kind) -> None:
    theirs, ours = kind.pair()
    assert_agree(theirs.requires_grad_(False), ours.requires_grad_(False), X)
    assert not ours(X)[0].requires_grad


@same("zero_grad, with set_to_none and without")
def zero_grad(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for set_to_none in (False, True):
        for module in (theirs, ours):
            train(module)
            module.zero_grad(set_to_none=set_to_none)
        assert [p.grad is None for p in ours.parameters()] == [p.grad is None for p in theirs.parameters()]


@same("train and eval")
def modes(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2, dropout=0.5)
    assert ours.training and ours.eval() is ours and not ours.training
    assert_agree(theirs.eval(), ours, X)
    assert ours.train().training


@same("a buffer and a module of its own")
def additions(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for module in (theirs, ours):
        module.register_buffer("scale", torch.ones(2))
        module.head = torch.nn.Linear(6, 2)
    assert list(ours.state_dict()) == list(theirs.state_dict()) and repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    assert_close(ours(X), theirs(X))


def train_changed(kind: Kind, change) -> tuple:
    """Outputs and gradients after `change(module)`, of torch's module and of ours."""
    found = []
    for module in kind.pair():
        torch.manual_seed(3)
        change(module)
        train(module)
        found.append([module(X)[0], *(parameter.grad for parameter in module.parameters())])
    return found


@same("torch.nn.utils.weight_norm and remove_weight_norm")
def weight_norm(kind: Kind) -> None:
    theirs, ours = train_changed(kind, lambda module: torch.nn.utils.weight_norm(module, "weight_hh_l0"))
    assert_close(ours, theirs)
    ours = torch.nn.utils.weight_norm(kind.ours(4, 6), "weight_hh_l0")
    torch.nn.utils.remove_weight_norm(ours, "weight_hh_l0")
    assert type(ours.weight_hh_l0) is torch.nn.Parameter and ours(X)[0].isfinite().all()


@same("torch.nn.utils.spectral_norm")
def spectral_norm(kind: Kind) -> None:
    theirs, ours = train_changed(kind, lambda module: torch.nn.utils.spectral_norm(module, "weight_hh_l0"))
    assert_close(ours, theirs)


@same("torch.nn.utils.parametrizations", since=(2, 1))
def parametrization(kind: Kind) -> None:
    theirs, ours = train_changed(kind, lambda module: parametrizations.orthogonal(module, "weight_hh_l0"))
    assert_close(ours, theirs)


@same("torch.nn.utils.prune")
def pruning(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for module in (theirs, ours):
        prune.l1_unstructured(module, "weight_hh_l0", amount=0.5)
    assert_agree(theirs, ours, X)
    for module in (theirs, ours):
        prune.remove(module, "weight_hh_l0")
    assert_agree(theirs, ours, X)


@same("parameters_to_vector and vector_to_parameters")
def vectors(kind: Kind) -> None:
    theirs, ours = kind.pair()
    for module in (theirs, ours):
        vector_to_parameters(parameters_to_vector(module.parameters()).detach() * 2, module.parameters())
    assert_agree(theirs, ours, X)


@same("clip_grad_norm_ and the norm it gives")
def clipping(kind: Kind) -> None:
    theirs, ours = kind.pair()
    norms = []
    for module in (theirs, ours):
        train(module)
        norms.append(clip_grad_norm_(module.parameters(), 0.01))
    assert_close(norms[1], norms[0])
    assert_close([p.grad for p in ours.parameters()], [p.grad for p in theirs.parameters()])


def steps_of(theirs, ours, make) -> None:
    for module in (theirs, ours):
        optimizer = make(module.parameters())

        def closure():
            optimizer.zero_grad()
            loss = module(X)[0].square().mean()
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
    assert_close(list(ours.parameters()), list(theirs.parameters()), rtol=1e-4, atol=1e-4)


@same("optimisers: SGD, Adam, AdamW")
def optimisers(kind: Kind) -> None:
    for make in (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.Adam(p, 0.01),
                 lambda p: torch.optim.AdamW(p, 0.01, foreach=True)):
        steps_of(*kind.pair(**DEEP), make)


@same("an optimiser of whole vectors: LBFGS")
def lbfgs(kind: Kind) -> None:
    steps_of(*kind.pair(), lambda p: torch.optim.LBFGS(p, max_iter=2))


@same("averages of a model: torch.optim.swa_utils")
def averages(kind: Kind) -> None:
    from torch.optim.swa_utils import AveragedModel
    theirs, ours = map(AveragedModel, kind.pair())
    for averaged in (theirs, ours):
        train(averaged.module)
        averaged.update_parameters(averaged.module)
    assert_agree(theirs.module, ours.module, X)


@same("tied parameters of two modules")
def tied(kind: Kind) -> None:
    found = []
    for first, second in zip(kind.pair(6, 6), kind.pair(6, 6)):
        torch.manual_seed(2)
        first.reset_parameters()
        second.reset_parameters()
        second.weight_hh_l0 = first.weight_hh_l0
        second(first(torch.ones(2, 3, 6))[0])[0].sum().backward()
        found.append(first.weight_hh_l0.grad)
    assert_close(found[1], found[0])


@differs("memory of the parameters", "they lie side by side, each in a storage of its own that cannot be resized")
def memory(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    first, second = ours.weight_ih_l0, ours.weight_hh_l0
    assert second.data_ptr() == first.data_ptr() + first.numel() * first.element_size()


@refused("resizing a parameter's storage", RuntimeError, "not resizable")
def resize(kind: Kind) -> None:
    parameter = kind.ours(4, 6).weight_hh_l0.detach()
    storage = parameter.untyped_storage() if hasattr(parameter, "untyped_storage") else parameter.storage()
    storage.resize_(0)


@refused("a parameter of another shape", ValueError, "weight_hh_l0 is of shape (24, 7), and must be (24, 6)", kinds=("LSTM",))
def wrong_shape(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    ours.weight_hh_l0 = torch.nn.Parameter(torch.zeros(24, 7))
    ours(X)
