"""Handlers of XLA's FFI that are functions of Python: a call comes in by ctypes, with the addresses of its buffers.

The structs are those of xla/ffi/api/c_api.h, a C ABI, of which only fields are used that each version 0.x has had; so
nothing is compiled for a version of jax. XLA calls a handler in a thread of its own choice. ctypes takes the interpreter's
lock for it, and gives it back while the library computes.
"""
# SPDX-License-Identifier: Apache-2.0
import _thread
import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from typing import Callable, NamedTuple, Tuple

import jax

from .._declarations import Status
from .._library import Error
from ._from_entry import caught_from_entry

_MAJOR, _FIRST_MINOR = 0, 1  # of the FFI's version
_METADATA, _EXECUTE = 1, 3  # XLA_FFI_Extension_Metadata, XLA_FFI_ExecutionStage_EXECUTE
_CODES = {Status.ERROR_INVALID_ARGUMENT: 3, Status.ERROR_BUFFER_TOO_SMALL: 3, Status.ERROR_OUT_OF_MEMORY: 8,
          Status.ERROR_UNSUPPORTED: 12}  # absl's; INTERNAL for others
_INTERNAL = 13


def _struct(name: str, *fields: tuple, head: bool = True) -> type:
    """A struct, which if it has a head begins with its size and extensions."""
    begin = (("struct_size", c_size_t), ("extension_start", c_void_p)) if head else ()
    return type(name, (ctypes.Structure,), {"_fields_": [*begin, *fields]})


_Buffer = _struct("XLA_FFI_Buffer", ("dtype", c_int), ("data", c_void_p), ("rank", c_int64), ("dims", POINTER(c_int64)))
_Args = _struct("XLA_FFI_Args", ("size", c_int64), ("types", c_void_p), ("args", POINTER(POINTER(_Buffer))))
_Array = _struct("XLA_FFI_Array", ("dtype", c_int), ("size", c_size_t), ("data", c_void_p), head=False)
_Attrs = _struct("XLA_FFI_Attrs", ("size", c_int64), ("types", c_void_p), ("names", c_void_p),
                 ("attrs", POINTER(POINTER(_Array))))
_Version = _struct("XLA_FFI_Api_Version", ("major_version", c_int), ("minor_version", c_int))
_Api = _struct("XLA_FFI_Api", ("api_version", _Version), ("internal_api", c_void_p), ("XLA_FFI_Error_Create", c_void_p))
_ErrorArgs = _struct("XLA_FFI_Error_Create_Args", ("message", c_char_p), ("errc", c_int))
_Metadata = _struct("XLA_FFI_Metadata", ("struct_size", c_size_t), ("api_version", _Version), ("traits", c_uint32),
                    head=False)
_Extension = _struct("XLA_FFI_Extension_Base", ("struct_size", c_size_t), ("type", c_int), ("next", c_void_p),
                     head=False)
_MetadataExtension = _struct("XLA_FFI_Metadata_Extension", ("extension_base", _Extension),
                             ("metadata", POINTER(_Metadata)), head=False)
_CallFrame = _struct("XLA_FFI_CallFrame", ("api", POINTER(_Api)), ("ctx", c_void_p), ("stage", c_int), ("args", _Args),
                     ("rets", _Args), ("attrs", _Attrs))
STRUCTS = (_Buffer, _Args, _Array, _Attrs, _Version, _Api, _ErrorArgs, _Metadata, _Extension, _MetadataExtension,
           _CallFrame)

_Handler = ctypes.CFUNCTYPE(c_void_p, POINTER(_CallFrame))
_create_error = ctypes.CFUNCTYPE(c_void_p, POINTER(_ErrorArgs))


class Buffer(NamedTuple):
    address: int
    shape: Tuple[int, ...]


def _buffers(args: _Args) -> list:
    found = []
    for index in range(args.size):
        buffer = args.args[index].contents
        found.append(Buffer(buffer.data or 0, tuple(buffer.dims[:buffer.rank])))
    return found


def _error(api: _Api, error: BaseException) -> int:
    code = _CODES.get(error.status, _INTERNAL) if isinstance(error, Error) else _INTERNAL
    text = str(error) if isinstance(error, Error) else repr(error)
    args = _ErrorArgs(ctypes.sizeof(_ErrorArgs), None, text.encode(), code)
    return _create_error(api.XLA_FFI_Error_Create)(ctypes.byref(args))


def _tell_version(frame: _CallFrame) -> None:
    """Tells XLA which version the handler is of: XLA's own, as only the fields above are used. The first versions ask
    without an API."""
    metadata = ctypes.cast(frame.extension_start, POINTER(_MetadataExtension)).contents.metadata.contents
    metadata.api_version.struct_size = ctypes.sizeof(_Version)
    metadata.api_version.major_version = _MAJOR
    metadata.api_version.minor_version = frame.api.contents.api_version.minor_version if frame.api else _FIRST_MINOR
    metadata.traits = 0


class _Interrupt:
    """Interrupts the main thread once the function that holds it has returned: in the function, the KeyboardInterrupt
    would be raised at once, and lost."""

    __del__ = _thread.interrupt_main


_registered = []  # what XLA calls, alive as long as the process


def register(name: str, function: Callable[[bytes, list, list], None]) -> None:
    """Makes `function(attribute, operands, results)` what XLA calls on the CPU for ffi_call(name, ...), which has one
    attribute, an array."""

    @caught_from_entry
    def handle(pointer):
        try:
            frame = pointer.contents
            if frame.extension_start and ctypes.cast(frame.extension_start,
                                                     POINTER(_Extension)).contents.type == _METADATA:
                _tell_version(frame)
            elif frame.stage == _EXECUTE:
                attribute = frame.attrs.attrs[0].contents
                function(ctypes.string_at(attribute.data, 8 * attribute.size), _buffers(frame.args), _buffers(frame.rets))
        except KeyboardInterrupt as error:
            held = _Interrupt()  # noqa: F841 (the call fails, and its caller gets the interrupt)
            return _error(pointer.contents.api.contents, error)
        except BaseException as error:  # nothing above this frame can take an exception
            return _error(pointer.contents.api.contents, error)
        return None

    handler = _Handler(handle)
    _registered.append(handler)
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
