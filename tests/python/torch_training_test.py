"""Training through varlstm.torch: the tutorial's network beside nn.LSTM's, threads, and memory that does not grow."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pathlib
import threading

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional as F  # noqa: E402
from torch.nn.utils import rnn  # noqa: E402

from varlstm import torch as ours  # noqa: E402
from varlstm._declarations import Key  # noqa: E402
from varlstm._handles import get_i64  # noqa: E402
from varlstm._library import lib  # noqa: E402
from varlstm.torch import _device  # noqa: E402
from varlstm.torch._device import context_of  # noqa: E402

# The tutorial's three sentences: words and tags by ids, 0 the padding of both.
WORDS = [[1, 2, 3, 4, 5, 6, 7], [8, 8], [7, 9]]
TAGS = [[1, 2, 3, 3, 3, 1, 4], [5, 5], [4, 5]]


class Tagger(torch.nn.Module):
    """As the tutorial has it: pad, embed, pack, LSTM, unpack, linear, log-softmax."""

    def __init__(self, lstm_class) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(10, 3, padding_idx=0)
        self.lstm = lstm_class(3, 20, 1, batch_first=True)
        self.linear = torch.nn.Linear(20, 6)
        self.double()

    def features(self, words, lengths):
        packed, _ = self.lstm(rnn.pack_padded_sequence(self.embedding(words), lengths, batch_first=True))
        return rnn.pad_packed_sequence(packed, batch_first=True)[0]

    def loss(self, words, tags, lengths):
        log_probs = F.log_softmax(self.linear(self.features(words, lengths)), dim=2).flatten(0, 1)
        mask = (tags.flatten() > 0).double()
        return -(log_probs[range(tags.numel()), tags.flatten()] * mask).sum() / mask.sum()


class PackedTagger(Tagger):
    """The same with what this package has for each of its parts."""

    def features(self, words, lengths):
        packed = ours.pack_padded_sequence(self.embedding(words), lengths, batch_first=True)
        return ours.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]

    def loss(self, words, tags, lengths):
        logits = self.linear(self.features(words, lengths))
        return ours.cross_entropy(logits.flatten(0, 1), tags.flatten(), ignore_index=0)


class FusedTagger(Tagger):
    """The same with lengths beside padded words and the last layer in one with the loss."""

    def loss(self, words, tags, lengths):
        y, _ = self.lstm(self.embedding(words), lengths=lengths)
        return ours.linear_cross_entropy(y, self.linear.weight, self.linear.bias, tags, ignore_index=0)


def train(tagger: Tagger, steps: int) -> list:
    words, tags = (rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True) for rows in (WORDS, TAGS))
    lengths = torch.tensor([len(row) for row in WORDS])
    optimizer = torch.optim.SGD(tagger.parameters(), lr=0.5)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = tagger.loss(words, tags, lengths)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("tagger_class", [Tagger, PackedTagger, FusedTagger])
def test_the_tutorial_trains_as_with_nn_lstm(tagger_class) -> None:
    reference, tagger = Tagger(torch.nn.LSTM), tagger_class(ours.LSTM)
    expected, actual = train(reference, 50), train(tagger, 50)
    assert expected[-1] < 0.5 * expected[0]
    assert actual == pytest.approx(expected, rel=1e-9)  # 50 steps amplify the rounding of the first
    for a, b in zip(tagger.parameters(), reference.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


def one_result(lstm, x, lengths):
    """Output and gradients of one step, which have the same bits whatever runs beside them."""
    x = x.clone().requires_grad_()
    output, (h_n, c_n) = lstm(x, lengths=lengths)
    loss = output.square().sum() + (h_n * c_n).sum()
    return [output.detach(), *torch.autograd.grad(loss, [x, *lstm.parameters()])]


def test_threads_do_not_disturb_each_other() -> None:
    """Batches of the same sizes, for which the library's handles are the same, in different orders."""
    lstm = ours.LSTM(6, 40, 2, bidirectional=True, batch_first=True)
    lengths = torch.tensor([9, 7, 4, 1, 0, 9])
    batches = [(torch.randn(6, 9, 6), lengths[torch.randperm(6)]) for _ in range(12)]
    expected = [one_result(lstm, *batch) for batch in batches]
    failures = []

    def work(first: int) -> None:
        try:
            torch.set_num_threads(1)
            for k in range(60):
                index = (first + k) % len(batches)
                for actual, wanted in zip(one_result(lstm, *batches[index]), expected[index]):
                    assert torch.equal(actual, wanted), f"thread {first}, batch {index}"
        except BaseException as error:  # a thread's own exceptions end nowhere
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def test_a_batch_stays_with_the_stream_that_used_it(monkeypatch) -> None:
    """On a GPU kernels of one stream may still read a batch when a call of another stream wants one of its bounds."""
    stream, set_lengths = [0], _device._set_lengths
    monkeypatch.setattr(_device.Context, "stream", property(lambda context: stream[0]))
    # The host's back end has no streams, and takes none.
    monkeypatch.setattr(_device, "_set_lengths", lambda *arguments: set_lengths(*arguments[:-1], None))
    context, lengths = _device.Context(_device.Backend.HOST, 0, 1), torch.tensor([5, 3])

    def batch_on(number: int):
        stream[0] = number
        with context.batch(lengths, False, 2, 5, 8) as batch:
            return batch

    first, second = batch_on(0), batch_on(64)
    assert second is not first
    assert batch_on(0) is first and batch_on(64) is second  # and comes back to calls of its own


def test_the_number_of_threads_is_torchs_and_changes_no_bit() -> None:
    lstm, x, lengths = ours.LSTM(16, 64, batch_first=True), torch.randn(8, 40, 16), torch.arange(5, 45, 5)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(one_result(lstm, x, lengths))
            assert get_i64(lib.varlstm_ctx_get_i64, context_of(x).pointer, Key.THREADS) == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc/self/statm")
def test_memory_does_not_grow() -> None:
    torch.manual_seed(0)
    lstm = ours.LSTM(32, 64, 2, batch_first=True, dropout=0.1)
    optimizer = torch.optim.Adam(lstm.parameters())

    def resident() -> int:
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def step(k: int) -> None:
        x = torch.randn(16, 1 + k % 37, 32, requires_grad=True)
        lengths = torch.randint(0, x.size(1) + 1, (16,))
        optimizer.zero_grad()
        output, (h_n, _) = lstm(x, lengths=lengths)
        ours.cross_entropy(output.flatten(0, 1), torch.randint(0, 64, (output.size(0) * output.size(1),))).backward()
        optimizer.step()

    for k in range(100):
        step(k)
    before = resident()
    for k in range(200):
        step(k)
    # The reserves of these steps add up to 80 MiB.
    assert resident() - before < 16 << 20


def test_what_is_saved_may_come_back_in_other_memory() -> None:
    """torch's saved_tensors_hooks: here at an address that is aligned to nothing but elements."""
    def moved(tensor):
        memory = torch.empty(tensor.numel() + 1, dtype=tensor.dtype)[1:].view(tensor.shape)
        return memory.copy_(tensor)

    lstm, x = ours.LSTM(4, 6), torch.randn(5, 3, 4)
    expected = torch.autograd.grad(lstm(x)[0].sum(), lstm.parameters())
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.detach(), moved):
        loss = lstm(x)[0].sum()
    for actual, right in zip(torch.autograd.grad(loss, lstm.parameters()), expected):
        assert torch.equal(actual, right)
