"""DistributedDataParallel and fully_shard (FSDP2) over two processes of gloo: of torch.nn.LSTM and of this library's the
same losses, gradients and parameters."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("this torch has no gloo", allow_module_level=True)

try:
    from torch.distributed.fsdp import fully_shard
except (ImportError, ValueError):  # of torch 1.13 under Python 3.11
    fully_shard = None

from processes import run_two  # noqa: E402
from varlstm.torch import LSTM  # noqa: E402

KINDS = {"torch": torch.nn.LSTM, "varlstm": LSTM}


class Model(torch.nn.Module):
    def __init__(self, kind: type) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.out = kind(4, 6, num_layers=2, bidirectional=True), torch.nn.Linear(12, 2)
        self.double()

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def sharded(model: Model) -> Model:
    mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
    fully_shard(model.rnn, mesh=mesh)
    return fully_shard(model, mesh=mesh)


WAYS = {"ddp": torch.nn.parallel.DistributedDataParallel, **({"fsdp2": sharded} if fully_shard else {})}


def whole(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def train(model: torch.nn.Module, x) -> dict:
    """The losses, and the gradients and parameters after the last step."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return {"losses": losses, "gradients": [whole(p.grad).detach() for p in model.parameters()],
            "parameters": [whole(p).detach() for p in model.parameters()]}


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    x = torch.randn(5, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(7))[:, 2 * rank:2 * rank + 2]
    results = {f"{way} {name}": train(wrap(Model(kind)), x) for way, wrap in WAYS.items() for name, kind in KINDS.items()}
    torch.save(results, f"{folder}/{rank}.pt")
    torch.distributed.barrier()  # as in capi/python/examples/tagger_ddp.py
    torch.distributed.destroy_process_group()


def test_as_torchs(tmp_path) -> None:
    folder = run_two(work, tmp_path)
    first, second = (torch.load(folder / f"{rank}.pt") for rank in range(2))
    for way in WAYS:
        for results in (first, second):
            torch.testing.assert_close(results[f"{way} varlstm"], results[f"{way} torch"], rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(first[f"{way} varlstm"]["parameters"], second[f"{way} varlstm"]["parameters"])
        assert not torch.equal(first[f"{way} torch"]["losses"][0], second[f"{way} torch"]["losses"][0])
