"""Reads the golden files that tests/golden/make_golden.py writes, which describes their format, and compares."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib

import numpy as np

TIGHT = {"rtol": 1e-12, "atol": 1e-12}  # as in golden_ops_test.cc
FOLDER = pathlib.Path(__file__).resolve().parents[1] / "golden"


def read_golden(name: str) -> dict[str, dict[str, np.ndarray]]:
    """The file's cases by name, each with its items by name."""
    cases: dict[str, dict[str, np.ndarray]] = {}
    for line in (FOLDER / name).read_text(encoding="ascii").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "case":
            items = cases[rest] = {}
        elif kind in ("real", "int"):
            item, shape, *values = rest.split()
            dtype = np.float64 if kind == "real" else np.int64
            items[item] = np.array(values, dtype).reshape([int(size) for size in shape.split("x")])
    return cases


def close(context, actual, expected, **tolerance) -> None:
    """Whether an array of the context is `expected`, to TIGHT or to the given tolerance."""
    np.testing.assert_allclose(context.numpy(actual), expected, **(tolerance or TIGHT))
