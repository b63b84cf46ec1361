"""pack_padded_sequence, pad_packed_sequence and pack_sequence of torch.nn.utils.rnn: with its signatures, its
PackedSequence, and sequences of length 0.

A PackedSequence's batch_sizes cannot tell of sequences at the end that have no rows. Where a length is 0,
sorted_indices is not None and has an entry for each sequence, so that batch_sizes[0], if there is one, is smaller than
their number. What is in varlstm.torch takes such a PackedSequence; torch's own functions do not.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import operator
from typing import Optional, Sequence, Tuple, Union

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, invert_permutation

from . import _options, _packing_op
from ._device import dense
from ._differentiable import list_of

Lengths = Union[Tensor, Sequence[int]]


def lengths_tensor(lengths: Lengths, batch_size: int) -> Tensor:
    """`lengths` as int64 [B], on their own device; a list becomes a tensor on the CPU, whatever torch's default is."""
    if not isinstance(lengths, Tensor):
        try:
            lengths = torch.as_tensor(lengths, device="cpu")
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"lengths = {lengths!r:.200} cannot be read as integers: {error}") from error
    if lengths.numel() == 0:
        lengths = lengths.to(torch.int64)
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths are of {lengths.dtype}, and must be integers")
    if tuple(lengths.shape) != (batch_size,):
        raise ValueError(f"lengths are of shape {tuple(lengths.shape)}, and must be ({batch_size},): the batch's size")
    return dense(lengths.to(torch.int64))


def equal_lengths(batch_size: int, steps: int) -> Tensor:
    return torch.full((batch_size,), steps, dtype=torch.int64, device="cpu")


def check_lengths(lengths: list, max_len: int) -> None:
    """`lengths` are integers, or lists of those of each call of torch.vmap."""
    for b, length in enumerate(lengths):
        if isinstance(length, list):
            check_lengths(length, max_len)
        elif not 0 <= length <= max_len:
            raise ValueError(f"lengths[{b}] = {length} is not in 0 ... {max_len}, the steps of the input")


_FEW_STEPS = 64  # a list of so many is made and added up sooner than torch adds up a tensor


def batch_of(sequence: PackedSequence) -> Tuple[Tensor, bool, int, int]:
    """(sizes, from_batch_sizes, B, T) for the operations, with the sequences in the order of the rows."""
    batch_sizes, indices = sequence.batch_sizes, sequence.sorted_indices
    if batch_sizes.dtype != torch.int64 or batch_sizes.dim() != 1:
        raise ValueError(f"batch_sizes are of {batch_sizes.dtype} and shape {tuple(batch_sizes.shape)}, and must be of "
                         "torch.int64 and one dimension")
    steps = batch_sizes.numel()
    few = list_of(batch_sizes) if steps <= _FEW_STEPS else None
    rows = int(batch_sizes.sum()) if few is None else sum(few)
    if rows != sequence.data.size(0):
        raise ValueError(f"batch_sizes add up to {rows}, and must to {sequence.data.size(0)}: the rows of data")
    first = 0 if steps == 0 else few[0] if few is not None else int(batch_sizes[0])
    batch_size = first if indices is None else indices.numel()
    if batch_size < first:
        raise ValueError(f"sorted_indices has {batch_size} entries, and must have {first} at least: batch_sizes[0]")
    if batch_size == first:
        return dense(batch_sizes), True, batch_size, steps
    return sorted_lengths(batch_sizes, batch_size), False, batch_size, steps


def sorted_lengths(batch_sizes: Tensor, batch_size: int) -> Tensor:
    """[B], longest first: batch_sizes[t] of them are longer than t."""
    ended = batch_sizes - torch.cat([batch_sizes[1:], batch_sizes.new_zeros(1)])[:batch_sizes.numel()]
    lengths = torch.arange(1, batch_sizes.numel() + 1, device="cpu").repeat_interleave(ended).flip(0)
    return torch.cat([lengths, lengths.new_zeros(batch_size - lengths.numel())])


def _packed(src: Tensor, lengths: Tensor, layout: int, max_len: int, enforce_sorted: bool) -> PackedSequence:
    """`lengths`: int64 [B]; they are copied from a GPU to the CPU, because a PackedSequence has its sizes there."""
    lengths = lengths.cpu()
    values = list_of(lengths)
    check_lengths(values, max_len)
    if enforce_sorted and any(a < b for a, b in zip(values, values[1:])):
        raise RuntimeError("lengths must be sorted in decreasing order when enforce_sorted is True; pass "
                           "enforce_sorted=False to sort them")
    steps, rows = max(values, default=0), sum(values)
    data = _packing_op.pack(src, lengths, False, len(values), steps, layout, rows)
    ended = torch.bincount(lengths, minlength=1)  # [T + 1]: sequences of each length
    batch_sizes = len(values) - ended.cumsum(0)[:steps]
    if enforce_sorted and 0 not in values:
        return PackedSequence(data, batch_sizes)
    indices = lengths.sort(descending=True, stable=True)[1].to(src.device)
    return PackedSequence(data, batch_sizes, indices, invert_permutation(indices))


def pack_padded_sequence(input: Tensor, lengths: Lengths, batch_first: bool = False,
                         enforce_sorted: bool = True) -> PackedSequence:
    """Packs `input`, [T, B, *] or, with batch_first, [B, T, *], as torch.nn.utils.rnn.pack_padded_sequence does.

    lengths: [B] integers in 0 ... T, in a list or a tensor; one on a GPU makes the CPU wait for it. Sequences of equal
    length keep their order. Of float32, float64, bfloat16, float16 and, without gradient, int64.
    """
    _options.tensor("input", input)
    if input.dim() < 2:
        raise ValueError(f"input has {input.dim()} dimensions, and must have at least 2")
    layout = _packing_op.BATCH_FIRST if batch_first else _packing_op.TIME_MAJOR
    lengths = lengths_tensor(lengths, input.size(0 if batch_first else 1))
    return _packed(input, lengths, layout, input.size(1 if batch_first else 0), enforce_sorted)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs a list of tensors [length, *], as torch.nn.utils.rnn.pack_sequence does, without padding them first."""
    sequences = list(sequences)
    if not sequences:
        raise ValueError("sequences is empty, and must have at least one tensor")
    for k, sequence in enumerate(sequences):
        _options.tensor(f"sequences[{k}]", sequence)
        if sequence.dim() == 0:
            raise ValueError(f"sequences[{k}] has no dimension, and must have one of steps")
    lengths = torch.tensor([sequence.size(0) for sequence in sequences], device="cpu")
    return _packed(torch.cat(sequences), lengths, _packing_op.RAGGED, int(lengths.max()), enforce_sorted)


def _exact_integer(data: Tensor, padding_value) -> Optional[int]:
    """padding_value, if it is an integer that a double cannot represent exactly; the library takes it as a double."""
    try:
        value = operator.index(padding_value)  # also of NumPy, and of a tensor without dimensions
    except TypeError:
        return None
    if data.dtype != torch.int64:
        return None
    if not -2**63 <= value < 2**63:
        raise ValueError(f"padding_value = {value} does not fit in an int64, of which sequence.data is")
    return value if float(value) != value else None


def _fill_padding(padded: Tensor, lengths: Tensor, batch_first: bool, padding_value: int) -> None:
    padding = torch.arange(padded.size(1 if batch_first else 0), device="cpu") >= lengths.unsqueeze(1)  # [B, T]
    padding = padding if batch_first else padding.t()
    padded.masked_fill_(padding.reshape(padding.shape + (1,) * (padded.dim() - 2)).to(padded.device), padding_value)


def pad_packed_sequence(sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
                        total_length: Optional[int] = None) -> Tuple[Tensor, Tensor]:
    """([T, B, *] or [B, T, *], lengths [B] on the CPU), as torch.nn.utils.rnn.pad_packed_sequence returns them."""
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"sequence is of {type(sequence).__name__}, and must be a PackedSequence")
    sizes, from_batch_sizes, batch_size, steps = batch_of(sequence)
    if total_length is not None:
        total_length = _options.int64("total_length", total_length)
        if total_length < steps:
            raise ValueError(f"total_length = {total_length} is smaller than {steps}, the longest sequence's length")
    padded_len = steps if total_length is None else total_length
    layout = _packing_op.BATCH_FIRST if batch_first else _packing_op.TIME_MAJOR
    integer = _exact_integer(sequence.data, padding_value)
    padded = _packing_op.unpack(sequence.data, sizes, from_batch_sizes, batch_size, steps, layout, padded_len,
                                float(padding_value) if integer is None else 0.0)
    lengths = sorted_lengths(sizes, batch_size) if from_batch_sizes else sizes
    if integer is not None:
        _fill_padding(padded, lengths, batch_first, integer)
    if sequence.unsorted_indices is None:
        return padded, lengths
    unsorted = sequence.unsorted_indices
    return padded.index_select(0 if batch_first else 1, unsorted), lengths[unsorted.cpu()]
