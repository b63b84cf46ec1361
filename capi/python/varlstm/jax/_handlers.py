"""What XLA calls: forward and backward of a network over padded rows, on the host back end."""
# SPDX-License-Identifier: Apache-2.0
import ctypes
import functools
import struct
import threading
from typing import NamedTuple, Optional

import numpy as np

from .._batch import Batch
from .._context import Context
from .._declarations import Cell, Dtype, Layout, Mode, Space
from .._dtypes import size_of
from .._library import unchecked
from .._rnn import Rnn, Sizes
from ._xla import Buffer, register

FORWARD, BACKWARD = "varlstm_rnn_forward", "varlstm_rnn_backward"
# Without the checks of arguments: all are sizes and addresses of XLA's arrays.
_set_lengths, _set_resets = unchecked("varlstm_batch_set_lengths"), unchecked("varlstm_batch_set_resets")
_forward, _backward = unchecked("varlstm_rnn_forward"), unchecked("varlstm_rnn_backward")
_pack, _unpack = unchecked("varlstm_pack"), unchecked("varlstm_unpack")
_pack_backward, _unpack_backward = unchecked("varlstm_pack_backward"), unchecked("varlstm_unpack_backward")


class Network(NamedTuple):
    """All that a call needs beside its arrays. XLA keeps it as an array of doubles, which holds in another process too."""

    cell: int
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int
    dtype: int
    has_lengths: bool
    has_resets: bool
    has_states: bool

    def encoded(self) -> np.ndarray:
        return np.array(self, np.float64)

    @property
    def layout(self) -> Layout:
        return Layout.BATCH_FIRST if self.batch_first else Layout.TIME_MAJOR

    @property
    def width(self) -> int:
        """Features of y."""
        return (1 + self.bidirectional) * (self.proj_size or self.hidden_size)


@functools.lru_cache(maxsize=None)
def decoded(data: bytes) -> Network:
    values = struct.unpack(f"{len(data) // 8}d", data)
    return Network(*(value if name == "dropout" else int(value) for name, value in zip(Network._fields, values)))


@functools.lru_cache(maxsize=None)
def _context() -> Context:
    return Context("host")


@functools.lru_cache(maxsize=256)
def rnn_of(network: Network) -> Rnn:
    """Without lengths the padded rows are themselves ragged or packed ones; with lengths they are packed."""
    ragged = network.batch_first and not network.has_lengths
    return Rnn(_context(), network.input_size, network.hidden_size, network.num_layers, cell=Cell(network.cell),
               dtype=Dtype(network.dtype), bidirectional=bool(network.bidirectional), bias=bool(network.bias),
               dropout=network.dropout, rows="ragged" if ragged else "packed", resets=bool(network.has_resets),
               proj_size=network.proj_size)


@functools.lru_cache(maxsize=4096)
def sizes(network: Network, batch_size: int, steps: int, mode: Mode) -> Sizes:
    return rnn_of(network).sizes(batch_size, steps, batch_size * steps, mode)


class _Batches(threading.local):
    """Each thread's batches by their bounds: one call at a time has a batch."""

    def __init__(self) -> None:
        self.of = functools.lru_cache(maxsize=64)(
            lambda batch_size, steps: Batch(_context(), max_batch=batch_size, max_len=steps))


_batches = _Batches()


def _elements(buffer: Buffer, kind: type) -> ctypes.Array:
    """The buffer's elements, in XLA's memory."""
    return (kind * buffer.shape[0]).from_address(buffer.address) if buffer.shape[0] else (kind * 0)()


def _given(buffer: Buffer) -> Optional[int]:
    """The address of an array; None of one without elements, which stands for one that is not there or not wanted."""
    return None if 0 in buffer.shape else buffer.address


class _Call:
    """The network and the batch of a call, and what it passes to the library's functions."""

    def __init__(self, attribute: bytes, lengths: Buffer, resets: Buffer, shape: tuple) -> None:
        """`shape` is that of a padded array."""
        self.network = decoded(attribute)
        self.rnn = rnn_of(self.network)
        batch_size, steps = shape[:2] if self.network.batch_first else (shape[1], shape[0])
        self.batch, self.batch_size, self.steps = _batches.of(batch_size, steps), batch_size, steps
        given = _elements(lengths, ctypes.c_int32) if self.network.has_lengths else [steps] * batch_size
        given = (ctypes.c_int64 * batch_size)(*given)
        _set_lengths(self.batch.handle, ctypes.addressof(given), batch_size, Space.HOST, None)
        if self.network.has_resets and batch_size and steps:
            _set_resets(self.batch.handle, resets.address, batch_size * steps, self.network.layout, steps, Space.HOST, None)

    def copy(self, function, features: int, source: Buffer, target: Buffer, *pad: float) -> None:
        """Between padded rows and packed ones, by a function of the library."""
        function(self.batch.handle, self.network.dtype, self.network.layout, self.steps, features, *pad, source.address,
                 target.address, None)

    def workspace(self, mode: Mode) -> tuple:
        """The address of this thread's, and its bytes."""
        nbytes = sizes(self.network, self.batch_size, self.steps, mode).workspace_bytes
        return self.rnn.context.workspace(nbytes, 0), nbytes


def forward(attribute: bytes, operands: list, results: list) -> None:
    """x, params, h0, c0, lengths, resets, seed -> y, h_n, c_n, packed x, packed y, reserve. Without a reserve nothing is
    saved."""
    x, params, h0, c0, lengths, resets, seed = operands
    y, h_n, c_n, rows_x, rows_y, reserve = results
    call = _Call(attribute, lengths, resets, x.shape)
    network, mode = call.network, Mode.SAVE if reserve.shape[0] else Mode.INFER
    if network.has_lengths:
        call.copy(_pack, network.input_size, x, rows_x)
    else:
        rows_x, rows_y = x, y
    low, high = _elements(seed, ctypes.c_uint32)
    _forward(call.rnn.handle, call.batch.handle, mode, high << 32 | low, params.address, rows_x.address,
             _given(h0), _given(c0), rows_y.address, _given(h_n), _given(c_n), *call.workspace(mode), _given(reserve),
             reserve.shape[0], None)
    if network.has_lengths:
        call.copy(_unpack, network.width, rows_y, y, 0.0)


def backward(attribute: bytes, operands: list, results: list) -> None:
    """x and y as forward's operands and results (with lengths: packed x and packed y), params, h0, c0, lengths, resets,
    reserve, dy, dh_n, dc_n -> dx, dparams, dh0, dc0, and with lengths packed dx and packed dy."""
    x, y, params, h0, c0, lengths, resets, reserve, dy, dh_n, dc_n = operands
    dx, dparams, dh0, dc0, rows_dx, rows_dy = results
    call = _Call(attribute, lengths, resets, dy.shape)
    network = call.network
    if network.has_lengths:
        call.copy(_unpack_backward, network.width, dy, rows_dy)
    else:
        rows_dx, rows_dy = dx, dy
    ctypes.memset(dparams.address, 0, dparams.shape[0] * size_of(Dtype(network.dtype)))  # the library adds to it
    _backward(call.rnn.handle, call.batch.handle, params.address, x.address, _given(h0), _given(c0), y.address,
              rows_dy.address, _given(dh_n), _given(dc_n), _given(rows_dx), _given(dh0), _given(dc0), dparams.address,
              *call.workspace(Mode.SAVE), reserve.address, reserve.shape[0], None)
    if network.has_lengths and _given(dx):
        call.copy(_pack_backward, network.input_size, rows_dx, dx)


register(FORWARD, forward)
register(BACKWARD, backward)
