"""Batch: the plan of one mini-batch, from its lengths and resets."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from array import array
from typing import Any, Optional, Union

from ._buffers import HOST, check_dense, read_view
from ._call import Call, shape_text, stream_number
from ._context import Context
from ._declarations import BatchArray, CopyKind, Key, Layout, Space
from ._device_array import DeviceArray
from ._dtypes import module_or_none
from ._handles import Handle, Native, create, get_i64, member
from ._library import InvalidArgumentError, UnsupportedError, lib

LAYOUT_WORDS = {Layout.BATCH_FIRST: "B sequences by the padded length",
                Layout.TIME_MAJOR: "the padded length by B sequences", Layout.RAGGED: "N rows of the batch"}
_NARROW = ("int8", "int16", "int32", "uint8", "uint16", "uint32")


class _Integers:
    """int64 of the caller, [count], on the host or in the back end's memory; on the host also a copy of a sequence or
    of narrower integers. Alive as long as this object."""

    def __init__(self, name: str, values: Any, context: Context, stream: int):
        device = context.device_of_arrays
        if isinstance(values, (list, tuple, range)):
            values = self._copy(name, values)
        view = values.view() if isinstance(values, DeviceArray) else read_view(name, values, stream, device[1])
        if len(view.shape) != 1:
            raise InvalidArgumentError(f"{name}: shape {shape_text(view.shape)}, wanted one dimension")
        if view.device not in (HOST, device):
            raise InvalidArgumentError(f"{name}: on {view.device[0]}:{view.device[1]}, wanted the host or {device[0]}:"
                                       f"{device[1]}, the context's")
        if view.device == HOST and view.dtype in _NARROW and hasattr(values, "tolist"):
            view = read_view(name, self._copy(name, values.tolist()))
        if view.dtype != "int64":
            raise InvalidArgumentError(f"{name}: dtype {view.dtype}, wanted int64")
        check_dense(name, view)
        self._view = view
        self.address = view.address
        self.count = view.count
        self.on_host = view.device == HOST

    @staticmethod
    def _copy(name: str, values: Any) -> array:
        try:
            return array("q", values)
        except (TypeError, OverflowError) as error:
            raise InvalidArgumentError(f"{name}: {error}") from error

    def tolist(self) -> list[int]:
        return list((ctypes.c_int64 * self.count).from_address(self.address)) if self.count else []


class _Flags:
    """uint8 or bool of the caller, on the host or in the back end's memory; also a copy of a list. Alive as long as this
    object."""

    def __init__(self, name: str, values: Any, context: Context, stream: int):
        device = context.device_of_arrays
        if isinstance(values, (list, tuple)):
            try:
                values = array("B", values)
            except (TypeError, OverflowError) as error:
                raise InvalidArgumentError(f"{name}: {error}") from error
        view = read_view(name, values, stream, device[1])
        if view.device not in (HOST, device):
            raise InvalidArgumentError(f"{name}: on {view.device[0]}:{view.device[1]}, wanted the host or {device[0]}:"
                                       f"{device[1]}, the context's")
        if view.dtype not in ("uint8", "bool8", "bytes"):
            raise InvalidArgumentError(f"{name}: dtype {view.dtype}, wanted uint8 or bool")
        check_dense(name, view)
        self.view = view
        self.space = Space.HOST if view.device == HOST else Space.BACKEND

    def padded_len(self, name: str, layout: Layout, batch: int, rows: int) -> int:
        """The padded length, 0 if ragged. The shape must be that of the layout, with one feature."""
        given = self.view.shape
        if layout != Layout.RAGGED and len(given) != 2:
            raise InvalidArgumentError(f"{name}: shape {shape_text(given)}, wanted 2 dimensions: {LAYOUT_WORDS[layout]}")
        length = 0 if layout == Layout.RAGGED else given[1 if layout == Layout.BATCH_FIRST else 0]
        wanted = {Layout.RAGGED: (rows,), Layout.BATCH_FIRST: (batch, length), Layout.TIME_MAJOR: (length, batch)}[layout]
        if given != wanted:
            raise InvalidArgumentError(f"{name}: shape {shape_text(given)}, wanted {shape_text(wanted)}: "
                                       f"{LAYOUT_WORDS[layout]}")
        return length


class Batch(Handle):
    """Sequences of different lengths: B of them, N tokens in all, T steps. One batch serves many mini-batches, within
    the bounds it was made with.

        Batch(context, lengths)                             bounds that these lengths just fill
        Batch(context, max_batch=, max_len=, max_tokens=)   empty; max_tokens None is max_batch * max_len

    set_lengths changes the batch: it may not run while another thread's call uses it.
    """

    def __init__(self, context: Context, lengths: Any = None, *, max_batch: Optional[int] = None,
                 max_len: Optional[int] = None, max_tokens: Optional[int] = None, stream: Any = None):
        stream = Call(context, stream, lengths=lengths).stream
        if lengths is not None and max_batch is None and max_len is None:
            given = _Integers("lengths", lengths, context, stream)
            if given.on_host:
                values = [max(value, 0) for value in given.tolist()]  # set_lengths tells of the others
                max_batch, max_len = len(values), max(values, default=0)
                max_tokens = sum(values) if max_tokens is None else max_tokens
        if max_batch is None or max_len is None:
            raise InvalidArgumentError(f"{'max_len' if max_len is None else 'max_batch'}: None, wanted a number where "
                                       f"no lengths of the host are given")
        if max_tokens is None:
            max_tokens = max_batch * max_len
        pointer = create(lib.varlstm_batch_create, context.handle, max_batch, max_len, max_tokens)
        super().__init__(Native(pointer, lib.varlstm_batch_destroy, context._native))
        self.context = context
        self.stream = stream  # that of the lengths
        context.adopt(self)
        if lengths is not None:
            self.set_lengths(lengths, stream=stream)

    def __repr__(self) -> str:
        return f"<varlstm.Batch {'closed' if self.closed else f'of {self.batch} sequences'}>"

    def set_lengths(self, lengths: Any, *, stream: Any = None) -> Batch:
        """lengths [B]: integers in a list or in an array in host memory, which are checked; or int64 in the back end's
        memory. There a bad length is clamped and raises a bit of Context.device_status, and on CUDA the host does not
        know N. Length 0 is legal. Returns the batch."""
        stream = Call(self.context, stream, lengths=lengths).stream
        given = _Integers("lengths", lengths, self.context, stream)
        space = Space.HOST if given.on_host else Space.BACKEND
        lib.varlstm_batch_set_lengths(self.handle, given.address, given.count, space, stream)
        self.stream = stream
        return self

    def from_batch_sizes(self, batch_sizes: Any, sorted_indices: Any = None, *, stream: Any = 0) -> Batch:
        """The same from a PackedSequence's fields, both on the host: batch_sizes [T], positive and not increasing;
        sorted_indices [batch_sizes[0]], None for the identity. Returns the batch."""
        stream = stream_number(stream)
        sizes = _Integers("batch_sizes", batch_sizes, self.context, stream)
        order = None if sorted_indices is None else _Integers("sorted_indices", sorted_indices, self.context, stream)
        for name, given in (("batch_sizes", sizes), ("sorted_indices", order)):
            if given is not None and not given.on_host:
                raise InvalidArgumentError(f"{name}: on the device, wanted the host")
        sequences = sizes.tolist()[0] if sizes.count else 0
        if order is not None and order.count != sequences:
            raise InvalidArgumentError(f"sorted_indices: shape ({order.count},), wanted ({sequences},): batch_sizes[0]")
        lib.varlstm_batch_from_batch_sizes(self.handle, sizes.address, sizes.count,
                                           None if order is None else order.address, stream)
        self.stream = stream
        return self

    def set_resets(self, resets: Any, layout: Union[str, Layout] = "batch_first", *, stream: Any = None) -> Batch:
        """Resets the state inside sequences, as at the end of an episode: where a flag is 1 (True), the state before that
        token is zero and no gradient flows across. Until the lengths are set again. Returns the batch.

        resets  uint8 or bool in host memory, where values other than 0 and 1 are an error, or in the back end's memory,
                where they raise a bit of Context.device_status; None takes the resets back
        layout  "batch_first": [B, padded length]; "time_major": [padded length, B]; "ragged": [N], sequence after
                sequence, also as a list. If only the device knows the lengths, N is max_tokens.
        The Rnn needs resets=True.
        """
        layout = member("layout", Layout, layout)
        stream = Call(self.context, stream, resets=resets).stream
        if resets is None:
            lib.varlstm_batch_set_resets(self.handle, None, 0, Layout.RAGGED, 0, Space.HOST, stream)
        else:
            flags = _Flags("resets", resets, self.context, stream)
            padded_len = flags.padded_len("resets", layout, self.batch, self.rows)
            lib.varlstm_batch_set_resets(self.handle, flags.view.address, flags.view.count, layout, padded_len,
                                         flags.space, stream)
        self.stream = stream
        return self

    def _get(self, key: Key) -> int:
        return get_i64(lib.varlstm_batch_get_i64, self.handle, key)

    @property
    def max_batch(self) -> int:
        return self._get(Key.MAX_BATCH)

    @property
    def max_len(self) -> int:
        return self._get(Key.MAX_LEN)

    @property
    def max_tokens(self) -> int:
        return self._get(Key.MAX_TOKENS)

    @property
    def batch(self) -> int:
        """B, sequences."""
        return self._get(Key.BATCH)

    @property
    def tokens(self) -> int:
        """N, the number of packed rows. UnsupportedError if only the device knows the lengths."""
        return self._get(Key.TOKENS)

    @property
    def steps(self) -> int:
        """T, the longest length. UnsupportedError if only the device knows the lengths."""
        return self._get(Key.STEPS)

    @property
    def rows(self) -> int:
        """The rows of packed arrays: N, or max_tokens if only the device knows the lengths."""
        try:
            return self.tokens
        except UnsupportedError:
            return self.max_tokens

    def array(self, which: Union[str, BatchArray]) -> Any:
        """A copy of an index array in host memory, by its name: NumPy's, or an array.array if NumPy is not installed.
        If only the device knows the lengths, arrays of length T and N have the length of their bounds."""
        data, count = ctypes.c_void_p(), ctypes.c_int64()
        lib.varlstm_batch_get_array(self.handle, member("which", BatchArray, which), ctypes.byref(data),
                                    ctypes.byref(count))
        numpy = module_or_none("numpy")
        values = numpy.empty(count.value, "int64") if numpy else array("q", bytes(8 * count.value))
        lib.varlstm_copy(self.context.handle, read_view("values", values).address, data.value, 8 * count.value,
                         CopyKind.TO_HOST, self.stream)
        self.context.synchronize(self.stream)
        return values

    @property
    def lengths(self) -> Any:
        """[B] in the caller's order."""
        return self.array(BatchArray.LENGTHS)

    @property
    def batch_sizes(self) -> Any:
        """[T] sequences that are still active at each step."""
        return self.array(BatchArray.BATCH_SIZES)

    @property
    def step_offsets(self) -> Any:
        """[T+1] first packed row of each step; the last entry is N."""
        return self.array(BatchArray.STEP_OFFSETS)

    @property
    def sorted_indices(self) -> Any:
        """[B] the caller's index of the j-th longest sequence."""
        return self.array(BatchArray.SORTED_INDICES)

    @property
    def unsorted_indices(self) -> Any:
        """[B] its inverse: rank of the caller's sequence b."""
        return self.array(BatchArray.UNSORTED_INDICES)

    @property
    def cu_seqlens(self) -> Any:
        """[B+1] first ragged row of the caller's sequence b; the last entry is N."""
        return self.array(BatchArray.CU_SEQLENS)

    @property
    def packed_to_ragged(self) -> Any:
        """[N] ragged row of a packed row."""
        return self.array(BatchArray.PACKED_TO_RAGGED)

    @property
    def ragged_to_packed(self) -> Any:
        """[N] its inverse."""
        return self.array(BatchArray.RAGGED_TO_PACKED)
