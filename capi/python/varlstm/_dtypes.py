"""The library's element types with all their names, and NumPy's types if NumPy is installed."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import functools
import importlib
from typing import Any, Optional

from ._declarations import Dtype
from ._library import InvalidArgumentError

# name (as NumPy has it), bytes, DLPack's type code, typestr of the array interfaces (which have none for bfloat16)
_FACTS = {
    Dtype.F32: ("float32", 4, 2, "<f4"),
    Dtype.F64: ("float64", 8, 2, "<f8"),
    Dtype.BF16: ("bfloat16", 2, 4, "<u2"),
    Dtype.F16: ("float16", 2, 2, "<f2"),
    Dtype.I64: ("int64", 8, 0, "<i8"),
}
_BY_NAME = {**{facts[0]: dtype for dtype, facts in _FACTS.items()},
            **{dtype.name.lower(): dtype for dtype in _FACTS}}


def name_of(dtype: Dtype) -> str:
    return _FACTS[dtype][0]


def size_of(dtype: Dtype) -> int:
    """Bytes of an element."""
    return _FACTS[dtype][1]


def dlpack_code(dtype: Dtype) -> int:
    return _FACTS[dtype][2]


def typestr_of(dtype: Dtype) -> str:
    return _FACTS[dtype][3]


def by_name(name: str) -> Optional[Dtype]:
    return _BY_NAME.get(name)


def as_dtype(value: Any, name: str = "dtype") -> Dtype:
    """A Dtype, "f32", "float32", or the float32 of NumPy, torch or ml_dtypes, and likewise for the others."""
    if isinstance(value, Dtype):
        return value
    text = value if isinstance(value, str) else getattr(value, "name", None) or getattr(value, "__name__", value)
    found = by_name(str(text).rsplit(".", 1)[-1])
    if found is None:
        names = ", ".join(f'"{dtype.name.lower()}"' for dtype in Dtype)
        raise InvalidArgumentError(f"{name}: {value!r} is none of {names}")
    return found


@functools.lru_cache(maxsize=None)
def module_or_none(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def numpy_dtype(dtype: Dtype) -> Any:
    """NumPy's type; for bfloat16 that of ml_dtypes, or uint16 if ml_dtypes is not installed."""
    if dtype != Dtype.BF16:
        return module_or_none("numpy").dtype(name_of(dtype))
    extension = module_or_none("ml_dtypes")
    return module_or_none("numpy").dtype(extension.bfloat16 if extension else "uint16")
