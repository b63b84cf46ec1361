"""torch.export and AOTInductor: a package of a model computes what the model computes, where varlstm.torch is imported."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
if not hasattr(getattr(torch, "_inductor", None), "aoti_compile_and_package"):
    pytest.skip("this torch has no torch._inductor.aoti_compile_and_package", allow_module_level=True)
if shutil.which("g++") is None:
    pytest.skip("no g++", allow_module_level=True)

from varlstm.torch import LSTM  # noqa: E402

X, LENGTHS = torch.linspace(-1, 1, 40).view(2, 5, 4), torch.tensor([3, 5])
LOAD = """
import sys, torch
if sys.argv[2] == "with": import varlstm.torch
x = torch.linspace(-1, 1, 40).view(2, 5, 4)
torch.save(torch._inductor.aoti_load_package(sys.argv[1] + "/model.pt2")(x, torch.tensor([3, 5])), sys.argv[1] + "/y.pt")
"""


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = LSTM(4, 6, batch_first=True), torch.nn.Linear(6, 2)

    def forward(self, x, lengths):
        return self.out(self.rnn(x, lengths=lengths)[0])


def test_a_package(tmp_path: pathlib.Path) -> None:
    model = Model().eval()
    with torch.no_grad():
        program = torch.export.export(model, (X, LENGTHS))
        torch.testing.assert_close(program.module()(X, LENGTHS), model(X, LENGTHS))
        torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "model.pt2"))

    def load(word: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-c", LOAD, str(tmp_path), word], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)

    result = load("with")
    assert result.returncode == 0, result.stdout
    torch.testing.assert_close(torch.load(tmp_path / "y.pt"), model(X, LENGTHS))
    result = load("without")  # torch's own words
    assert result.returncode != 0 and "Could not find schema for varlstm::" in result.stdout
