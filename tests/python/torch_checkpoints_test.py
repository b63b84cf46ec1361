"""What other packages write of a model and read again, each against what torch.nn.LSTM does there: the same names and sizes
in the file, and files of one that the other reads. A package that is missing skips its tests."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pathlib

import pytest

torch = pytest.importorskip("torch")

from varlstm.torch import LSTM, replace_rnn  # noqa: E402

X = torch.linspace(-1, 1, 5 * 3 * 4).view(5, 3, 4)


class Tagger(torch.nn.Module):
    """A network of either LSTM, and a layer above it."""

    def __init__(self, kind: type, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.rnn = kind(4, 6, num_layers=2, bidirectional=True)
        self.out = torch.nn.Linear(12, 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


KINDS = {"torch": torch.nn.LSTM, "varlstm": LSTM}
PAIRS = [(a, b) for a in KINDS for b in KINDS]


def assert_same(a: torch.nn.Module, b: torch.nn.Module) -> None:
    """Equal parameters, and results that agree."""
    mine, other = a.state_dict(), b.state_dict()
    assert list(mine) == list(other) and all(torch.equal(mine[name], other[name]) for name in mine)
    torch.testing.assert_close(a(X), b(X), rtol=1e-5, atol=1e-6)


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> float:
    loss = model(X).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("whole", [False, True], ids=["state_dict", "module"])
def test_torch_save_writes_as_much_as_for_torchs(tmp_path: pathlib.Path, whole: bool) -> None:
    sizes = {}
    for name, kind in KINDS.items():
        model = kind(64, 128, num_layers=2)
        torch.save(model if whole else model.state_dict(), tmp_path / name)
        sizes[name] = os.path.getsize(tmp_path / name)
    assert abs(sizes["varlstm"] - sizes["torch"]) < 2048 < sizes["torch"]


@pytest.mark.parametrize("writer, reader", PAIRS)
def test_safetensors_models(tmp_path: pathlib.Path, writer: str, reader: str) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = str(tmp_path / "model.safetensors")
    first, second = Tagger(KINDS[writer]), Tagger(KINDS[reader], seed=1)
    safetensors.save_model(first, path)
    assert sorted(safetensors.load_file(path)) == sorted(first.state_dict())  # none is left out as another's double
    assert safetensors.load_model(second, path) == (set(), [])
    assert_same(first, second)


@pytest.mark.parametrize("writer, reader", PAIRS)
def test_hub_mixin(tmp_path: pathlib.Path, writer: str, reader: str) -> None:
    hub = pytest.importorskip("huggingface_hub")
    pytest.importorskip("safetensors.torch")

    class HubTagger(Tagger, hub.PyTorchModelHubMixin):
        def __init__(self, name: str, seed: int = 0) -> None:
            super().__init__(KINDS[name], seed)

    first = HubTagger(writer)
    first.save_pretrained(tmp_path)
    assert_same(first, HubTagger.from_pretrained(tmp_path, name=reader, seed=1))


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_goes_on_where_it_was_saved(tmp_path: pathlib.Path, name: str) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)

    def prepared(seed: int) -> tuple:
        model = Tagger(KINDS[name], seed)
        return accelerator.prepare(model, torch.optim.Adam(model.parameters(), 0.01))

    model, optimizer = prepared(0)
    losses = [train(model, optimizer) for _ in range(3)]
    accelerator.save_state(str(tmp_path))
    losses += [train(model, optimizer) for _ in range(2)]
    accelerator.free_memory()
    model, optimizer = prepared(1)
    accelerator.load_state(str(tmp_path))
    assert [train(model, optimizer) for _ in range(2)] == losses[3:] and losses[4] < losses[0]
    accelerator.free_memory()


@pytest.mark.parametrize("writer, reader", PAIRS)
def test_accelerate_loads_into_a_model_without_memory(tmp_path: pathlib.Path, writer: str, reader: str) -> None:
    accelerate = pytest.importorskip("accelerate")
    first = Tagger(KINDS[writer])
    accelerate.Accelerator(cpu=True).save_model(first, str(tmp_path))
    with accelerate.init_empty_weights():
        second = Tagger(KINDS[reader], seed=1)
    assert second.rnn.weight_hh_l0.is_meta
    second = accelerate.load_checkpoint_and_dispatch(second, str(tmp_path), device_map={"": "cpu"})
    assert_same(first, second)


@pytest.mark.parametrize("package", ["safetensors", "accelerate"])
def test_replaced_modules_write_what_they_wrote_before(tmp_path: pathlib.Path, package: str) -> None:
    pytest.importorskip("safetensors.torch")
    module = pytest.importorskip(package)
    torchs = Tagger(torch.nn.LSTM)

    def write(model, folder: pathlib.Path) -> bytes:
        folder.mkdir()
        if package == "safetensors":
            module.torch.save_model(model, str(folder / "model.safetensors"))
        else:
            module.Accelerator(cpu=True).save_model(model, str(folder))
        return (folder / "model.safetensors").read_bytes()

    before = write(torchs, tmp_path / "before")
    assert write(replace_rnn(torchs), tmp_path / "after") == before
