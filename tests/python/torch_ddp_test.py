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
from processes import run_program, run_two  # noqa: E402

LR = 0.5


def one_step(rank: int, folder: str) -> None:
    """Saves this process's gradients of the first step, after DistributedDataParallel's sum, and its parameters."""
    model = tagger_ddp.train(rank, 2, 1, LR, torch.float64, f"{folder}/store")
    torch.save({"gradients": [parameter.grad for parameter in model.parameters()],
                "parameters": [parameter.detach() for parameter in model.parameters()]}, f"{folder}/{rank}.pt")


def test_gradients_equal_those_of_the_joint_batch(tmp_path) -> None:
    sentences = tagger_ddp.read_sentences()[0]
    shares = [sum(len(words) for words, _ in sentences[rank::2]) for rank in range(2)]
    assert shares[0] != shares[1]
    folder = run_two(one_step, tmp_path)
    first, second = (torch.load(folder / f"{rank}.pt") for rank in range(2))
    alone = tagger_ddp.train(0, 1, 1, LR, torch.float64, "")
    for a, b, parameter in zip(first["gradients"], second["gradients"], alone.parameters()):
        assert torch.equal(a, b) and a.any()
        torch.testing.assert_close(a, parameter.grad, rtol=1e-12, atol=1e-14)
    for a, parameter in zip(first["parameters"], alone.parameters()):
        torch.testing.assert_close(a, parameter.detach(), rtol=1e-12, atol=1e-14)


def test_the_example_learns() -> None:
    output = run_program(str(EXAMPLES / "tagger_ddp.py"), "--processes", "2", "--steps", "60")
    losses = [float(line.split()[-1]) for line in output.splitlines() if line.startswith("step")]
    assert len(losses) == 4 and losses[-1] < 0.5 * losses[0]
