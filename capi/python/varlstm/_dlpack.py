"""DLPack (https://dmlc.github.io/dlpack): reads the tensor of a capsule, and makes capsules, versioned and unversioned.

A capsule that is read here is not consumed: whoever holds it keeps the tensor alive, and its destructor calls the
deleter.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
from typing import Any, Optional

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
VERSION = (1, 0)
READ_ONLY = 1  # flag of a versioned tensor
_NAME, _VERSIONED_NAME = b"dltensor", b"dltensor_versioned"
_CODES = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}


class Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class DataType(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device", Device), ("ndim", ctypes.c_int32), ("dtype", DataType),
                ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("byte_offset", ctypes.c_uint64)]


class ManagedTensor(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class ManagedTensorVersioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("manager", ctypes.c_void_p),
                ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", Tensor)]


def _python_api(name: str, result, *arguments):
    """A function of Python's C API with a signature of its own: ctypes.pythonapi's attributes are everybody's."""
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


# The destructor sees a capsule that is going away: as an address, which counts no reference.
_is_valid = _python_api("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_pointer = _python_api("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_new_capsule = _python_api("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)

# What exported tensors keep alive until their deleter is called, by the address of the managed tensor.
_exported: dict[int, tuple] = {}


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _delete(managed: int, exported=_exported) -> None:
    exported.pop(managed, None)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _destroy_capsule(capsule: int, exported=_exported, is_valid=_is_valid, pointer=_pointer) -> None:
    for name in (_NAME, _VERSIONED_NAME):
        if is_valid(capsule, name):  # nobody consumed it
            exported.pop(pointer(capsule, name), None)


# Consumers may call them until the process ends.
for _callback in (_delete, _destroy_capsule):
    _python_api("Py_IncRef", None, ctypes.py_object)(_callback)


def dtype_name(dtype: DataType) -> str:
    """As NumPy names it, "float32" and so on."""
    name = f"{_CODES.get(dtype.code, f'code {dtype.code} of ')}{dtype.bits}"
    return name if dtype.lanes == 1 else f"{name} in {dtype.lanes} lanes"


def request(value: Any, stream: Optional[int]) -> Any:
    """The capsule of `value`, on a device ready for work on `stream`; None for memory of the host."""
    arguments = {} if stream is None else {"stream": stream}
    try:
        return value.__dlpack__(max_version=VERSION, **arguments)
    except TypeError:  # a producer that knows no versions
        return value.__dlpack__(**arguments)


def read(capsule: Any) -> tuple[Tensor, bool]:
    """The capsule's tensor, valid as long as the capsule, and whether it may only be read."""
    address = id(capsule)
    if _is_valid(address, _VERSIONED_NAME):
        versioned = ManagedTensorVersioned.from_address(_pointer(address, _VERSIONED_NAME))
        if versioned.major != VERSION[0]:
            raise ValueError(f"a tensor of DLPack {versioned.major}.{versioned.minor}, wanted version {VERSION[0]}")
        return versioned.tensor, bool(versioned.flags & READ_ONLY)
    if _is_valid(address, _NAME):
        return ManagedTensor.from_address(_pointer(address, _NAME)).tensor, False
    raise ValueError("__dlpack__ gave no capsule that holds a tensor")


def make(address: int, code: int, bits: int, shape: tuple[int, ...], device: tuple[int, int], versioned: bool,
         owner: Any) -> Any:
    """A capsule for that dense tensor, which keeps `owner` alive until the consumer is done with it."""
    strides = [1] * len(shape)
    for k in reversed(range(len(shape) - 1)):
        strides[k] = strides[k + 1] * max(shape[k + 1], 1)
    dimensions = ctypes.c_int64 * max(len(shape), 1)
    sizes, steps = dimensions(*shape), dimensions(*strides)
    managed = ManagedTensorVersioned(*VERSION) if versioned else ManagedTensor()
    managed.deleter = ctypes.cast(_delete, ctypes.c_void_p).value
    managed.tensor = Tensor(address, Device(*device), len(shape), DataType(code, bits, 1), sizes, steps, 0)
    key = ctypes.addressof(managed)
    _exported[key] = (managed, sizes, steps, owner)
    return _new_capsule(key, _VERSIONED_NAME if versioned else _NAME, ctypes.cast(_destroy_capsule, ctypes.c_void_p))
