"""The example of DistributedDataParallel: two processes' gradients equal those of one process on the joint batch."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib
import sys

import pytest

torch = pytest.importorskip("torch")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("this torch has no gloo", allow_module_level=True)

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "capi" / "python" / "examples"
sys.path.insert(0, str(EXAMPLES))

import tagger_ddp  # noqa: E402

LR = 0.5


def one_step(rank: int, processes: int, store: str, folder: str) -> None:
    """Saves this process's gradients of the first step, after DistributedDataParallel's sum, and its parameters."""
    model = tagger_ddp.train(rank, processes, 1, LR, torch.float64, store)
    torch.save({"gradients": [parameter.grad for parameter in model.parameters()],
                "parameters": [parameter.detach() for parameter in model.parameters()]}, f"{folder}/{rank}.pt")


def test_gradients_equal_those_of_the_joint_batch(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    sentences = tagger_ddp.read_sentences()[0]
    shares = [sum(len(words) for words, _ in sentences[rank::2]) for rank in range(2)]
    assert shares[0] != shares[1]
    torch.multiprocessing.spawn(one_step, (2, str(tmp_path / "store"), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    alone = tagger_ddp.train(0, 1, 1, LR, torch.float64, "")
    for a, b, parameter in zip(first["gradients"], second["gradients"], alone.parameters()):
        assert torch.equal(a, b) and a.any()
        torch.testing.assert_close(a, parameter.grad, rtol=1e-12, atol=1e-14)
    for a, parameter in zip(first["parameters"], alone.parameters()):
        torch.testing.assert_close(a, parameter.detach(), rtol=1e-12, atol=1e-14)


def test_the_example_learns(monkeypatch, capfd) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setattr(sys, "argv", ["tagger_ddp.py", "--processes", "2", "--steps", "60"])
    tagger_ddp.main()
    losses = [float(line.split()[-1]) for line in capfd.readouterr().out.splitlines() if line.startswith("step")]
    assert len(losses) == 4 and losses[-1] < 0.5 * losses[0]
