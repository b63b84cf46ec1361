"""conv_max and CharCnn: word vectors from characters, without a padded position."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Optional, Sequence, Union

import torch
from torch import Tensor

from .._declarations import Activation
from . import _options
from ._conv_max_op import conv_max as _conv_max
from ._device import autocast_dtype
from ._differentiable import is_traced


def _activation(value) -> Activation:
    names = [activation.name.lower() for activation in Activation]
    if value not in names:
        raise ValueError(f"activation = {value!r} is not supported, and must be one of " + ", ".join(map(repr, names)))
    return Activation[value.upper()]


def conv_max(input: Tensor, weight: Tensor, bias: Optional[Tensor], offsets: Tensor,
             activation: str = "none") -> Tensor:
    """The activation of the maximum over the positions of each word of a convolution over its rows: [words, filters].

      input       [rows, in]
      weight      [filters, in, width], none of them 0, as in torch.nn.Conv1d with padding="same": a word is surrounded
                  by rows of zeros
      bias        [filters], or None: zeros
      offsets     [words + 1] of int64, not decreasing, in 0 ... rows: word w has the rows offsets[w] to
                  offsets[w + 1] - 1 of input. A word of no rows gives zeros.
      activation  "none", "tanh" or "relu"
    All tensors are on one device, and all but offsets of one dtype: float32, float64, bfloat16 or float16. Under
    torch.autocast input, weight and bias are cast as a convolution casts them. A wrong argument is a TypeError or a
    ValueError that names it; wrong offsets are a varlstm.InvalidArgumentError on the CPU, and on CUDA their words have
    no rows.
    """
    for name, value in (("input", input), ("weight", weight), ("offsets", offsets), ("bias", bias)):
        if value is not None or name != "bias":
            _options.tensor(name, value)
    kind = _activation(activation)
    cast = autocast_dtype(input)
    if cast is not None:
        input, weight, bias = (tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(cast)
                               for tensor in (input, weight, bias))
    if weight.dim() != 3 or input.dim() != 2 or input.size(1) != weight.size(1) or weight.numel() == 0:
        raise ValueError(f"input of shape {tuple(input.shape)} does not fit weight of shape {tuple(weight.shape)}: "
                         "they must be [rows, in] and [filters, in, width], none of filters, in and width 0")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias is of shape {tuple(bias.shape)}, and must be ({weight.size(0)},): weight's filters")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and (tensor.dtype != input.dtype or tensor.device != input.device):
            raise ValueError(f"{name} is of {tensor.dtype} on {tensor.device}, input of {input.dtype} on "
                             f"{input.device}")
    if offsets.dim() != 1 or offsets.size(0) == 0:
        raise ValueError(f"offsets is of shape {tuple(offsets.shape)}, and must be [words + 1]")
    if offsets.dtype != torch.int64:
        raise TypeError(f"offsets is of {offsets.dtype}, and must be of torch.int64")
    if offsets.device != input.device:
        raise ValueError(f"offsets is on {offsets.device}, input on {input.device}: they must be on one device")
    return _conv_max(input, weight, bias, offsets, int(kind))[0]


class CharCnn(torch.nn.Module):
    """Word vectors from characters (Ma & Hovy 2016): an embedding of characters, convolutions of one or more widths
    with zeros around the word, the maximum over the word's own positions, and an activation.

    It is torch.nn.Embedding and torch.nn.Conv1d(padding="same") over padded words, with a maximum that leaves the
    padding out, and has their parameters, which their initialisation gives: `embedding.weight` [vocab, embedding_dim],
    and `convs.<k>.weight` [filters, embedding_dim, width] and `convs.<k>.bias` for each of the widths.

      num_embeddings  characters that there are: ids are in 0 ... num_embeddings - 1
      embedding_dim   features of a character
      filters         features of a word, of each width
      widths          characters that a convolution sees at once: an integer, or a list or tuple of them
      activation      of the maxima: "none", "tanh" or "relu"
      padding_idx     a character whose row of the embedding begins as zeros and gets no gradient, or None. Padding is
                      left out without it.
      device, dtype   of the parameters, as torch.nn.Linear has them; float32, float64, bfloat16 or float16

    Call it in one of two forms, with integers on the parameters' device:
      - padded: ids [*, max_len] and lengths [*] in 0 ... max_len, which gives [*, out_features]. Ids behind a word's
        length may be anything.
      - ragged: ids [characters] and offsets [words + 1] of int64 as conv_max has them, which gives
        [words, out_features].
    ids are of int64 or int32. A word of no characters gives zeros. out_features is filters times the number of widths,
    in their order. A wrong argument is a TypeError, a ValueError or an IndexError that names it and its value; values
    of tensors are looked at on the CPU alone.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, filters: int, widths: Union[int, Sequence[int]] = 3,
                 activation: str = "none", padding_idx: Optional[int] = None, device=None, dtype=None) -> None:
        super().__init__()
        _options.dtype(dtype)
        self.filters = _options.size("filters", filters)
        self.widths = tuple(_options.size("widths", width)
                            for width in (widths if isinstance(widths, (list, tuple)) else (widths,)))
        if not self.widths:
            raise ValueError("widths is empty, and must have at least one width")
        self.activation = _activation(activation).name.lower()
        num_embeddings = _options.size("num_embeddings", num_embeddings)
        if padding_idx is not None:
            padding_idx = _options.int64("padding_idx", padding_idx)
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx = {padding_idx} is not in {-num_embeddings} ... {num_embeddings - 1}")
        options = {"device": device, "dtype": dtype}
        self.embedding = torch.nn.Embedding(num_embeddings, _options.size("embedding_dim", embedding_dim), padding_idx,
                                            **options)
        self.convs = torch.nn.ModuleList(
            torch.nn.Conv1d(embedding_dim, self.filters, width, padding="same", **options) for width in self.widths)

    @property
    def out_features(self) -> int:
        return self.filters * len(self.widths)

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"

    def forward(self, ids: Tensor, lengths: Optional[Tensor] = None, offsets: Optional[Tensor] = None) -> Tensor:
        _options.tensor("ids", ids)
        if ids.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"ids is of {ids.dtype}, and must be of torch.int64 or torch.int32")
        if (lengths is None) == (offsets is None):
            raise ValueError("one of lengths (for padded ids) and offsets (for ragged ids) must be given, and not both")
        if offsets is not None:
            if ids.dim() != 1:
                raise ValueError(f"ids is of shape {tuple(ids.shape)}, and must be [characters] with offsets")
            return self._words(ids, offsets)
        _options.tensor("lengths", lengths)
        if ids.dim() == 0 or lengths.shape != ids.shape[:-1]:
            raise ValueError(f"lengths is of shape {tuple(lengths.shape)}, and must be {tuple(ids.shape[:-1])}: that "
                             "of ids without its last")
        if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
            raise TypeError(f"lengths is of {lengths.dtype}, and must be of integers")
        max_len = ids.size(-1)
        counts = lengths.reshape(-1).to(device=ids.device, dtype=torch.int64)
        if counts.numel() and counts.device.type == "cpu" and not is_traced(counts):
            bad = (counts < 0) | (counts > max_len)
            if bad.any():
                word = int(bad.int().argmax())
                raise ValueError(f"lengths[{word}] = {int(counts[word])} is not in 0 ... {max_len}")
        is_own = torch.arange(max_len, device=ids.device) < counts.unsqueeze(1)
        words = self._words(ids.reshape(-1, max_len)[is_own] if max_len else ids.reshape(-1),
                            torch.nn.functional.pad(counts.cumsum(0), (1, 0)))
        return words.view(*lengths.shape, words.size(-1))

    def _words(self, ids: Tensor, offsets: Tensor) -> Tensor:
        if ids.numel() and ids.device.type == "cpu" and not is_traced(ids):
            for value in (int(ids.min()), int(ids.max())):
                if not 0 <= value < self.embedding.num_embeddings:
                    raise IndexError(f"ids holds {value}, which is not in 0 ... {self.embedding.num_embeddings - 1}")
        characters = self.embedding(ids)
        vectors = [conv_max(characters, conv.weight, conv.bias, offsets, self.activation) for conv in self.convs]
        return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1)
