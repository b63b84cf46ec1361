"""Memory of a back end: bytes from varlstm_alloc, and arrays in them that other libraries can read."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import functools
import math
from typing import TYPE_CHECKING, Any, Optional

from . import _dlpack
from ._buffers import HOST, View, check_dense, read_view
from ._declarations import CopyKind, Dtype
from ._dtypes import dlpack_code, module_or_none, name_of, numpy_dtype, size_of, typestr_of
from ._handles import Native, create
from ._library import InvalidArgumentError, lib

if TYPE_CHECKING:
    from ._context import Context


class Memory:
    """`nbytes` of a back end's memory, freed with the last reference, contents undefined."""

    __slots__ = ("context", "nbytes", "_native")

    def __init__(self, context: Context, nbytes: int):
        self.context = context
        self.nbytes = nbytes
        owner = context._native
        address = create(lib.varlstm_alloc, context.handle, nbytes)
        free = functools.partial(lib.varlstm_free, owner.pointer)
        self._native = None if address is None else Native(address, free, owner)

    @property
    def address(self) -> Optional[int]:
        return None if self._native is None else self._native.pointer


class DeviceArray:
    """A dense array in a back end's memory. Calls on the CUDA back end return it if the caller gave no array.

    CuPy, Numba and torch read it in place, by __cuda_array_interface__ or __dlpack__; numpy() copies it to the host.
    `stream` is that of the last call that wrote it.
    """

    def __init__(self, context: Context, shape: tuple[int, ...], dtype: Dtype, stream: int = 0):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.stream = stream
        self._memory = Memory(context, self.size * size_of(dtype))

    @property
    def context(self) -> Context:
        return self._memory.context

    @property
    def data(self) -> int:
        """Address of the first element; 0 without elements."""
        return self._memory.address or 0

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self._memory.nbytes

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without dimensions has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        backend, index = self.context.device_of_arrays
        return f"<varlstm.DeviceArray of shape {self.shape}, {name_of(self.dtype)}, on {backend}:{index}>"

    def view(self) -> View:
        return View(self.data, name_of(self.dtype), self.shape, None, False, self.context.device_of_arrays, self)

    def copy_from(self, source: Any, *, stream: int = 0) -> DeviceArray:
        """Copies from an array of the host with the same shape and dtype; the source may be changed afterwards."""
        view = read_view("source", source)
        check_dense("source", view)
        wanted = (name_of(self.dtype), "uint16") if self.dtype == Dtype.BF16 else (name_of(self.dtype),)
        if view.device != HOST or view.shape != self.shape or view.dtype not in wanted:
            raise InvalidArgumentError(f"source: {view.dtype} of shape {view.shape} on {view.device[0]}, wanted "
                                       f"{name_of(self.dtype)} of shape {self.shape} on the host")
        lib.varlstm_copy(self.context.handle, self.data, view.address, self.nbytes, CopyKind.TO_BACKEND, stream)
        self.context.synchronize(stream)
        self.stream = stream
        return self

    def copy_to(self, address: int) -> None:
        """Copies all bytes to that place in the host's memory, after the work of its stream."""
        lib.varlstm_copy(self.context.handle, address, self.data, self.nbytes, CopyKind.TO_HOST, self.stream)
        self.context.synchronize(self.stream)

    def numpy(self) -> Any:
        """A copy as a NumPy array; bfloat16 as that of ml_dtypes, or as uint16 if ml_dtypes is not installed."""
        result = module_or_none("numpy").empty(self.shape, numpy_dtype(self.dtype))
        self.copy_to(result.ctypes.data)
        return result

    def tobytes(self) -> bytes:
        result = ctypes.create_string_buffer(self.nbytes)
        self.copy_to(ctypes.addressof(result))
        return result.raw

    @property
    def __cuda_array_interface__(self) -> dict:
        if self.context.device_of_arrays == HOST:
            raise AttributeError("the array lies in the host's memory")
        return {"shape": self.shape, "typestr": typestr_of(self.dtype), "data": (self.data, False), "strides": None,
                "stream": self.stream or 1, "version": 3}

    def __dlpack_device__(self) -> tuple[int, int]:
        backend, index = self.context.device_of_arrays
        return (_dlpack.CPU if backend == "host" else _dlpack.CUDA, index)

    def __dlpack__(self, *, stream: Optional[int] = None, max_version: Optional[tuple[int, int]] = None,
                   dl_device: Optional[tuple[int, int]] = None, copy: Optional[bool] = None) -> Any:
        """A capsule over this array's memory, which lives until the consumer is done with it."""
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("an array is exported where it lies, without a copy")
        # 0 (CUDA's NULL), 1 and None mean the default stream; -1 asks for no order at all.
        if stream != -1 and (stream or 1) != (self.stream or 1):
            self.context.synchronize(self.stream)
        versioned = max_version is not None and tuple(max_version) >= _dlpack.VERSION
        return _dlpack.make(self.data, dlpack_code(self.dtype), 8 * size_of(self.dtype), self.shape,
                            self.__dlpack_device__(), versioned, self)
