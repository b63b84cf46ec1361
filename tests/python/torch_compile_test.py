"""torch.compile over varlstm.torch, from torch 2.4 on: one graph without a break, and the same numbers."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
if not hasattr(torch.library, "custom_op"):
    pytest.skip(f"torch {torch.__version__} has no torch.library.custom_op: it came with 2.4", allow_module_level=True)

if [int(part) for part in torch.__version__.split(".")[:2]] < [2, 8]:  # torch asks for it where shapes are dynamic
    torch._dynamo.config.capture_dynamic_output_shape_ops = True

from varlstm import torch as ours  # noqa: E402
from varlstm.torch._device import NO_OPTIONS  # noqa: E402


class Model(torch.nn.Module):
    def __init__(self, **options) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(10, 4, padding_idx=0)
        self.lstm = ours.LSTM(4, 6, 2, bidirectional=True, batch_first=True, **options)
        self.linear = torch.nn.Linear(12, 5)

    def forward(self, words, lengths, tags, way: str):
        y, (h_n, c_n) = self.lstm(self.embedding(words), lengths=lengths)
        if way == "fused":
            loss = ours.linear_cross_entropy(y, self.linear.weight, self.linear.bias, tags, ignore_index=0)
        elif way == "nll":
            log_probs = ours.log_softmax(self.linear(y), dim=2)
            loss = ours.nll_loss(log_probs.transpose(1, 2), tags, ignore_index=0)
        else:
            loss = ours.cross_entropy(self.linear(y).flatten(0, 1), tags.flatten(), ignore_index=0)
        return loss + (h_n * c_n).mean()


def draw(batch: int, steps: int) -> tuple:
    words, tags = torch.randint(1, 10, (batch, steps)), torch.randint(0, 5, (batch, steps))
    return words, torch.randint(0, steps + 1, (batch,)), tags


def results(model, function, *arguments) -> list:
    model.zero_grad()
    loss = function(*arguments)
    loss.backward()
    return [loss.detach()] + [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("way", ["fused", "nll", "cross_entropy"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_one_graph_with_the_same_gradients(backend: str, dynamic: bool, way: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    model = Model()
    compiled = torch.compile(model, fullgraph=True, backend=backend, dynamic=dynamic)
    for batch, steps in ((3, 5), (4, 7), (2, 3)):
        arguments = (*draw(batch, steps), way)
        for actual, expected in zip(results(model, compiled, *arguments), results(model, model, *arguments)):
            torch.testing.assert_close(actual, expected)
    results(model, compiled, *arguments)
    for gradient in (parameter.grad for parameter in model.lstm.parameters()):  # each fills a storage of its own
        assert gradient.untyped_storage().nbytes() == gradient.numel() * gradient.element_size()
    with torch.no_grad():
        torch.testing.assert_close(compiled(*arguments), model(*arguments))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_without_lengths_and_with_states(backend: str) -> None:
    torch._dynamo.reset()
    lstm = ours.LSTM(4, 6)
    compiled = torch.compile(lstm, fullgraph=True, backend=backend)
    x, state = torch.randn(5, 3, 4), torch.randn(1, 3, 6)
    torch.testing.assert_close(compiled(x), lstm(x))
    torch.testing.assert_close(compiled(x, (state, state)), lstm(x, (state, state)))
    torch.testing.assert_close(compiled(x[:, 0]), lstm(x[:, 0]))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("make", [ours.GRU, ours.RNN, lambda *sizes, **options: ours.RNN(*sizes, "relu", **options)])
def test_cells_without_c(make, backend: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    rnn = make(4, 6, 2, bidirectional=True, batch_first=True)
    compiled = torch.compile(rnn, fullgraph=True, backend=backend)
    for lengths in (None, torch.tensor([5, 0, 2])):
        found = []
        for function in (rnn, compiled):
            rnn.zero_grad()
            torch.manual_seed(1)
            x, hx = torch.randn(3, 5, 4, requires_grad=True), torch.randn(4, 3, 6, requires_grad=True)
            y, h_n = function(x, hx, lengths)
            (y.square().sum() + h_n.sum()).backward()
            found.append([y.detach(), h_n.detach(), x.grad, hx.grad, *(p.grad.clone() for p in rnn.parameters())])
        for expected, actual in zip(*found):
            torch.testing.assert_close(actual, expected)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x, hx, lengths), rnn(x, hx, lengths))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
@pytest.mark.parametrize("make", [ours.LSTM, ours.GRU, ours.RNN])
def test_resets(make, dtype: torch.dtype, backend: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    rnn = make(4, 6, 2, bidirectional=True, batch_first=True)
    compiled = torch.compile(rnn, fullgraph=True, backend=backend)
    resets = (torch.rand(3, 5) < 0.4).to(dtype)
    for lengths in (None, torch.tensor([5, 0, 2])):
        found = []
        for function in (rnn, compiled):
            rnn.zero_grad()
            torch.manual_seed(1)
            x = torch.randn(3, 5, 4, requires_grad=True)
            y, _ = function(x, None, lengths, resets)
            y.square().sum().backward()
            found.append([y.detach(), x.grad, *(p.grad.clone() for p in rnn.parameters())])
        for expected, actual in zip(*found):
            torch.testing.assert_close(actual, expected)
        assert not torch.equal(found[1][0], rnn(x, None, lengths)[0])
    if dtype == torch.uint8:
        with pytest.raises(Exception, match="resets.* = 7 is neither 0 nor 1"):
            compiled(x, None, lengths, torch.full((3, 5), 7, dtype=dtype))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("make", [ours.LSTMCell, ours.GRUCell, ours.RNNCell])
def test_a_loop_over_a_cell(make, backend: str) -> None:
    torch._dynamo.reset()
    torch.manual_seed(0)
    cell = make(4, 6)

    def loop(x):
        states = None
        for step in x:
            states = cell(step, states)
        return torch.stack(states if isinstance(states, tuple) else (states,))

    compiled, x = torch.compile(loop, fullgraph=True, backend=backend), torch.randn(3, 5, 4)
    found = []
    for function in (loop, compiled):
        cell.zero_grad()
        leaf = x.clone().requires_grad_()
        states = function(leaf)
        states.square().sum().backward()
        found.append([states.detach(), leaf.grad, *(p.grad.clone() for p in cell.parameters())])
    for expected, actual in zip(*found):
        torch.testing.assert_close(actual, expected)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), loop(x))


def test_dropout_draws_a_new_mask_in_each_call() -> None:
    torch._dynamo.reset()
    lstm = ours.LSTM(4, 16, 2, dropout=0.5)
    compiled = torch.compile(lstm, fullgraph=True, backend="aot_eager")
    x = torch.randn(9, 3, 4)
    torch.manual_seed(1)
    first, second = compiled(x)[0], compiled(x)[0]
    torch.manual_seed(1)
    assert not torch.equal(first, second) and torch.equal(compiled(x)[0], first)


def test_the_operations_pass_torchs_own_checks() -> None:
    ops, sizes = torch.ops.varlstm, torch.tensor([2, 5, 0])
    logits, target = torch.randn(4, 3, requires_grad=True), torch.tensor([1, 0, -100, 2])
    weight, bias = torch.randn(5, 3, requires_grad=True), torch.randn(5, requires_grad=True)
    state = torch.randn(1, 3, 6)
    x = torch.randn(7, 2, requires_grad=True)
    for op, arguments in ((ops.pack, (torch.randn(5, 3, 2, requires_grad=True), sizes, False, 3, 5, 1, 7)),
                          (ops.unpack, (x, sizes, False, 3, 5, 1, 6, 0.0)),
                          (ops.log_softmax, (logits,)), (ops.nll_loss, (logits, target, None, -100, "mean")),
                          (ops.cross_entropy, (logits, target, torch.rand(3), -100, "none", 0.1, True)),
                          (ops.linear_cross_entropy, (logits, weight, bias, target, None, -100, "sum", 0.1))):
        torch.library.opcheck(op.default, arguments)
    # Not against a traced graph: what lies between the arrays of a reserve is not defined, and may differ.
    for op, c0, module in ((ops.lstm, state, ours.LSTM), (ops.gru, None, ours.GRU), (ops.rnn_tanh, None, ours.RNN)):
        for resets in (None, torch.rand(5, 3) < 0.4):
            arguments = (x, sizes, resets, state, c0, None, False, 3, 5, 6, 0, 1, False, 0.0, NO_OPTIONS,
                         c0 is not None, True, list(module(2, 6).parameters()))
            torch.library.opcheck(op.default, arguments,
                                  test_utils=("test_schema", "test_autograd_registration", "test_faketensor"))
    projected = list(ours.LSTM(2, 6, proj_size=4).parameters())
    torch.library.opcheck(
        ops.lstm.default,
        (x, sizes, None, torch.randn(1, 3, 4), state, None, False, 3, 5, 6, 4, 1, False, 0.0, NO_OPTIONS, False, True,
         projected),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"))
    for op, c0, module in ((ops.lstm_cell, state[0], ours.LSTMCell), (ops.gru_cell, None, ours.GRUCell)):
        torch.library.opcheck(op.default, (x[:3], state[0], c0, True, list(module(2, 6).parameters())),
                              test_utils=("test_schema", "test_autograd_registration", "test_faketensor"))
