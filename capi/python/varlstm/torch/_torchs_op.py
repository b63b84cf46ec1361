"""The same network by torch's own operation: for torch.jit.trace and torch.onnx.export, whose programs cannot call this
library. What they make has the module's own parameters."""
# SPDX-License-Identifier: Apache-2.0
from typing import Any, Tuple, Union

import torch
from torch import Tensor, _VF
from torch.nn.utils.rnn import PackedSequence

_OPERATIONS = {"LSTM": _VF.lstm, "GRU": _VF.gru, "RNN_TANH": _VF.rnn_tanh, "RNN_RELU": _VF.rnn_relu}
_PLAIN = (Tensor, torch.nn.Parameter, PackedSequence)


def is_exported(input: Any) -> bool:
    """Whether this call is one of those that such a program is made from. torch.onnx.export passes fake tensors, except
    for its older form, which traces."""
    return torch.jit.is_tracing() or (type(input) not in _PLAIN and torch.onnx.is_in_onnx_export())


def _zeros(module, x: Tensor, batch_size) -> list:
    entries = module.num_layers * (1 + module.bidirectional)
    widths = module._state_widths()[:2 if module.mode == "LSTM" else 1]
    return [torch.zeros(entries, batch_size, width, dtype=x.dtype, device=x.device) for width in widths]


def forward(module, input: Union[Tensor, PackedSequence], hx: Any, **others) -> Tuple[Any, Any, None]:
    """What module._forward returns. `others` are arguments that torch's operation does not have."""
    for name, value in others.items():
        if value is not None and value is not False:
            raise ValueError(f"varlstm.torch: {name} cannot be in a program of torch.jit.trace or torch.onnx.export, which "
                             "calls torch's own operation; a PackedSequence can")
    module._check_export()
    packed = isinstance(input, PackedSequence)
    x = input.data if packed else input
    unbatched = not packed and x.dim() == 2
    order, back = (input.sorted_indices, input.unsorted_indices) if packed else (None, None)
    batch_first = module.batch_first and not unbatched
    x = x.unsqueeze(1) if unbatched else x
    if hx is None:
        states = _zeros(module, x, input.batch_sizes[0] if packed else x.size(0 if batch_first else 1))
    else:
        states = [state.unsqueeze(1) if unbatched else state if order is None else state.index_select(1, order)
                  for state in module._states_of(hx)]
    states = states if module.mode == "LSTM" else states[0]
    options = ([getattr(module, name) for name in module._flat_weights_names], module.bias, module.num_layers,
               module.dropout, module.training, module.bidirectional)
    operation = _OPERATIONS[module.mode]
    if packed:
        output, *states = operation(x, input.batch_sizes, states, *options)
        output = PackedSequence(output, input.batch_sizes, order, back)
    else:
        output, *states = operation(x, states, *options, batch_first)
        output = output.squeeze(1) if unbatched else output
    states = [state.squeeze(1) if unbatched else state if back is None else state.index_select(1, back)
              for state in states]
    return output, tuple(states) if len(states) > 1 else states[0], None
