"""What Context, Batch, Rnn and Loss share: a handle of the library, destroyed once, and after what hangs from it."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ctypes
import enum
import weakref
from typing import Any, Callable, Optional, TypeVar

from ._library import InvalidArgumentError, InvalidHandleError

Enum = TypeVar("Enum", bound=enum.IntEnum)


class Native:
    """Owns what `pointer` points to: calls `release(pointer)` once, when nobody refers to it any more or the
    interpreter ends. Until then it keeps `owner` alive, so that a context outlives what was made from it."""

    __slots__ = ("pointer", "__weakref__")

    def __init__(self, pointer: int, release: Callable[[int], Any], owner: Optional[Native] = None):
        self.pointer = pointer
        weakref.finalize(self, Native._release, release, pointer, owner)

    @staticmethod
    def _release(release: Callable[[int], Any], pointer: int, owner: Optional[Native]) -> None:
        release(pointer)  # `owner` is a reference, no more


class Handle:
    """A handle of the library. Its end is close(), the end of a `with` block, or that of the last reference to it."""

    def __init__(self, native: Native):
        self._native: Optional[Native] = native

    @property
    def handle(self) -> int:
        """The C handle's address, for calls of one's own."""
        native = self._native
        if native is None:
            raise InvalidHandleError(f"{type(self).__name__.lower()}: it was closed")
        return native.pointer

    @property
    def closed(self) -> bool:
        return self._native is None

    def close(self) -> None:
        """Destroys the handle; a second call does nothing."""
        self._native = None

    def __enter__(self):
        return self

    def __exit__(self, *unused) -> None:
        self.close()


def expect_context(value: Any) -> None:
    if not isinstance(value, Handle) or not hasattr(value, "device_of_arrays"):
        raise InvalidArgumentError(f"context: {value!r} is not a Context")


def create(function: Callable, *arguments) -> Any:
    """The address that a *_create function or varlstm_alloc makes; that of 0 bytes is None."""
    made = ctypes.c_void_p()
    function(*arguments, ctypes.byref(made))
    return made.value


def get_i64(function: Callable, handle: int, key: int) -> int:
    value = ctypes.c_int64()
    function(handle, key, ctypes.byref(value))
    return value.value


def get_f64(function: Callable, handle: int, key: int) -> float:
    value = ctypes.c_double()
    function(handle, key, ctypes.byref(value))
    return value.value


def set_value(function: Callable, handle: int, key: enum.IntEnum, value: Any) -> None:
    """Sets an option; its name is that of the key, which the library's error texts call `value`."""
    try:
        function(handle, key, value)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{key.name.lower()}: {error}") from None


def member(name: str, enumeration: type[Enum], value: Any, prefix: str = "") -> Enum:
    """`value` as a member of an enum of varlstm.h: a member, or its name in lower case."""
    if isinstance(value, enumeration):
        return value
    if isinstance(value, str):
        found = enumeration.__members__.get(prefix + value.upper())
        if found is not None:
            return found
    names = ", ".join(repr(one[len(prefix):].lower()) for one in enumeration.__members__)
    raise InvalidArgumentError(f"{name}: {value!r} is none of {names}")
