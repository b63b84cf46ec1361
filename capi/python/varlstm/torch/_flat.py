"""Tensors that are one after the other in memory, as the library needs them, and that each have a storage of their own.

Code that writes checkpoints (torch.save, safetensors, accelerate) works with storages: it writes a storage as a whole,
and treats tensors that share a storage as one tensor with several names. Parameters can therefore not be views of one
buffer. Here the storage of each tensor covers the tensor's own bytes only; the tensors only keep the buffer below them
alive together. An optimiser's step, load_state_dict or «param.data.add_()» writes to that buffer, so there is no second
copy that could be out of date.
"""
# SPDX-License-Identifier: Apache-2.0
import functools
import math
from typing import List, Optional, Sequence, Tuple

import torch
from torch import Tensor
from torch._C import _from_dlpack, _to_dlpack  # those of torch.utils.dlpack, whose Python takes as long as they do

from ._differentiable import Eager, is_wrapped


class Placed(Eager):
    """Parameters that are_placed has found one after the other in memory, for the call that begins, which nothing traces.
    They have so many values together."""

    __slots__ = ("elements",)


@functools.lru_cache(maxsize=256)
def _places(shapes: Tuple[torch.Size, ...]) -> List[Tuple[torch.Size, List[int], int]]:
    """Shape, strides and offset of each of these tensors, one after the other in memory."""
    places, offset = [], 0
    for shape in shapes:
        strides = [math.prod(shape[k + 1:]) for k in range(len(shape))]
        places.append((shape, strides, offset))
        offset += shape.numel()
    return places


def _pieces(flat: Tensor, like: Sequence[Tensor]) -> List[Tensor]:
    return [flat.as_strided(*place) for place in _places(tuple([one.shape for one in like]))]


def split(flat: Tensor, like: Sequence[Tensor]) -> List[Tensor]:
    """Tensors of the shapes of `like` over the memory of `flat`, which has as many elements as they together. A tensor
    that comes back from DLPack has a storage of its own over the memory that it was made from."""
    return [_from_dlpack(_to_dlpack(piece)) for piece in _pieces(flat, like)]


def split_gradients(flat: Tensor, like: Sequence[Tensor]) -> List[Tensor]:
    """The same for gradients, but as copies on a GPU. Autograd, and code that sums gradients over processes, uses them
    on other streams and calls record_stream, so that their memory is not reused too early. torch's allocator supports
    this only for storages that it made itself."""
    return [piece.clone() for piece in _pieces(flat, like)] if flat.is_cuda else split(flat, like)


def join(tensors: Sequence[Tensor]) -> Tensor:
    """A copy of all elements, one tensor after the other."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def flat_elements(tensors: Sequence[Tensor]) -> int:
    """How many values the tensors have if these are one after the other in memory, without gaps; else 0."""
    first, size, count = tensors[0].data_ptr(), tensors[0].element_size(), 0
    for tensor in tensors:
        if tensor.data_ptr() != first + count * size or not tensor.is_contiguous() or tensor.is_neg():
            return 0
        count += tensor.numel()
    return count


def owns_its_storage(tensor: Tensor) -> bool:
    """Whether the tensor's storage holds the tensor and nothing else."""
    storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()  # from torch 2.0 on
    return tensor.storage_offset() == 0 and storage.nbytes() == tensor.numel() * tensor.element_size()


def flatten(params: Sequence[Optional[Tensor]]) -> None:
    """Places a module's parameters one after the other in memory, if they are not there yet and nothing forbids it:
    a parameter that is absent, a tensor of another kind or one without memory of its own, other dtypes and devices, memory that other processes or
    other parameters share."""
    if any(type(param) is not torch.nn.Parameter or is_wrapped(param) for param in params):
        return
    if len({(param.dtype, param.device) for param in params}) > 1 or params[0].device.type not in ("cpu", "cuda"):
        return
    if any(param.is_shared() and not param.is_cuda for param in params):
        return
    if len({param.data_ptr() for param in params}) < len(params):
        return
    if flat_elements(params) and all(map(owns_its_storage, params)):
        return
    with torch.no_grad():
        for param, piece in zip(params, split(join(params), params)):
            param.data = piece
