"""Context: a back end on a device, and arrays in its memory."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any, NamedTuple, Optional, Union

from ._buffers import HOST, read_view
from ._call import stream_number
from ._declarations import Backend, Dtype, Key, Math, Op
from ._device_array import DeviceArray, Memory
from ._dtypes import as_dtype, by_name, module_or_none, numpy_dtype
from ._handles import Handle, Native, create, get_i64, member, set_value
from ._library import InvalidArgumentError, lib


class DeviceStatus(NamedTuple):
    """Bad values that were in the back end's memory."""

    bits: int  # a sum of DeviceStatusBit; 0 if no value was bad
    first_index: int  # the smallest bad index of the lowest bit; -1 if there is none


def device_count(backend: Union[str, Backend]) -> int:
    """How many devices a back end can use: 1 for "host"; for "cuda" the number of GPUs, which is 0 without a GPU,
    without a driver, or if the library was built without CUDA."""
    count = ctypes.c_int32()
    lib.varlstm_device_count(member("backend", Backend, backend), ctypes.byref(count))
    return count.value


class Context(Handle):
    """A back end ("host" or "cuda") on a device. Every other object is made from a context.

    threads          how many threads a call on the host may use; 0 means as many as the machine has. Results do not
                     depend on it.
    batch_invariant  if True, a sequence's results are bit-identical whatever else is in the batch
    math             "f32" or "tf32": how products of float32 are computed on CUDA

    close() also closes what was made from the context. Arrays that it made stay valid; their memory and the native
    context are freed together with the last of them. Set options before other threads use the context. Several
    threads may call it.
    """

    def __init__(self, backend: Union[str, Backend] = "host", device: int = 0, *, threads: Optional[int] = None,
                 batch_invariant: Optional[bool] = None, math: Union[str, Math, None] = None):
        backend = member("backend", Backend, backend)
        super().__init__(Native(create(lib.varlstm_ctx_create, backend, device), lib.varlstm_ctx_destroy))
        self.device_of_arrays = HOST if backend == Backend.HOST else ("cuda", device)
        self._children: weakref.WeakSet[Handle] = weakref.WeakSet()
        self._workspaces = threading.local()
        if threads is not None:
            self.threads = threads
        if batch_invariant is not None:
            self.batch_invariant = batch_invariant
        if math is not None:
            self.math = math

    def __repr__(self) -> str:
        return f"<varlstm.Context {self.device_of_arrays[0]}:{self.device_of_arrays[1]}{' closed' * self.closed}>"

    def close(self) -> None:
        for child in list(self._children):
            child.close()
        self._workspaces = threading.local()
        super().close()

    def adopt(self, child: Handle) -> None:
        """close() shall close that handle as well."""
        self._children.add(child)

    # --- options

    def _get(self, key: Key) -> int:
        return get_i64(lib.varlstm_ctx_get_i64, self.handle, key)

    def _set(self, key: Key, value: int) -> None:
        set_value(lib.varlstm_ctx_set_i64, self.handle, key, value)

    @property
    def backend(self) -> Backend:
        return Backend(self._get(Key.BACKEND))

    @property
    def device(self) -> int:
        return self._get(Key.DEVICE)

    @property
    def threads(self) -> int:
        return self._get(Key.THREADS)

    @threads.setter
    def threads(self, value: int) -> None:
        self._set(Key.THREADS, value)

    @property
    def batch_invariant(self) -> bool:
        return bool(self._get(Key.BATCH_INVARIANT))

    @batch_invariant.setter
    def batch_invariant(self, value: bool) -> None:
        self._set(Key.BATCH_INVARIANT, value)

    @property
    def math(self) -> Math:
        return Math(self._get(Key.MATH))

    @math.setter
    def math(self, value: Union[str, Math]) -> None:
        self._set(Key.MATH, member("math", Math, value))

    # --- order

    def synchronize(self, stream: Any = 0) -> None:
        """Waits until all work on `stream` is done."""
        lib.varlstm_sync(self.handle, stream_number(stream))

    def device_status(self, *, reset: bool = True, stream: Any = 0) -> DeviceStatus:
        """Waits for `stream` and returns which bad values calls have found: bad lengths in the back end's memory, ids
        and targets out of range, a reserve that no forward wrote. `reset` clears the status."""
        bits, index = ctypes.c_int64(), ctypes.c_int64()
        lib.varlstm_ctx_device_status(self.handle, reset, ctypes.byref(bits), ctypes.byref(index),
                                      stream_number(stream))
        return DeviceStatus(bits.value, index.value)

    # --- memory

    def empty(self, shape: Union[int, tuple[int, ...]], dtype: Any = Dtype.F32, *, stream: Any = 0) -> Any:
        """An array with undefined contents: NumPy's on the host if NumPy is installed, else a DeviceArray."""
        dtype = as_dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if not all(isinstance(size, int) and size >= 0 for size in shape):
            raise InvalidArgumentError(f"shape: {shape}, wanted numbers from 0 on")
        if self.device_of_arrays == HOST and module_or_none("numpy"):
            return module_or_none("numpy").empty(shape, numpy_dtype(dtype))
        return DeviceArray(self, shape, dtype, stream_number(stream))

    def zeros(self, shape: Union[int, tuple[int, ...]], dtype: Any = Dtype.F32, *, stream: Any = 0) -> Any:
        """The same of zeros."""
        array = self.empty(shape, dtype, stream=stream)
        if isinstance(array, DeviceArray):
            lib.varlstm_zero(self.handle, array.data, array.nbytes, array.stream)
        else:
            array[...] = 0
        return array

    def array(self, source: Any, dtype: Any = None, *, stream: Any = 0) -> Any:
        """A copy of an array of the host (with NumPy: or of nested lists) in the back end's memory."""
        numpy = module_or_none("numpy")
        if numpy:
            wanted = None if dtype is None else numpy_dtype(as_dtype(dtype))
            source = numpy.array(source, dtype=wanted, order="C")
            if self.device_of_arrays == HOST:
                return source
        view = read_view("source", source)
        dtype = by_name(view.dtype) if dtype is None else as_dtype(dtype)
        if dtype is None:
            raise InvalidArgumentError(f"source: dtype {view.dtype} is none of the library's")
        return self.empty(view.shape, dtype, stream=stream).copy_from(source, stream=stream_number(stream))

    def numpy(self, array: Any) -> Any:
        """NumPy's copy of an array of this context."""
        if isinstance(array, DeviceArray):
            return array.numpy()
        return module_or_none("numpy").array(array)

    def op_workspace(self, op: Op, dtype: Any, rows: int, a: int = 0, b: int = 0) -> int:
        """Bytes of workspace that an operation needs; varlstm.h has the meaning of rows, a and b for each."""
        needed = ctypes.c_int64()
        lib.varlstm_op_workspace(self.handle, op, as_dtype(dtype), rows, a, b, ctypes.byref(needed))
        return needed.value

    def workspace(self, nbytes: int, stream: int) -> Optional[int]:
        """Address of at least `nbytes` that this thread's calls on `stream` use one after the other."""
        by_stream = self._workspaces.__dict__.setdefault("by_stream", {})
        memory = by_stream.get(stream)
        if memory is None or memory.nbytes < nbytes:
            memory = by_stream[stream] = Memory(self, nbytes)
        return memory.address
