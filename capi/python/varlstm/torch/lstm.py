"""LSTM: torch.nn.LSTM's module over this library."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import List, Optional, Tuple, Union

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from . import _options, _packing_op
from ._device import autocast_dtype
from ._differentiable import is_traced, refuse_jit_trace
from ._flat import is_flat, join, owns_its_storage, split
from ._lstm_checks import (check_like, check_params, check_rows, check_states, check_two_states,
                           check_unbatched_states)
from ._lstm_op import lstm
from .packing import Lengths, batch_of, check_lengths, equal_lengths, lengths_tensor

States = Tuple[Tensor, Tensor]


class LSTM(torch.nn.RNNBase):
    """An LSTM over sequences of different lengths, with the signature, parameters and results of torch.nn.LSTM.

    With L layers, D directions, H = hidden_size and I = input_size:

    input    a PackedSequence; [T, B, I], or [B, T, I] with batch_first; or [T, I], one sequence
    hx       (h_0, c_0), each [L*D, B, H] ([L*D, H] for one sequence); zeros if absent
    lengths  [B] integers in 0 ... T for a padded input, as a list or a tensor on the CPU or on the input's device. The
             input after a sequence's end is not read; the output is 0 there, and h_n and c_n are those of its last
             token. Lengths on a GPU stay there; the CPU does not know them and does not wait for them, and a length
             that is out of range is then clamped.

    Returns (output, (h_n, c_n)): output is a PackedSequence, [T, B, D*H], [B, T, D*H] or [T, D*H], as the input was.
    A sequence of length 0 has h_n = h_0 and c_n = c_0.

    Gradients flow to the input, h_0, c_0 and every parameter, in eval mode too; they cannot be differentiated again. As
    with torch's own on a GPU, the output of a PackedSequence, or without lengths, may not be changed in place before
    backward, which reads it. Dropout acts between layers in training mode; its seed comes from torch's generator. The
    dtypes are float32, float64, bfloat16 and float16, and torch.autocast's. On the CPU it computes with
    torch.get_num_threads() threads.
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
                 device=None, dtype=None) -> None:
        _options.no_projection(proj_size)
        _options.dtype(dtype)
        super().__init__(
            "LSTM", _options.size("input_size", input_size), _options.size("hidden_size", hidden_size),
            _options.size("num_layers", num_layers), _options.flag("bias", bias),
            _options.flag("batch_first", batch_first), _options.probability("dropout", dropout),
            _options.flag("bidirectional", bidirectional), device=device, dtype=dtype)

    def flatten_parameters(self) -> None:
        """Places the parameters one after the other in memory, so that a call does not have to copy them. Each still has a
        storage of its own.

        Nobody needs to call it: it is done when the module is made, moved, converted or copied. Parameters that were
        put in place by other means, such as load_state_dict(..., assign=True), and those in shared memory work without
        it. The storages are of one size for good: storage.resize_(), with which some shard or offload parameters, is an
        error, as it is for gradients on the CPU; assign new data instead. On a GPU all parameters are one allocation of
        torch's: torch.multiprocessing refuses to send a part of one, so send copies, and record_stream does nothing, so
        let a stream that reads the parameters end before they are moved or freed.
        """
        params = [self._parameters.get(name) for name in self._flat_weights_names]
        if any(type(param) is not torch.nn.Parameter for param in params):  # absent, or a tensor of another kind
            return
        if len({(param.dtype, param.device) for param in params}) > 1 or params[0].device.type not in ("cpu", "cuda"):
            return
        # Shared memory stays as it is, since other processes know it, and so does memory of two parameters in one.
        if any(param.is_shared() and not param.is_cuda for param in params):
            return
        if len({param.data_ptr() for param in params}) < len(params):
            return
        if is_flat(params) and all(map(owns_its_storage, params)):
            return
        with torch.no_grad():
            for param, piece in zip(params, split(join(params), params)):
                param.data = piece

    def permute_hidden(self, hx: States, permutation: Optional[Tensor]) -> States:
        return hx if permutation is None else (hx[0].index_select(1, permutation), hx[1].index_select(1, permutation))

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        self.flatten_parameters()

    def forward(self, input: Union[Tensor, PackedSequence], hx: Optional[States] = None,
                lengths: Optional[Lengths] = None) -> Tuple[Union[Tensor, PackedSequence], States]:
        refuse_jit_trace()
        if hx is not None:
            check_two_states(hx)
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths)
        _options.tensor("input", input)
        if input.dim() not in (2, 3):
            raise ValueError(f"input has {input.dim()} dimensions, and must have 2 or 3")
        if input.dim() == 2:
            return self._forward_unbatched(input, hx, lengths)
        return self._forward_padded(input, hx, lengths)

    def _forward_packed(self, input: PackedSequence, hx: Optional[States], lengths) -> Tuple[PackedSequence, States]:
        if lengths is not None:
            raise ValueError("lengths must be None: a PackedSequence has its own")
        batch = batch_of(input)
        if hx is not None:
            check_states(hx, self._states_shape(batch[2]))
            hx = self.permute_hidden(hx, input.sorted_indices)
        y, states = self._run(input.data, hx, *batch)
        output = PackedSequence(y, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
        return output, self.permute_hidden(states, input.unsorted_indices)

    def _forward_unbatched(self, input: Tensor, hx: Optional[States], lengths) -> Tuple[Tensor, States]:
        if lengths is not None:
            raise ValueError("lengths must be None: an input of 2 dimensions is one sequence")
        if hx is not None:
            check_unbatched_states(hx)
            hx = (hx[0].unsqueeze(1), hx[1].unsqueeze(1))
        steps = input.size(0)
        y, states = self._run(input, hx, equal_lengths(1, steps), False, 1, steps)
        return y, (states[0].squeeze(1), states[1].squeeze(1))

    def _forward_padded(self, input: Tensor, hx: Optional[States], lengths) -> Tuple[Tensor, States]:
        batch_size, steps = input.shape[:2] if self.batch_first else (input.size(1), input.size(0))
        if lengths is None:  # time-major rows are packed ones
            rows = input.transpose(0, 1) if self.batch_first else input
            y, states = self._run(rows.reshape(steps * batch_size, input.size(2)), hx,
                                  equal_lengths(batch_size, steps), False, batch_size, steps)
            y = y.view(steps, batch_size, y.size(1))
            return y.transpose(0, 1) if self.batch_first else y, states
        self.check_input(input, None)
        lengths = lengths_tensor(lengths, batch_size)
        if lengths.device != input.device and lengths.device.type != "cpu":
            raise ValueError(f"lengths are on {lengths.device}, and must be on the CPU or the input's {input.device}")
        if lengths.is_cuda or is_traced(input):  # nobody waits for the lengths: room for the most that they can be
            max_len, rows = steps, batch_size * steps
        else:
            values = lengths.tolist()
            check_lengths(values, steps)
            max_len, rows = max(values, default=0), sum(values)
        layout = _packing_op.BATCH_FIRST if self.batch_first else _packing_op.TIME_MAJOR
        packed = _packing_op.pack(input, lengths, False, batch_size, max_len, layout, rows)
        y, states = self._run(packed, hx, lengths, False, batch_size, max_len)
        return _packing_op.unpack(y, lengths, False, batch_size, max_len, layout, steps, 0.0), states

    def _states_shape(self, batch_size: int) -> Tuple[int, int, int]:
        return self.num_layers * (1 + self.bidirectional), batch_size, self.hidden_size

    def _run(self, rows: Tensor, hx: Optional[States], sizes: Tensor, from_batch_sizes: bool, batch_size: int,
             max_len: int) -> Tuple[Tensor, States]:
        """(y [rows, D*H], (h_n, c_n)) of packed rows [rows, I]."""
        names = self._flat_weights_names
        params = [getattr(self, name) for name in names]
        check_params(names, params, self.input_size, self.hidden_size, 1 + self.bidirectional)
        dtype = autocast_dtype(rows)
        if dtype is not None:
            rows, params = rows.to(dtype), [param.to(dtype) for param in params]
            hx = hx if hx is None else [state.to(dtype) for state in hx]
        check_rows(rows, self.input_size)
        for name, param in zip(names, params):
            check_like(name, param, rows)
        h0 = c0 = None
        if hx is not None:
            check_states(hx, self._states_shape(batch_size))
            h0, c0 = hx
            check_like("h_0", h0, rows)
            check_like("c_0", c0, rows)
        seed = None
        if self.dropout > 0 and self.training and self.num_layers > 1:
            seed = torch.randint(1, 2**63 - 1, (), device="cpu")
        y, h_n, c_n = lstm(rows, sizes, h0, c0, seed, from_batch_sizes, batch_size, max_len, self.hidden_size,
                           self.num_layers, self.bidirectional, self.dropout, params)
        return y, (h_n, c_n)
