"""What a call of varlstm.torch.LSTM is given, checked by name: input, states and the parameters as they are now."""
# SPDX-License-Identifier: Apache-2.0
from typing import List, Tuple

from torch import Tensor

from . import _options


def check_two_states(hx) -> None:
    """Whether hx is a pair of tensors, or a tensor of two."""
    if not isinstance(hx, (tuple, list, Tensor)):
        raise TypeError(f"hx is of {type(hx).__name__}, and must be two tensors: h_0 and c_0")
    if len(hx) != 2:
        raise ValueError(f"hx has {len(hx)} tensors, and must have 2: h_0 and c_0")
    _options.tensor("h_0", hx[0])
    _options.tensor("c_0", hx[1])


def check_unbatched_states(hx) -> None:
    if hx[0].dim() != 2 or hx[1].dim() != 2:
        raise RuntimeError("For unbatched 2-D input, hx and cx should also be 2-D but got "
                           f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors")


def check_states(hx, expected: Tuple[int, int, int]) -> None:
    for k, state in enumerate(hx):
        if state.dim() != 3:
            raise RuntimeError("For batched 3-D input, hx and cx should also be 3-D but got "
                               f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors")
        if state.shape != expected:
            raise RuntimeError(f"Expected hidden[{k}] size {expected}, got {list(state.shape)}")


def check_rows(rows: Tensor, input_size: int) -> None:
    if rows.dim() != 2:
        raise RuntimeError(f"input must have 2 dimensions, got {rows.dim()}")
    if rows.size(1) != input_size:
        raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {input_size}, got {rows.size(1)}")


def check_params(names: List[str], params: List[Tensor], input_size: int, hidden_size: int, directions: int) -> None:
    """Whether each parameter has its own shape: as many elements in others would be read as if they had it."""
    gates = 4 * hidden_size
    first = (gates, input_size)
    others = {"weight_ih": (gates, directions * hidden_size), "weight_hh": (gates, hidden_size), "bias_ih_l": (gates,),
              "bias_hh_l": (gates,)}
    for name, param in zip(names, params):
        _options.tensor(name, param)
        expected = first if name[:12] == "weight_ih_l0" else others[name[:9]]
        if param.shape != expected:
            raise ValueError(f"{name} is of shape {tuple(param.shape)}, and must be {expected}")


def check_like(name: str, tensor: Tensor, rows: Tensor) -> None:
    if tensor.dtype != rows.dtype:
        raise ValueError(f"input is of {rows.dtype}, {name} of {tensor.dtype}: they must be of one dtype")
    if tensor.device != rows.device:
        raise ValueError(f"input is on {rows.device}, {name} on {tensor.device}: they must be on one device")
