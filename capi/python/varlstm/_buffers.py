"""Reads the address, dtype, shape and strides of the caller's arrays, whatever library they come from.

The ways are tried in this order: the CUDA array interface if it names a stream, the buffer protocol (NumPy,
array.array, memoryview, bytes), DLPack (torch), the CUDA array interface without a stream.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import math
from typing import Any, Optional

from . import _dlpack
from ._dtypes import by_name, size_of
from ._library import InvalidArgumentError

HOST = ("host", 0)
_FORMATS = {"f": "float32", "d": "float64", "e": "float16", "?": "bool8"}
_KINDS = {"f": "float", "i": "int", "u": "uint", "b": "bool"}


class View:
    """An array as the library sees it. `strides` are in elements, None for dense; `owner` keeps the memory alive."""

    __slots__ = ("address", "dtype", "shape", "strides", "readonly", "device", "owner")

    def __init__(self, address: int, dtype: str, shape: tuple, strides: Optional[tuple], readonly: bool, device: tuple,
                 owner: Any):
        self.address = address
        self.dtype = dtype  # as NumPy names it; "bytes" for bytes without a type
        self.shape = shape
        self.strides = strides
        self.readonly = readonly
        self.device = device  # ("host", 0) or ("cuda", index)
        self.owner = owner

    @property
    def count(self) -> int:
        return math.prod(self.shape)


class _Buffer(ctypes.Structure):
    """Py_buffer of Python's C API; released with the last reference."""

    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
                ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
                ("strides", ctypes.POINTER(ctypes.c_ssize_t)), ("suboffsets", ctypes.c_void_p),
                ("internal", ctypes.c_void_p)]

    def __del__(self, release=_dlpack._python_api("PyBuffer_Release", None, ctypes.c_void_p)):
        release(ctypes.addressof(self))


_STRIDED_WITH_FORMAT = 0x18 | 0x04
_has_buffer = _dlpack._python_api("PyObject_CheckBuffer", ctypes.c_int, ctypes.py_object)
_get_buffer = _dlpack._python_api("PyObject_GetBuffer", ctypes.c_int, ctypes.py_object, ctypes.POINTER(_Buffer),
                                  ctypes.c_int)


def _format_name(text: str, itemsize: int) -> str:
    """The dtype of a format of the struct module."""
    letter = text.lstrip("@=<")
    if letter in _FORMATS:
        return _FORMATS[letter]
    if letter in "bhilqBHILQ" and len(letter) == 1:
        return f"{'int' if letter.islower() else 'uint'}{8 * itemsize}"
    return f"of format {text!r}"


def _from_buffer(value: Any) -> View:
    buffer = _Buffer()
    _get_buffer(value, ctypes.byref(buffer), _STRIDED_WITH_FORMAT)
    itemsize = buffer.itemsize
    shape = tuple(buffer.shape[:buffer.ndim]) if buffer.ndim else ()
    has_strides = buffer.ndim > 0 and bool(buffer.strides)  # arrays of ctypes give none
    strides = tuple(stride / itemsize for stride in buffer.strides[:buffer.ndim]) if has_strides else None
    untyped = isinstance(value, (bytes, bytearray, memoryview)) and buffer.format == b"B"
    dtype = "bytes" if untyped else _format_name(buffer.format.decode(), itemsize)
    return View(buffer.buf or 0, dtype, shape, strides, bool(buffer.readonly), HOST, buffer)


def _from_dlpack(value: Any, stream: Optional[int]) -> View:
    kind, index = value.__dlpack_device__()
    if kind in (_dlpack.CPU, _dlpack.CUDA_HOST):
        device, stream = HOST, None
    elif kind in (_dlpack.CUDA, _dlpack.CUDA_MANAGED):
        device, stream = ("cuda", index), stream or 1  # 1: the default stream
    else:
        device = (f"DLPack's device type {int(kind)}", index)
    capsule = _dlpack.request(value, stream)
    tensor, readonly = _dlpack.read(capsule)
    shape = tuple(tensor.shape[:tensor.ndim]) if tensor.ndim else ()
    strides = tuple(tensor.strides[:tensor.ndim]) if tensor.ndim and tensor.strides else None
    return View((tensor.data or 0) + tensor.byte_offset, _dlpack.dtype_name(tensor.dtype), shape, strides, readonly,
                device, capsule)


def cuda_interface(value: Any) -> Optional[dict]:
    """The CUDA array interface of `value`, None if it has none. torch's tensors have one on some devices only."""
    try:
        return value.__cuda_array_interface__
    except (AttributeError, RuntimeError, TypeError, KeyError):
        return None


def _from_cuda_interface(value: Any, interface: dict, index: int) -> View:
    if interface.get("mask") is not None:
        raise ValueError("an array with a mask")
    typestr = interface["typestr"]
    itemsize = int(typestr[2:])
    kind = _KINDS.get(typestr[1]) if typestr[0] in "<|" else None
    dtype = f"{kind}{8 * itemsize}" if kind else f"of typestr {typestr!r}"
    strides = interface.get("strides")
    address, readonly = interface["data"]
    return View(address or 0, dtype, tuple(interface["shape"]),
                None if strides is None else tuple(stride / itemsize for stride in strides), bool(readonly),
                ("cuda", index), value)


def _read(value: Any, stream: Optional[int], index: int) -> Optional[View]:
    interface = cuda_interface(value)
    if interface is not None and interface.get("stream") is not None:
        return _from_cuda_interface(value, interface, index)
    if _has_buffer(value):
        try:
            return _from_buffer(value)
        except ValueError:
            if getattr(getattr(value, "dtype", None), "name", None) != "bfloat16":
                raise
            view = _from_buffer(value.view("uint16"))  # ml_dtypes' type, which the buffer protocol does not know
            view.dtype = "bfloat16"
            return view
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value, stream)
    return None if interface is None else _from_cuda_interface(value, interface, index)


def read_view(name: str, value: Any, stream: Optional[int] = None, index: int = 0) -> View:
    """A view of `value`, for work on `stream`. `index` is the device of an array that does not name its own. Errors
    start with `name`, that of the argument."""
    try:
        view = _read(value, stream, index)
    except Exception as error:  # whatever its library says: a tensor that requires grad, one without memory, ...
        raise InvalidArgumentError(f"{name}: {error}") from error
    if view is None:
        raise InvalidArgumentError(f"{name}: {type(value).__name__} has neither the buffer protocol, nor DLPack, nor "
                                   f"the CUDA array interface")
    return view


def check_dense(name: str, view: View) -> None:
    """Row-major without gaps, and aligned to its elements."""
    if 0 in view.shape:
        return
    expected = 1
    if view.strides is not None:
        for dimension in reversed(range(len(view.shape))):
            size, stride = view.shape[dimension], view.strides[dimension]
            if size != 1 and stride != expected:
                reason = ("is broadcast (stride 0)" if stride == 0 else "runs backwards (negative stride)" if stride < 0
                          else f"has stride {stride:g} instead of {expected}")
                raise InvalidArgumentError(f"{name}: not contiguous, dimension {dimension} of shape {view.shape} "
                                           f"{reason}; pass a contiguous copy")
            expected *= size
    dtype = by_name(view.dtype)
    itemsize = size_of(dtype) if dtype is not None else 1
    if view.address % itemsize:
        raise InvalidArgumentError(f"{name}: address {view.address:#x} is not aligned to the {itemsize} bytes of "
                                   f"{view.dtype}")
