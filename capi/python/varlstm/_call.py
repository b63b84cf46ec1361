"""The arrays of one call of the library: reads them, checks them, and creates outputs that the caller did not give."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Optional, Union

from ._buffers import View, check_dense, cuda_interface, read_view
from ._declarations import Dtype, Op
from ._device_array import DeviceArray
from ._dtypes import as_dtype, by_name, name_of, size_of
from ._handles import expect_context
from ._library import InvalidArgumentError

if TYPE_CHECKING:
    from ._batch import Batch
    from ._context import Context

# An input: anything with the buffer protocol, DLPack or the CUDA array interface.
Array = Any
# An output: an array to write to, None to have one made, or False for one that is not wanted.
Output = Union[Array, None, bool]


def stream_number(stream: Any) -> int:
    """A cudaStream_t as a number: given as one, or as a stream of torch or CuPy."""
    for attribute in ("cuda_stream", "ptr"):
        stream = getattr(stream, attribute, stream)
    if not isinstance(stream, int):
        raise InvalidArgumentError(f"stream: {stream!r} is neither a number nor a stream of torch or CuPy")
    return 0 if stream == 1 else stream  # the array interfaces' number for the default stream


def shape_text(shape: tuple) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


class Call:
    """The array arguments of one call by their names; None for one that was not given.

    The call is ordered by `stream` if that is given, else by the one stream that its arrays name (DeviceArray, the
    CUDA array interface), else by the default stream. The arrays live as long as the Call does.
    """

    def __init__(self, context: Context, stream: Any = None, *, batch: Optional[Batch] = None, **arrays: Any):
        expect_context(context)
        if batch is not None and not hasattr(type(batch), "cu_seqlens"):
            raise InvalidArgumentError(f"batch: {batch!r} is not a Batch")
        self.context = context
        self.outputs: dict[str, Any] = {}
        self._arrays = arrays
        self._views: dict[str, View] = {}
        self._is_cuda = context.device_of_arrays[0] == "cuda"
        self.stream = self._find_stream(stream, batch)

    def _find_stream(self, stream: Any, batch: Optional[Batch]) -> int:
        if not self._is_cuda:
            return 0 if stream is None else stream_number(stream)
        named: dict[str, int] = {}
        for name, value in self._arrays.items():
            if isinstance(value, DeviceArray):
                named[name] = value.stream
            elif value is not None and value is not False:
                interface = cuda_interface(value)
                if interface is not None and interface.get("stream") is not None:
                    named[name] = stream_number(interface["stream"])
        if batch is not None:
            named["batch"] = batch.stream
        if stream is None:
            if len(set(named.values())) > 1:
                where = ", ".join(f"{name} on {number:#x}" for name, number in named.items())
                raise InvalidArgumentError(f"stream: the arrays are on different ones ({where}): name the call's")
            return next(iter(named.values()), 0)
        number = stream_number(stream)
        for other in set(named.values()) - {number}:
            self.context.synchronize(other)
        return number

    def view(self, name: str) -> View:
        """The argument, dense and on the context's device."""
        view = self._views.get(name)
        if view is not None:
            return view
        value, device = self._arrays[name], self.context.device_of_arrays
        if value is None:
            raise InvalidArgumentError(f"{name}: None, wanted an array")
        view = value.view() if isinstance(value, DeviceArray) else read_view(name, value, self.stream, device[1])
        if view.device != device:
            hint = "; Context.array copies it there" if self._is_cuda and view.device[0] == "host" else ""
            raise InvalidArgumentError(f"{name}: on {view.device[0]}:{view.device[1]}, wanted {device[0]}:{device[1]}, "
                                       f"the context's{hint}")
        check_dense(name, view)
        self._views[name] = view
        return view

    def given(self, name: str) -> bool:
        return self._arrays[name] is not None and self._arrays[name] is not False

    def shape(self, name: str, ndim: int, words: str) -> tuple[int, ...]:
        """The argument's shape, of `ndim` dimensions."""
        shape = self.view(name).shape
        if len(shape) != ndim:
            raise InvalidArgumentError(f"{name}: shape {shape_text(shape)}, wanted {ndim} dimensions: {words}")
        return shape

    def dtype(self, name: str, wish: Any = None) -> Dtype:
        """The argument's dtype, or what the caller wishes it to be read as."""
        if wish is not None:
            return as_dtype(wish)
        text = self.view(name).dtype
        found = by_name(text)
        if found is None:
            hint = '; uint16 is read as bfloat16 where dtype="bf16" says so' if text == "uint16" else ""
            raise InvalidArgumentError(f"{name}: dtype {text}, wanted one of the library's{hint}")
        return found

    def read(self, name: str, shape: tuple[int, ...], dtype: Dtype, words: str) -> int:
        """Address of an input of that shape (what `words` spells out) and dtype."""
        view = self.view(name)
        self._check(name, view, shape, dtype, words)
        return view.address

    def read_or_null(self, name: str, shape: tuple[int, ...], dtype: Dtype, words: str) -> Optional[int]:
        return None if self._arrays[name] is None else self.read(name, shape, dtype, words)

    def write(self, name: str, shape: tuple[int, ...], dtype: Dtype, words: str, zero: bool = False) -> Optional[int]:
        """The address of an output. outputs[name] is the array; if none was given, it is created here (as zeros if
        `zero`)."""
        value = self._arrays[name]
        if value is False:
            self.outputs[name] = None
            return None
        if value is None:
            value = (self.context.zeros if zero else self.context.empty)(shape, dtype, stream=self.stream)
            self._arrays[name] = value
        view = self.view(name)
        self._check(name, view, shape, dtype, words)
        if view.readonly:
            raise InvalidArgumentError(f"{name}: read-only, and the call writes to it")
        if isinstance(value, DeviceArray):
            value.stream = self.stream
        self.outputs[name] = value
        return view.address

    def _check(self, name: str, view: View, shape: tuple[int, ...], dtype: Dtype, words: str) -> None:
        if view.dtype == "bytes":
            wanted = size_of(dtype) * math.prod(shape)
            if view.count != wanted:
                raise InvalidArgumentError(f"{name}: {view.count} bytes, wanted {wanted}: {words} in {name_of(dtype)}")
            if view.address % size_of(dtype):
                raise InvalidArgumentError(f"{name}: address {view.address:#x} is not aligned to the {size_of(dtype)} "
                                           f"bytes of {name_of(dtype)}")
            return
        if view.dtype != name_of(dtype) and not (dtype == Dtype.BF16 and view.dtype == "uint16"):
            raise InvalidArgumentError(f"{name}: dtype {view.dtype}, wanted {name_of(dtype)}")
        if view.shape != shape and not (view.shape == () and shape == (1,)):
            raise InvalidArgumentError(f"{name}: shape {shape_text(view.shape)}, wanted {shape_text(shape)}: {words}")

    def workspace(self, op: Op, dtype: Dtype, rows: int, a: int = 0, b: int = 0) -> tuple[Optional[int], int]:
        """Address and bytes of what that operation needs."""
        needed = self.context.op_workspace(op, dtype, rows, a, b)
        return self.context.workspace(needed, self.stream), needed
