"""Views whose memory has the other sign, as z.conj().imag: every function of varlstm.torch computes with their values."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from varlstm import torch as ours  # noqa: E402


def negative(tensor):
    """The same values in memory of the other sign."""
    view = torch._neg_view(tensor.detach().neg())
    assert view.is_neg() and torch.equal(view, tensor)
    return view


def network(cell, **options):
    torch.manual_seed(1)
    return getattr(ours, cell)(4, 6, **options)


OFFSETS, TAGS, LENGTHS = torch.tensor([0, 2, 5]), torch.tensor([1, 3, 0, 2, 4]), torch.tensor([5, 3, 1])
ROWS = torch.randn(5, 5)
# By name, a function of tensors that are floating point, and those.
CALLS = {
    "LSTM": (lambda x, h, c: network("LSTM")(x, (h, c)), torch.randn(5, 3, 4), torch.randn(1, 3, 6), torch.randn(1, 3, 6)),
    "GRU": (lambda x, h: network("GRU")(x, h), torch.randn(5, 3, 4), torch.randn(1, 3, 6)),
    "LSTMCell": (lambda x, h, c: network("LSTMCell")(x, (h, c)), torch.randn(3, 4), torch.randn(3, 6), torch.randn(3, 6)),
    "pack": (lambda x: ours.pack_padded_sequence(x, LENGTHS)[0], torch.randn(5, 3, 4)),
    "unpack": (lambda x: ours.pad_packed_sequence(ours.pack_padded_sequence(x, LENGTHS)._replace(data=x[:, 0]))[0],
               torch.randn(9, 3, 4)),
    "log_softmax": (lambda x: ours.log_softmax(x, 1), ROWS),
    "nll_loss": (lambda x: ours.nll_loss(x, TAGS), ROWS),
    "cross_entropy": (lambda x: ours.cross_entropy(x, TAGS), ROWS),
    "linear_cross_entropy": (lambda x, w, b: ours.linear_cross_entropy(x, w, b, TAGS), ROWS, torch.randn(5, 5), torch.randn(5)),
    "conv_max": (lambda x, w, b: ours.conv_max(x, w, b, OFFSETS), ROWS, torch.randn(3, 5, 2), torch.randn(3)),
}


def tensors_of(outputs) -> list:
    return [outputs] if isinstance(outputs, torch.Tensor) else [one for part in outputs for one in tensors_of(part)]


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str) -> None:
    function, *inputs = CALLS[name]
    results = []
    for form in (torch.clone, negative):
        leaves = [form(value).requires_grad_() for value in inputs]
        outputs = tensors_of(function(*leaves))
        gradients = [form(torch.linspace(-1, 2, output.numel()).view(output.shape)) for output in outputs]
        results.append([*outputs, *torch.autograd.grad(outputs, leaves, gradients)])
    for expected, actual in zip(*results):
        assert torch.equal(actual, expected)


def test_integers_and_class_weights() -> None:
    weight = torch.rand(5)
    assert torch.equal(ours.cross_entropy(ROWS, negative(TAGS), negative(weight)), ours.cross_entropy(ROWS, TAGS, weight))
    x, lstm = torch.randn(5, 3, 4), network("LSTM")
    assert torch.equal(lstm(x, lengths=negative(LENGTHS))[0], lstm(x, lengths=LENGTHS)[0])


def test_parameters() -> None:
    x, names = torch.randn(5, 3, 4), [name for name, _ in network("LSTM").named_parameters()]
    lstm, other = network("LSTM"), network("LSTM")
    flat = torch.cat([param.detach().reshape(-1) for param in lstm.parameters()]).neg()
    for name, piece in zip(names, flat.split([param.numel() for param in lstm.parameters()])):
        shape = getattr(other, name).shape
        setattr(other, name, torch.nn.Parameter(torch._neg_view(piece.view(shape))))  # one after the other in memory
    assert torch.equal(other(x)[0], lstm(x)[0])


def test_a_step_takes_rows_and_refuses_a_table() -> None:
    gru, x, tables = network("GRU"), torch.randn(2, 4), torch.zeros(2, 1, 3, 6)
    expected = gru.step(x, tables[0], torch.tensor([2, 0]))
    assert torch.equal(gru.step(negative(x), tables[1], negative(torch.tensor([2, 0]))), expected)
    with pytest.raises(ValueError, match="state is a view whose memory has the other sign"):
        gru.step(x, negative(tables[0]), [2, 0])
