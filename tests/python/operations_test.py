"""Pack and unpack, layers, losses, conversion and optimisers against NumPy and PyTorch's golden cases."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import numpy as np
import pytest

import varlstm
from golden import close, read_golden
from varlstm import InvalidArgumentError

LENGTHS = [3, 5, 0, 3, 1]


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
