"""Context, Batch, Rnn, Loss: options, errors that name the argument, the end of a handle, threads, and no leak."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gc
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import varlstm
from varlstm import InvalidArgumentError, _declarations, _library


def test_every_function_of_the_library_is_called_in_the_package():
    folder = pathlib.Path(varlstm.__file__).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py") if path.name != "_declarations.py")
    called = set(re.findall(r"\blib(?:rary)?\.(varlstm_\w+)", text))
    assert called == set(_declarations.FUNCTIONS)


# --- options

def test_options_of_a_context(context, backend):
    assert (context.backend, context.device) == (varlstm.Backend[backend.upper()], 0)
    assert context.batch_invariant is True and context.math == varlstm.Math.F32
    context.batch_invariant, context.math = False, "tf32"
    assert context.batch_invariant is False and context.math == varlstm.Math.TF32
    with varlstm.Context(backend, math="tf32", batch_invariant=False) as other:
        assert (other.math, other.batch_invariant) == (varlstm.Math.TF32, False)
    if backend == "host":
        with varlstm.Context("host", threads=2) as other:
            assert other.threads == 2
    assert varlstm.device_count("host") == 1 and varlstm.device_count(backend) >= 1


def test_options_of_an_rnn(context):
    lstm = varlstm.Rnn(context, 3, 5, 2, dtype=np.float64, bidirectional=True, bias=False, dropout=0.25,
                       recurrence="stepwise", rows="ragged")
    assert (lstm.cell, lstm.input_size, lstm.hidden_size, lstm.num_layers) == (varlstm.Cell.LSTM, 3, 5, 2)
    assert (lstm.dtype, lstm.bidirectional, lstm.bias, lstm.dropout) == (varlstm.Dtype.F64, True, False, 0.25)
    assert (lstm.recurrence, lstm.rows) == (varlstm.Recurrence.STEPWISE, varlstm.Rows.RAGGED)
    assert lstm.recurrence_used in (varlstm.Recurrence.AUTO, varlstm.Recurrence.STEPWISE)
    assert lstm.proj_size == 0


def test_an_rnn_with_options_of_the_cell(context):
    lstm = varlstm.Rnn(context, 3, 5, proj_size=4, cell_clip=2, projection_clip=1.5, recurrent_dropout=0.25,
                       recurrent_dropout_kind="state", zoneout_h=0.5, zoneout_c=0.125)
    assert (lstm.cell_clip, lstm.projection_clip, lstm.recurrent_dropout) == (2.0, 1.5, 0.25)
    assert lstm.recurrent_dropout_kind == varlstm.RecurrentDropout.STATE
    assert (lstm.zoneout_h, lstm.zoneout_c) == (0.5, 0.125)
    with pytest.raises(InvalidArgumentError, match="value = 1 "):
        varlstm.Rnn(context, 3, 5, recurrent_dropout=1.0)
    with pytest.raises(InvalidArgumentError, match="value = 2 must be 0: VARLSTM_CELL_GRU has no VARLSTM_KEY_CELL_CLIP"):
        varlstm.Rnn(context, 3, 5, cell="gru", cell_clip=2)


def test_a_layer_normalised_rnn(context):
    for cell, gates, rest in (("lstm", 4, ["norm_c_l0", "norm_c_bias_l0"]), ("gru", 3, [])):
        rnn = varlstm.Rnn(context, 3, 5, cell=cell, layer_norm=True)
        assert rnn.layer_norm is True and varlstm.Rnn(context, 3, 5, cell=cell).layer_norm is False
        assert [p.name for p in rnn.parameters][4:] == ["norm_ih_l0", "norm_hh_l0", *rest]
        assert [p.shape for p in rnn.parameters][4:] == [(5 * gates,)] * 2 + [(5,)] * len(rest)
        batch, x = varlstm.Batch(context, [2]), context.array(np.ones((2, 3), np.float32))
        params = context.array(np.linspace(-1, 1, rnn.elements, dtype=np.float32))
        assert np.isfinite(context.numpy(rnn.forward(batch, params, x).y)).all()
    with pytest.raises(InvalidArgumentError, match="layer_norm: value = 1 must be 0: VARLSTM_CELL_RNN_TANH has no"):
        varlstm.Rnn(context, 3, 5, cell="rnn_tanh", layer_norm=True)


def test_an_rnn_that_gives_c_of_every_token(context):
    lstm = varlstm.Rnn(context, 3, 5, 2, dtype="f64", proj_size=2, bidirectional=True, rows="ragged", cell_states=True)
    plain = varlstm.Rnn(context, 3, 5, 2, dtype="f64", proj_size=2, bidirectional=True, rows="ragged",
                        recurrence="stepwise")
    assert lstm.cell_states is True and plain.cell_states is False
    random = np.random.default_rng(5)
    batch = varlstm.Batch(context, [2, 0, 3])
    params, x = context.array(random.uniform(-1, 1, lstm.elements)), context.array(random.uniform(-1, 1, (5, 3)))
    y, h_n, c_n, reserve, c = lstm.forward(batch, params, x, mode="save")
    c, c_n = context.numpy(c).reshape(5, 2, 5), context.numpy(c_n)
    np.testing.assert_array_equal(c[[1, 4], 0], c_n[2, [0, 2]])  # the last tokens of the two sequences with tokens
    np.testing.assert_array_equal(c[[0, 2], 1], c_n[3, [0, 2]])  # and the first ones, where the backward direction ends
    result = plain.forward(batch, params, x, mode="save")
    np.testing.assert_array_equal(context.numpy(result.y), context.numpy(y))
    # The gradient of the sum of c: with dc of ones, against differences along x.
    gradients = lstm.backward(batch, params, x, y, reserve, dc=context.array(np.ones((5, 10))))
    direction = random.uniform(-1, 1, (5, 3))

    def sum_of_c(step: float) -> float:
        moved = context.array(context.numpy(x) + step * direction)
        return float(context.numpy(lstm.forward(batch, params, moved, h_n=False, c_n=False).c).sum())

    expected = (sum_of_c(1e-5) - sum_of_c(-1e-5)) / 2e-5
    assert np.vdot(context.numpy(gradients.dx), direction) == pytest.approx(expected, rel=1e-7)
    assert lstm.forward(batch, params, x, c=False).c is None
    with pytest.raises(InvalidArgumentError, match="c: DeviceArray|c: ndarray"):
        plain.forward(batch, params, x, c=context.zeros((5, 10), "f64"))
    with pytest.raises(InvalidArgumentError, match="dc: .*wanted None: make the Rnn with cell_states=True"):
        plain.backward(batch, params, x, result.y, result.reserve, dc=context.zeros((5, 10), "f64"))
    with pytest.raises(InvalidArgumentError, match=r"c: shape \(5, 9\), wanted \(5, 10\)"):
        lstm.forward(batch, params, x, c=context.zeros((5, 9), "f64"))
    with pytest.raises(InvalidArgumentError, match="cell_states: value = 1 must be 0: VARLSTM_CELL_GRU has no"):
        varlstm.Rnn(context, 3, 5, cell="gru", cell_states=True)


def test_weights_are_dropped_in_calls_with_a_seed(context):
    random = np.random.default_rng(5)
    rnn, plain = varlstm.Rnn(context, 3, 5, recurrent_dropout=0.5), varlstm.Rnn(context, 3, 5)
    params = context.array(random.uniform(-0.4, 0.4, rnn.elements), "f32")
    batch, x = varlstm.Batch(context, [4, 2]), context.array(random.uniform(-1, 1, (6, 3)), "f32")
    y = [context.numpy(one.forward(batch, params, x, **seed).y)
         for one, seed in ((plain, {}), (rnn, {}), (rnn, {"dropout_seed": 7}), (rnn, {"dropout_seed": 7}))]
    np.testing.assert_array_equal(y[0], y[1])
    np.testing.assert_array_equal(y[2], y[3])
    assert (y[0] != y[2]).any()


def test_an_rnn_with_a_projection(context):
    lstm = varlstm.Rnn(context, 3, 5, 2, bidirectional=True, proj_size=4)
    assert lstm.proj_size == 4
    assert lstm.parameters[4] == ("weight_hr_l0", 20 * (3 + 4 + 2), (4, 5)) and lstm.parameters[10].shape == (20, 8)
    for proj_size in (5, 6, -1):
        with pytest.raises(InvalidArgumentError, match=f"value = {proj_size} is outside .0, hidden_size., .* = 5"):
            varlstm.Rnn(context, 3, 5, proj_size=proj_size)
    with pytest.raises(InvalidArgumentError, match="value = 4 must be 0: VARLSTM_CELL_GRU has no VARLSTM_KEY_PROJ_SIZE"):
        varlstm.Rnn(context, 3, 5, cell="gru", proj_size=4)
    batch, params = varlstm.Batch(context, [2, 1]), context.array(np.zeros(lstm.elements, np.float32))
    x, h, c = (context.array(np.zeros(shape, np.float32)) for shape in ((3, 3), (4, 2, 4), (4, 2, 5)))
    result = lstm.forward(batch, params, x, h, c)
    assert [tuple(context.numpy(array).shape) for array in result[:3]] == [(3, 8), (4, 2, 4), (4, 2, 5)]
    for states, name in (((c, c), "h0"), ((h, h), "c0")):
        with pytest.raises(InvalidArgumentError, match=f"{name}: .*by {'P' if name == 'h0' else 'H'}"):
            lstm.forward(batch, params, x, *states)
    w = context.array(np.zeros((20, 4), np.float32))
    with pytest.raises(varlstm.UnsupportedError, match="no place for weight_hr"):
        lstm.import_("pytorch", 0, 0, context.array(np.zeros((20, 3), np.float32)), w)


def test_the_parameters_of_an_rnn(context):
    lstm = varlstm.Rnn(context, 3, 5, 2, bidirectional=True)
    assert [p.name for p in lstm.parameters[:5]] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
                                                     "weight_ih_l0_reverse"]
    assert lstm.parameters[9].name == "weight_hh_l1" and lstm.parameters[8].shape == (20, 10)
    flat = np.arange(lstm.elements)
    views = lstm.split(flat)
    assert np.concatenate([view.ravel() for view in views.values()]).tolist() == flat.tolist()
    views["bias_ih_l0"][0] = -1
    assert -1 in flat


@pytest.mark.parametrize("cell, gates", [("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1), ("gru_reset_before", 3)])
def test_an_rnn_of_a_cell_without_c(context, cell, gates):
    for given in (cell, varlstm.Cell[cell.upper()]):
        rnn = varlstm.Rnn(context, 3, 5, cell=given)
        assert rnn.cell == varlstm.Cell[cell.upper()] and rnn.cell.name in repr(rnn)
        assert [p.shape for p in rnn.parameters] == [(gates * 5, 3), (gates * 5, 5), (gates * 5,), (gates * 5,)]
    batch, params, x = varlstm.Batch(context, [2, 1]), context.zeros(rnn.elements), context.zeros((3, 3))
    state = context.zeros((1, 2, 5))
    y, h_n, c_n, reserve = rnn.forward(batch, params, x, state, mode="save")
    assert h_n.shape == (1, 2, 5) and c_n is None
    assert rnn.forward(batch, params, x, c_n=False).c_n is None
    dx, dh0, dc0, _ = rnn.backward(batch, params, x, y, reserve, h0=state, dy=y)
    assert dx.shape == (3, 3) and dh0.shape == (1, 2, 5) and dc0 is None
    text = f", wanted None: the cell {rnn.cell.name} has no c"
    for name in ("c0", "c_n"):
        with pytest.raises(InvalidArgumentError, match=f"{name}: .*{text}"):
            rnn.forward(batch, params, x, **{name: state})
    for name in ("c0", "dc_n", "dc0"):
        with pytest.raises(InvalidArgumentError, match=f"{name}: .*{text}"):
            rnn.backward(batch, params, x, y, reserve, **{name: state})


def test_options_of_a_loss(context):
    loss = varlstm.Loss(context, 6, ignore_index=0, reduction="sum", empty_mean="zero", label_smoothing=0.125)
    assert (loss.classes, loss.ignore_index, loss.label_smoothing) == (6, 0, 0.125)
    assert (loss.reduction, loss.empty_mean) == (varlstm.Reduction.SUM, varlstm.EmptyMean.ZERO)


def test_the_arrays_of_a_batch(context):
    batch = varlstm.Batch(context, [2, 4, 0, 1, 2])
    expected = {"lengths": [2, 4, 0, 1, 2], "batch_sizes": [4, 3, 1, 1], "step_offsets": [0, 4, 7, 8, 9],
                "sorted_indices": [1, 0, 4, 3, 2], "unsorted_indices": [1, 0, 4, 3, 2],
                "cu_seqlens": [0, 2, 6, 6, 7, 9],
                "packed_to_ragged": [2, 0, 7, 6, 3, 1, 8, 4, 5], "ragged_to_packed": [1, 5, 0, 4, 7, 8, 3, 2, 6]}
    for name, values in expected.items():
        assert getattr(batch, name).tolist() == values == batch.array(name).tolist(), name
    assert (batch.batch, batch.tokens, batch.steps, batch.rows) == (5, 9, 4, 9)
    assert (batch.max_batch, batch.max_len, batch.max_tokens) == (5, 4, 9)


def test_lengths_come_in_many_ways(context):
    batch = varlstm.Batch(context, max_batch=4, max_len=9)
    assert (batch.batch, batch.max_tokens, batch.cu_seqlens.tolist()) == (0, 36, [0])
    values = np.array([3, 0, 1])
    for lengths in (values.tolist(), tuple(values), values, values.astype(np.int32), memoryview(values)):
        assert batch.set_lengths(lengths) is batch
        assert batch.lengths.tolist() == [3, 0, 1] and batch.tokens == 4
    batch.set_lengths(range(3))
    assert batch.lengths.tolist() == [0, 1, 2]
    batch.from_batch_sizes([3, 1], np.array([2, 0, 1]))
    assert batch.lengths.tolist() == [1, 1, 2]
    batch.from_batch_sizes([2, 2])
    assert batch.lengths.tolist() == [2, 2]
    batch.from_batch_sizes([])
    assert batch.batch == 0


def test_lengths_in_the_back_ends_memory(context, backend):
    lengths = varlstm.DeviceArray(context, (3,), varlstm.Dtype.I64).copy_from(np.array([3, 0, 1]))
    batch = varlstm.Batch(context, lengths, max_batch=3, max_len=3)
    assert batch.lengths.tolist() == [3, 0, 1] and batch.batch_sizes.tolist()[:3] == [2, 1, 1]
    if backend == "cuda":
        assert batch.rows == batch.max_tokens == 9
        with pytest.raises(varlstm.UnsupportedError, match="only the device knows the lengths"):
            batch.tokens
        with pytest.raises(InvalidArgumentError, match="max_len: None, wanted a number where no lengths of the"):
            varlstm.Batch(context, lengths)
        batch.set_lengths(context.array([3, 7, 1]))
        status = context.device_status()
        assert (status.bits, status.first_index) == (varlstm.DeviceStatusBit.LENGTH, 1)
        assert context.device_status() == (0, -1)


# --- errors name the argument

@pytest.mark.parametrize("call, text", [
    (lambda c: varlstm.Context("tpu"), "backend: 'tpu' is none of 'host', 'cuda'"),
    (lambda c: varlstm.Context("host", 3), "device = 3 is not in 0 ... 0"),
    (lambda c: varlstm.Context("host", threads=-1), "threads: value = -1 is not in 0 ... 1024"),
    (lambda c: varlstm.Rnn(c, 3, 0), "hidden_size = 0 is smaller than 1"),
    (lambda c: varlstm.Rnn(c, 3, "five"), "hidden_size: 'five' is of a wrong type"),
    (lambda c: varlstm.Rnn(c, 2**64 + 3, 5), "input_size: 18446744073709551619 is not in -9223372036854775808 ..."),
    (lambda c: varlstm.Context("host", 2**32), "device: 4294967296 is not in -2147483648 ... 2147483647"),
    (lambda c: varlstm.Loss(c, 3, ignore_index=2**63), "ignore_index: value: 9223372036854775808 is not in"),
    (lambda c: varlstm.dropout_forward(c, c.zeros(3), 0.5, 2**64), "seed: 18446744073709551616 is not in 0 ... 1844674"),
    (lambda c: varlstm.dropout_backward(c, c.zeros(3), 0.5, -1), "seed: -1 is not in 0 ... 18446744073709551615"),
    (lambda c: varlstm.Rnn(c, 3, 5, dtype="f99"), "dtype: 'f99' is none of"),
    (lambda c: varlstm.Rnn(c, 3, 5, dtype="i64"), "dtype: value = 4 (VARLSTM_DTYPE_I64) is for pack, unpack and copy_columns alone"),
    (lambda c: varlstm.Rnn(c, 3, 5, dropout=2.0), "dropout: value = 2 is not in [0, 1)"),
    (lambda c: varlstm.Rnn(c, 3, 5, bidirectional=3), "bidirectional: value = 3 is neither 0 nor 1"),
    (lambda c: varlstm.Rnn(c, 3, 5, cell="mgu"),
     "cell: 'mgu' is none of 'lstm', 'gru', 'rnn_tanh', 'rnn_relu', 'gru_reset_before'"),
    (lambda c: varlstm.Rnn(c, 3, 5, rows="wide"), "rows: 'wide' is none of 'packed', 'ragged'"),
    (lambda c: varlstm.Loss(c, 0), "classes = 0 is smaller than 1"),
    (lambda c: varlstm.Loss(c, 3, reduction="avg"), "reduction: 'avg' is none of 'none', 'mean', 'sum'"),
    (lambda c: varlstm.Loss(c, 3, label_smoothing=2.0), "label_smoothing: value = 2 is not in [0, 1]"),
    (lambda c: varlstm.Batch(c, [3, -1]), "lengths[1] = -1 is smaller than 0"),
    (lambda c: varlstm.Batch(c, [3, 41], max_batch=2, max_len=40), "lengths[1] = 41 is larger than max_len = 40"),
    (lambda c: varlstm.Batch(c, [3, 4], max_batch=2, max_len=4, max_tokens=6), "lengths[1] = 4 makes the sum 7"),
    (lambda c: varlstm.Batch(c, [1, 1, 1], max_batch=2, max_len=4), "count = 3 is not in 0 ... max_batch = 2"),
    (lambda c: varlstm.Batch(c, [3, 2.5]), "lengths: 'float' object cannot be interpreted as an integer"),
    (lambda c: varlstm.Batch(c, [2 ** 64]), "lengths: int too big to convert"),
    (lambda c: varlstm.Batch(c, np.array([3, 2.5])), "lengths: dtype float64, wanted int64"),
    (lambda c: varlstm.Batch(c, np.array([[3, 2]])), "lengths: shape (1, 2), wanted one dimension"),
    (lambda c: varlstm.Batch(c, np.arange(9)[::2]), "lengths: not contiguous"),
    (lambda c: varlstm.Batch(c, max_batch=3), "max_len: None, wanted a number"),
    (lambda c: varlstm.Batch(c, max_batch=-3, max_len=2), "max_batch = -3 is smaller than 0"),
    (lambda c: varlstm.Batch(c, [4] * 3).from_batch_sizes([1, 3]), "batch_sizes[1] = 3 is larger than"),
    (lambda c: varlstm.Batch(c, [4] * 3).from_batch_sizes([3], [0, 1]), "sorted_indices: shape (2,), wanted (3,)"),
    (lambda c: varlstm.Batch(c, [4] * 3).from_batch_sizes([3], [0, 1, 1]), "sorted_indices[2] = 1 stands there twice"),
    (lambda c: varlstm.Batch(c, [1]).array("widths"), "which: 'widths' is none of 'lengths'"),
    (lambda c: c.empty((2, -1)), "shape: (2, -1), wanted numbers from 0 on"),
    (lambda c: varlstm.Rnn(c, 3, 5).forward(None, None, None), "batch: None is not a Batch"),
    (lambda c: varlstm.pack(varlstm.Batch(c, [1]), c.zeros((1, 1)), "wide"), "layout: 'wide' is none of 'batch_first'"),
    (lambda c: varlstm.Rnn(None, 3, 5), "context: None is not a Context"),
    (lambda c: varlstm.Batch(None, [3]), "context: None is not a Context"),
    (lambda c: varlstm.Loss([], 3), "context: [] is not a Context"),
    (lambda c: varlstm.dropout_forward(None, c.zeros(3), 0.5, 1), "context: None is not a Context"),
    (lambda c: varlstm.dropout_forward(c, c.zeros(3), 1.5, 1), "p = 1.5 is not in [0, 1)"),
])
def test_a_wrong_argument_is_named(context, call, text):
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        call(context)


def test_errors_have_the_librarys_status(context):
    with pytest.raises(varlstm.UnsupportedError, match="VARLSTM_DTYPE_F16") as info:
        varlstm.sgd_step(context, context.zeros(3, "f16"), context.zeros(3, "f16"), lr=0.1)
    assert info.value.status == varlstm.Status.ERROR_UNSUPPORTED and isinstance(info.value, NotImplementedError)
    assert varlstm.status_name(info.value.status) == "VARLSTM_ERROR_UNSUPPORTED"
    lstm, batch = varlstm.Rnn(context, 2, 3), varlstm.Batch(context, [2])
    with pytest.raises(varlstm.BufferTooSmallError, match="reserve_bytes = 1 is too small"):
        lstm.forward(batch, context.zeros(lstm.elements), context.zeros((2, 2)), mode="save",
                     reserve=varlstm.Memory(context, 1))
    with pytest.raises(InvalidArgumentError, match='reserve: None, wanted what forward gave with mode "save"'):
        lstm.backward(batch, context.zeros(lstm.elements), context.zeros((2, 2)), context.zeros((2, 3)), None)


def test_what_belongs_to_another_context_is_refused(context, backend):
    with varlstm.Context(backend) as other:
        lstm, batch = varlstm.Rnn(context, 2, 3), varlstm.Batch(other, [2])
        with pytest.raises(InvalidArgumentError, match="batch: it belongs to another context"):
            lstm.forward(batch, context.zeros(lstm.elements), context.zeros((2, 2)))
        with pytest.raises(InvalidArgumentError, match="batch = .* belongs to another context"):
            varlstm.embedding_forward(context, context.zeros((4, 3)), context.zeros(2, "i64"), batch=batch)


# --- the end of a handle

def test_closing_twice_and_use_afterwards(context):
    makers = {"Batch": lambda: varlstm.Batch(context, [2]), "Rnn": lambda: varlstm.Rnn(context, 2, 3),
              "Loss": lambda: varlstm.Loss(context, 3)}
    uses = {"Batch": lambda made: made.lengths, "Rnn": lambda made: made.sizes(1, 2, 2),
            "Loss": lambda made: made.classes}
    for name, make in makers.items():
        with make() as made:
            uses[name](made)
        assert made.closed
        made.close()
        with pytest.raises(varlstm.InvalidHandleError, match=f"{name.lower()}: it was closed"):
            uses[name](made)
        assert "closed" in repr(made)


def test_a_context_closes_what_was_made_from_it(backend):
    context = varlstm.Context(backend)
    batch, lstm, loss = varlstm.Batch(context, [2]), varlstm.Rnn(context, 2, 3), varlstm.Loss(context, 3)
    params, x = context.zeros(lstm.elements), context.zeros((2, 2))
    reserve = lstm.forward(batch, params, x, mode="save").reserve
    context.close()
    assert batch.closed and lstm.closed and loss.closed and context.closed
    context.close()
    for use in (lambda: context.threads, lambda: varlstm.Batch(context, [2]), lambda: context.zeros(3),
                lambda: varlstm.dropout_forward(context, x, 0.5, 1), lambda: lstm.forward(batch, params, x)):
        if backend == "host" and use.__code__.co_names == ("zeros",):
            continue  # NumPy's
        with pytest.raises(varlstm.InvalidHandleError, match="it was closed"):
            use()
    assert reserve.address  # memory stays until its last reference goes


def run_python(program: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          **options)


@pytest.mark.parametrize("order", [["context", "batch", "lstm", "memory"], ["memory", "lstm", "batch", "context"],
                                   ["lstm", "context", "memory", "batch"], []])
def test_references_may_go_in_any_order(backend, order):
    """And at the end of the interpreter, where nothing was deleted. A library that is misused says so on stderr."""
    program = f"""
import varlstm
context = varlstm.Context("{backend}")
batch, lstm, memory = varlstm.Batch(context, [2]), varlstm.Rnn(context, 2, 3), varlstm.Memory(context, 64)
array = varlstm.DeviceArray(context, (2, 2), varlstm.Dtype.F32)
capsule = array.__dlpack__()
for name in {order}:
    del globals()[name]
print("end")
"""
    assert run_python(program, check=True).stdout == "end\n"


def test_the_context_below_goes_with_the_last_array(backend, monkeypatch):
    destroyed = []
    destroy = _library.lib.varlstm_ctx_destroy
    monkeypatch.setattr(_library.lib, "varlstm_ctx_destroy", lambda pointer: destroyed.append(destroy(pointer)))
    context = varlstm.Context(backend)
    array = varlstm.DeviceArray(context, (2, 2), varlstm.Dtype.F32).copy_from(np.eye(2, dtype=np.float32))
    capsule = array.__dlpack__()
    context.close()
    del context, array
    gc.collect()
    assert destroyed == []
    del capsule
    gc.collect()
    assert destroyed == [0]


# --- threads

def test_threads_share_an_rnn_and_have_batches_of_their_own(context):
    lstm = varlstm.Rnn(context, 3, 5, bidirectional=True)
    random = np.random.default_rng(1)
    params = context.array(random.normal(0, 0.3, lstm.elements).astype(np.float32))
    problems = [random.integers(0, 6, 4) for _ in range(24)]
    inputs = [context.array(random.normal(size=(int(lengths.sum()), 3)).astype(np.float32)) for lengths in problems]

    def train(k: int) -> list[np.ndarray]:
        with varlstm.Batch(context, problems[k]) as batch:
            y, h_n, _, reserve = lstm.forward(batch, params, inputs[k], mode="save")
            gradients = lstm.backward(batch, params, inputs[k], y, reserve, dy=y, dh_n=h_n, dh0=False, dc0=False)
            return [context.numpy(one) for one in (y, h_n, gradients.dx, gradients.dparams)]

    alone = [train(k) for k in range(len(problems))]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(train, range(len(problems))))
    for one, other in zip(alone, together):
        for expected, actual in zip(one, other):
            np.testing.assert_array_equal(actual, expected)


def test_errors_belong_to_their_thread(context):
    def fail(k: int) -> str:
        with pytest.raises(InvalidArgumentError) as info:
            varlstm.Batch(context, max_batch=1, max_len=1).set_lengths([k])
        return str(info.value)

    with ThreadPoolExecutor(6) as pool:
        texts = list(pool.map(fail, range(2, 200)))
    assert texts == [f"lengths[0] = {k} is larger than max_len = 1" for k in range(2, 200)]


# --- leaks

def resident_bytes() -> int:
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="needs /proc")
def test_handles_and_arrays_do_not_leak(backend):
    # One leaked array, batch or reserve a round would be 32 MB or more. An emulated device is slow to make.
    rounds, elements = (2000, 4096) if backend == "host" else (300, 32768)

    def round_trip() -> None:
        with varlstm.Context(backend) as context:
            batch, lstm = varlstm.Batch(context, [300, 20]), varlstm.Rnn(context, 8, 16)
            made = varlstm.DeviceArray(context, (elements,), varlstm.Dtype.F32)
            if backend == "host":
                x = np.zeros((320, 8), np.float32)
                lstm.forward(batch, np.zeros(lstm.elements, np.float32), x, mode="save")
                np.from_dlpack(made)
            else:
                made.__dlpack__()

    for _ in range(rounds // 10):
        round_trip()
    before = resident_bytes()
    for _ in range(rounds):
        round_trip()
    assert resident_bytes() - before < 8 << 20
