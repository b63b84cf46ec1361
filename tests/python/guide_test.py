"""The Python blocks of the guide's pages print what their page says. One whose modules are not there is skipped."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
import importlib.util
import pathlib
import re
import types

import numpy as np
import pytest

import varlstm

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "capi"
PAGES = ("README.md", "CELLS.md", "RESETS.md")


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """(line, text) of each block of the page in that language."""
    text = (FOLDER / page).read_text()
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, flags=re.S | re.M)
    return [(text.count("\n", 0, match.start(1)) + 1, match.group(1)) for match in found]


def missing_module(code: str) -> str | None:
    """The first module that the code imports and this Python does not have."""
    for node in ast.walk(ast.parse(code)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            parts = name.split(".")
            for end in range(1, len(parts) + 1):
                if importlib.util.find_spec(".".join(parts[:end])) is None:
                    return ".".join(parts[:end])
    return None


@pytest.mark.parametrize("page, code", [pytest.param(page, code, id=f"{page} {line}")
                                        for page in PAGES for line, code in blocks(page, "python")])
def test_program(page: str, code: str, capsys: pytest.CaptureFixture) -> None:
    missing = missing_module(code)
    if missing is not None:
        pytest.skip(f"no module {missing}")
    [(_, expected)] = blocks(page, "text")
    exec(compile(code, str(FOLDER / page), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("page, code", [pytest.param(page, code, id=f"{page} {line}")
                                        for page in PAGES for line, code in blocks(page, "py")])
def test_fragment(page: str, code: str, context: varlstm.Context) -> None:
    """A fragment runs with the names that its page gives to what surrounds it."""
    draw = np.random.default_rng(1)
    kernel, recurrent, bias = (draw.standard_normal(shape, np.float32) for shape in ((2, 9), (3, 9), (2, 9)))
    of_keras = bias
    if "gru_reset_before" in code:
        bias[1] = 0  # Keras has one bias for it
        of_keras = bias[0]
    layer = types.SimpleNamespace(get_weights=lambda: [kernel, recurrent, of_keras])
    w, r, b = kernel.T[None], recurrent.T[None], bias.reshape(1, 18)  # Keras and ONNX have a GRU's gates in one order
    both, names = [], {"varlstm": varlstm, "np": np, "context": context, "input_size": 2, "hidden_size": 3,
                       "layer": layer, "w": w.copy(), "r": r.copy(), "b": b}
    for line in code.splitlines():
        exec(line, names)
        both.append(names.get("params"))
    assert np.array_equal(*both[-2:]) and both[-1].any()


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_programs(page: str) -> None:
    assert len(blocks(page, "python")) >= 2
