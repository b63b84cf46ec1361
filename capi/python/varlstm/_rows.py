"""Rows of an embedding table that a step touched: their gradients, and the optimisers' steps for them, in place.

No call reads or writes the rest of the table, and the result has the bits of sgd_step and adam_step over the whole
table. Adam moves rows without a gradient, too: such a row waits until adam_rows_catch_up does its steps. So a step
is: adam_rows_catch_up of the batch's ids, forward, embedding_backward_rows, adam_rows_step. Before the table is read
otherwise (an evaluation, the end of training), and after history_steps steps at the latest, adam_rows_catch_up
without ids catches up every row.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numbers
from typing import Any, NamedTuple, Optional

from ._batch import Batch
from ._call import Array, Call
from ._context import Context
from ._declarations import Dtype, Op
from ._operations import handle_or_null
from ._library import InvalidArgumentError, lib


class RowGradients(NamedTuple):
    row_ids: Any  # [rows] int64: the id at the first row that has it, -1 at all others
    drows: Any  # [rows, features]: its gradient, and zeros at all others


class AdamTable(NamedTuple):
    """A table and Adam's state of it, all in the context's memory. AdamTable.create makes a state before the first
    step."""
    table: Array  # [vocab, features], float32 or float64
    m: Array  # [vocab, features]
    v: Array  # [vocab, features]
    last_steps: Array  # [vocab] int64: the number of each row's last step
    history: Array  # [history_steps, 3]: the factors of the last steps
    step: Array  # [1] int64: the number of steps so far

    @classmethod
    def create(cls, context: Context, table: Array, history_steps: int, *, stream: Any = None) -> AdamTable:
        """The state of a table that has not been moved yet. A row may wait for at most history_steps steps."""
        if not isinstance(history_steps, numbers.Integral) or history_steps < 1:
            raise InvalidArgumentError(f"history_steps: {history_steps}, wanted a whole number from 1 on")
        call = Call(context, stream, table=table)
        (vocab, features), dtype = call.shape("table", 2, "vocab by features"), call.dtype("table")
        moments = (context.zeros((vocab, features), dtype, stream=call.stream) for _ in range(2))
        return cls(table, *moments, context.zeros(vocab, Dtype.I64, stream=call.stream),
                   context.zeros((history_steps, 3), dtype, stream=call.stream),
                   context.zeros(1, Dtype.I64, stream=call.stream))


def embedding_backward_rows(context: Context, ids: Array, dy: Array, vocab: int, *, padding_idx: int = -1,
                            batch: Optional[Batch] = None, row_ids: Optional[Array] = None,
                            drows: Optional[Array] = None, dtype: Any = None, stream: Any = None) -> RowGradients:
    """What embedding_backward adds to the gradient of a table [vocab, features], as rows: dy [rows, features] summed
    over the rows of one id of ids [rows]. row_ids and drows are overwritten."""
    call = Call(context, stream, batch=batch, ids=ids, dy=dy, row_ids=row_ids, drows=drows)
    rows, features = call.shape("dy", 2, "rows by features")
    dtype = call.dtype("dy", dtype)
    lib.varlstm_embedding_backward_rows(
        context.handle, handle_or_null(batch), dtype, rows, vocab, features, padding_idx,
        call.read("ids", (rows,), Dtype.I64, "rows"), call.read("dy", (rows, features), dtype, "rows by features"),
        call.write("row_ids", (rows,), Dtype.I64, "rows"),
        call.write("drows", (rows, features), dtype, "rows by features"),
        *call.workspace(Op.EMBEDDING_BACKWARD, dtype, rows, vocab, features), call.stream)
    return RowGradients(*(call.outputs[name] for name in RowGradients._fields))


def sgd_rows_step(context: Context, table: Array, row_ids: Array, drows: Array, *, lr: float,
                  stream: Any = None) -> None:
    """table [vocab, features] -= lr * drows [rows, features] at row_ids [rows], which are distinct but for ids outside
    [0, vocab), which are skipped. That is sgd_step without momentum and weight decay."""
    call = Call(context, stream, table=table, row_ids=row_ids, drows=drows)
    vocab, features = call.shape("table", 2, "vocab by features")
    dtype, (rows,) = call.dtype("table"), call.shape("row_ids", 1, "rows")
    lib.varlstm_sgd_rows_step(
        context.handle, dtype, rows, vocab, features, lr, call.read("row_ids", (rows,), Dtype.I64, "rows"),
        call.read("drows", (rows, features), dtype, "rows by features"),
        call.write("table", (vocab, features), dtype, "vocab by features"), call.stream)


def adam_rows_step(context: Context, state: AdamTable, row_ids: Array, drows: Array, *, lr: float, beta1: float = 0.9,
                   beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0, decoupled: bool = False,
                   stream: Any = None) -> None:
    """A step of adam_step in which only the rows row_ids [rows] have a gradient, drows [rows, features]; only they are
    moved. row_ids are distinct but for ids outside [0, vocab), which are skipped. The settings are the same in all
    calls for one table; only lr may differ."""
    call = Call(context, stream, row_ids=row_ids, drows=drows, **_arrays(state))
    vocab, features = call.shape("table", 2, "vocab by features")
    dtype, (rows,) = call.dtype("table"), call.shape("row_ids", 1, "rows")
    lib.varlstm_adam_rows_step(
        context.handle, dtype, rows, vocab, features, lr, beta1, beta2, eps, weight_decay, decoupled,
        call.read("row_ids", (rows,), Dtype.I64, "rows"),
        call.read("drows", (rows, features), dtype, "rows by features"), *_buffers(call), call.stream)


def adam_rows_catch_up(context: Context, state: AdamTable, ids: Optional[Array] = None, *, beta1: float = 0.9,
                       beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0, decoupled: bool = False,
                       stream: Any = None) -> None:
    """Does the steps for which the rows ids [rows] have waited; None means every row. An id may occur more than once,
    and one outside [0, vocab) is skipped. The settings are those of adam_rows_step."""
    call = Call(context, stream, ids=ids, **_arrays(state))
    vocab, features = call.shape("table", 2, "vocab by features")
    rows, buffers = 0 if ids is None else call.shape("ids", 1, "rows")[0], _buffers(call)
    if ids is not None and rows == 0:
        return  # an empty array may have no address, and NULL means every row
    lib.varlstm_adam_rows_catch_up(
        context.handle, call.dtype("table"), rows, vocab, features, beta1, beta2, eps, weight_decay, decoupled,
        call.read_or_null("ids", (rows,), Dtype.I64, "rows"), *buffers, call.stream)


def _arrays(state: AdamTable) -> dict[str, Array]:
    if not isinstance(state, AdamTable):
        raise InvalidArgumentError(f"state: {state!r} is not an AdamTable")
    return state._asdict()


def _buffers(call: Call) -> tuple[Any, ...]:
    """The addresses of an AdamTable's arrays, with the number of the history's steps."""
    (vocab, features), dtype = call.shape("table", 2, "vocab by features"), call.dtype("table")
    history_steps = call.shape("history", 2, "history_steps by 3")[0]
    for name in AdamTable._fields:
        call.view(name)  # it is the caller's: None is an error, and makes no new one
    return (*(call.write(name, (vocab, features), dtype, "vocab by features") for name in ("table", "m", "v")),
            call.write("last_steps", (vocab,), Dtype.I64, "vocab"),
            call.write("history", (history_steps, 3), dtype, "history_steps by 3"), history_steps,
            call.write("step", (1,), Dtype.I64, "1"))
