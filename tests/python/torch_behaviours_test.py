"""Runs through the table of what torch.nn.LSTM, GRU and RNN do (folder behaviours)."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import warnings

import pytest

torch = pytest.importorskip("torch")

from behaviours import KINDS, ROWS, Row  # noqa: E402
from behaviours.table import TORCH, error_of  # noqa: E402


@pytest.mark.parametrize("kind, row", [pytest.param(kind, row, id=f"{row.behaviour}: {row.does}-{kind}")
                                       for row in ROWS for kind in row.kinds])
def test_behaviour(kind: str, row: Row) -> None:
    if TORCH < row.since:
        pytest.skip(f"torch has had it since {row.since[0]}.{row.since[1]}")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what is deprecated; a row that is about a warning records it
        if row.error is None:
            row.check(KINDS[kind])
            return
        error = error_of(row.check, KINDS[kind])
    assert isinstance(error, row.error) and row.text in str(error) and "\n" not in str(error), repr(error)


def test_each_behaviour_is_there_once() -> None:
    names = [row.behaviour for row in ROWS]
    assert sorted(names) == sorted(set(names))
