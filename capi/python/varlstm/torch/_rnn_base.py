"""What varlstm.torch's LSTM, GRU and RNN share: everything but their constructors and the form of their states."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, List, Optional, Tuple, Union

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .._declarations import RecurrentDropout
from . import _exchange, _options, _packing_op, _resets, _torchs_op
from ._device import compute_dtype
from ._differentiable import is_traced, is_vmapped, list_of, refuse_jit_trace
from ._flat import Placed, flatten
from ._rnn_checks import (are_placed, check_all_like, check_like, check_features, check_params, check_states,
                          check_unbatched_states, layout)
from ._rnn_op import RNN_OPS
from ._step import step
from .packing import Lengths, batch_of, check_lengths, equal_lengths, lengths_tensor

_KINDS = {kind.name.lower(): float(kind) for kind in RecurrentDropout}  # an enum is not for torch.compile to look into
_CANDIDATE = float(RecurrentDropout.CANDIDATE)

States = Tuple[Tensor, ...]  # (h,), or (h, c) if the cell has c


def permuted(states: States, permutation: Optional[Tensor]) -> States:
    return states if permutation is None else tuple([state.index_select(1, permutation) for state in states])


class RnnBase(torch.nn.RNNBase):
    """The options and parameters are torch.nn.RNNBase's, whose `mode` names the cell."""

    _state_name: str  # how texts call h_0
    _torch_class: type
    _keeps_states = False  # under torch.autocast on a CPU: see compute_dtype

    def __init__(self, mode: str, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
                 device, dtype, proj_size=0, cell_clip=0.0, projection_clip=0.0, recurrent_dropout=0.0,
                 recurrent_dropout_kind="weights", zoneout_h=0.0, zoneout_c=0.0) -> None:
        _options.dtype(dtype)
        hidden_size = _options.size("hidden_size", hidden_size)
        super().__init__(
            mode, _options.size("input_size", input_size), hidden_size, _options.size("num_layers", num_layers),
            _options.flag("bias", bias),
            _options.flag("batch_first", batch_first), _options.probability("dropout", dropout, or_one=True),
            _options.flag("bidirectional", bidirectional), _options.projection(proj_size, hidden_size), device=device,
            dtype=dtype)
        _options.dropout_kind(recurrent_dropout_kind, mode in ("LSTM", "GRU"))
        self.cell_clip = _options.clip("cell_clip", cell_clip)
        self.projection_clip = _options.clip("projection_clip", projection_clip)
        if self.projection_clip and not self.proj_size:
            raise ValueError(f"projection_clip = {projection_clip} is not supported without proj_size")
        self.recurrent_dropout = _options.probability("recurrent_dropout", recurrent_dropout)
        self.recurrent_dropout_kind = recurrent_dropout_kind
        self.zoneout_h = _options.probability("zoneout_h", zoneout_h)
        self.zoneout_c = _options.probability("zoneout_c", zoneout_c)

    # Modules that an earlier version has pickled have none of these.
    cell_clip = projection_clip = recurrent_dropout = zoneout_h = zoneout_c = 0.0
    recurrent_dropout_kind = "weights"
    _layer_norm = False

    def _cell_options(self) -> List[float]:
        """As _device.OPTIONS orders them."""
        kind = _KINDS.get(self.recurrent_dropout_kind)
        if kind is None or (kind == _CANDIDATE and self.mode.startswith("RNN")):  # set after the constructor
            _options.dropout_kind(self.recurrent_dropout_kind, not self.mode.startswith("RNN"))
        return [kind, self.recurrent_dropout, self.zoneout_h, self.zoneout_c, self.cell_clip,
                self.projection_clip, float(self._layer_norm)]

    def extra_repr(self) -> str:
        text = super().extra_repr()
        for name in ("cell_clip", "projection_clip", "recurrent_dropout", "zoneout_h", "zoneout_c"):
            if getattr(self, name):
                text += f", {name}={getattr(self, name)}"
        return text + (f", recurrent_dropout_kind={self.recurrent_dropout_kind!r}" if self.recurrent_dropout else "")

    def _states_of(self, hx) -> States:
        """The states, whose types are checked, as a tuple."""
        raise NotImplementedError

    @staticmethod
    def _own_options(module: torch.nn.RNNBase) -> dict:
        """Options that not every such module has, of torch's or of this library."""
        return {}

    @staticmethod
    def _options_of(module: torch.nn.RNNBase) -> dict:
        return {"num_layers": module.num_layers, "bias": module.bias, "batch_first": module.batch_first,
                "dropout": module.dropout, "bidirectional": module.bidirectional, "device": "meta"}

    @classmethod
    def from_torch(cls, module: torch.nn.RNNBase) -> RnnBase:
        """The network with the options, the mode and the very Parameter objects of torch's: training one trains the other.
        from_torch(copy.deepcopy(module)) has parameters of its own.

        A subclass of torch's class may compute anything, and is refused. So are parameters that are not the module's own
        (weight_norm, a parametrization, pruning), buffers and modules in it, and a dtype that is not supported. Hooks are
        not moved, of which a warning tells."""
        _exchange.check_import(cls._torch_class, module)
        return cls._taken(module)

    @classmethod
    def _taken(cls, module: torch.nn.RNNBase) -> RnnBase:
        """from_torch without its checks."""
        ours = cls(module.input_size, module.hidden_size, **cls._own_options(module), **cls._options_of(module))
        ours = ours._take(module)
        ours.flatten_parameters()
        return ours

    def to_torch(self) -> torch.nn.RNNBase:
        """The module of torch.nn with these options and these very Parameter objects: training one trains the other.
        copy.deepcopy of it has parameters of its own. torch has no clips, no zoneout and no dropout in the recurrence."""
        self._check_export()
        module = self._torch_class(self.input_size, self.hidden_size, **self._own_options(self), **self._options_of(self))
        return RnnBase._take(module, self)

    def _check_export(self) -> None:
        """Whether torch's class computes what this module does."""
        names = ("recurrent_dropout", "zoneout_h", "zoneout_c", "cell_clip", "projection_clip")
        _exchange.check_export(self._torch_class, {name: getattr(self, name) for name in names})

    def __prepare_scriptable__(self) -> torch.nn.RNNBase:
        """What torch.jit.script compiles instead of this module, because it cannot look into the library. torch puts it
        into the model that is compiled, too."""
        return self.to_torch()

    def _take(self, source: torch.nn.RNNBase) -> torch.nn.RNNBase:
        """`self`, of torch or of this library, with the parameters and the mode of `source`."""
        for name in source._flat_weights_names:
            setattr(self, name, getattr(source, name))
        return self.train(source.training)

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
        flatten([self._parameters.get(name) for name in self._flat_weights_names])

    def __setstate__(self, state) -> None:
        super().__setstate__(state)
        self.flatten_parameters()

    def forward(self, input: Union[Tensor, PackedSequence], hx: Any = None,
                lengths: Optional[Lengths] = None,
                resets: Optional[_resets.Resets] = None) -> Tuple[Union[Tensor, PackedSequence], Any]:
        return self._forward(input, hx, lengths, resets, False)[:2]

    def _forward(self, input: Union[Tensor, PackedSequence], hx: Any, lengths: Optional[Lengths],
                 resets: Optional[_resets.Resets], cell_states: bool) -> tuple:
        """The output, the states, and c of every token in the output's form, or None."""
        if _torchs_op.is_exported(input):
            return _torchs_op.forward(self, input, hx, lengths=lengths, resets=resets, cell_states=cell_states)
        states = None if hx is None else self._states_of(hx)
        if isinstance(input, PackedSequence):
            output, states, c = self._forward_packed(input, states, lengths, resets, cell_states)
        else:
            _options.tensor("input", input)
            _options.dense("input", input)
            if input.dim() not in (2, 3):
                raise ValueError(f"input has {input.dim()} dimensions, and must have 2 or 3")
            if input.dim() == 2:
                output, states, c = self._forward_unbatched(input, states, lengths, resets, cell_states)
            else:
                output, states, c = self._forward_padded(input, states, lengths, resets, cell_states)
        return output, states if len(states) > 1 else states[0], c

    def step(self, input: Tensor, state: Any, slots) -> Tensor:
        """One token of each of B streams, whose states are in a table of S slots. Returns y [B, H], of the last layer.

        input  [B, I]
        state  h, or (h, c) of an LSTM, each [L, S, H] and contiguous: read and written at the slots of this call. c is
               float32 if the input is bfloat16 or float16. Zero a slot where a stream begins: h[:, slot] = 0. With
               proj_size = P > 0, y and h have P in the place of H.
        slots  [B] integers, as a list or an int64 tensor on the input's device; a slot may occur once

        T steps give what forward gives for the T tokens in evaluation mode: on the CPU bit for bit, and up to rounding on
        a GPU. Nothing is differentiated, and there is no dropout. A slot that is out of range or occurs twice is an error
        on the CPU. On a GPU its stream gets y = 0, and no state changes for it.
        """
        refuse_jit_trace()
        return step(self, input, *self._tables_of(state), slots)

    def _tables_of(self, state) -> Tuple[States, Tuple[str, ...]]:
        """The tables of a step, and their names."""
        raise NotImplementedError

    def _forward_packed(self, input: PackedSequence, hx: Optional[States], lengths, resets,
                        cell_states) -> Tuple[PackedSequence, States, Optional[PackedSequence]]:
        if lengths is not None:
            raise ValueError("lengths must be None: a PackedSequence has its own")
        batch = batch_of(input)
        if hx is not None:
            check_states(hx, self._state_shapes(batch[2]))
            hx = permuted(hx, input.sorted_indices)
        flags = _resets.of_packed(resets, input, batch[2])
        if flags is None and batch[1] and batch[3] == 1:
            batch = (None, False, *batch[2:])  # single tokens: see _equal_lengths
        y, states, c = self._run(input.data, hx, flags, *batch, cell_states)
        order = (input.batch_sizes, input.sorted_indices, input.unsorted_indices)
        # _make: without the checks of an order that is the input's
        return (PackedSequence._make((y, *order)), permuted(states, input.unsorted_indices),
                PackedSequence._make((c, *order)) if cell_states else None)

    def _forward_unbatched(self, input: Tensor, hx: Optional[States], lengths, resets,
                           cell_states) -> Tuple[Tensor, States, Optional[Tensor]]:
        if lengths is not None:
            raise ValueError("lengths must be None: an input of 2 dimensions is one sequence")
        if hx is not None:
            check_unbatched_states(hx)
            hx = tuple([state.unsqueeze(1) for state in hx])
        steps = input.size(0)
        resets = _resets.of_unbatched(resets, input)
        y, states, c = self._run(input, hx, resets, self._equal_lengths(1, steps, resets), False, 1, steps, cell_states)
        return y, tuple([state.squeeze(1) for state in states]), c

    def _forward_padded(self, input: Tensor, hx: Optional[States], lengths, resets,
                        cell_states) -> Tuple[Tensor, States, Optional[Tensor]]:
        batch_size, steps = input.shape[:2] if self.batch_first else (input.size(1), input.size(0))
        resets = _resets.of_padded(resets, input, self.batch_first)
        if lengths is None:  # time-major rows are packed ones
            rows = input.transpose(0, 1) if self.batch_first else input
            y, states, c = self._run(rows, hx, resets, self._equal_lengths(batch_size, steps, resets), False, batch_size,
                                     steps, cell_states)
            if self.batch_first:
                y, c = y.transpose(0, 1), c.transpose(0, 1) if cell_states else None
            return y, states, c
        check_features(input, self.input_size)
        lengths = lengths_tensor(lengths, batch_size)
        if lengths.device != input.device and lengths.device.type != "cpu":
            raise ValueError(f"lengths are on {lengths.device}, and must be on the CPU or the input's {input.device}")
        known = not (lengths.is_cuda or is_traced(input))  # if not, nobody waits for them
        if known:
            values = list_of(lengths)
            check_lengths(values, steps)
        if known and not is_vmapped(lengths):
            max_len, rows = max(values, default=0), sum(values)
        else:  # room for the most that they can be
            max_len, rows = steps, batch_size * steps
        layout = _packing_op.BATCH_FIRST if self.batch_first else _packing_op.TIME_MAJOR
        packed = _packing_op.pack(input, lengths, False, batch_size, max_len, layout, rows)
        y, states, c = self._run(packed, hx, resets, lengths, False, batch_size, max_len, cell_states)
        unpacked = [_packing_op.unpack(rows, lengths, False, batch_size, max_len, layout, steps, 0.0)
                    for rows in ((y, c) if cell_states else (y,))]
        return unpacked[0], states, unpacked[1] if cell_states else None

    @staticmethod
    def _equal_lengths(batch_size: int, steps: int, resets: Optional[Tensor]) -> Optional[Tensor]:
        """The sizes of an operation. Of single tokens there are batches whose lengths are set, but not their resets."""
        return None if steps == 1 and resets is None else equal_lengths(batch_size, steps)

    def _state_widths(self) -> Tuple[int, ...]:
        """Of h, and of c."""
        return self.proj_size or self.hidden_size, self.hidden_size

    def _state_shapes(self, batch_size: int) -> List[Tuple[int, int, int]]:
        return [(self.num_layers * (1 + self.bidirectional), batch_size, width) for width in self._state_widths()]

    def _run(self, rows: Tensor, hx: Optional[States], resets: Optional[Tensor], sizes: Tensor, from_batch_sizes: bool,
             batch_size: int, max_len: int, cell_states: bool) -> Tuple[Tensor, States, Optional[Tensor]]:
        """y [rows, D*H or D*P], the states after packed rows [rows, I], and c of every token [rows, D*H] or None. The
        rows may have two dimensions, [T, B]."""
        op, names, own = RNN_OPS[self.mode], self._flat_weights_names, self._parameters
        # One that is not the module's own, of weight_norm or a parametrization, is an attribute.
        params = [own[name] if name in own else getattr(self, name) for name in names]
        expected = layout(tuple(names), op.gates, self.input_size, self._state_widths(), 1 + self.bidirectional)
        dtype = compute_dtype(rows, None if hx is None else hx[0], self._keeps_states)
        if dtype is not None:
            check_params(names, params, expected)
            rows, params = rows.to(dtype), [param.to(dtype) for param in params]
            hx = hx if hx is None else [state.to(dtype) for state in hx]
        check_features(rows, self.input_size)
        if not is_traced(rows) and are_placed(params, expected, rows):
            params = Placed(params)
            params.elements = expected.elements
        else:
            check_params(names, params, expected)
            check_all_like(names, params, rows)
        h0 = c0 = None
        if hx is not None:
            check_states(hx, self._state_shapes(batch_size))
            h0 = hx[0]
            check_like(self._state_name, h0, rows)
            if op.has_c:
                c0 = hx[1]
                check_like("c_0", c0, rows)
        seed = None
        draws = self.recurrent_dropout > 0 or self.zoneout_h > 0 or self.zoneout_c > 0
        if self.training and (draws or (self.dropout > 0 and self.num_layers > 1)):
            seed = torch.randint(1, 2**63 - 1, (), device="cpu")
        dropped = self.dropout == 1  # in evaluation mode as well as any other
        run = op.run_dropped if dropped and self.training and self.num_layers > 1 else op.run
        y, h_n, c_n, c = run(rows, sizes, resets, h0, c0, seed, from_batch_sizes, batch_size, max_len,
                             self.hidden_size, self.proj_size, self.num_layers, self.bidirectional,
                             0.0 if dropped else self.dropout, self._cell_options(), cell_states, params)
        return y, (h_n, c_n) if op.has_c else (h_n,), c if cell_states else None
