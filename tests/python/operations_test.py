"""Pack and unpack, layers, losses, conversion and optimisers against NumPy and PyTorch's golden cases."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import numpy as np
import pytest

import varlstm
from golden import read_golden
from varlstm import InvalidArgumentError

LENGTHS = [3, 5, 0, 3, 1]
TIGHT = {"rtol": 1e-12, "atol": 1e-12}  # as in golden_ops_test.cc


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def close(context, actual, expected, **tolerance):
    np.testing.assert_allclose(context.numpy(actual), expected, **(tolerance or TIGHT))


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


# --- pack and unpack

def padded_mask(layout: str, steps: int) -> np.ndarray:
    mask = np.arange(steps) < np.array(LENGTHS)[:, None]
    return mask.T if layout == "time_major" else mask


@pytest.mark.parametrize("features", [(), (2,)])
@pytest.mark.parametrize("layout", ["batch_first", "time_major"])
@pytest.mark.parametrize("dtype", ["f32", "f64", "i64", "f16"])
def test_pack_and_unpack_padded_rows(context, random, layout, features, dtype):
    batch, steps = varlstm.Batch(context, LENGTHS), 7
    mask = padded_mask(layout, steps)
    source = random.integers(-99, 99, mask.shape + features)
    packed = varlstm.pack(batch, context.array(source, dtype), layout)
    # Ragged rows are those of the mask, sequence after sequence.
    by_sequence = source.swapaxes(0, 1) if layout == "time_major" else source
    ragged = by_sequence[padded_mask("batch_first", steps)]
    close(context, packed, ragged[batch.packed_to_ragged])
    close(context, varlstm.unpack(batch, packed, "ragged"), ragged)
    close(context, varlstm.pack(batch, context.array(ragged, dtype), "ragged"), ragged[batch.packed_to_ragged])
    unpacked = varlstm.unpack(batch, packed, layout, padded_len=steps, pad_value=-7)
    close(context, unpacked, np.where(mask.reshape(mask.shape + (1,) * len(features)), source, -7))
    if dtype != "i64":
        zeroed = np.where(mask.reshape(mask.shape + (1,) * len(features)), source, 0)
        close(context, varlstm.pack_backward(batch, packed, layout, padded_len=steps), zeroed)
        close(context, varlstm.unpack_backward(batch, context.array(source, dtype), layout), context.numpy(packed))


def test_unpack_is_as_long_as_the_longest_sequence(context):
    batch = varlstm.Batch(context, LENGTHS)
    packed = context.zeros((batch.tokens, 2))
    assert varlstm.unpack(batch, packed).shape == (5, 5, 2)
    assert varlstm.unpack(batch, packed, "time_major").shape == (5, 5, 2)
    assert varlstm.pack_backward(batch, packed, padded_len=6).shape == (5, 6, 2)


def test_a_pad_value_that_is_no_double_is_refused_with_int64(context):
    batch = varlstm.Batch(context, LENGTHS)
    packed = context.array(np.full((batch.tokens,), 2**62 + 1))
    for pad_value in (2**53 + 1, -2**53 - 1, 2**63 - 1, 10**400):
        with pytest.raises(InvalidArgumentError, match=f"pad_value: {pad_value} is not a double"):
            varlstm.unpack(batch, packed, pad_value=pad_value)
    unpacked = context.numpy(varlstm.unpack(batch, packed, pad_value=-2**63))
    assert set(unpacked.flat) == {2**62 + 1, -2**63}
    varlstm.unpack(batch, context.zeros((batch.tokens, 2)), pad_value=2**53 + 1)  # rounded anyway


def test_a_batch_without_tokens(context, random):
    """All lengths are 0: no rows, padded rows that are all padding, and states that pass through."""
    batch = varlstm.Batch(context, [0, 0, 0])
    assert (batch.rows, batch.steps, batch.batch) == (0, 0, 3)
    for layout, shape in (("batch_first", (3, 4, 2)), ("time_major", (4, 3, 2))):
        padded = np.full(shape, np.nan, np.float32)
        packed = varlstm.pack(batch, context.array(padded), layout)
        assert packed.shape == (0, 2)
        close(context, varlstm.unpack(batch, packed, layout, padded_len=4, pad_value=-7), np.full(shape, -7))
        assert 0 in varlstm.unpack(batch, packed, layout).shape
        close(context, varlstm.pack_backward(batch, packed, layout, padded_len=4), np.zeros(shape))
        assert varlstm.unpack_backward(batch, context.array(padded), layout).shape == (0, 2)
    lstm = varlstm.Rnn(context, 2, 5, 2, bidirectional=True)
    params = context.array(random.standard_normal(lstm.elements), "f32")
    h0, c0, dh_n, dc_n = (context.array(random.standard_normal((4, 3, 5)), "f32") for _ in range(4))
    x = context.zeros((0, 2))
    result = lstm.forward(batch, params, x, h0, c0, mode="save")
    gradients = lstm.backward(batch, params, x, result.y, result.reserve, h0=h0, c0=c0, dh_n=dh_n, dc_n=dc_n)
    for actual, expected in ((result.h_n, h0), (result.c_n, c0), (gradients.dh0, dh_n), (gradients.dc0, dc_n)):
        assert np.array_equal(context.numpy(actual), context.numpy(expected))
    assert result.y.shape == (0, 10) and not context.numpy(gradients.dparams).any()


@pytest.mark.parametrize("call, text", [
    (lambda c, b: varlstm.pack(b, c.zeros((4, 5, 2))), "src: shape (4, 5, 2), wanted (5, 5, 2): B sequences by the"),
    (lambda c, b: varlstm.pack(b, c.zeros((5, 4, 2))), "padded_len = 4 is smaller than"),
    (lambda c, b: varlstm.pack(b, c.zeros(5)), "src: shape (5,), wanted 2 or 3 dimensions: B sequences by the padded"),
    (lambda c, b: varlstm.pack(b, c.zeros((11, 2)), "ragged"), "src: shape (11, 2), wanted (12, 2): N rows of the"),
    (lambda c, b: varlstm.unpack(b, c.zeros((11, 2))), "packed: shape (11, 2), wanted (12, 2): N rows of the batch"),
    (lambda c, b: varlstm.unpack(b, c.zeros((12, 2)), dst=c.zeros((5, 6, 2))), "dst: shape (5, 6, 2), wanted (5, 5,"),
])
def test_rows_that_do_not_fit_the_batch(context, call, text):
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        call(context, varlstm.Batch(context, LENGTHS))


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


# --- layers

@pytest.mark.parametrize("name", ["padding_idx-1", "padding_idx0", "padding_idx3"])
def test_embedding(context, name):
    case = read_golden("embedding.txt")[name]
    table, ids, dy = (context.array(case[item]) for item in ("table", "ids", "dy"))
    close(context, varlstm.embedding_forward(context, table, ids), case["y"])
    padding_idx = int(case["padding_idx"][0])
    close(context, varlstm.embedding_backward(context, ids, dy, 6, padding_idx=padding_idx), case["dtable"])
    added = context.array(case["table"])
    assert varlstm.embedding_backward(context, ids, dy, padding_idx=padding_idx, dtable=added) is added
    close(context, added, case["table"] + case["dtable"])
    with pytest.raises(InvalidArgumentError, match="vocab: None, wanted a number where dtable is not given"):
        varlstm.embedding_backward(context, ids, dy)


def test_an_id_out_of_range_gives_zeros_and_a_bit(context):
    y = varlstm.embedding_forward(context, context.array(np.ones((4, 3))), context.array([0, 4, 1]))
    close(context, y, [[1] * 3, [0] * 3, [1] * 3])
    assert context.device_status() == (varlstm.DeviceStatusBit.TOKEN_ID, 1)


def test_rows_beyond_the_batch_are_zeros(context):
    batch = varlstm.Batch(context, [1, 1])
    y = varlstm.embedding_forward(context, context.array(np.ones((4, 3))), context.array([0, 1, 2]), batch=batch)
    close(context, y, [[1] * 3, [1] * 3, [0] * 3])


def test_linear(context, random):
    x, weight, bias, dy = (random.normal(size=shape) for shape in ((7, 3), (4, 3), (4,), (7, 4)))
    ours = [context.array(one) for one in (x, weight, bias, dy)]
    close(context, varlstm.linear_forward(context, *ours[:3]), x @ weight.T + bias)
    close(context, varlstm.linear_forward(context, *ours[:2]), x @ weight.T)
    dx, dweight, dbias = varlstm.linear_backward(context, ours[0], ours[1], ours[3])
    close(context, dx, dy @ weight)
    close(context, dweight, dy.T @ x)
    close(context, dbias, dy.sum(0))
    added = context.array(bias)
    only = varlstm.linear_backward(context, ours[0], None, ours[3], dx=False, dweight=False, dbias=added)
    assert only.dx is None and only.dweight is None and only.dbias is added
    close(context, added, bias + dy.sum(0))
    with pytest.raises(InvalidArgumentError, match=r"weight: shape \(4, 3\), wanted \(4, 2\)|x: shape"):
        varlstm.linear_forward(context, context.array(x[:, :2]), ours[1])


def test_dropout(context):
    x = np.ones(10000)
    y = context.numpy(varlstm.dropout_forward(context, context.array(x), 0.25, 11))
    assert set(np.unique(y)) == {0, 1 / 0.75} and abs((y == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / len(x))
    close(context, varlstm.dropout_backward(context, context.array(2 * x), 0.25, 11), 2 * y)
    in_place = context.array(x)
    assert varlstm.dropout_forward(context, in_place, 0.25, 11, y=in_place) is in_place
    close(context, in_place, y)
    assert (context.numpy(varlstm.dropout_forward(context, context.array(x), 0.25, 12)) != y).any()


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


def test_convert(context, random):
    values = random.normal(size=(3, 5))
    single = varlstm.convert(context, context.array(values), np.float32)
    close(context, single, values.astype(np.float32), rtol=0)
    half = varlstm.convert(context, single, "f16")
    close(context, half, values.astype(np.float32).astype(np.float16), rtol=0)
    brain = varlstm.convert(context, single, "bf16")
    close(context, varlstm.convert(context, brain, "f64", from_dtype="bf16"), values, rtol=2 ** -8)
    with pytest.raises(InvalidArgumentError, match="to_dtype"):
        varlstm.convert(context, single, "i64")


def test_copy_columns(context, random):
    left, right = random.normal(size=(4, 3)), random.normal(size=(4, 2))
    joined = context.zeros((4, 5), np.float64)
    varlstm.copy_columns(context, context.array(left), 3, dst=joined)
    assert varlstm.copy_columns(context, context.array(right), 2, dst=joined, dst_column=3) is joined
    close(context, joined, np.concatenate([left, right], axis=1), rtol=0)
    close(context, varlstm.copy_columns(context, joined, 2, src_column=2), np.stack([left[:, 2], right[:, 0]], 1), rtol=0)
    ids = varlstm.copy_columns(context, context.array(np.arange(6).reshape(2, 3)), 1, src_column=1)
    close(context, ids, np.array([[1], [4]]), rtol=0)
    with pytest.raises(InvalidArgumentError, match=r"src_column: 4 and 2 columns after it are not in 0 ... 5"):
        varlstm.copy_columns(context, joined, 2, src_column=4)
    with pytest.raises(InvalidArgumentError, match=r"dst: shape \(3, 2\), wanted \(4, 2\)"):
        varlstm.copy_columns(context, joined, 2, dst=context.zeros((3, 2), np.float64))


def test_sixteen_bit_rnn(context, random):
    batch = varlstm.Batch(context, LENGTHS)
    lstm, exact = (varlstm.Rnn(context, 3, 8, dtype=dtype) for dtype in ("f16", "f32"))
    params, x = random.normal(0, 0.3, exact.elements), random.normal(size=(batch.tokens, 3))
    expected = context.numpy(exact.forward(batch, context.array(params, "f32"), context.array(x, "f32")).y)
    y = lstm.forward(batch, context.array(params, "f16"), context.array(x, "f16")).y
    # Parameters, inputs and each h are rounded to 2^-11; five steps of at most a few such errors.
    close(context, y, expected, rtol=0, atol=20 * 2 ** -11)


# --- losses

@pytest.mark.parametrize("name", read_golden("cross_entropy.txt"))
def test_losses(context, name):
    case = read_golden("cross_entropy.txt")[name]
    classes, ignore_index, reduction = case["options"].tolist()
    smoothing = float(case["smoothing"][0])
    loss = varlstm.Loss(context, classes, ignore_index=ignore_index, reduction=varlstm.Reduction(reduction),
                        label_smoothing=smoothing)
    shape = case["logits"].shape
    logits, targets, dout = (context.array(case[item].reshape(shape if item == "logits" else -1))
                             for item in ("logits", "targets", "dout"))
    weight = context.array(case["weight"]) if "weight" in case else None

    out, weight_sum, dlogits = loss.cross_entropy_forward(logits, targets, class_weights=weight, weight_sum=None)
    close(context, out, case["loss"])
    loss.cross_entropy_backward(dlogits, dout)
    close(context, dlogits, case["dlogits"])
    kept = case["targets"][case["targets"] != ignore_index]
    close(context, weight_sum, [(case["weight"] if "weight" in case else np.ones(classes))[kept].sum()])

    log_probs = varlstm.log_softmax_forward(context, logits)
    close(context, log_probs, case["log_probs"])
    close(context, loss.nll_forward(log_probs, targets, class_weights=weight).out, case["loss"])
    dlog_probs = loss.nll_backward(targets, dout, class_weights=weight, dtype="f64")
    close(context, varlstm.log_softmax_backward(context, log_probs, dlog_probs), case["dlogits"])


def test_linear_cross_entropy_is_its_parts(context, random):
    x, weight, bias = (context.array(random.normal(size=shape)) for shape in ((9, 4), (5, 4), (5,)))
    targets, class_weights = context.array([0, 1, 2, 3, 4, -100, 0, 1, 2]), context.array([1.0, 2, 0.5, 1, 3])
    loss = varlstm.Loss(context, 5, reduction="none", label_smoothing=0.1)
    dout = context.array(random.normal(size=9))

    logits = varlstm.linear_forward(context, x, weight, bias)
    expected, _, dlogits = loss.cross_entropy_forward(logits, targets, class_weights=class_weights)
    gradients = varlstm.linear_backward(context, x, weight, loss.cross_entropy_backward(dlogits, dout))

    out, weight_sum, lse = loss.linear_cross_entropy_forward(x, weight, bias, targets, class_weights=class_weights)
    close(context, out, context.numpy(expected))
    assert weight_sum is None
    fused = loss.linear_cross_entropy_backward(x, weight, bias, targets, lse, dout, class_weights=class_weights)
    for actual, wanted in zip(fused, gradients):
        close(context, actual, context.numpy(wanted))


def test_a_target_out_of_range_raises_a_bit(context):
    loss = varlstm.Loss(context, 3)
    with pytest.raises(InvalidArgumentError, match=re.escape("logits: shape (2, 4), wanted (2, 3): rows by C")):
        loss.cross_entropy_forward(context.zeros((2, 4)), context.zeros(2, "i64"))
    loss.cross_entropy_forward(context.zeros((2, 3)), context.array([0, 3]))
    assert context.device_status(reset=False) == (varlstm.DeviceStatusBit.LABEL, 1) == context.device_status()


def test_a_mean_over_nothing(context):
    for empty_mean, expected in (("nan", np.nan), ("zero", 0)):
        loss = varlstm.Loss(context, 3, empty_mean=empty_mean)
        close(context, loss.nll_forward(context.zeros((2, 3)), context.array([-100, -100])).out, [expected])


# --- optimisers

@pytest.mark.parametrize("name", read_golden("optimizers.txt"))
def test_optimizers(context, name):
    case = read_golden("optimizers.txt")[name]
    options = {item: float(case[item][0]) for item in ("lr", "weight_decay")}
    params, count = context.array(case["params"]), case["params"].size
    if name.startswith("sgd"):
        momentum, nesterov = float(case["momentum"][0]), bool(case["nesterov"][0])
        velocity = context.zeros(count, "f64") if momentum else None
    else:
        (beta1, beta2), eps = case["betas"].tolist(), float(case["eps"][0])
        m, v, steps = context.zeros(count, "f64"), context.zeros(count, "f64"), context.zeros(1, "i64")
    for grads, expected in zip(case["grads"], case["trace"]):
        grads = context.array(grads)
        if name.startswith("sgd"):
            varlstm.sgd_step(context, params, grads, velocity, momentum=momentum, nesterov=nesterov, **options)
        else:
            varlstm.adam_step(context, params, grads, m, v, steps, beta1=beta1, beta2=beta2, eps=eps,
                              decoupled=name.startswith("adamw"), **options)
        close(context, params, expected)


@pytest.mark.parametrize("name", read_golden("clipping.txt"))
def test_clipping(context, name):
    case = read_golden("clipping.txt")[name]
    grads = context.array(case["grads"])
    close(context, varlstm.grad_norm(context, grads), case["norm"])
    close(context, varlstm.clip_grad_norm(context, grads, float(case["max_norm"][0])), case["norm"])
    close(context, grads, case["clipped"])


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


# --- convolution with maximum

def naive_conv_max(offsets, x, weight, bias):
    """The values before the activation, and the rows of the maxima."""
    width, left = weight.shape[2], (weight.shape[2] - 1) // 2
    y = np.zeros((len(offsets) - 1, len(weight)))
    argmax = np.full(y.shape, -1)
    for w, (begin, end) in enumerate(zip(offsets[:-1], offsets[1:])):
        if begin == end:
            continue
        padded = np.vstack([np.zeros((left, x.shape[1])), x[begin:end], np.zeros((width - 1 - left, x.shape[1]))])
        windows = np.stack([padded[p:p + width] for p in range(end - begin)])
        v = np.einsum("pki,fik->pf", windows, weight) + bias
        y[w], argmax[w] = v.max(0), begin + v.argmax(0)
    return y, argmax


def test_conv_max_and_its_gradients(context, backend, random):
    offsets, width = [0, 3, 3, 4, 9], 4
    x, weight, bias = (random.uniform(-1, 1, shape) for shape in ((9, 3), (5, 3, width), (5,)))
    arrays = [context.array(offsets, "i64"), context.array(x), context.array(weight)]
    values, rows = naive_conv_max(offsets, x, weight, bias)
    y, argmax = varlstm.conv_max_forward(context, *arrays, context.array(bias), activation="tanh")
    close(context, y, np.tanh(values))
    np.testing.assert_array_equal(context.numpy(argmax), rows)
    assert varlstm.conv_max_forward(context, *arrays, argmax=False).argmax is None

    dy = random.uniform(-1, 1, (4, 5))
    result = varlstm.conv_max_backward(context, *arrays, y, context.array(dy), argmax, activation="tanh")
    dv = dy * (1 - np.tanh(values) ** 2) * (rows >= 0)
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for w, f in zip(*np.nonzero(rows >= 0)):
        for k in range(width):
            row = rows[w, f] + k - (width - 1) // 2
            if offsets[w] <= row < offsets[w + 1]:
                dx[row] += dv[w, f] * weight[f, :, k]
                dweight[f, :, k] += dv[w, f] * x[row]
    for actual, expected in zip(result, (dx, dweight, dv.sum(0))):
        close(context, actual, expected)
    before = context.array(np.ones_like(weight))
    again = varlstm.conv_max_backward(context, *arrays, y, context.array(dy), argmax, activation="tanh", dx=False,
                                      dweight=before, dbias=False)
    assert again.dx is None and again.dbias is None
    close(context, again.dweight, 1 + dweight)
    if backend == "host":
        with pytest.raises(InvalidArgumentError, match=re.escape("offsets[4] = 9 is not in 0 ... rows = 8")):
            varlstm.conv_max_forward(context, arrays[0], context.array(x[:8]), arrays[2])
    else:
        cut = varlstm.conv_max_forward(context, arrays[0], context.array(x[:8]), arrays[2])
        assert not context.numpy(cut.y)[3].any()
        status = context.device_status(reset=True)
        assert (status.bits, status.first_index) == (varlstm.DeviceStatusBit.OFFSET, 3)
    with pytest.raises(InvalidArgumentError, match="x: shape"):
        varlstm.conv_max_forward(context, arrays[0], arrays[1], context.array(np.zeros((5, 2, 4))))
