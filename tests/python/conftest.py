"""What the Python package's tests share."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from typing import Iterator

import numpy as np
import pytest

import varlstm


@pytest.fixture
def backend() -> str:
    """The back end under test, as for the tests in C++: "host", or what VARLSTM_TEST_BACKEND says."""
    return os.environ.get("VARLSTM_TEST_BACKEND", "host")


@pytest.fixture
def context(backend: str) -> Iterator[varlstm.Context]:
    with varlstm.Context(backend) as made:
        yield made


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)
