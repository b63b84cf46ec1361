"""Rnn: a recurrent network of the library; its parameters stay with the caller, in one flat array."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, Optional, Union

from ._batch import Batch
from ._call import Array, Call, Output
from ._cells import CELLS, refuse_c
from ._context import Context
from ._declarations import Cell, Dtype, Key, Mode, ParamFormat, Recurrence, RecurrentDropout, Rows
from ._device_array import Memory
from ._dtypes import as_dtype, size_of
from ._handles import Handle, Native, create, expect_context, get_f64, get_i64, member, set_value
from ._library import InvalidArgumentError, lib

_STATES = "L*D layers and directions by B sequences by H"
_PROJECTED_STATES = "L*D layers and directions by B sequences by P"
_ROWS_OF_UNITS = "N rows of the batch by D*H"
_FLAT = "elements of the flat parameters"


class Parameter(NamedTuple):
    """One tensor in the flat parameters."""

    name: str  # PyTorch's: "weight_ih_l0", "bias_hh_l1_reverse", ...
    offset: int  # in elements
    shape: tuple[int, ...]


class Sizes(NamedTuple):
    workspace_bytes: int
    reserve_bytes: int


class ForwardResult(NamedTuple):
    y: Any  # [N, D*R], rows as those of x
    h_n: Any  # [L*D, B, R] in the caller's order of sequences
    c_n: Any  # [L*D, B, H] likewise; None if the cell has no c
    reserve: Optional[Memory]  # what backward needs; None with mode "infer"


class ForwardResultWithC(NamedTuple):
    """Of an Rnn with cell_states=True."""

    y: Any
    h_n: Any
    c_n: Any
    reserve: Optional[Memory]
    c: Any  # [N, D*H], rows as those of y: c of every token of the last layer


class Gradients(NamedTuple):
    dx: Any  # [N, I]
    dh0: Any  # [L*D, B, R]
    dc0: Any  # [L*D, B, H]; None if the cell has no c
    dparams: Any  # [elements]


class Rnn(Handle):
    """An LSTM, GRU or plain recurrent network as PyTorch's nn.LSTM, nn.GRU and nn.RNN: sizes I and H, L layers, D
    directions. G is the number of gates. R is the number of features of h: P with a projection, else H.

    cell           "lstm" (G = 4), "gru" or "gru_reset_before" (3), "rnn_tanh" or "rnn_relu" (1); only an LSTM has a cell
                   state c
    dtype          "f32", "f64", "bf16" or "f16"
    dropout        probability in [0, 1) of zeroing an output of every layer but the last
    recurrence     "auto", "stepwise", "cluster" or "grid": how it runs on CUDA
    proj_size      P in 0 ... H-1: an LSTM projects h to P features; 0: it does not
    rows           "packed": rows of step 0, then of step 1, ...; "ragged": sequence after sequence
    resets         whether batches may have resets (Batch.set_resets), for which the workspaces are larger
    cell_states    whether calls give c of every token of an LSTM's last layer and take its gradient; stepwise on CUDA
    cell_clip, projection_clip
                   x: an LSTM's c, and its projected h, stay in [-x, x]; 0: no clip
    recurrent_dropout, recurrent_dropout_kind
                   probability in [0, 1) of dropping elements in the recurrence, in calls with a dropout_seed: of
                   "weights" (weight_hh), "state" (h where weight_hh multiplies it) or "candidate" (g or n)
    zoneout_h, zoneout_c
                   probability in [0, 1) with which an element of the state keeps its value before the step
    layer_norm     whether an LSTM or a GRU is layer-normalised; stepwise on CUDA
    add_dparams    whether backward adds to dparams; if not, it writes them, whatever was there

    One Rnn may be used by several threads at once.
    """

    def __init__(self, context: Context, input_size: int, hidden_size: int, num_layers: int = 1, *,
                 cell: Union[str, Cell] = "lstm", dtype: Any = Dtype.F32, bidirectional: bool = False,
                 bias: bool = True, dropout: float = 0.0, recurrence: Union[str, Recurrence] = "auto",
                 rows: Union[str, Rows] = "packed", resets: bool = False, proj_size: int = 0,
                 cell_clip: float = 0.0, projection_clip: float = 0.0, recurrent_dropout: float = 0.0,
                 recurrent_dropout_kind: Union[str, RecurrentDropout] = "weights", zoneout_h: float = 0.0,
                 zoneout_c: float = 0.0, cell_states: bool = False, layer_norm: bool = False,
                 add_dparams: bool = True):
        expect_context(context)
        self._cell = member("cell", Cell, cell)
        pointer = create(lib.varlstm_rnn_create, context.handle, self._cell, input_size, hidden_size, num_layers)
        super().__init__(Native(pointer, lib.varlstm_rnn_destroy, context._native))
        self.context = context
        context.adopt(self)
        for key, value in ((Key.DTYPE, as_dtype(dtype)), (Key.BIDIRECTIONAL, bidirectional), (Key.BIAS, bias),
                           (Key.RECURRENCE, member("recurrence", Recurrence, recurrence)),
                           (Key.ROWS, member("rows", Rows, rows)), (Key.RESETS, resets), (Key.PROJ_SIZE, proj_size),
                           (Key.CELL_STATES, cell_states), (Key.LAYER_NORM, layer_norm),
                           (Key.ADD_DPARAMS, add_dparams),
                           (Key.RECURRENT_DROPOUT_KIND,
                            member("recurrent_dropout_kind", RecurrentDropout, recurrent_dropout_kind))):
            set_value(lib.varlstm_rnn_set_i64, pointer, key, value)
        for key, number in ((Key.DROPOUT, dropout), (Key.CELL_CLIP, cell_clip),
                            (Key.PROJECTION_CLIP, projection_clip), (Key.RECURRENT_DROPOUT, recurrent_dropout),
                            (Key.ZONEOUT_H, zoneout_h), (Key.ZONEOUT_C, zoneout_c)):
            set_value(lib.varlstm_rnn_set_f64, pointer, key, number)
        self._parameters = self._read_parameters()

    def __repr__(self) -> str:
        if self.closed:
            return "<varlstm.Rnn closed>"
        return (f"<varlstm.Rnn {self.cell.name}, {self.input_size} to {self.hidden_size}, {self.num_layers} layers, "
                f"{1 + self.bidirectional} directions, {self.dtype.name}>")

    # --- options

    def _get(self, key: Key) -> int:
        return get_i64(lib.varlstm_rnn_get_i64, self.handle, key)

    @property
    def cell(self) -> Cell:
        return Cell(self._get(Key.CELL))

    @property
    def input_size(self) -> int:
        return self._get(Key.INPUT_SIZE)

    @property
    def hidden_size(self) -> int:
        return self._get(Key.HIDDEN_SIZE)

    @property
    def proj_size(self) -> int:
        """P; 0 if h is not projected."""
        return self._get(Key.PROJ_SIZE)

    @property
    def num_layers(self) -> int:
        return self._get(Key.NUM_LAYERS)

    @property
    def dtype(self) -> Dtype:
        return Dtype(self._get(Key.DTYPE))

    @property
    def bidirectional(self) -> bool:
        return bool(self._get(Key.BIDIRECTIONAL))

    @property
    def bias(self) -> bool:
        return bool(self._get(Key.BIAS))

    @property
    def layer_norm(self) -> bool:
        return bool(self._get(Key.LAYER_NORM))

    @property
    def dropout(self) -> float:
        return get_f64(lib.varlstm_rnn_get_f64, self.handle, Key.DROPOUT)

    @property
    def cell_clip(self) -> float:
        return get_f64(lib.varlstm_rnn_get_f64, self.handle, Key.CELL_CLIP)

    @property
    def projection_clip(self) -> float:
        return get_f64(lib.varlstm_rnn_get_f64, self.handle, Key.PROJECTION_CLIP)

    @property
    def recurrent_dropout(self) -> float:
        return get_f64(lib.varlstm_rnn_get_f64, self.handle, Key.RECURRENT_DROPOUT)

    @property
    def recurrent_dropout_kind(self) -> RecurrentDropout:
        return RecurrentDropout(self._get(Key.RECURRENT_DROPOUT_KIND))

    @property
    def zoneout_h(self) -> float:
        return get_f64(lib.varlstm_rnn_get_f64, self.handle, Key.ZONEOUT_H)

    @property
    def zoneout_c(self) -> float:
        return get_f64(lib.varlstm_rnn_get_f64, self.handle, Key.ZONEOUT_C)

    @property
    def recurrence(self) -> Recurrence:
        return Recurrence(self._get(Key.RECURRENCE))

    @property
    def recurrence_used(self) -> Recurrence:
        """What forward and backward run with; AUTO on the host."""
        return Recurrence(self._get(Key.RECURRENCE_USED))

    @property
    def rows(self) -> Rows:
        return Rows(self._get(Key.ROWS))

    @property
    def resets(self) -> bool:
        return bool(self._get(Key.RESETS))

    @property
    def cell_states(self) -> bool:
        return bool(self._get(Key.CELL_STATES))

    @property
    def add_dparams(self) -> bool:
        return bool(self._get(Key.ADD_DPARAMS))

    # --- parameters

    def _read_parameters(self) -> tuple[Parameter, ...]:
        tensors, elements = ctypes.c_int64(), ctypes.c_int64()
        lib.varlstm_rnn_param_count(self.handle, ctypes.byref(tensors), ctypes.byref(elements))
        self._elements = elements.value
        name, offset, rows, cols = ctypes.c_char_p(), ctypes.c_int64(), ctypes.c_int64(), ctypes.c_int64()
        found = []
        for index in range(tensors.value):
            lib.varlstm_rnn_param_info(self.handle, index, ctypes.byref(name), ctypes.byref(offset), ctypes.byref(rows),
                                       ctypes.byref(cols))
            text = name.value.decode()
            shape = (rows.value,) if text.startswith(("bias", "norm")) else (rows.value, cols.value)
            found.append(Parameter(text, offset.value, shape))
        return tuple(found)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Tensors of the flat parameters in their order: layer, direction, then weight_ih [GH, I or D*R],
        weight_hh [GH, R], bias_ih [GH], bias_hh [GH], weight_hr [P, H]; gates i, f, g, o of an LSTM, r, z, n of a GRU.
        There are no gaps between them."""
        return self._parameters

    @property
    def elements(self) -> int:
        """Of the flat parameters."""
        return self._elements

    def split(self, params: Any) -> dict[str, Any]:
        """Views by name into flat parameters (or gradients) of a library whose slices are views: NumPy, torch, CuPy."""
        views = {}
        for name, offset, shape in self._parameters:
            size = shape[0] * (shape[1] if len(shape) > 1 else 1)
            views[name] = params[offset:offset + size].reshape(shape)
        return views

    def import_(self, format: Union[str, ParamFormat], layer: int, direction: int, w_ih: Array, w_hh: Array,
                b_ih: Optional[Array] = None, b_hh: Optional[Array] = None, *, params: Optional[Array] = None,
                stream: Any = None) -> Any:
        """Writes one layer and direction (0 forward, 1 backward) of params [elements] from another library's arrays:

        "pytorch", "cudnn"   w_ih [GH, in], w_hh [GH, H], b_ih [GH], b_hh [GH]; gates i, f, g, o; r, z, n
        "onnx"               W [GH, in], R [GH, H], Wb [GH], Rb [GH]; gates i, o, f, c; z, r, h
        "keras"              kernel [in, GH], recurrent_kernel [H, GH], bias [GH]; gates i, f, c, o; z, r, h
        "haste"              the same; gates i, g, f, o; z, r, g

        A GRU's bias of Keras is [2, 3H], with reset_after=True; its rows may also be given as b_ih and b_hh. That of
        haste is bias [3H] and recurrent_bias [3H]. A bias that is None counts as zero. params None makes an array of
        zeros. No format has a place for a projection's weight_hr; split() gives the tensors, to copy them one by one.
        """
        format = member("format", ParamFormat, format, prefix="FORMAT_")
        call = Call(self.context, stream, w_ih=w_ih, w_hh=w_hh, b_ih=b_ih, b_hh=b_hh, params=params)
        hidden, dtype, facts = self.hidden_size, self.dtype, CELLS[self._cell]
        rows = facts.gates * hidden
        width = self.proj_size or hidden
        inputs = self.input_size if layer == 0 else width * (1 + self.bidirectional)
        shapes, words = ((rows, inputs), (rows, width)), f"{facts.rows} by in or H"
        if format in (ParamFormat.FORMAT_KERAS, ParamFormat.FORMAT_HASTE):
            shapes, words = ((inputs, rows), (width, rows)), f"in or H by {facts.rows}"
        lib.varlstm_rnn_import(
            self.handle, format, layer, direction, call.read("w_ih", shapes[0], dtype, words),
            call.read("w_hh", shapes[1], dtype, words), *self._biases(call, format, rows, dtype),
            call.write("params", (self._elements,), dtype, _FLAT, zero=True), call.stream)
        return call.outputs["params"]

    def _biases(self, call: Call, format: ParamFormat, rows: int, dtype: Dtype) -> tuple[Optional[int], Optional[int]]:
        """Addresses of b_ih and b_hh, which of a GRU of Keras may be one array."""
        if format == ParamFormat.FORMAT_KERAS and self._cell == Cell.GRU and call.given("b_ih") \
                and not call.given("b_hh"):
            first = call.read("b_ih", (2, rows), dtype, "2 by 3H, of reset_after=True")
            return first, first + rows * size_of(dtype)
        words = CELLS[self._cell].rows
        return call.read_or_null("b_ih", (rows,), dtype, words), call.read_or_null("b_hh", (rows,), dtype, words)

    # --- work

    def prepare(self, params: Array, mode: Union[str, Mode] = "infer", *, stream: Any = None) -> Rnn:
        """An Rnn whose calls find the weights of params [elements] arranged for the processor, which each call would else
        do first: for many calls with the same params. With "infer" forward and step are prepared, with "save" backward
        too. It takes these params alone, by their address, and their values may not change until it is closed; after a
        change make another one. Results have the same bits. On CUDA nothing is arranged."""
        mode = member("mode", Mode, mode)
        call = Call(self.context, stream, params=params)
        address, nbytes = call.read("params", (self._elements,), self.dtype, _FLAT), ctypes.c_int64()
        lib.varlstm_rnn_prepared_size(self.handle, mode, ctypes.byref(nbytes))
        memory = Memory(self.context, nbytes.value)
        pointer = create(lib.varlstm_rnn_prepare, self.handle, mode, address, memory.address, nbytes.value, call.stream)
        prepared = object.__new__(Rnn)
        prepared._cell, prepared.context = self._cell, self.context
        Handle.__init__(prepared, Native(pointer, lib.varlstm_rnn_destroy, self.context._native))
        self.context.adopt(prepared)
        prepared._parameters, prepared._elements = self._parameters, self._elements
        prepared._weights = memory, call  # which live as long
        return prepared

    def sizes(self, max_batch: int, max_len: int, max_tokens: int, mode: Union[str, Mode] = "save") -> Sizes:
        """Bytes that forward in this mode needs (and, with "save", the backward after it) in these bounds."""
        workspace, reserve = ctypes.c_int64(), ctypes.c_int64()
        lib.varlstm_rnn_sizes(self.handle, max_batch, max_len, max_tokens, member("mode", Mode, mode),
                              ctypes.byref(workspace), ctypes.byref(reserve))
        return Sizes(workspace.value, reserve.value)

    def _shapes(self, batch: Batch) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int],
                                             tuple[int, int, int]]:
        """Of x, of y, of h_n and of c_n."""
        if not isinstance(batch, Batch):
            raise InvalidArgumentError(f"batch: {batch!r} is not a Batch")
        if batch.context is not self.context:
            raise InvalidArgumentError("batch: it belongs to another context")
        hidden, directions, rows = self.hidden_size, 1 + self.bidirectional, batch.rows
        width, states = self.proj_size or hidden, (self.num_layers * directions, batch.batch)
        return (rows, self.input_size), (rows, directions * width), (*states, width), (*states, hidden)

    def _of_units(self, batch: Batch) -> tuple[int, int]:
        """The shape of c of every token."""
        return batch.rows, (1 + self.bidirectional) * self.hidden_size

    def _words(self) -> tuple[str, str]:
        """The shapes of y and of h_n."""
        if self.proj_size:
            return "N rows of the batch by D*P", _PROJECTED_STATES
        return _ROWS_OF_UNITS, _STATES

    def _refuse_cell_states(self, name: str, array: Any) -> None:
        if array is not None and array is not False:
            raise InvalidArgumentError(f"{name}: {type(array).__name__}, wanted None: make the Rnn with cell_states=True")

    def forward(self, batch: Batch, params: Array, x: Array, h0: Optional[Array] = None, c0: Optional[Array] = None, *,
                mode: Union[str, Mode] = "infer", dropout_seed: int = 0, y: Optional[Array] = None, h_n: Output = None,
                c_n: Output = None, reserve: Optional[Memory] = None, c: Output = None,
                stream: Any = None) -> Union[ForwardResult, ForwardResultWithC]:
        """Forward over all layers and directions.

        params [elements]; x [N, I]; h0 [L*D, B, R], c0 [L*D, B, H] in the caller's order of sequences, None for zeros
        mode          "save" fills a reserve for backward, made here or one of a batch with these bounds
        dropout_seed  seed of the masks between layers; 0 switches dropout off for this call
        y [N, D*R]; h_n, c_n as h0 and c0: arrays to write to, None to make them, h_n or c_n False if not wanted
        c [N, D*H]    likewise, for an Rnn with cell_states=True: c of every token of the last layer, as the next token
                      starts from it; the result then has c too
        If the cell has no c, c0, c_n and c must be None, and the result's c_n is None.
        """
        refuse_c(self._cell, c0=c0, c_n=c_n, c=c)
        if not CELLS[self._cell].has_c:
            c_n = False
        if not self.cell_states:
            self._refuse_cell_states("c", c)
            c = False
        mode, dtype = member("mode", Mode, mode), self.dtype
        rows_in, rows_out, of_h, of_c = self._shapes(batch)
        y_words, h_words = self._words()
        call = Call(self.context, stream, batch=batch, params=params, x=x, h0=h0, c0=c0, y=y, h_n=h_n, c_n=c_n,
                    c=c)
        sizes = self.sizes(batch.max_batch, batch.max_len, batch.max_tokens, mode)
        if mode == Mode.SAVE and reserve is None:
            reserve = Memory(self.context, sizes.reserve_bytes)
        inputs = (self.handle, batch.handle, mode, dropout_seed, call.read("params", (self._elements,), dtype, _FLAT),
                  call.read("x", rows_in, dtype, "N rows of the batch by I"),
                  call.read_or_null("h0", of_h, dtype, h_words), call.read_or_null("c0", of_c, dtype, _STATES),
                  call.write("y", rows_out, dtype, y_words), call.write("h_n", of_h, dtype, h_words),
                  call.write("c_n", of_c, dtype, _STATES))
        c_address = call.write("c", self._of_units(batch), dtype, _ROWS_OF_UNITS)
        memory = (self.context.workspace(sizes.workspace_bytes, call.stream), sizes.workspace_bytes,
                  None if reserve is None else reserve.address, 0 if reserve is None else reserve.nbytes, call.stream)
        results = (call.outputs["y"], call.outputs["h_n"], call.outputs["c_n"], reserve)
        if not self.cell_states:
            lib.varlstm_rnn_forward(*inputs, *memory)
            return ForwardResult(*results)
        lib.varlstm_rnn_forward_with_c(*inputs, c_address, *memory)
        return ForwardResultWithC(*results, call.outputs["c"])

    def step_size(self, max_streams: int, table_slots: int) -> int:
        """Bytes of workspace of a step of up to max_streams streams with a table of up to table_slots."""
        workspace = ctypes.c_int64()
        lib.varlstm_rnn_step_size(self.handle, max_streams, table_slots, ctypes.byref(workspace))
        return workspace.value

    def step(self, params: Array, x: Array, slots: Array, h: Array, c: Optional[Array] = None, *,
             y: Optional[Array] = None, stream: Any = None) -> Any:
        """One token of each of B streams, whose states are in a table of S slots. Returns y [B, R].

        params [elements]; x [B, I]
        slots  [B] int64 in the back end's memory: the slot of each stream; a slot may occur once
        h, c   [L, S, R] and [L, S, H], written to: the states of these slots after the step; c is f32 if the dtype is
               bf16 or f16, and None if the cell has no c. Zero a slot where a stream begins.
        T steps give the bits of forward on the T tokens (on CUDA those of the stepwise recurrence). On CUDA a bad slot is
        not an error but a bit of Context.device_status, and its y is 0.
        """
        refuse_c(self._cell, c=c)
        call = Call(self.context, stream, params=params, x=x, slots=slots, h=h, c=c, y=y)
        dtype, hidden, letter = self.dtype, self.hidden_size, "P" if self.proj_size else "H"
        words, c_words = f"L layers by S slots by {letter}", "L layers by S slots by H"
        streams, table_slots = call.shape("x", 2, "B streams by I")[0], call.shape("h", 3, words)[1]
        width, table = self.proj_size or hidden, (self.num_layers, table_slots)
        has_c = CELLS[self._cell].has_c
        if has_c:
            call.shape("c", 3, c_words)
        if streams > table_slots:
            raise InvalidArgumentError(f"streams = {streams} is larger than table_slots = {table_slots}")
        nbytes = self.step_size(streams, table_slots)
        lib.varlstm_rnn_step(
            self.handle, streams, call.read("params", (self._elements,), dtype, _FLAT),
            call.read("x", (streams, self.input_size), dtype, "B streams by I"),
            call.read("slots", (streams,), Dtype.I64, "B streams"), table_slots,
            call.write("h", (*table, width), dtype, words),
            call.write("c", (*table, hidden), Dtype.F64 if dtype == Dtype.F64 else Dtype.F32, c_words)
            if has_c else None,
            call.write("y", (streams, width), dtype, f"B streams by {letter}"),
            self.context.workspace(nbytes, call.stream), nbytes, call.stream)
        return call.outputs["y"]

    def backward(self, batch: Batch, params: Array, x: Array, y: Array, reserve: Memory, *, h0: Optional[Array] = None,
                 c0: Optional[Array] = None, dy: Optional[Array] = None, dh_n: Optional[Array] = None,
                 dc_n: Optional[Array] = None, dx: Output = None, dh0: Output = None, dc0: Output = None,
                 dparams: Output = None, dc: Optional[Array] = None, stream: Any = None) -> Gradients:
        """Backward of the forward that filled `reserve`, with the lengths, params, x, h0, c0 and y of that forward.

        dy [N, D*R]; dh_n [L*D, B, R], dc_n [L*D, B, H]; dc [N, D*H], of c of every token, with cell_states=True: incoming
        gradients, None for zeros
        dx [N, I]; dh0, dc0 as dh_n and dc_n: arrays to write to, None to make them, False if not wanted
        dparams [elements]: likewise, but gradients are added to its contents, unless the Rnn has add_dparams=False; if it
        is created here, it starts as zeros
        If the cell has no c, c0, dc_n, dc and dc0 must be None, and the result's dc0 is None.
        """
        refuse_c(self._cell, c0=c0, dc_n=dc_n, dc=dc, dc0=dc0)
        if not CELLS[self._cell].has_c:
            dc0 = False
        if not self.cell_states:
            self._refuse_cell_states("dc", dc)
        rows_in, rows_out, of_h, of_c = self._shapes(batch)
        y_words, h_words = self._words()
        if not isinstance(reserve, Memory):
            raise InvalidArgumentError(f"reserve: {reserve!r}, wanted what forward gave with mode \"save\"")
        call = Call(self.context, stream, batch=batch, params=params, x=x, y=y, h0=h0, c0=c0, dy=dy, dh_n=dh_n,
                    dc_n=dc_n, dc=dc, dx=dx, dh0=dh0, dc0=dc0, dparams=dparams)
        dtype = self.dtype
        nbytes = self.sizes(batch.max_batch, batch.max_len, batch.max_tokens).workspace_bytes
        inputs = (self.handle, batch.handle, call.read("params", (self._elements,), dtype, _FLAT),
                  call.read("x", rows_in, dtype, "N rows of the batch by I"),
                  call.read_or_null("h0", of_h, dtype, h_words), call.read_or_null("c0", of_c, dtype, _STATES),
                  call.read("y", rows_out, dtype, y_words), call.read_or_null("dy", rows_out, dtype, y_words),
                  call.read_or_null("dh_n", of_h, dtype, h_words), call.read_or_null("dc_n", of_c, dtype, _STATES))
        dc_address = call.read_or_null("dc", self._of_units(batch), dtype, _ROWS_OF_UNITS)
        outputs = (call.write("dx", rows_in, dtype, "N rows of the batch by I"),
                   call.write("dh0", of_h, dtype, h_words), call.write("dc0", of_c, dtype, _STATES),
                   call.write("dparams", (self._elements,), dtype, _FLAT, zero=self.add_dparams),
                   self.context.workspace(nbytes, call.stream), nbytes, reserve.address, reserve.nbytes, call.stream)
        if dc_address is None:
            lib.varlstm_rnn_backward(*inputs, *outputs)
        else:
            lib.varlstm_rnn_backward_with_c(*inputs, dc_address, *outputs)
        return Gradients(*(call.outputs[name] for name in Gradients._fields))
