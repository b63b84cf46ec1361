"""Recurrent networks in Python: steps, resets, dropout between layers, 16 bits, parameters of other libraries."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import numpy as np
import pytest

import varlstm
from golden import close
from varlstm import InvalidArgumentError

LENGTHS = [3, 5, 0, 3, 1]


# --- steps

@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu", "gru_reset_before"])
@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
def test_steps_are_a_forward(context, random, cell, dtype):
    rnn = varlstm.Rnn(context, 3, 5, 2, cell=cell, dtype=dtype, recurrence="stepwise")
    params = context.array(random.uniform(-0.4, 0.4, rnn.elements), dtype)
    x = random.uniform(-1, 1, (4, 3, 3))  # tokens, streams
    result = rnn.forward(varlstm.Batch(context, [4] * 3), params, context.array(x.reshape(12, 3), dtype))
    table = (2, 7, 5)
    h, c = context.zeros(table, dtype), context.zeros(table, "f64" if dtype == "f64" else "f32")
    slots = np.array([6, 0, 3])
    for t in range(4):
        order = random.permutation(3)
        y = rnn.step(params, context.array(x[t, order], dtype), context.array(slots[order], "i64"), h,
                     c if cell == "lstm" else None)
        np.testing.assert_array_equal(context.numpy(y), context.numpy(result.y).reshape(4, 3, 5)[t, order])
    np.testing.assert_array_equal(context.numpy(h)[:, slots], context.numpy(result.h_n))
    assert not context.numpy(h)[:, [1, 2, 4, 5]].any()
    if cell == "lstm" and dtype != "bf16":
        np.testing.assert_array_equal(context.numpy(c)[:, slots], context.numpy(result.c_n))


# --- prepared weights

@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu", "gru_reset_before"])
@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
def test_prepared_weights_give_the_same_bits(context, random, cell, dtype):
    rnn = varlstm.Rnn(context, 3, 20, 2, cell=cell, dtype=dtype)
    params = context.array(random.uniform(-0.4, 0.4, rnn.elements), dtype)
    batch, x = varlstm.Batch(context, LENGTHS), context.array(random.uniform(-1, 1, (sum(LENGTHS), 3)), dtype)
    expected = rnn.forward(batch, params, x, mode="save")
    gradients = rnn.backward(batch, params, x, expected.y, expected.reserve, dy=expected.y)
    for mode in ("infer", "save"):
        prepared = rnn.prepare(params, mode)
        assert prepared.parameters == rnn.parameters and prepared.hidden_size == 20
        result = prepared.forward(batch, params, x, mode="save")
        np.testing.assert_array_equal(context.numpy(result.y), context.numpy(expected.y))
        again = prepared.backward(batch, params, x, result.y, result.reserve, dy=result.y)
        np.testing.assert_array_equal(context.numpy(again.dparams), context.numpy(gradients.dparams))


def test_prepared_weights_are_of_their_parameters(context):
    rnn = varlstm.Rnn(context, 3, 5)
    params, others = context.zeros(rnn.elements), context.zeros(rnn.elements)
    prepared = rnn.prepare(params)
    with pytest.raises(InvalidArgumentError, match="params = 0x[0-9a-f]+ must be 0x[0-9a-f]+"):
        prepared.forward(varlstm.Batch(context, [1]), others, context.zeros((1, 3)))
    with pytest.raises(InvalidArgumentError, match="params: shape"):
        rnn.prepare(context.zeros(7))


# --- gradients of the parameters

@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_gradients_of_parameters_are_added_or_written(context, random, dtype):
    batch, x = varlstm.Batch(context, LENGTHS), context.array(random.uniform(-1, 1, (sum(LENGTHS), 3)), dtype)
    params, found = None, {}
    for add in (True, False):
        rnn = varlstm.Rnn(context, 3, 5, dtype=dtype, add_dparams=add)
        assert rnn.add_dparams is add
        params = context.array(random.uniform(-0.4, 0.4, rnn.elements), dtype) if params is None else params
        result = rnn.forward(batch, params, x, mode="save")
        made = rnn.backward(batch, params, x, result.y, result.reserve, dy=result.y).dparams
        given = context.array(np.full(rnn.elements, 1.0 if add else np.nan), dtype)
        rnn.backward(batch, params, x, result.y, result.reserve, dy=result.y, dparams=given)
        found[add] = context.numpy(made), context.numpy(given)
    assert np.abs(found[True][0]).max() > 0.01
    np.testing.assert_allclose(found[True][1], found[True][0] + 1, rtol=1e-5 if dtype == "f32" else 1e-13)
    np.testing.assert_array_equal(found[False][0], found[True][0])
    np.testing.assert_array_equal(found[False][1], found[True][0])


# --- steps that do not fit

def test_steps_that_do_not_fit(context, backend):
    rnn = varlstm.Rnn(context, 3, 5, 2)
    gru, both = varlstm.Rnn(context, 3, 5, 2, cell="gru"), varlstm.Rnn(context, 3, 5, bidirectional=True)
    arrays = {"params": context.zeros(rnn.elements), "x": context.zeros((2, 3)), "slots": context.zeros(2, "i64"),
              "h": context.zeros((2, 7, 5)), "c": context.zeros((2, 7, 5))}
    if backend == "host":
        with pytest.raises(InvalidArgumentError, match=re.escape("slots[1] = 0 occurs twice: it is slots[0] as well")):
            rnn.step(**arrays)
    else:
        rnn.step(**arrays)
        status = context.device_status(reset=True)
        assert status.bits == varlstm.DeviceStatusBit.SLOT and status.first_index == 1
    for change, text in (
            ({"c": None}, "c: None, wanted an array"), ({"h": None}, "h: None, wanted an array"),
            ({"c": context.zeros((2, 6, 5))}, "c: shape (2, 6, 5), wanted (2, 7, 5): L layers by S slots by H"),
            ({"h": context.zeros((7, 5))}, "h: shape (7, 5), wanted 3 dimensions: L layers by S slots by H"),
            ({"slots": context.zeros(3, "i64")}, "slots: shape (3,), wanted (2,): B streams"),
            ({"slots": context.zeros(2)}, "slots: dtype float32, wanted int64"),
            ({"x": context.zeros((2, 4))}, "x: shape (2, 4), wanted (2, 3): B streams by I"),
            ({"x": context.zeros((8, 3)), "slots": context.zeros(8, "i64")},
             "streams = 8 is larger than table_slots = 7")):
        with pytest.raises(InvalidArgumentError, match=re.escape(text)):
            rnn.step(**{**arrays, **change})
    with pytest.raises(InvalidArgumentError, match="wanted None: the cell GRU has no c"):
        gru.step(context.zeros(gru.elements), *list(arrays.values())[1:])
    with pytest.raises(InvalidArgumentError, match="VARLSTM_KEY_BIDIRECTIONAL"):
        both.step_size(1, 1)


# --- resets

@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "rnn_relu", "gru_reset_before"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_resets_cut_sequences_into_pieces(context, random, cell, dtype):
    rnn = varlstm.Rnn(context, 3, 5, 2, cell=cell, dtype=dtype, bidirectional=True, rows="ragged", resets=True)
    assert rnn.resets is True and varlstm.Rnn(context, 3, 5).resets is False
    params = context.array(random.uniform(-0.4, 0.4, rnn.elements), dtype)
    x, dy = (context.array(random.uniform(-1, 1, (12, width)), dtype) for width in (3, 10))
    flags = np.array([0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0], np.uint8)  # of sequences of 3, 5, 0, 3 and 1 tokens
    results = []
    for lengths, resets in ((LENGTHS, flags), ([2, 1, 1, 1, 3, 0, 3, 1], None)):
        batch = varlstm.Batch(context, lengths)
        assert batch.set_resets(resets, "ragged") is batch
        result = rnn.forward(batch, params, x, mode="save")
        results.append((result.y, *rnn.backward(batch, params, x, result.y, result.reserve, dy=dy)[::3]))
    for actual, expected in zip(*results):
        close(context, actual, context.numpy(expected), rtol=1e-12 if dtype == "f64" else 1e-5, atol=1e-6)
    np.testing.assert_array_equal(context.numpy(results[0][0]), context.numpy(results[1][0]))


def test_resets_come_in_many_ways(context, random):
    batch = varlstm.Batch(context, LENGTHS)
    rnn = varlstm.Rnn(context, 3, 5, resets=True, rows="ragged")
    params = context.array(random.uniform(-0.4, 0.4, rnn.elements), "f32")
    x = context.array(random.uniform(-1, 1, (12, 3)), "f32")

    def output():
        return context.numpy(rnn.forward(batch, params, x).y)

    without = output()
    flags = np.array([0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0], np.uint8)
    expected = context.numpy(rnn.forward(batch.set_resets(flags, "ragged"), params, x).y)
    assert (expected != without).any()
    padded = np.ones((5, 6), bool)  # the padding's flags have no effect
    padded[np.arange(6) < np.array(LENGTHS)[:, None]] = flags
    for resets, layout in ((flags.tolist(), "ragged"), (flags.astype(bool), "ragged"), (flags.tobytes(), "ragged"),
                           (padded, varlstm.Layout.BATCH_FIRST), (padded.astype(np.uint8), "batch_first"),
                           (np.ascontiguousarray(padded.T), "time_major")):
        assert np.array_equal(context.numpy(rnn.forward(batch.set_resets(None), params, x).y), without)
        batch.set_resets(resets, layout)
        assert np.array_equal(output(), expected)
    batch.set_lengths(LENGTHS)
    assert np.array_equal(output(), without)


@pytest.mark.parametrize("resets, layout, text", [
    (np.zeros(11, np.uint8), "ragged", "resets: shape (11,), wanted (12,): N rows of the batch"),
    (np.zeros((5, 4), bool), "batch_first", "padded_len = 4 is smaller than the longest length, 5"),
    (np.zeros((4, 5), bool), "batch_first", "resets: shape (4, 5), wanted (5, 5): B sequences by the padded length"),
    (np.zeros((6, 4), bool), "time_major", "resets: shape (6, 4), wanted (6, 5): the padded length by B sequences"),
    (np.zeros(25, bool), "batch_first", "resets: shape (25,), wanted 2 dimensions: B sequences by the padded length"),
    (np.zeros(12, np.float32), "ragged", "resets: dtype float32, wanted uint8 or bool"),
    (np.zeros(12), "wide", "layout: 'wide' is none of 'batch_first', 'time_major', 'ragged'"),
    (np.zeros(24, bool)[::2], "ragged", "resets: not contiguous"),
    ([0] * 7 + [2] + [0] * 4, "ragged", "resets[7] = 2 is neither 0 nor 1"),
    ([0.5] * 12, "ragged", "resets: "),
    ([-1] * 12, "ragged", "resets: "),
])
def test_resets_that_do_not_fit(context, resets, layout, text):
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        varlstm.Batch(context, LENGTHS).set_resets(resets, layout)


def test_resets_need_the_option_of_the_rnn(context):
    rnn, batch = varlstm.Rnn(context, 3, 5), varlstm.Batch(context, [2]).set_resets([0, 1], "ragged")
    with pytest.raises(InvalidArgumentError, match="has resets, but VARLSTM_KEY_RESETS of the rnn is 0"):
        rnn.forward(batch, context.zeros(rnn.elements), context.zeros((2, 3)))


# --- dropout and dtypes

def test_dropout_between_layers_and_its_seed(context, random):
    lstm, batch = varlstm.Rnn(context, 3, 8, 2, dropout=0.5), varlstm.Batch(context, [6, 4])
    params = context.array(random.normal(size=lstm.elements), "f32")
    x = context.array(random.normal(size=(10, 3)), "f32")
    runs = [context.numpy(lstm.forward(batch, params, x, dropout_seed=seed).y) for seed in (0, 1, 1, 2)]
    assert not np.array_equal(context.numpy(lstm.forward(batch, params, x, dropout_seed=2**64 - 1).y), runs[0])
    for seed in (-1, 2**64):  # of which the low bits would be another seed, or none
        with pytest.raises(InvalidArgumentError, match=f"dropout_seed: {seed} is not in 0 ... {2**64 - 1}"):
            lstm.forward(batch, params, x, dropout_seed=seed)
    np.testing.assert_array_equal(runs[1], runs[2])
    assert (runs[0] != runs[1]).any() and (runs[1] != runs[3]).any()


def test_sixteen_bit_rnn(context, random):
    batch = varlstm.Batch(context, LENGTHS)
    lstm, exact = (varlstm.Rnn(context, 3, 8, dtype=dtype) for dtype in ("f16", "f32"))
    params, x = random.normal(0, 0.3, exact.elements), random.normal(size=(batch.tokens, 3))
    expected = context.numpy(exact.forward(batch, context.array(params, "f32"), context.array(x, "f32")).y)
    y = lstm.forward(batch, context.array(params, "f16"), context.array(x, "f16")).y
    # Parameters, inputs and each h are rounded to 2^-11; five steps of at most a few such errors.
    close(context, y, expected, rtol=0, atol=20 * 2 ** -11)


# --- parameters of other libraries

def test_import_of_foreign_parameters(context, random):
    lstm = varlstm.Rnn(context, 3, 2, 2, bidirectional=True, dtype="f64")
    flat = random.normal(size=lstm.elements)
    ours = lstm.split(flat)
    imported = {}
    for format in ("pytorch", "cudnn", "onnx", "keras", "haste"):
        params = context.zeros(lstm.elements, "f64")
        for layer in range(2):
            for direction, suffix in enumerate(("", "_reverse")):
                w_ih, w_hh, b_ih, b_hh = (ours[f"{name}_l{layer}{suffix}"] for name in
                                          ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                gates = {"onnx": [0, 3, 1, 2], "haste": [0, 2, 1, 3]}.get(format, [0, 1, 2, 3])  # of i, f, g, o
                w_ih, w_hh, b_ih, b_hh = (one.reshape((4, 2) + one.shape[1:])[gates].reshape(one.shape)
                                          for one in (w_ih, w_hh, b_ih, b_hh))
                if format in ("keras", "haste"):
                    w_ih, w_hh, b_ih, b_hh = w_ih.T, w_hh.T, b_ih + b_hh, None
                arrays = [None if one is None else context.array(one) for one in (w_ih, w_hh, b_ih, b_hh)]
                assert lstm.import_(format, layer, direction, *arrays, params=params) is params
        imported[format] = lstm.split(context.numpy(params))
    for format, views in imported.items():
        for name, expected in ours.items():
            if format in ("keras", "haste") and "bias" in name:
                continue
            np.testing.assert_array_equal(views[name], expected, err_msg=f"{format} {name}")
        for ih, hh in ((name, name.replace("ih", "hh")) for name in ours if name.startswith("bias_ih")):
            np.testing.assert_allclose(views[ih] + views[hh], ours[ih] + ours[hh], rtol=1e-15)
    with pytest.raises(InvalidArgumentError, match=re.escape("w_ih: shape (8, 3), wanted (3, 8): in or H by 4H")):
        lstm.import_("keras", 0, 0, context.zeros((8, 3), "f64"), context.zeros((2, 8), "f64"))
    with pytest.raises(InvalidArgumentError, match="layer = 2 is not in 0 ... 1"):
        lstm.import_("pytorch", 2, 0, context.zeros((8, 4), "f64"), context.zeros((8, 2), "f64"))


@pytest.mark.parametrize("cell, gates, orders", [("gru", 3, {"keras": [1, 0, 2], "onnx": [1, 0, 2], "haste": [1, 0, 2]}),
                                                 ("rnn_tanh", 1, {}), ("rnn_relu", 1, {}),
                                                 ("gru_reset_before", 3, {"keras": [1, 0, 2], "onnx": [1, 0, 2]})])
def test_import_of_foreign_parameters_of_other_cells(context, random, cell, gates, orders):
    rnn = varlstm.Rnn(context, 3, 2, 2, cell=cell, bidirectional=True, dtype="f64")
    absent = () if cell == "gru" else ("haste",) if gates == 1 else ("pytorch", "cudnn", "haste")
    flat = random.normal(size=rnn.elements)
    ours = rnn.split(flat)
    for format in ("pytorch", "cudnn", "onnx", "keras", "haste"):
        params = context.zeros(rnn.elements, "f64")
        for layer in range(2):
            for direction, suffix in enumerate(("", "_reverse")):
                arrays = [ours[f"{name}_l{layer}{suffix}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
                order = orders.get(format, range(gates))  # of r, z, n
                arrays = [one.reshape((gates, 2) + one.shape[1:])[order].reshape(one.shape) for one in arrays]
                if format in ("keras", "haste"):
                    arrays = [arrays[0].T, arrays[1].T, *arrays[2:]]
                if format == "keras":
                    arrays[2:] = [np.stack(arrays[2:])] if cell == "gru" else [arrays[2] + arrays[3]]
                arrays = [context.array(np.ascontiguousarray(one)) for one in arrays]
                if format in absent:
                    with pytest.raises(varlstm.UnsupportedError, match=f"a library without VARLSTM_CELL_{cell.upper()}"):
                        rnn.import_(format, layer, direction, *arrays[:3])
                    continue
                rnn.import_(format, layer, direction, *arrays, params=params)
                if format == "keras" and cell == "gru":  # the bias's rows one by one
                    rows = [context.array(row.copy()) for row in context.numpy(arrays[2])]
                    again = rnn.split(context.numpy(rnn.import_(format, layer, direction, *arrays[:2], *rows)))
                    for name in (f"bias_ih_l{layer}{suffix}", f"bias_hh_l{layer}{suffix}"):
                        np.testing.assert_array_equal(again[name], ours[name])
        if format in absent:
            continue
        views = rnn.split(context.numpy(params))
        for name, expected in ours.items():
            if "bias" in name and format == "keras" and cell != "gru":
                ih, hh = name.replace("bias_hh", "bias_ih"), name.replace("bias_ih", "bias_hh")
                np.testing.assert_array_equal(views[ih] + views[hh], ours[ih] + ours[hh])
            else:
                np.testing.assert_array_equal(views[name], expected, err_msg=f"{format} {name}")


def test_shapes_of_imports_are_those_of_the_cell(context):
    gru, rnn = (varlstm.Rnn(context, 3, 2, cell=cell, dtype="f64") for cell in ("gru", "rnn_relu"))

    def zeros(*shape):
        return context.zeros(shape, "f64")

    for call, text in (
            (lambda: gru.import_("pytorch", 0, 0, zeros(8, 3), zeros(6, 2)), "w_ih: shape (8, 3), wanted (6, 3): 3H by in"),
            (lambda: gru.import_("haste", 0, 0, zeros(3, 6), zeros(2, 8)), "w_hh: shape (2, 8), wanted (2, 6): in or H by"),
            (lambda: gru.import_("onnx", 0, 0, zeros(6, 3), zeros(6, 2), zeros(12)), "b_ih: shape (12,), wanted (6,): 3H"),
            (lambda: gru.import_("keras", 0, 0, zeros(3, 6), zeros(2, 6), zeros(6)),
             "b_ih: shape (6,), wanted (2, 6): 2 by 3H, of reset_after=True"),
            (lambda: rnn.import_("pytorch", 0, 0, zeros(2, 3), zeros(2, 2), zeros(4)), "b_ih: shape (4,), wanted (2,): H"),
            (lambda: rnn.import_("keras", 0, 0, zeros(3, 2), zeros(2, 2), zeros(2), zeros(2)), "b_hh = ")):
        with pytest.raises(InvalidArgumentError, match=re.escape(text)):
            call()
