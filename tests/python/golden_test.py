"""The case that the binding of every language computes, and all of each cell: outputs and gradients are PyTorch's.
What is imported from Keras and ONNX computes what those compute."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

import varlstm
from golden import read_golden

CELLS = {"bindings": "lstm", "lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn_tanh", "rnn_relu": "rnn_relu",
         "gru_reset_before": "gru_reset_before", "projected_lstm": "lstm"}  # by file
CASES = {f"{file}_{name}": (cell, case) for file, cell in CELLS.items()
         for name, case in read_golden(f"{file}.txt").items()}
PEERS = {f"{format}_{name}": (format, case) for format in ("keras", "onnx")
         for name, case in read_golden(f"{format}.txt").items()}
TOLERANCES = {"f64": 1e-12, "f32": 2e-5}  # as in golden_lstm_test.cc


def test_the_bindings_case_has_the_lengths_5_3_3_1():
    (case,) = read_golden("bindings.txt").values()
    assert case["lengths"].tolist() == [5, 3, 3, 1]


@pytest.mark.parametrize("rows", ["packed", "ragged"])
@pytest.mark.parametrize("dtype", ["f64", "f32"])
@pytest.mark.parametrize("name", CASES)
def test_pytorchs_outputs_and_gradients(context, name, dtype, rows):
    cell, case = CASES[name]
    input_size, hidden_size, layers, bidirectional, bias, *projection = case["shape"].tolist()
    rnn = varlstm.Rnn(context, input_size, hidden_size, layers, cell=cell, bidirectional=bool(bidirectional),
                      bias=bool(bias), dtype=dtype, rows=rows, proj_size=sum(projection))
    batch = varlstm.Batch(context, case["lengths"])
    order = batch.ragged_to_packed if rows == "ragged" else slice(None)

    def array(item, index=slice(None)):
        return context.array(case[item][index], dtype) if item in case else None

    def flat(prefix):
        tensors = [case[prefix + parameter.name] for parameter in rnn.parameters]
        assert [tensor.shape for tensor in tensors] == [parameter.shape for parameter in rnn.parameters]
        return np.concatenate([tensor.ravel() for tensor in tensors])

    def expect(actual, item, index=slice(None)):
        np.testing.assert_allclose(context.numpy(actual), case[item][index], rtol=TOLERANCES[dtype],
                                   atol=TOLERANCES[dtype], err_msg=item)

    params, x, h0, c0 = context.array(flat(""), dtype), array("x", order), array("h0"), array("c0")
    y, h_n, c_n, reserve = rnn.forward(batch, params, x, h0, c0, mode="save")
    expect(y, "y", order)
    expect(h_n, "h_n")
    if cell == "lstm":
        expect(c_n, "c_n")
    else:
        assert c_n is None
    dx, dh0, dc0, dparams = rnn.backward(batch, params, x, y, reserve, h0=h0, c0=c0, dy=array("dy", order),
                                         dh_n=array("dh_n"), dc_n=array("dc_n"))
    expect(dx, "dx", order)
    case["dparams"] = flat("d")
    expect(dparams, "dparams")
    if h0 is not None:
        expect(dh0, "dh0")
    if h0 is not None and cell == "lstm":
        expect(dc0, "dc0")
    assert context.device_status() == (0, -1)


def bias_of(case: dict, format: str, place: str) -> tuple:
    """What import_ takes as b_ih and b_hh: of a GRU of Keras the whole array [2, 3H]."""
    biases = tuple(case[name + place] for name in ("bias_ih", "bias_hh") if name + place in case)
    return (np.stack(biases),) if format == "keras" and len(biases) == 2 else biases


@pytest.mark.parametrize("name", PEERS)
def test_imports_compute_what_keras_and_onnx_runtime_compute(context, name):
    format, case = PEERS[name]
    input_size, hidden_size, layers, bidirectional, bias = case["shape"].tolist()
    rnn = varlstm.Rnn(context, input_size, hidden_size, layers, cell=varlstm.Cell(case["cell"].item()), dtype="f64",
                      bidirectional=bool(bidirectional), bias=bool(bias), rows="ragged")
    batch = varlstm.Batch(context, case["lengths"])

    def array(item):
        return context.array(case[item], "f64") if item in case else None

    params = None
    for layer in range(layers):
        for direction, suffix in enumerate(("", "_reverse")[:1 + bidirectional]):
            place = f"_l{layer}{suffix}"
            arrays = [case["kernel_ih" + place], case["kernel_hh" + place], *bias_of(case, format, place)]
            arrays = [context.array(one, "f64") for one in arrays]
            params = rnn.import_(format, layer, direction, *arrays, params=params)
    result = rnn.forward(batch, params, array("x"), array("h0"), array("c0"))
    for item in ("y", "h_n", "c_n"):
        if item in case:
            tolerance = 1e-13 if format == "keras" else 1e-6  # as in golden_peers_test.cc
            np.testing.assert_allclose(context.numpy(getattr(result, item)), case[item], rtol=tolerance, atol=tolerance,
                                       err_msg=item)
