"""PyTorch's own inputs for tests of LSTM, GRU, RNN and their cells (ModuleInfo): all construct, and agree with torch's."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sys
import unittest
import unittest.mock

import pytest

torch = pytest.importorskip("torch")
# torch's folder of tests imports this small package, of which nothing is needed here but a class.
sys.modules.setdefault("expecttest", unittest.mock.MagicMock(TestCase=unittest.TestCase))
common_modules = pytest.importorskip("torch.testing._internal.common_modules")

from behaviours.table import assert_agree, error_of  # noqa: E402
from varlstm import torch as ours  # noqa: E402

INFOS = {info.module_cls.__name__: info for info in common_modules.module_db
         if info.module_cls in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN, torch.nn.LSTMCell, torch.nn.GRUCell,
                                torch.nn.RNNCell)}


@pytest.mark.parametrize("name", INFOS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("training", [False, True])
def test_inputs(name: str, dtype: torch.dtype, training: bool) -> None:
    info, count = INFOS[name], 0
    for sample in info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training):
        make, call = sample.constructor_input, sample.forward_input
        assert not call.kwargs
        theirs, other = (kind(*make.args, dtype=dtype, **make.kwargs).train(training)
                         for kind in (info.module_cls, getattr(ours, name)))
        other.load_state_dict(theirs.state_dict())
        assert repr(other) == repr(theirs)
        assert_agree(theirs, other, *call.args)
        count += 1
    assert count >= 2


@pytest.mark.parametrize("name", INFOS)
def test_errors(name: str) -> None:
    """What is an error with torch's is one here, of the same type; a flag may be a number here, as with an older torch."""
    info = INFOS[name]
    if getattr(info, "module_error_inputs_func", None) is None:
        pytest.skip("this torch has none for it")
    for sample in info.module_error_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False,
                                                training=False):
        make, call = sample.module_error_input.constructor_input, sample.module_error_input.forward_input
        if {0, 1} & {value for value in make.kwargs.values() if isinstance(value, int)}:
            continue
        if any(isinstance(value, str) for value in make.args[2:]):  # a nonlinearity in the place of the bias
            continue
        of_construction = sample.error_on == common_modules.ModuleErrorEnum.CONSTRUCTION_ERROR

        def run() -> None:
            module = getattr(ours, name)(*make.args, **make.kwargs)
            assert not of_construction
            module(*call.args, **call.kwargs)

        assert isinstance(error_of(run), sample.error_type)
