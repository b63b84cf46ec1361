"""What a call of varlstm.torch's LSTMCell, GRUCell and RNNCell is given. Errors are of the types of torch's newest
cells; what is no tensor is a TypeError, for which torch has several types."""
# SPDX-License-Identifier: Apache-2.0
from typing import List, Sequence

from torch import Tensor

from . import _options


def check_dimensions(cell: str, name: str, tensor: Tensor) -> None:
    if tensor.dim() not in (1, 2):
        raise ValueError(f"{cell}: Expected {name} to be 1D or 2D, got {tensor.dim()}D instead")


def check_two_states(hx) -> None:
    if not isinstance(hx, (tuple, list)):
        raise TypeError(f"hx is of {type(hx).__name__}, and must be a tuple of two tensors: h_0 and c_0")
    if len(hx) != 2:
        raise RuntimeError(f"hx has {len(hx)} tensors, and must have 2: h_0 and c_0")
    for k, state in enumerate(hx):
        _options.tensor(f"hx[{k}]", state)


def check_input(input: Tensor, input_size: int) -> None:
    if input.size(-1) != input_size:
        raise RuntimeError(f"input has inconsistent input_size: got {input.size(-1)}, expected {input_size}")


def check_state(name: str, state: Tensor, input: Tensor, hidden_size: int) -> None:
    if state.dim() != input.dim():
        raise RuntimeError(f"{name} is {state.dim()}D, and must be {input.dim()}D, as the input is")
    if state.size(-1) != hidden_size:
        raise RuntimeError(f"{name} has inconsistent hidden_size: got {state.size(-1)}, expected {hidden_size}")
    if state.dim() == 2 and state.size(0) != input.size(0):
        raise RuntimeError(f"Input batch size {input.size(0)} doesn't match {name} batch size {state.size(0)}")


def check_params(names: Sequence[str], params: List[Tensor], gates: int, input_size: int, hidden_size: int) -> None:
    """Whether each parameter has its own shape: as many elements in others would be read as if they had it."""
    rows = gates * hidden_size
    for name, param, expected in zip(names, params, ((rows, input_size), (rows, hidden_size), (rows,), (rows,))):
        if not isinstance(param, Tensor):
            _options.tensor(name, param)
        if param.shape != expected:
            raise ValueError(f"{name} is of shape {tuple(param.shape)}, and must be {expected}")


def check_alike(names: Sequence[str], tensors: Sequence[Tensor], input: Tensor) -> None:
    """Whether all tensors are of the input's dtype and on its device."""
    dtype, device = input.dtype, input.device  # torch makes the device anew each time it is asked
    for name, tensor in zip(names, tensors):
        if tensor.dtype != dtype:
            raise RuntimeError(f"input is of {dtype}, {name} of {tensor.dtype}: they must have the same dtype")
        if tensor.device != device:
            raise RuntimeError(f"input is on {device}, {name} on {tensor.device}: they must be on the same device")
