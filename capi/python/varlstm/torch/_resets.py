"""The flags of a call's resets: checked, and as the operations take them, which is [T, B] in the batch's order."""
# SPDX-License-Identifier: Apache-2.0
from typing import Optional, Tuple, Union

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from . import _options
from ._device import dense
from ._differentiable import is_traced, values_of

Resets = Union[Tensor, PackedSequence]


def _checked(resets: Tensor, shape: Tuple[int, ...], words: str, rows: Tensor) -> Tensor:
    """`resets`, of that shape. Values are looked at on the CPU only: on a GPU one other than 0 and 1 counts as 1."""
    _options.tensor("resets", resets)
    if resets.dtype not in (torch.bool, torch.uint8):
        raise TypeError(f"resets are of {resets.dtype}, and must be of torch.bool or torch.uint8")
    if tuple(resets.shape) != shape:
        raise ValueError(f"resets are of shape {tuple(resets.shape)}, and must be {shape}: {words}")
    if resets.device != rows.device:
        raise ValueError(f"input is on {rows.device}, resets on {resets.device}: they must be on one device")
    if resets.dtype == torch.uint8 and resets.device.type == "cpu" and not (is_traced(rows) or is_traced(resets)):
        values = values_of(resets)
        bad = (values > 1).nonzero()
        if bad.numel():
            place = bad[0].tolist()
            raise ValueError(f"resets{place} = {int(values[tuple(place)])} is neither 0 nor 1")
    return resets


def of_padded(resets: Optional[Resets], input: Tensor, batch_first: bool) -> Optional[Tensor]:
    if resets is None:
        return None
    flags = _checked(resets, tuple(input.shape[:2]), f"[{'B, T' if batch_first else 'T, B'}] of the input", input)
    return dense(flags.t() if batch_first else flags)


def of_unbatched(resets: Optional[Resets], input: Tensor) -> Optional[Tensor]:
    return None if resets is None else dense(_checked(resets, (input.size(0),), "[T] of the input", input)).unsqueeze(1)


def of_packed(resets: Optional[Resets], input: PackedSequence, batch_size: int) -> Optional[Tensor]:
    """From flags of the rows of input.data, or a PackedSequence of flags of the same sequences."""
    if resets is None:
        return None
    if isinstance(resets, PackedSequence):
        same_order = _same(resets.sorted_indices, input.sorted_indices)
        if not (same_order and torch.equal(resets.batch_sizes, input.batch_sizes)):
            raise ValueError("resets are a PackedSequence of other batch_sizes or sorted_indices than the input's")
        resets = resets.data
    flags = _checked(resets, (input.data.size(0),), "a flag for each row of the input's data", input.data)
    steps, sizes = input.batch_sizes.numel(), input.batch_sizes
    if flags.numel() == steps * batch_size:
        return dense(flags).view(steps, batch_size)
    active = torch.arange(batch_size, device="cpu") < sizes.unsqueeze(1)
    return flags.new_zeros((steps, batch_size)).masked_scatter_(active.to(flags.device), flags)


def _same(a: Optional[Tensor], b: Optional[Tensor]) -> bool:
    """Whether both name the same order; None is that of the sequences themselves."""
    if a is None or b is None:
        order = a if b is None else b
        return order is None or torch.equal(order, torch.arange(order.numel(), device=order.device))
    return torch.equal(a, b)
