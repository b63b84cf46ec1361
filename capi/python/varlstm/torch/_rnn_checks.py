"""What a call of varlstm.torch's LSTM, GRU and RNN is given, checked by name: input, states, and the parameters as they
are now."""
# SPDX-License-Identifier: Apache-2.0
import functools
import itertools
import math
from typing import List, NamedTuple, Sequence, Tuple

import torch
from torch import Tensor

from . import _options


def check_one_state(hx) -> None:
    if not isinstance(hx, Tensor):
        raise TypeError(f"hx is of {type(hx).__name__}, and must be a tensor: h_0")


def check_two_states(hx) -> None:
    """Whether hx is a pair of tensors, or a tensor of two."""
    if not isinstance(hx, (tuple, list, Tensor)):
        raise TypeError(f"hx is of {type(hx).__name__}, and must be two tensors: h_0 and c_0")
    if len(hx) != 2:
        raise ValueError(f"hx has {len(hx)} tensors, and must have 2: h_0 and c_0")
    _options.tensor("h_0", hx[0])
    _options.tensor("c_0", hx[1])


def _wrong_dimensions(states: Sequence[Tensor], input_words: str, wanted: int) -> RuntimeError:
    if len(states) == 1:
        return RuntimeError(f"For {input_words} input, hx should also be {wanted}-D but got {states[0].dim()}-D tensor")
    return RuntimeError(f"For {input_words} input, hx and cx should also be {wanted}-D but got "
                        f"({states[0].dim()}-D, {states[1].dim()}-D) tensors")


def check_unbatched_states(states: Sequence[Tensor]) -> None:
    if any(state.dim() != 2 for state in states):
        raise _wrong_dimensions(states, "unbatched 2-D", 2)


def check_states(states: Sequence[Tensor], shapes: Sequence[Tuple[int, int, int]]) -> None:
    for k, (state, expected) in enumerate(zip(states, shapes)):
        if state.dim() != 3:
            raise _wrong_dimensions(states, "batched 3-D", 3)
        if state.shape != expected:
            which = f"[{k}]" if len(states) > 1 else ""
            raise RuntimeError(f"Expected hidden{which} size {expected}, got {list(state.shape)}")


def check_rows(rows: Tensor, input_size: int) -> None:
    if rows.dim() != 2:
        raise RuntimeError(f"input must have 2 dimensions, got {rows.dim()}")
    check_features(rows, input_size)


def check_features(rows: Tensor, input_size: int) -> None:
    if rows.size(-1) != input_size:
        raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {input_size}, got {rows.size(-1)}")


class Layout(NamedTuple):
    """Of a network's parameters."""

    shapes: List[torch.Size]
    offsets: List[int]  # of each from the first, in elements, if they are one after the other
    elements: int       # of all together


@functools.lru_cache(maxsize=256)
def layout(names: Tuple[str, ...], gates: int, input_size: int, widths: Tuple[int, int], directions: int) -> Layout:
    """That of the parameters of these names. widths: the number of features of h, and of units."""
    of_h, hidden_size = widths
    rows = gates * hidden_size
    first = (rows, input_size)
    others = {"weight_ih": (rows, directions * of_h), "weight_hh": (rows, of_h), "bias_ih": (rows,),
              "bias_hh": (rows,), "weight_hr": (of_h, hidden_size), "norm_ih": (rows,), "norm_hh": (rows,),
              "norm_c": (hidden_size,), "norm_c_bias": (hidden_size,)}
    shapes = [first if name[:12] == "weight_ih_l0" else others[name[:name.rindex("_l")]] for name in names]
    *offsets, elements = itertools.accumulate(map(math.prod, shapes), initial=0)
    return Layout(list(map(torch.Size, shapes)), offsets, elements)


def are_placed(params: List[Tensor], expected: Layout, rows: Tensor) -> bool:
    """Whether the parameters are as the library reads them, without a check of one by one: of these shapes, of the dtype
    and on the device of the rows, and their values one after the other in memory. A small call takes no longer than
    these checks."""
    try:
        first, dtype, size = params[0].data_ptr(), rows.dtype, rows.element_size()
        if params[0].device != rows.device:
            return False
        for param, shape, offset in zip(params, expected.shapes, expected.offsets):
            if (param.data_ptr() != first + offset * size or param.dtype is not dtype or param.shape != shape or
                    not param.is_contiguous() or param.is_neg()):
                return False
    except (AttributeError, RuntimeError):  # no tensor, or one without memory
        return False
    return first != 0


def check_params(names: List[str], params: List[Tensor], expected: Layout) -> None:
    """Whether each parameter has its own shape: as many elements in others would be read as if they had it."""
    for name, param, shape in zip(names, params, expected.shapes):
        if not isinstance(param, Tensor):
            _options.tensor(name, param)
        if param.shape != shape:
            raise ValueError(f"{name} is of shape {tuple(param.shape)}, and must be {tuple(shape)}")


def check_like(name: str, tensor: Tensor, rows: Tensor) -> None:
    if tensor.dtype != rows.dtype:
        raise ValueError(f"input is of {rows.dtype}, {name} of {tensor.dtype}: they must be of one dtype")
    if tensor.device != rows.device:
        raise ValueError(f"input is on {rows.device}, {name} on {tensor.device}: they must be on one device")


def check_all_like(names: List[str], tensors: List[Tensor], rows: Tensor) -> None:
    dtype, device = rows.dtype, rows.device  # torch makes the device anew each time it is asked
    for name, tensor in zip(names, tensors):
        if tensor.dtype != dtype or tensor.device != device:
            check_like(name, tensor, rows)
