"""What varlstm.torch.LSTM refuses, and what it says of it."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402

from varlstm.torch import LSTM, cross_entropy, linear_cross_entropy, log_softmax, nll_loss  # noqa: E402

X = torch.randn(5, 3, 4)  # T, B, I
STATE = torch.randn(1, 3, 6)
PACKED = pack_padded_sequence(X, [5, 4, 1])


def bad_sequence(batch_sizes: list, indices=None) -> PackedSequence:
    return PackedSequence(torch.randn(6, 4), torch.tensor(batch_sizes), indices)


BAD_CALLS = {
    "dtype": ((X.double(),), {}, ValueError, "input is of torch.float64, weight_ih_l0 of torch.float32"),
    "integers": ((X.long(),), {}, ValueError, "input is of torch.int64"),
    "meta": ((X.to("meta"),), {}, ValueError, "input is on meta, weight_ih_l0 on cpu"),
    "features": ((X[:, :, :3],), {}, RuntimeError, "input_size. Expected 4, got 3"),
    "dimensions": ((X[0, 0],), {}, ValueError, "input has 1 dimensions"),
    "packed dtype": ((PACKED.double(),), {}, ValueError, "input is of torch.float64"),
    "h_0 batch": ((X, (STATE[:, :2], STATE[:, :2])), {}, RuntimeError, r"hidden\[0\] size \(1, 3, 6\), got \[1, 2"),
    "c_0 hidden": ((X, (STATE, STATE[:, :, :5])), {}, RuntimeError, r"hidden\[1\] size \(1, 3, 6\), got \[1, 3, 5\]"),
    "h_0 dtype": ((X, (STATE.double(), STATE)), {}, ValueError, r"h_0 of torch.float64"),
    "c_0 device": ((X, (STATE, STATE.to("meta"))), {}, ValueError, r"c_0 on meta"),
    "h_0 2-D": ((X, (STATE[0], STATE[0])), {}, RuntimeError, "should also be 3-D"),
    "h_0 3-D for one sequence": ((X[:, 0], (STATE, STATE)), {}, RuntimeError, "should also be 2-D"),
    "no input": ((None,), {}, TypeError, "input is of NoneType, and must be a tensor"),
    "an array": ((X.numpy(),), {}, TypeError, "input is of ndarray, and must be a tensor"),
    "no h_0": ((X, (None, STATE)), {}, TypeError, "h_0 is of NoneType, and must be a tensor"),
    "an array c_0": ((PACKED, (STATE, STATE.numpy())), {}, TypeError, "c_0 is of ndarray, and must be a tensor"),
    "a number for states": ((X, 5), {}, TypeError, "hx is of int, and must be two tensors: h_0 and c_0"),
    "one state of one sequence": ((X[:, 0], (STATE[0],)), {}, ValueError, "hx has 1 tensors, and must have 2"),
    "one state": ((X, (STATE,)), {}, ValueError, "hx has 1 tensors, and must have 2: h_0 and c_0"),
    "packed h_0 batch": ((PACKED, (STATE[:, :2], STATE[:, :2])), {}, RuntimeError, r"hidden\[0\] size \(1, 3, 6\)"),
    "length above T": ((X,), {"lengths": [5, 6, 1]}, ValueError, r"lengths\[1\] = 6 is not in 0 \.\.\. 5"),
    "negative length": ((X,), {"lengths": [5, 5, -1]}, ValueError, r"lengths\[2\] = -1 is not in 0 \.\.\. 5"),
    "lengths' count": ((X,), {"lengths": [5, 5]}, ValueError, r"lengths are of shape \(2,\), and must be \(3,\)"),
    "lengths' shape": ((X,), {"lengths": torch.ones(3, 1).long()}, ValueError, r"lengths are of shape \(3, 1\)"),
    "lengths' dtype": ((X,), {"lengths": torch.ones(3)}, TypeError, "lengths are of torch.float32"),
    "boolean lengths": ((X,), {"lengths": torch.ones(3).bool()}, TypeError, "lengths are of torch.bool"),
    "lengths of words": ((X,), {"lengths": ["5", "4", "1"]}, TypeError, r"lengths = \['5', '4', '1'\] cannot be read as"),
    "no length": ((X,), {"lengths": [5, None, 1]}, TypeError, r"lengths = \[5, None, 1\] cannot be read as integers"),
    "endless length": ((X,), {"lengths": [5, 2**70, 1]}, TypeError, r"lengths = \[5, 1180591620717411303424, 1\] cannot"),
    "ragged lengths": ((X,), {"lengths": [[5], [4, 1], [1]]}, TypeError, "cannot be read as integers"),
    "lengths nowhere": ((X,), {"lengths": torch.ones(3, device="meta").long()}, ValueError, "lengths are on meta"),
    "lengths beside packed": ((PACKED,), {"lengths": [5, 4, 1]}, ValueError, "lengths must be None"),
    "lengths of one sequence": ((X[:, 0],), {"lengths": [5]}, ValueError, "lengths must be None"),
    "batch_sizes grow": ((bad_sequence([2, 3, 1]),), {}, ValueError, r"batch_sizes\[1\] = 3"),
    "batch_sizes beyond the rows": ((bad_sequence([4, 4]),), {}, ValueError, "batch_sizes"),
    "batch_sizes below the rows": ((bad_sequence([2, 2]),), {}, ValueError, "batch_sizes"),
    "indices fewer than the batch": ((bad_sequence([3, 3], torch.tensor([0, 1])),), {}, ValueError, "sorted_indices"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls(name: str) -> None:
    arguments, keywords, error, text = BAD_CALLS[name]
    lstm = LSTM(4, 6)
    with pytest.raises(error, match=text):
        lstm(*arguments, **keywords)
    assert lstm(X, lengths=[5, 4, 1])[0].isfinite().all()  # and nothing is broken by it


BAD_OPTIONS = [
    *(({name: value}, ValueError, f"{name} = {value} is not supported, and must be at least 1")
      for name in ("input_size", "hidden_size", "num_layers") for value in (0, -1, -2**40)),
    *(({name: value}, TypeError, f"{name} = {value!r} is of {type(value).__name__}, and must be an integer")
      for name in ("input_size", "hidden_size", "num_layers") for value in (4.0, "4", None, True)),
    *(({name: value}, TypeError, f"{name} = {value!r} is of {type(value).__name__}, and must be True or False")
      for name in ("bias", "batch_first", "bidirectional") for value in ("False", 2, 0.5, [])),
    *(({"dropout": value}, ValueError, f"dropout = {value} is not supported, and must be at least 0 and at most 1")
      for value in (1.5, -0.1, 2, float("nan"))),
    *(({"dropout": value}, TypeError, f"dropout = {value!r} is of {type(value).__name__}, and must be a number")
      for value in (True, "0.1", None, 1j)),
    *(({"proj_size": value}, ValueError, f"proj_size has to be smaller than hidden_size, and proj_size = {value}, "
       "hidden_size = 6") for value in (6, 7, 2**40)),
    ({"proj_size": -1}, ValueError, "proj_size should be a positive integer or zero to disable projections"),
    *(({"proj_size": value}, TypeError, f"proj_size = {value!r} is of {type(value).__name__}, and must be an integer")
      for value in (None, 0.5, "2", True)),
    *(({"dtype": value}, TypeError, f"dtype = {value} is not supported, and must be one of torch.float32")
      for value in (torch.int64, torch.complex64, torch.bool)),
]


@pytest.mark.parametrize("options, error, text", BAD_OPTIONS)
def test_bad_options(options: dict, error, text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        LSTM(**{"input_size": 4, "hidden_size": 6, **options})


def test_options_of_numpy_and_numbers_for_flags() -> None:
    lstm = LSTM(np.int64(4), torch.tensor(6), np.int32(2), 1, np.bool_(True), np.float32(0.25), 1)
    assert repr(lstm) == "LSTM(4, 6, num_layers=2, batch_first=True, dropout=0.25, bidirectional=True)"
    assert lstm(X.transpose(0, 1))[0].shape == (3, 5, 12)
    assert not LSTM(4, 6, bias=None).bias


LOGITS, TARGET = torch.randn(4, 5), torch.tensor([1, 2, 4, -100])
LOSSES = {"cross_entropy": cross_entropy, "nll_loss": nll_loss,
          "linear_cross_entropy": lambda input, target, weight=None, **options: linear_cross_entropy(
              input, torch.ones(5, 5), None, target, weight, **options)}
BAD_LOSSES = {
    "input": ({"input": [1.0]}, TypeError, "input is of list, and must be a tensor"),
    "target": ({"target": [1, 2, 4, 0]}, TypeError, "target is of list, and must be a tensor"),
    "target dtype": ({"target": TARGET.int()}, TypeError, "target is of torch.int32, and must be of torch.int64"),
    "weight": ({"weight": [1.0] * 5}, TypeError, "weight is of list, and must be a tensor"),
    "weight shape": ({"weight": torch.ones(4)}, ValueError, r"weight is of shape \(4,\), and must be \(5,\)"),
    "weight gradient": ({"weight": torch.ones(5, requires_grad=True)}, RuntimeError,
                        r"weight requires a gradient, and gets none: pass (class_)?weight.detach\(\)"),
    "ignore_index": ({"ignore_index": 1.5}, TypeError, "ignore_index = 1.5 is of float, and must be an integer"),
    "no ignore_index": ({"ignore_index": None}, TypeError, "ignore_index = None is of NoneType"),
    "wide ignore_index": ({"ignore_index": 2**63}, ValueError, "ignore_index = 9223372036854775808 does not fit in an"),
    "label": ({"target": TARGET + 1}, IndexError, r"target\[2\] = 5 is not in 0 \.\.\. 4"),
    "reduction": ({"reduction": None}, ValueError, "reduction = None is none of 'none', 'mean', 'sum'"),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", BAD_LOSSES)
def test_bad_losses(loss: str, name: str) -> None:
    arguments, error, text = BAD_LOSSES[name]
    with pytest.raises(error, match=text):
        LOSSES[loss](**{"input": LOGITS, "target": TARGET, **arguments})


def test_bad_losses_of_some() -> None:
    for value, error, text in ((None, TypeError, "label_smoothing = None is of NoneType, and must be a number"),
                               ("0.1", TypeError, "label_smoothing = '0.1' is of str, and must be a number"),
                               (-0.1, ValueError, r"label_smoothing = -0.1 is not in \[0, 1\]")):
        for loss in ("cross_entropy", "linear_cross_entropy"):
            with pytest.raises(error, match=text):
                LOSSES[loss](LOGITS, TARGET, label_smoothing=value)
    for loss in (cross_entropy, nll_loss):
        with pytest.raises(ValueError, match=r"input of shape \(4, 0\) has no class, and must have at least 1"):
            loss(torch.zeros(4, 0), TARGET)
    for features, classes in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match="neither in nor C 0"):
            linear_cross_entropy(torch.zeros(4, features), torch.zeros(classes, features), None, TARGET)
    with pytest.raises(TypeError, match="input is of list, and must be a tensor"):
        log_softmax([1.0], 0)
    with torch.no_grad():  # where nobody could miss its gradient
        assert cross_entropy(LOGITS, TARGET, torch.ones(5, requires_grad=True)).isfinite()


def test_a_graph_is_freed_by_backward() -> None:
    loss = LSTM(4, 6)(X)[0].sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_parameters_that_changed_before_backward_are_found() -> None:
    lstm = LSTM(4, 6)
    loss = lstm(X)[0].sum()
    with torch.no_grad():
        lstm.weight_hh_l0 += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
