"""What the Python package's tests share."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pathlib

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture
def backend() -> str:
    """The back end under test, as for the tests in C++: "host", or what VARLSTM_TEST_BACKEND says."""
    return os.environ.get("VARLSTM_TEST_BACKEND", "host")
