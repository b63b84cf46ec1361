"""Rows of a table: gradients and steps have the bits of embedding_backward, sgd_step and adam_step over the whole."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import numpy as np
import pytest

import varlstm
from varlstm import AdamTable, InvalidArgumentError

VOCAB, FEATURES = 9, 3


def ids_and_dy(random, context, dtype):
    """Seven rows, of which one id occurs twice at least and one is outside the table."""
    ids = np.append(random.integers(0, 5, 6), VOCAB)
    return context.array(ids), context.array(random.normal(size=(7, FEATURES)), dtype)


def bits_equal(context, actual, expected):
    np.testing.assert_array_equal(context.numpy(actual).view(np.uint8), context.numpy(expected).view(np.uint8))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_gradients_of_rows_are_those_of_the_table(context, random, dtype):
    ids, dy = ids_and_dy(random, context, dtype)
    rows = varlstm.embedding_backward_rows(context, ids, dy, VOCAB, padding_idx=2)
    whole = context.numpy(varlstm.embedding_backward(context, ids, dy, VOCAB, padding_idx=2))
    numbers, row_ids, drows = (context.numpy(array) for array in (ids, rows.row_ids, rows.drows))
    expected = [-1 if id in (2, VOCAB) or id in numbers[:n] else id for n, id in enumerate(numbers)]
    assert row_ids.tolist() == expected
    for id, row in zip(expected, drows):
        np.testing.assert_array_equal(row, np.zeros(FEATURES) if id == -1 else whole[id])
    given = varlstm.RowGradients(context.zeros(7, "i64"), context.zeros((7, FEATURES), dtype))
    again = varlstm.embedding_backward_rows(context, ids, dy, VOCAB, padding_idx=2, row_ids=given.row_ids,
                                            drows=given.drows)
    assert again.row_ids is given.row_ids and again.drows is given.drows
    bits_equal(context, given.drows, rows.drows)


def test_gradients_of_rows_count_the_rows_of_a_batch(context):
    batch = varlstm.Batch(context, [1, 1])
    rows = varlstm.embedding_backward_rows(context, context.array([3, 3, 0]), context.array(np.ones((3, 1))), VOCAB,
                                           batch=batch)
    assert context.numpy(rows.row_ids).tolist() == [3, -1, -1]
    assert context.numpy(rows.drows).ravel().tolist() == [2, 0, 0]


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_sgd(context, random, dtype):
    table = random.normal(size=(VOCAB, FEATURES))
    by_rows, whole = context.array(table, dtype), context.array(table, dtype)
    for _ in range(3):
        ids, dy = ids_and_dy(random, context, dtype)
        varlstm.sgd_rows_step(context, by_rows, *varlstm.embedding_backward_rows(context, ids, dy, VOCAB), lr=0.5)
        varlstm.sgd_step(context, whole, varlstm.embedding_backward(context, ids, dy, VOCAB), lr=0.5)
    bits_equal(context, by_rows, whole)
    assert not np.array_equal(context.numpy(whole), table.astype(context.numpy(whole).dtype))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("decoupled", [False, True])
def test_adam(context, random, dtype, decoupled):
    table = random.normal(size=(VOCAB, FEATURES))
    settings = {"beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "weight_decay": 0.1, "decoupled": decoupled}
    state = AdamTable.create(context, context.array(table, dtype), 10)
    whole, m, v = context.array(table, dtype), *(context.zeros((VOCAB, FEATURES), dtype) for _ in range(2))
    step = context.zeros(1, "i64")
    for number in range(5):
        ids, dy = ids_and_dy(random, context, dtype)
        varlstm.adam_rows_catch_up(context, state, ids, **settings)
        rows = context.numpy(ids)[:-1]  # what a forward pass would read
        np.testing.assert_array_equal(context.numpy(state.table)[rows], context.numpy(whole)[rows])
        varlstm.adam_rows_step(context, state, *varlstm.embedding_backward_rows(context, ids, dy, VOCAB),
                               lr=0.1 / (number + 1), **settings)
        varlstm.adam_step(context, whole, varlstm.embedding_backward(context, ids, dy, VOCAB), m, v, step,
                          lr=0.1 / (number + 1), **settings)
    assert not np.array_equal(context.numpy(state.table), context.numpy(whole))  # rows wait
    varlstm.adam_rows_catch_up(context, state, context.array(np.zeros(0, np.int64)), **settings)
    assert not np.array_equal(context.numpy(state.table), context.numpy(whole))  # no ids are not all of them
    varlstm.adam_rows_catch_up(context, state, **settings)
    for actual, expected in ((state.table, whole), (state.m, m), (state.v, v), (state.step, step)):
        bits_equal(context, actual, expected)


@pytest.mark.parametrize("change, text", [
    ({"table": None}, "table: None, wanted an array"),
    ({"m": np.zeros((VOCAB, 2))}, "m: shape (9, 2), wanted (9, 3): vocab by features"),
    ({"last_steps": np.zeros(VOCAB)}, "last_steps: dtype float64, wanted int64"),
    ({"history": np.zeros((4, 2))}, "history: shape (4, 2), wanted (4, 3): history_steps by 3"),
    ({"history": np.zeros((0, 3))}, "history_steps = 0 is smaller than 1"),
    ({"step": np.zeros(2, np.int64)}, "step: shape (2,), wanted (1,): 1"),
])
def test_a_state_that_does_not_fit_names_the_array(context, change, text):
    state = AdamTable.create(context, context.array(np.ones((VOCAB, FEATURES))), 4)
    state = state._replace(**{name: value if value is None else context.array(value) for name, value in change.items()})
    row_ids, drows = context.array([1]), context.array(np.ones((1, FEATURES)))
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        varlstm.adam_rows_step(context, state, row_ids, drows, lr=0.1)
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        varlstm.adam_rows_catch_up(context, state)


@pytest.mark.parametrize("history_steps", [0, -1, 2.5, None])
def test_a_state_has_room_for_a_step(context, history_steps):
    with pytest.raises(InvalidArgumentError, match=f"history_steps: {history_steps}, wanted a whole number from 1 on"):
        AdamTable.create(context, context.array(np.ones((VOCAB, FEATURES))), history_steps)


def test_a_state_that_is_no_adam_table(context):
    with pytest.raises(InvalidArgumentError, match="state: 3 is not an AdamTable"):
        varlstm.adam_rows_catch_up(context, 3)
