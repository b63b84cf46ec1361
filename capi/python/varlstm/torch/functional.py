"""log_softmax, nll_loss and cross_entropy of torch.nn.functional over this library, and linear_cross_entropy."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Optional, Tuple

import torch
from torch import Tensor
from torch.nn import _reduction

from . import _loss_op, _options
from ._device import autocast_dtype, dense
from ._differentiable import is_differentiated, is_traced, values_of


def log_softmax(input: Tensor, dim: Optional[int] = None, _stacklevel: int = 3,
                dtype: Optional[torch.dtype] = None) -> Tensor:
    """torch.nn.functional.log_softmax. A dim other than the last is moved there and back."""
    _options.tensor("input", input)
    if dim is None:
        dim = torch.nn.functional._get_softmax_dim("log_softmax", input.dim(), _stacklevel)
    if dtype is not None:
        input = input.to(dtype)
    elif input.is_cuda and autocast_dtype(input) is not None:  # torch casts it there, and not on the CPU
        input = input.float()
    if input.dim() == 0 or input.size(dim) == 0:
        return input - input
    rows = input.movedim(dim, -1)
    output = _loss_op.log_softmax(rows.reshape(-1, rows.size(-1)))
    return output.view(rows.shape).movedim(-1, dim)


def nll_loss(input: Tensor, target: Tensor, weight: Optional[Tensor] = None, size_average: Optional[bool] = None,
             ignore_index: int = -100, reduce: Optional[bool] = None, reduction: str = "mean") -> Tensor:
    """torch.nn.functional.nll_loss: input of log-probabilities [C], [N, C] or [N, C, d1, ...], target without the C."""
    reduction = _check_reduction(size_average, reduce, reduction)
    ignore_index = _options.int64("ignore_index", ignore_index)
    rows, labels = _rows_and_labels(input, target, ignore_index)
    out = _loss_op.nll_loss(rows, labels, _class_weight("weight", weight, rows), ignore_index, reduction)
    return _shaped(out, input, target, reduction)


def cross_entropy(input: Tensor, target: Tensor, weight: Optional[Tensor] = None, size_average: Optional[bool] = None,
                  ignore_index: int = -100, reduce: Optional[bool] = None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Tensor:
    """torch.nn.functional.cross_entropy: input [C], [N, C] or [N, C, d1, ...], target without the C.

    Log-softmax and loss in one pass, which makes the gradient as well. Targets that are probabilities are left to
    torch. A target outside [0, C) that is not ignored is an IndexError on the CPU; on a GPU it counts as ignored, and
    VARLSTM_DEVICE_STATUS_LABEL is raised. Where a mean is NaN because all targets are ignored or of weight 0, the gradient
    is 0; torch's is NaN if they are of weight 0.
    """
    _options.tensor("target", target)
    if target.is_floating_point():
        return torch.nn.functional.cross_entropy(input, target, weight, size_average, ignore_index, reduce, reduction,
                                                 label_smoothing)
    reduction = _check_reduction(size_average, reduce, reduction)
    ignore_index = _options.int64("ignore_index", ignore_index)
    rows, labels = _rows_and_labels(input, target, ignore_index)
    save = is_differentiated(rows)
    out, _ = _loss_op.cross_entropy(rows, labels, _class_weight("weight", weight, rows), ignore_index, reduction,
                                    _options.share("label_smoothing", label_smoothing), save)
    return _shaped(out, input, target, reduction)


def linear_cross_entropy(input: Tensor, weight: Tensor, bias: Optional[Tensor], target: Tensor,
                         class_weight: Optional[Tensor] = None, ignore_index: int = -100, reduction: str = "mean",
                         label_smoothing: float = 0.0) -> Tensor:
    """cross_entropy(linear(input, weight, bias), target, ...) in one, which never stores the logits of all rows.

    input [*, in], weight [C, in], bias [C] or None, target [*]; class_weight is cross_entropy's weight. Rows whose
    target is ignored cost nothing. Under torch.autocast input, weight and bias are cast as linear casts them.
    """
    for name, value in (("input", input), ("weight", weight), ("target", target)):
        _options.tensor(name, value)
    _check_reduction(None, None, reduction)
    ignore_index = _options.int64("ignore_index", ignore_index)
    result_dtype, cast = _result_dtype(input), autocast_dtype(input)
    if cast is not None:
        input, weight, bias = (tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(cast)
                               for tensor in (input, weight, bias))
    if weight.dim() != 2 or input.dim() == 0 or input.size(-1) != weight.size(1) or weight.numel() == 0:
        raise ValueError(f"input of shape {tuple(input.shape)} does not fit weight of shape {tuple(weight.shape)}: "
                         "they must be [*, in] and [C, in], neither in nor C 0")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias is of shape {tuple(bias.shape)}, and must be ({weight.size(0)},): weight's classes")
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and (tensor.dtype != input.dtype or tensor.device != input.device):
            raise ValueError(f"{name} is of {tensor.dtype} on {tensor.device}, input of {input.dtype} on "
                             f"{input.device}")
    if target.shape != input.shape[:-1]:
        raise ValueError(f"target is of shape {tuple(target.shape)}, and must be {tuple(input.shape[:-1])}: the "
                         "input's without its last")
    labels = _labels(target, input, weight.size(0), ignore_index)
    smoothing = _options.share("label_smoothing", label_smoothing)
    out = _loss_op.linear_cross_entropy(input.reshape(-1, input.size(-1)), weight, bias, labels,
                                        _class_weight("class_weight", class_weight, weight.t()), ignore_index,
                                        reduction, smoothing)[0]
    return (out.view(target.shape) if reduction == "none" else out).to(result_dtype)


def _check_reduction(size_average: Optional[bool], reduce: Optional[bool], reduction: str) -> str:
    if size_average is not None or reduce is not None:
        reduction = _reduction.legacy_get_string(size_average, reduce)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction = {reduction!r} is none of 'none', 'mean', 'sum'")
    return reduction


def _rows_and_labels(input: Tensor, target: Tensor, ignore_index: int) -> Tuple[Tensor, Tensor]:
    """[rows, C] and [rows]: the classes, which are the second dimension of input, become the last."""
    _options.tensor("input", input)
    _options.tensor("target", target)
    if input.dim() == 0:
        raise ValueError("input has no dimension, and must have one of classes")
    classes_at = 0 if input.dim() == 1 else 1
    if input.size(classes_at) == 0:
        raise ValueError(f"input of shape {tuple(input.shape)} has no class, and must have at least 1")
    expected = input.shape[:classes_at] + input.shape[classes_at + 1:]
    if target.shape != expected:
        raise ValueError(f"target is of shape {tuple(target.shape)}, and must be {tuple(expected)}: the input's "
                         "without the classes")
    rows = input.movedim(classes_at, -1).reshape(-1, input.size(classes_at))
    return rows, _labels(target, input, rows.size(1), ignore_index)


def _labels(target: Tensor, input: Tensor, classes: int, ignore_index: int) -> Tensor:
    """target as [rows] int64; its values are checked if it is on the CPU."""
    if target.dtype != torch.int64:
        raise TypeError(f"target is of {target.dtype}, and must be of torch.int64")
    if target.device != input.device:
        raise ValueError(f"target is on {target.device}, input on {input.device}: they must be on one device")
    labels = target.reshape(-1)
    if labels.numel() and labels.device.type == "cpu" and not is_traced(input):
        values = values_of(labels).reshape(-1)
        bad = ((values < 0) | (values >= classes)) & (values != ignore_index)
        if bad.any():
            index = int(bad.int().argmax())
            raise IndexError(f"target[{index}] = {int(values[index])} is not in 0 ... {classes - 1}, nor is it "
                             f"ignore_index = {ignore_index}")
    return dense(labels)


def _class_weight(name: str, weight: Optional[Tensor], rows: Tensor) -> Optional[Tensor]:
    if weight is None:
        return None
    _options.tensor(name, weight)
    if tuple(weight.shape) != (rows.size(1),):
        raise ValueError(f"{name} is of shape {tuple(weight.shape)}, and must be ({rows.size(1)},): one for each class")
    if weight.device != rows.device:
        raise ValueError(f"{name} is on {weight.device}, input on {rows.device}: they must be on one device")
    if weight.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(f"{name} requires a gradient, and gets none: pass {name}.detach()")
    return dense(weight.detach().to(_loss_op.loss_dtype(rows.dtype)))


def _result_dtype(input: Tensor) -> torch.dtype:
    """A loss's: the input's, and float32 under torch.autocast, which casts the inputs of torch's losses to it. Here the
    library, which computes 16-bit inputs in float, gives a float32 anyway: it is kept."""
    return input.dtype if autocast_dtype(input) is None else torch.float32


def _shaped(out: Tensor, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    return (out.view(target.shape) if reduction == "none" else out).to(_result_dtype(input))
