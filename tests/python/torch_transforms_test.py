"""What transforms functions over varlstm.torch: torch.func, torch.jit.trace and torch.export."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import PackedSequence  # noqa: E402

from varlstm import torch as ours  # noqa: E402

func = pytest.importorskip("torch.func") if hasattr(torch, "func") else None
needs_func = pytest.mark.skipif(func is None, reason="torch.func came with torch 2.0")

LENGTHS = torch.tensor([5, 0, 3])
X = torch.randn(3, 5, 4)  # [B, T, I]
TAGS = torch.randint(0, 7, (3, 5))


class Model(torch.nn.Module):
    """A loss by each of the functions."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = ours.LSTM(4, 6, 2, bidirectional=True, batch_first=True)
        self.linear = torch.nn.Linear(12, 7)

    def forward(self, x, way: str):
        if way == "packed":
            sequence, (h_n, c_n) = self.lstm(ours.pack_padded_sequence(x, LENGTHS, True, enforce_sorted=False))
            y, _ = ours.pad_packed_sequence(sequence, True)
        else:
            y, (h_n, c_n) = self.lstm(x, lengths=LENGTHS)
        if way == "fused":
            loss = ours.linear_cross_entropy(y, self.linear.weight, self.linear.bias, TAGS)
        elif way == "nll":
            loss = ours.nll_loss(ours.log_softmax(self.linear(y), dim=2).transpose(1, 2), TAGS)
        else:
            loss = ours.cross_entropy(self.linear(y).flatten(0, 1), TAGS.flatten())
        return loss + (h_n * c_n).sum()


def loss_of(model: Model, way: str):
    """The loss as a function of parameters and input, and those."""
    params = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return (lambda params, x: func.functional_call(model, params, (x, way))), params


@needs_func
def test_a_module_made_inside_a_transform() -> None:
    def loss(cell, x):
        torch.manual_seed(0)
        return cell(4, 6, 2, batch_first=True)(x)[0].square().sum()

    for theirs, own in ((torch.nn.LSTM, ours.LSTM), (torch.nn.GRU, ours.GRU)):
        torch.testing.assert_close(func.grad(lambda x: loss(own, x))(X), func.grad(lambda x: loss(theirs, x))(X))
    cell = func.grad(lambda x: ours.LSTMCell(4, 6)(x)[0].sum())(X[0])
    assert cell.shape == X[0].shape and cell.any()


@needs_func
def test_gradients_batched_in_torchs_old_way_are_refused() -> None:
    x = X.clone().requires_grad_()
    y = ours.LSTM(4, 6, batch_first=True)(x)[0]
    if not hasattr(torch._C._functorch, "is_legacy_batchedtensor"):
        pytest.skip("this torch cannot tell them")
    with pytest.raises(RuntimeError, match="lstm_backward takes no gradients of is_grads_batched=True"):
        torch.autograd.grad(y, x, torch.randn(2, *y.shape), is_grads_batched=True)
    y, pullback = func.vjp(lambda x: ours.LSTM(4, 6, batch_first=True)(x)[0], X)  # the way that the error names
    assert torch.vmap(pullback)(torch.randn(2, *y.shape))[0].shape == (2, *X.shape)


@needs_func
@pytest.mark.parametrize("way", ["packed", "padded", "fused", "nll"])
def test_func_grad_gives_autograds_gradients(way: str) -> None:
    model, x = Model(), X.clone().requires_grad_()
    loss, params = loss_of(model, way)
    expected = torch.autograd.grad(model(x, way), [*model.parameters(), x])
    (dparams, dx), value = func.grad_and_value(loss, argnums=(0, 1))(params, X)
    torch.testing.assert_close([*dparams.values(), dx], list(expected), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(value, model(X, way).detach())
    _, pullback = func.vjp(loss, params, X)
    torch.testing.assert_close([*pullback(torch.tensor(1.0))[0].values()], list(expected[:-1]), rtol=1e-6, atol=1e-7)


@needs_func
@pytest.mark.parametrize("cell", [ours.GRU, ours.RNN])
def test_func_grad_of_cells_without_c(cell) -> None:
    rnn, hx = cell(4, 6, 2, batch_first=True), torch.randn(2, 3, 6)
    params = {name: parameter.detach() for name, parameter in rnn.named_parameters()}

    def loss(params, x):
        y, h_n = func.functional_call(rnn, params, (x, hx, LENGTHS))
        return y.square().sum() + h_n.sum()

    x = X.clone().requires_grad_()
    expected = torch.autograd.grad(loss(dict(rnn.named_parameters()), x), [*rnn.parameters(), x])
    dparams, dx = func.grad(loss, argnums=(0, 1))(params, X)
    torch.testing.assert_close([*dparams.values(), dx], list(expected), rtol=1e-6, atol=1e-7)


@needs_func
@pytest.mark.parametrize("make", [ours.LSTMCell, ours.GRUCell, ours.RNNCell])
def test_func_grad_of_a_cell(make) -> None:
    cell, hx = make(4, 6), torch.randn(3, 6)
    params = {name: parameter.detach() for name, parameter in cell.named_parameters()}

    def loss(params, x):
        states = func.functional_call(cell, params, (x, (hx, hx) if make is ours.LSTMCell else hx))
        return states[-1].square().sum()

    x = X[:, 0].clone().requires_grad_()
    expected = torch.autograd.grad(loss(dict(cell.named_parameters()), x), [*cell.parameters(), x])
    dparams, dx = func.grad(loss, argnums=(0, 1))(params, X[:, 0])
    torch.testing.assert_close([*dparams.values(), dx], list(expected), rtol=1e-6, atol=1e-7)


@needs_func
def test_no_grad_inside_func_grad() -> None:
    model = Model()
    loss, params = loss_of(model, "fused")

    def beside_a_teacher(params):
        with torch.no_grad():
            teacher = loss(params, X)
        return loss(params, X) - teacher

    expected = torch.autograd.grad(model(X, "fused"), list(model.parameters()))
    torch.testing.assert_close([*func.grad(beside_a_teacher)(params).values()], list(expected), rtol=1e-6, atol=1e-7)


@needs_func
@pytest.mark.parametrize("way", ["packed", "padded", "fused", "nll"])
def test_what_torch_func_cannot_do_is_an_error(way: str) -> None:
    loss, params = loss_of(Model(), way)

    def slope(x):
        return func.grad(loss, argnums=1)(params, x).square().sum()

    with pytest.raises(RuntimeError, match="varlstm.torch: .* cannot be differentiated again"):
        func.grad(slope)(X)
    with pytest.raises(NotImplementedError, match=r"varlstm.torch: \w+ has no forward mode \(jvp, jacfwd\)"):
        func.jvp(lambda x: loss(params, x), (X,), (X,))
    with pytest.raises(ValueError, match=r"varlstm.torch: torch.vmap of \w+ over 0 elements"):
        func.vmap(lambda x: loss(params, x))(torch.zeros(0, *X.shape))


@needs_func
@pytest.mark.parametrize("way", ["packed", "padded", "fused", "nll"])
def test_vmap_runs_one_call_after_the_other(way: str) -> None:
    """Over inputs, with gradients of each and of their sum; and gradients of the parameters for each sample alone."""
    model, inputs = Model(), torch.randn(4, *X.shape)
    loss, params = loss_of(model, way)
    torch.testing.assert_close(func.vmap(lambda x: loss(params, x))(inputs), torch.stack([model(x, way) for x in inputs]))
    leaf = inputs.clone().requires_grad_()
    each = [torch.autograd.grad(model(x, way), [x, *model.parameters()]) for x in leaf]
    torch.testing.assert_close(func.grad(lambda xs: func.vmap(lambda x: loss(params, x))(xs).sum())(inputs),
                               torch.stack([gradients[0] for gradients in each]))
    dparams, dx = func.vmap(func.grad(loss, argnums=(0, 1)), in_dims=(None, 0))(params, inputs)
    for actual, *expected in zip([dx, *dparams.values()], *each):
        torch.testing.assert_close(actual, torch.stack(expected), rtol=1e-5, atol=1e-6)


@needs_func
@pytest.mark.parametrize("cell", [ours.LSTM, ours.GRU, ours.RNN])
def test_vmap_over_weights_lengths_and_states(cell) -> None:
    networks, x = [cell(4, 6, 2, batch_first=True) for _ in range(3)], X
    params, _ = func.stack_module_state(networks)
    lengths = torch.tensor([[5, 0, 3], [1, 2, 3], [0, 0, 4]])
    h_0 = torch.randn(2, 3, 3, 6)  # vmap runs over its second dimension

    def call(network, params, lengths, h_0):
        hx = (h_0, h_0) if cell is ours.LSTM else h_0
        return func.functional_call(network, params, (x, hx, lengths))[0]

    actual = func.vmap(lambda *arguments: call(networks[0], *arguments), (0, 0, 1))(params, lengths, h_0)
    expected = [call(network, dict(network.named_parameters()), lengths[k], h_0[:, k])
                for k, network in enumerate(networks)]
    torch.testing.assert_close(actual, torch.stack(expected))
    with pytest.raises(ValueError, match=r"lengths\[1\] = 6 is not in 0 ... 5"):
        func.vmap(lambda lengths: networks[0](x, None, lengths)[0])(torch.tensor([[5, 6, 3]]))
    with pytest.raises(IndexError, match=r"target\[1\] = 9 is not in 0 ... 3"):
        func.vmap(lambda target: ours.cross_entropy(x[0], target))(torch.tensor([[1, 9, 0, 0, 0]]))


@needs_func
def test_jacobians_and_hessians() -> None:
    lstm = ours.LSTM(4, 6, batch_first=True).double()
    x, logits, target = X.double(), torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 4, -100, 2])
    actual = func.jacrev(lambda x: lstm(x, lengths=LENGTHS)[0][:, 1])(x)
    expected = torch.autograd.functional.jacobian(lambda x: lstm(x, lengths=LENGTHS)[0][:, 1], x)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(func.jacrev(func.grad(lambda x: ours.cross_entropy(x, target)))(logits),
                               func.hessian(lambda x: torch.nn.functional.cross_entropy(x, target))(logits))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("gradients", [False, True])
def test_jit_trace_is_refused(gradients: bool) -> None:
    """Its graph would have the memory that a call wrote to, and not the call."""
    packed = ours.pack_padded_sequence(X, [5, 5, 5], True)
    with torch.set_grad_enabled(gradients):
        for function in (lambda x: ours.pack_padded_sequence(x, [3, 2, 1, 1, 1]).data, lambda x: ours.GRUCell(4, 6)(x[0]),
                         lambda x: ours.pad_packed_sequence(PackedSequence(x.flatten(0, 1), packed.batch_sizes))[0],
                         lambda x: ours.log_softmax(x, 2), lambda x: ours.cross_entropy(x[0], TAGS[0, :5] % 4),
                         lambda x: ours.linear_cross_entropy(x, torch.ones(7, 4), None, TAGS)):
            with pytest.raises(RuntimeError, match="torch.jit.trace cannot look into the library"):
                torch.jit.trace(function, (X,), check_trace=False)
        for options, error in (({"lengths": [5, 0, 3]}, "lengths cannot be in a program of torch.jit.trace or torch.onnx"),
                               ({"resets": torch.zeros(3, 5, dtype=torch.bool)}, "resets cannot be in a program"),
                               ({"cell_states": True}, "cell_states cannot be in a program")):
            with pytest.raises(ValueError, match=error):
                torch.jit.trace(lambda x: ours.LSTM(4, 6, batch_first=True)(x, **options)[0], (X,), check_trace=False)
        for module, error in ((ours.LSTM(4, 6, zoneout_h=0.5), "torch.nn.LSTM has no zoneout_h = 0.5"),
                              (ours.GRU(4, 6, reset_after=False), "none with reset_after=False"),
                              (ours.LayerNormGRU(4, 6), "torch.nn has no GRU with layer normalisation")):
            with pytest.raises(ValueError, match=error):
                torch.jit.trace(module, (X,), check_trace=False)


class Around(torch.nn.Module):
    """A call of a network with one tensor in and one out."""

    def __init__(self, network, way: str) -> None:
        super().__init__()
        self.network, self.way = network, way

    def forward(self, x):
        if self.way == "packed":
            sequence = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([2, 5, 3]), True, enforce_sorted=False)
            output, states = self.network(sequence, self.states(3))
            output = output.data
        elif self.way == "unbatched":
            output, states = self.network(x[0], self.states(None))
        else:
            output, states = self.network(x, self.states(3) if self.way == "states" else None)
        return output.sum(0) + (states[0] if isinstance(states, tuple) else states).sum()

    def states(self, batch):
        state = torch.full((4, 6) if batch is None else (4, batch, 6), 0.25)
        state = state if batch is None else state * torch.arange(3.0).view(3, 1)
        return (state, state) if self.network.mode == "LSTM" else state


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("way", ["padded", "states", "packed", "unbatched"])
@pytest.mark.parametrize("make", [ours.LSTM, ours.GRU, ours.RNN])
def test_jit_trace_takes_torchs_own_operation(make, way: str) -> None:
    """With the very parameters of the module."""
    model = Around(make(4, 6, 2, bidirectional=True, batch_first=True), way)
    traced = torch.jit.trace(model, (X,), check_trace=False)
    with torch.no_grad():
        model.network.weight_hh_l1.mul_(2)
    assert [name for name, _ in traced.named_parameters()] == [name for name, _ in model.named_parameters()]
    torch.testing.assert_close(traced(-X), model(-X))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("make", [ours.LSTM, ours.GRU, ours.RNN])
def test_onnx_export(make, dynamo: bool, tmp_path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if dynamo:
        pytest.importorskip("onnxscript")
        pytest.importorskip("torch.onnx._internal.exporter._flags", reason="this torch does not tell that it exports")
    model = Around(make(4, 6, 2, bidirectional=True, batch_first=True), "padded").eval()
    path = str(tmp_path / "model.onnx")
    torch.onnx.export(model, (X,), path, **({"dynamo": dynamo} if hasattr(torch, "export") else {}))
    session = onnxruntime.InferenceSession(path)
    actual = session.run(None, {session.get_inputs()[0].name: X.numpy()})[0]
    torch.testing.assert_close(torch.from_numpy(actual), model(X).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", [ours.LSTM, ours.GRU, ours.RNN])
def test_jit_script_and_trace_of_torchs_own_module(cell) -> None:
    """Scripting takes that module by itself, with the same parameters; tracing takes what to_torch gives."""
    rnn = cell(4, 6, 2, batch_first=True).eval()
    model = torch.nn.Sequential(rnn)
    scripted = torch.jit.script(copy.deepcopy(model))
    for compiled in (scripted, torch.jit.trace(rnn.to_torch(), (X,), check_trace=False)):
        torch.testing.assert_close(compiled(X), rnn(X))
    assert type(model[0]) is cell
    scripted = torch.jit.script(model)
    with torch.no_grad():
        rnn.weight_hh_l0.mul_(2)
    torch.testing.assert_close(scripted(X), rnn(X))


@pytest.mark.skipif(not hasattr(torch.library, "custom_op"), reason="torch.library.custom_op came with torch 2.4")
@pytest.mark.parametrize("cell", [ours.LSTM, ours.GRU, ours.RNN])
def test_export(cell) -> None:
    rnn = cell(4, 6, 2, batch_first=True)
    program = torch.export.export(rnn, (X, None, LENGTHS))
    other = (torch.randn(3, 5, 4), None, torch.tensor([1, 2, 3]))
    torch.testing.assert_close(program.module()(*other), rnn(*other))


@pytest.mark.skipif(not hasattr(torch.library, "custom_op"), reason="torch.library.custom_op came with torch 2.4")
def test_make_fx_of_real_tensors() -> None:
    make_fx = pytest.importorskip("torch.fx.experimental.proxy_tensor").make_fx
    rnn = ours.LSTM(4, 6, batch_first=True)

    def gradient(x):
        return torch.autograd.grad(ours.cross_entropy(rnn(x)[0].flatten(0, 1), torch.arange(15) % 6), x)[0]

    for function, x in ((lambda x: rnn(x)[0], X), (gradient, X.clone().requires_grad_())):
        graph = make_fx(function)(x)
        other = (x + 1).detach().requires_grad_(x.requires_grad)
        torch.testing.assert_close(graph(other), function(other))
    with torch.no_grad():
        torch.testing.assert_close(make_fx(lambda x: rnn(x)[0])(X)(X + 1), rnn(X + 1)[0])


@pytest.mark.skipif(not hasattr(torch.library, "custom_op"), reason="torch.library.custom_op came with torch 2.4")
def test_export_of_any_batch_with_gradients() -> None:
    rnn, batch = ours.LSTM(4, 6, batch_first=True), torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(rnn, (X,), dynamic_shapes={"input": {0: batch}})
    for size in (2, 3, 7):
        x = torch.randn(size, 5, 4)
        torch.testing.assert_close(program.module()(x), rnn(x))
