"""Finds libvarlstm, checks its version, and makes its functions callable: a status other than OK becomes an exception.

If VARLSTM_LIBRARY is set, the library is only looked for there. Otherwise it is looked for in the package's own folder,
in build/lib of the source tree that the package is in, and where the system's loader looks.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import functools
import os
import pathlib
import re
from typing import Callable

from ._declarations import FUNCTIONS, INT32, INT64, UINT64, HeaderVersion, Status

_PACKAGE = pathlib.Path(__file__).resolve().parent
_SONAME = f"libvarlstm.so.{HeaderVersion.VERSION_MAJOR}"
VERSION = (HeaderVersion.VERSION_MAJOR.value, HeaderVersion.VERSION_MINOR.value, HeaderVersion.VERSION_PATCH.value)


class Error(Exception):
    """An error of the library: `status` is a Status, str() is its text."""

    status = Status.ERROR_INTERNAL


class LibraryError(Error, ImportError):
    """The library was not found, or is of another version."""


class InvalidArgumentError(Error, ValueError):
    """A value, a pointer, a key or a combination that is not allowed."""

    status = Status.ERROR_INVALID_ARGUMENT


class UnsupportedError(Error, NotImplementedError):
    """Legal, but not on this back end or not in this build."""

    status = Status.ERROR_UNSUPPORTED


class OutOfMemoryError(Error, MemoryError):
    status = Status.ERROR_OUT_OF_MEMORY


class BufferTooSmallError(InvalidArgumentError):
    """The workspace or the reserve; the text names the bytes that are needed."""

    status = Status.ERROR_BUFFER_TOO_SMALL


class InvalidHandleError(InvalidArgumentError):
    """NULL, destroyed, or of another kind."""

    status = Status.ERROR_INVALID_HANDLE


class BackendError(Error, RuntimeError):
    """A call of the back end's runtime failed; the text names the call."""

    status = Status.ERROR_BACKEND


class DeadContextError(BackendError):
    """An earlier error of the device killed the context."""

    status = Status.ERROR_DEAD_CONTEXT


_ERRORS = {error.status: error for error in (
    InvalidArgumentError, UnsupportedError, OutOfMemoryError, BufferTooSmallError, InvalidHandleError, BackendError,
    DeadContextError, Error)}


def _candidates() -> list[str]:
    wish = os.environ.get("VARLSTM_LIBRARY")
    if wish:
        return [wish]
    folders = [_PACKAGE / "lib", _PACKAGE.parents[2] / "build" / "lib"]
    return [str(folder / _SONAME) for folder in folders if (folder / _SONAME).exists()] + [_SONAME]


def _check_version(library: ctypes.CDLL, path: str) -> None:
    try:
        number = library.varlstm_version()
    except AttributeError:
        raise LibraryError(f"{path} is not libvarlstm: it has no function varlstm_version") from None
    major, minor, patch = number // 10000, number // 100 % 100, number % 100
    # 0.x may change between minor versions, 1.0 and later only by additions.
    fits = major == VERSION[0] and (minor == VERSION[1] if major == 0 else minor >= VERSION[1])
    if not fits:
        wanted = ".".join(map(str, VERSION))
        raise LibraryError(f"{path} is libvarlstm {major}.{minor}.{patch}, this package needs {wanted}")


def _load() -> ctypes.CDLL:
    failures = []
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            failures.append(str(error))
            continue
        _check_version(library, path)
        return library
    raise LibraryError("libvarlstm was not found; set VARLSTM_LIBRARY to the path of libvarlstm.so (" +
                       "; ".join(failures) + ")")


_RANGES = {INT32: (-2**31, 2**31 - 1), INT64: (-2**63, 2**63 - 1), UINT64: (0, 2**64 - 1)}


def _check_arguments(function: Callable, parameters: dict) -> Callable:
    """The same function, with an error that names the argument where a value is of a wrong type or where an integer is
    out of its parameter's range, of which ctypes would pass on the low bits."""
    names = tuple(parameters)
    ranges = tuple((index, *_RANGES[kind]) for index, kind in enumerate(parameters.values()) if kind in _RANGES)

    @functools.wraps(function, assigned=("__name__",))
    def call(*arguments):
        for index, low, high in ranges:
            value = arguments[index]
            if isinstance(value, int) and not low <= value <= high:
                raise InvalidArgumentError(f"{names[index]}: {value} is not in {low} ... {high}")
        try:
            return function(*arguments)
        except ctypes.ArgumentError as error:
            index = int(re.search(r"argument (\d+)", str(error)).group(1)) - 1
            raise InvalidArgumentError(f"{names[index]}: {arguments[index]!r} is of a wrong type") from None
    return call


def _declare(library: ctypes.CDLL) -> None:
    def check(status: int, function, arguments):
        if status:
            text = library.varlstm_last_error().decode()
            raise _ERRORS.get(status, Error)(text)
        return status

    for name, (result, parameters) in FUNCTIONS.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise LibraryError(f"{library._name} has no function {name}: it is older than this package") from None
        function.restype = result
        function.argtypes = list(parameters.values())
        if result is INT32 and name != "varlstm_version":
            function.errcheck = check
        setattr(library, name, _check_arguments(function, parameters))


def unchecked(name: str) -> Callable:
    """A function of the library whose integers are not checked: ctypes passes on the low bits of those that are out of
    range. A status other than OK is an exception all the same."""
    return getattr(lib, name).__wrapped__


def _text(function) -> str:
    return function().decode()


lib = _load()
_declare(lib)


def build_info() -> str:
    """One line: version, back ends, BLAS, instruction set chosen at run time."""
    return _text(lib.varlstm_build_info)


def version() -> str:
    """Version of the library that is loaded, as «0.1.0»."""
    number = lib.varlstm_version()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def status_name(status: int) -> str:
    """The status as varlstm.h names it: "VARLSTM_ERROR_OUT_OF_MEMORY" and so on."""
    return lib.varlstm_status_name(status).decode()
