"""varlstm.torch over CUDA tensors against the same on the CPU; skipped without a GPU, or a torch or library for one."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from typing import Iterator

import pytest

torch = pytest.importorskip("torch")

from varlstm import device_count  # noqa: E402
from varlstm import torch as ours  # noqa: E402

DEVICE = "cuda"
LENGTHS = [5, 0, 7, 2, 7, 1]
pytestmark = pytest.mark.skipif(not torch.cuda.is_available() or device_count("cuda") == 0,
                                reason="needs a GPU, a torch with CUDA and a library with the CUDA back end")


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    """As close to the CPU as float32 is; torch's own setting for networks is TF32."""
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    yield
    torch.backends.cudnn.allow_tf32 = before


def leaf(tensor: torch.Tensor, device: str) -> torch.Tensor:
    return tensor.detach().to(device, copy=True).requires_grad_()


class Work:
    """A training step from padded input to the loss on a device: loss, states and gradients, on the CPU."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.lstm = ours.LSTM(12, 20, 2, bidirectional=True, batch_first=True)
        self.linear = torch.nn.Linear(40, 9)
        self.x, self.state = torch.randn(6, 7, 12), torch.randn(4, 6, 20)
        self.tags = torch.randint(0, 9, (6, 7))

    def run(self, device: str, way: str, lengths=None) -> list:
        lstm, linear = copy.deepcopy(self.lstm).to(device), copy.deepcopy(self.linear).to(device)
        x, h_0 = leaf(self.x, device), leaf(self.state, device)
        if way == "packed":
            sequence = ours.pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
            y, (h_n, c_n) = lstm(sequence, (h_0, h_0))
            y, _ = ours.pad_packed_sequence(y, batch_first=True)
        else:
            y, (h_n, c_n) = lstm(x, (h_0, h_0), lengths=lengths)
        tags = self.tags.to(device)
        if way == "fused":
            loss = ours.linear_cross_entropy(y, linear.weight, linear.bias, tags, ignore_index=3)
        else:
            loss = ours.cross_entropy(linear(y).flatten(0, 1), tags.flatten(), ignore_index=3)
        (loss + (h_n * c_n).mean()).backward()
        assert y.device.type == h_n.device.type == torch.device(device).type
        results = [loss, y, h_n, c_n, x.grad, h_0.grad]
        return [result.detach().cpu() for result in results] + [
            parameter.grad.cpu() for module in (lstm, linear) for parameter in module.parameters()]


def assert_close(actual: list, expected: list) -> None:
    for ours_, reference in zip(actual, expected):
        torch.testing.assert_close(ours_, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", ["padded", "fused", "packed"])
def test_equals_the_cpu(way: str) -> None:
    work = Work()
    assert_close(work.run(DEVICE, way, LENGTHS), work.run("cpu", way, LENGTHS))


def test_nobody_waits_for_lengths_on_the_gpu() -> None:
    work = Work()
    lstm, x, lengths = copy.deepcopy(work.lstm).to(DEVICE), work.x.to(DEVICE), torch.tensor(LENGTHS).to(DEVICE)
    lstm(x, lengths=lengths)
    torch.cuda.set_sync_debug_mode("error")
    try:
        output, _ = lstm(x, lengths=lengths)
        output.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert_close(work.run(DEVICE, "padded", lengths), work.run("cpu", "padded", LENGTHS))


def test_calls_run_on_torchs_current_stream() -> None:
    work = Work()
    expected = work.run("cpu", "padded", LENGTHS)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        actual = work.run(DEVICE, "padded", LENGTHS)
    stream.synchronize()
    assert_close(actual, expected)


def test_record_stream_keeps_the_memory_of_gradients() -> None:
    """Autograd and DistributedDataParallel let go of a gradient while another stream still reads it."""
    work = Work()
    lstm = copy.deepcopy(work.lstm).to(DEVICE)
    lstm(work.x.to(DEVICE))[0].sum().backward()
    gradients = [parameter.grad for parameter in lstm.parameters()]
    lstm.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(10**9)
    ranges = [(gradient.data_ptr(), gradient.data_ptr() + 4 * gradient.numel()) for gradient in gradients]
    counts = [gradient.numel() for gradient in gradients]
    for gradient in gradients:
        gradient.record_stream(stream)
    del gradient, gradients
    new = [torch.empty(count, device=DEVICE) for count in [*counts, sum(counts)]]
    assert not stream.query()  # the other stream is not through yet
    for tensor in new:
        begin, end = tensor.data_ptr(), tensor.data_ptr() + 4 * tensor.numel()
        assert all(end <= first or begin >= last for first, last in ranges)
