"""A process that has computed on two threads forks, by os.fork and as torch's DataLoader does it: the child computes, with
the same bits."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import time
import traceback
from typing import Callable

import numpy as np
import pytest

import varlstm

SECONDS = 30  # after which a child counts as hung


def in_child(work: Callable[[], None]) -> None:
    """Runs `work` in a forked child; fails if it fails, or does not end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:  # pytest may not see it: it would go on in the child
            traceback.print_exc()
        finally:
            os._exit(status)
    deadline = time.monotonic() + SECONDS
    ended, status = os.waitpid(child, os.WNOHANG)
    while ended == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
        ended, status = os.waitpid(child, os.WNOHANG)
    if ended == 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail(f"the child did not end within {SECONDS} s")
    assert status == 0


def training_step(context: varlstm.Context) -> Callable[[], list]:
    """A forward and backward over 16 sequences; each call gives its results."""
    random = np.random.default_rng(0)
    lengths = [40 - 2 * b for b in range(16)]
    batch = varlstm.Batch(context, lengths)
    lstm = varlstm.Rnn(context, 24, 64, 2)
    params, x, dy = (random.standard_normal(shape).astype("f4") * 0.2
                     for shape in (lstm.elements, (batch.rows, 24), (batch.rows, 64)))

    def step() -> list:
        result = lstm.forward(batch, params, x, mode="save")
        return [result.y, result.h_n, *lstm.backward(batch, params, x, result.y, result.reserve, dy=dy)]

    return step


def assert_same_bits(actual: list, expected: list) -> None:
    for a, b in zip(actual, expected):
        assert np.array_equal(a, b)


def test_a_child_computes_with_what_it_inherits() -> None:
    with varlstm.Context("host", threads=2) as context:
        step = training_step(context)
        expected = step()
        in_child(lambda: assert_same_bits(step(), expected))
        assert_same_bits(step(), expected)  # and so does the parent, afterwards
        in_child(lambda: in_child(lambda: assert_same_bits(step(), expected)))  # a child's child, from a parent with a team


def test_a_child_may_have_a_context_of_its_own() -> None:
    with varlstm.Context("host", threads=2) as context:
        expected = training_step(context)()

        def work() -> None:
            with varlstm.Context("host", threads=2) as own:
                assert_same_bits(training_step(own)(), expected)

        in_child(work)


def test_workers_of_a_data_loader_compute() -> None:
    """As in a data set that embeds its items by a model. torch gives its workers one thread."""
    torch = pytest.importorskip("torch")
    from varlstm.torch import LSTM

    class Embedded(torch.utils.data.Dataset):
        def __init__(self) -> None:
            torch.manual_seed(0)
            self.lstm = LSTM(16, 64, 2)
            self.items = torch.randn(6, 30, 8, 16)

        def __len__(self) -> int:
            return len(self.items)

        def __getitem__(self, index: int):
            with torch.no_grad():
                return self.lstm(self.items[index])[0]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        data = Embedded()
        data.lstm(data.items[0])[0].sum().backward()
        expected = torch.stack([data[index] for index in range(len(data))])
        for _ in range(2):
            loader = torch.utils.data.DataLoader(data, batch_size=3, num_workers=2, timeout=SECONDS)
            assert torch.equal(torch.cat(list(loader)), expected)
    finally:
        torch.set_num_threads(before)


def test_a_forked_child_of_torch_computes_on_two_threads() -> None:
    torch = pytest.importorskip("torch")
    from varlstm.torch import LSTM

    torch.manual_seed(0)
    lstm, x = LSTM(16, 64, 2), torch.randn(30, 8, 16)

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return lstm(x)[0]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = forward()

        def work() -> None:
            assert torch.get_num_threads() == 2 and torch.equal(forward(), expected)

        in_child(work)
    finally:
        torch.set_num_threads(before)
