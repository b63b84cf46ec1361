"""LSTM: torch.nn.LSTM's module over this library."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Optional, Tuple, Union

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from . import _options, _resets
from ._rnn_base import RnnBase, permuted
from ._rnn_checks import check_two_states
from .packing import Lengths

States = Tuple[Tensor, Tensor]


class LSTM(RnnBase):
    """An LSTM over sequences of different lengths, with the signature, parameters and results of torch.nn.LSTM.

    With L layers, D directions, H = hidden_size and I = input_size:

    input    a PackedSequence; [T, B, I], or [B, T, I] with batch_first; or [T, I], one sequence
    hx       (h_0, c_0), each [L*D, B, H] ([L*D, H] for one sequence); zeros if absent
    lengths  [B] integers in 0 ... T for a padded input, as a list or a tensor on the CPU or on the input's device. The
             input after a sequence's end is not read; the output is 0 there, and h_n and c_n are those of its last
             token. Lengths on a GPU stay there; the CPU does not know them and does not wait for them, and a length
             that is out of range is then clamped.
    resets   flags beside the input, of bool or uint8: where one is set, the state before that token is zero and no gradient
             flows across, as at the end of an episode. [T, B], [B, T] or [T] as the input is; for a PackedSequence [N], in
             the order of its data, or a PackedSequence of the same sequences. A flag at a first token puts zeros in the
             place of h_0 and c_0. The backward direction runs through each piece by itself, the last from its h_0 and c_0
             and the first to its h_n and c_n. The flags of the padding have no effect, but on a CPU they too must be 0
             or 1.

    cell_states  True: the result is (output, (h_n, c_n), c). c is the cell state after every token of the last layer, in the
             form of the output, with D*H features also if there is a projection: what the next token starts from, after
             clips and zoneout. Gradients flow through it

    Returns (output, (h_n, c_n)): output is a PackedSequence, [T, B, D*H], [B, T, D*H] or [T, D*H], as the input was.
    A sequence of length 0 has h_n = h_0 and c_n = c_0. With proj_size = P > 0, h_0, h_n and the output have P features
    in the place of H.

    Options beside torch's, each 0 by default:

    cell_clip, projection_clip  x: c, and a projected h, stay in [-x, x]; no gradient flows where they are clipped
    recurrent_dropout           probability of dropping elements of recurrent_dropout_kind, in training mode: "weights" is
                                weight_hh, one mask a call; "state" is h where weight_hh multiplies it, one mask a
                                sequence; "candidate" is g, anew in each token
    zoneout_h, zoneout_c        probability with which an element of h or c keeps its value before the token in training
                                mode; in evaluation mode each is p * before + (1 - p) * after

    Gradients flow to the input, h_0, c_0 and every parameter, in eval mode too; they cannot be differentiated again. As
    with torch's own on a GPU, the output of a PackedSequence, or without lengths, may not be changed in place before
    backward, which reads it. Dropout acts between layers in training mode; its seed comes from torch's generator. The
    dtypes are float32, float64, bfloat16 and float16, and torch.autocast's. On the CPU it computes with
    torch.get_num_threads() threads.
    """

    _state_name, _torch_class = "h_0", torch.nn.LSTM

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device=None, dtype=None, *, cell_clip: float = 0.0, projection_clip: float = 0.0,
                 recurrent_dropout: float = 0.0, recurrent_dropout_kind: str = "weights", zoneout_h: float = 0.0,
                 zoneout_c: float = 0.0) -> None:
        super().__init__("LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device,
                         dtype, proj_size, cell_clip, projection_clip, recurrent_dropout, recurrent_dropout_kind,
                         zoneout_h, zoneout_c)

    def forward(self, input: Union[Tensor, PackedSequence], hx: Optional[States] = None,
                lengths: Optional[Lengths] = None, resets: Optional[_resets.Resets] = None,
                cell_states: bool = False) -> tuple:
        if cell_states is not False:
            cell_states = _options.flag("cell_states", cell_states)
        results = self._forward(input, hx, lengths, resets, cell_states)
        return results if cell_states else results[:2]

    def permute_hidden(self, hx: States, permutation: Optional[Tensor]) -> States:
        return permuted(hx, permutation)

    def _states_of(self, hx) -> States:
        check_two_states(hx)
        return hx[0], hx[1]

    def _tables_of(self, state):
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise TypeError("state must be two tensors, h and c")
        return tuple(state), ("state[0]", "state[1]")

    @staticmethod
    def _own_options(module: torch.nn.LSTM) -> dict:
        return {"proj_size": module.proj_size}
