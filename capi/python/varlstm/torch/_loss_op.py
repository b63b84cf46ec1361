"""log-softmax and the losses over rows as operations of torch.

In all of them input [rows, C] and target [rows], int64; class_weight [C] is of the loss's dtype, which is float64 with
float64 and else float32. Annotations stand unquoted here: torch reads the operations' schemas from them.
"""
# SPDX-License-Identifier: Apache-2.0
from typing import Optional, Tuple

import torch
from torch import Tensor

from .._declarations import Op
from .._library import lib
from ._differentiable import adjoint, differentiable, refuse_again
from ._device import address, context_of, dense, dtype_code, scratch
from ._math import Product


def loss_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _loss_like(like: Tensor, rows: int, reduction: str) -> Tensor:
    return like.new_empty((rows,) if reduction == "none" else (), dtype=loss_dtype(like.dtype))


# log_softmax

def _log_softmax(input: Tensor) -> Tensor:
    context, input = context_of(input), dense(input)
    output = torch.empty_like(input)
    lib.varlstm_log_softmax_forward(context.pointer, dtype_code("input", input.dtype), input.size(0), input.size(1),
                                    input.data_ptr(), output.data_ptr(), context.stream)
    return output


def _log_softmax_backward(doutput: Tensor, output: Tensor) -> Tensor:
    context, doutput = context_of(output), dense(doutput)
    dinput = torch.empty_like(output)
    lib.varlstm_log_softmax_backward(context.pointer, dtype_code("input", output.dtype), output.size(0), output.size(1),
                                     output.data_ptr(), doutput.data_ptr(), dinput.data_ptr(), context.stream)
    return dinput


def _log_softmax_adjoint_autograd(ctx, needs, ddinput):
    """dinput = doutput - p * sum(doutput), with p = exp(output) and the sum over the classes."""
    doutput, output = ctx.saved_tensors
    weighted = ddinput * output.exp()
    return ddinput - weighted.sum(1, keepdim=True), -weighted * doutput.sum(1, keepdim=True)


_log_softmax_adjoint = adjoint("log_softmax_backward", _log_softmax_backward,
                               lambda doutput, output: torch.empty_like(output),
                               lambda ctx, inputs, output: ctx.save_for_backward(*inputs), _log_softmax_adjoint_autograd)
log_softmax = differentiable(
    "log_softmax", _log_softmax, lambda input: input.new_empty(input.shape),
    lambda ctx, inputs, output: ctx.save_for_backward(output),
    lambda ctx, needs, doutput: (_log_softmax_adjoint(doutput, *ctx.saved_tensors),))


# nll_loss

def _nll_loss(log_probs: Tensor, target: Tensor, class_weight: Optional[Tensor], ignore_index: int,
              reduction: str) -> Tensor:
    context, log_probs = context_of(log_probs), dense(log_probs)
    rows, classes = log_probs.shape
    code = dtype_code("input", log_probs.dtype)
    workspace = scratch(context.op_workspace(Op.NLL, code, rows, classes, 0), log_probs)
    out = _loss_like(log_probs, rows, reduction)
    lib.varlstm_nll_forward(context.loss(classes, ignore_index, reduction, 0.0).pointer, None, code, rows,
                            log_probs.data_ptr(), target.data_ptr(), address(class_weight), out.data_ptr(), None,
                            workspace.data_ptr(), workspace.numel(), context.stream)
    return out


def _nll_loss_backward(dout: Tensor, target: Tensor, class_weight: Optional[Tensor], ignore_index: int, reduction: str,
                       classes: int, dtype: torch.dtype) -> Tensor:
    context, dout, rows = context_of(dout), dense(dout), target.size(0)
    code = dtype_code("input", dtype)
    workspace = scratch(context.op_workspace(Op.NLL, code, rows, classes, 0), dout)
    dlog_probs = dout.new_empty((rows, classes), dtype=dtype)
    lib.varlstm_nll_backward(context.loss(classes, ignore_index, reduction, 0.0).pointer, None, code, rows,
                             target.data_ptr(), address(class_weight), dout.data_ptr(), dlog_probs.data_ptr(),
                             workspace.data_ptr(), workspace.numel(), context.stream)
    return dlog_probs


def _nll_loss_setup(ctx, inputs, output):
    log_probs, target, class_weight, *options = inputs
    ctx.options = (*options, log_probs.size(1), log_probs.dtype)
    ctx.save_for_backward(target, class_weight)


def _nll_loss_adjoint_setup(ctx, inputs, output):
    _, target, class_weight, *ctx.options, _, _ = inputs
    ctx.save_for_backward(target, class_weight)


_nll_loss_adjoint = adjoint(
    "nll_loss_backward", _nll_loss_backward,
    lambda dout, target, class_weight, ignore_index, reduction, classes, dtype: dout.new_empty(
        (target.size(0), classes), dtype=dtype),
    _nll_loss_adjoint_setup,  # the loss is linear in its input, so that the adjoint of the adjoint is the loss
    lambda ctx, needs, ddlog_probs: (nll_loss(ddlog_probs, *ctx.saved_tensors, *ctx.options), None, None))
nll_loss = differentiable(
    "nll_loss", _nll_loss,
    lambda log_probs, target, class_weight, ignore_index, reduction: _loss_like(log_probs, log_probs.size(0),
                                                                                reduction),
    _nll_loss_setup,
    lambda ctx, needs, dout: (_nll_loss_adjoint(dout, *ctx.saved_tensors, *ctx.options), None, None))


# cross_entropy: forward computes the gradient for an incoming gradient of 1, if it is wanted

def _cross_entropy(logits: Tensor, target: Tensor, class_weight: Optional[Tensor], ignore_index: int, reduction: str,
                   label_smoothing: float, save: bool) -> Tuple[Tensor, Tensor]:
    context, logits = context_of(logits), dense(logits)
    rows, classes = logits.shape
    code = dtype_code("input", logits.dtype)
    workspace = scratch(context.op_workspace(Op.CROSS_ENTROPY, code, rows, classes, 0), logits)
    out = _loss_like(logits, rows, reduction)
    dlogits = logits.new_empty(logits.shape if save else 0)
    lib.varlstm_cross_entropy_forward(
        context.loss(classes, ignore_index, reduction, label_smoothing).pointer, None, code, rows, logits.data_ptr(),
        target.data_ptr(), address(class_weight), out.data_ptr(), None, dlogits.data_ptr(), workspace.data_ptr(),
        workspace.numel(), context.stream)
    return out, dlogits


def _cross_entropy_fake(logits, target, class_weight, ignore_index, reduction, label_smoothing, save):
    return _loss_like(logits, logits.size(0), reduction), logits.new_empty(logits.shape if save else 0)


def _cross_entropy_setup(ctx, inputs, output):
    _, target, class_weight, *ctx.options, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[1], target, class_weight)


def _cross_entropy_autograd(ctx, needs, dout, ddlogits):
    dlogits, target, class_weight = ctx.saved_tensors
    result = None
    if dout is not None:  # not in place: a graph that is retained comes here again
        result = (dlogits * (dout.unsqueeze(-1) if dout.dim() else dout)).to(dlogits.dtype)
    if ddlogits is not None:  # where the gradient is differentiated again
        again = _cross_entropy_again(ddlogits, dlogits, target, class_weight, *ctx.options)
        result = again if result is None else result + again
    return result, None, None


def _cross_entropy_again(ddlogits: Tensor, dlogits: Tensor, target: Tensor, class_weight: Optional[Tensor],
                         ignore_index: int, reduction: str, label_smoothing: float) -> Tensor:
    """The derivative of dlogits = (a * p - b) / total, which has p = softmax(logits), along ddlogits. In a row a is
    (1 - s) * w[target] + s * mean(w), and b has (1 - s) * w[target] at the target and s * w / C at each class, where s is
    label_smoothing. a is 0 in rows that are ignored; total is the sum of w[target] in a mean, and else 1, as where it
    is 0 and so is dlogits."""
    classes, dtype = dlogits.size(1), loss_dtype(dlogits.dtype)
    weight = class_weight if class_weight is not None else dlogits.new_ones(classes, dtype=dtype)
    at_target = (torch.arange(classes, device=target.device) == target.unsqueeze(1)) & (target != ignore_index).unsqueeze(1)
    counts = at_target.any(1, keepdim=True).to(dtype)
    of_target = (at_target * weight).sum(1, keepdim=True)
    total = of_target.sum() if reduction == "mean" else of_target.new_ones(())
    total, defined = torch.where(total == 0, torch.ones_like(total), total), total != 0
    a = (1 - label_smoothing) * of_target + label_smoothing * weight.mean() * counts
    b = (1 - label_smoothing) * of_target * at_target + label_smoothing / classes * weight * counts
    p = (dlogits.to(dtype) * total + b) / torch.where(a > 0, a, torch.ones_like(a))
    weighted = p * ddlogits.to(dtype)
    return (defined * a / total * (weighted - p * weighted.sum(1, keepdim=True))).to(dlogits.dtype)


cross_entropy = differentiable("cross_entropy", _cross_entropy, _cross_entropy_fake, _cross_entropy_setup,
                               _cross_entropy_autograd)


# linear_cross_entropy

def _linear_cross_entropy(input: Tensor, weight: Tensor, bias: Optional[Tensor], target: Tensor,
                          class_weight: Optional[Tensor], ignore_index: int, reduction: str,
                          label_smoothing: float) -> Tuple[Tensor, Tensor]:
    """The loss, and log(sum(exp(logits))) of each row for backward."""
    context, input, weight, bias = context_of(input, Product.MATMUL), dense(input), dense(weight), dense(bias)
    (rows, features), classes = input.shape, weight.size(0)
    code = dtype_code("input", input.dtype)
    workspace = scratch(context.op_workspace(Op.LINEAR_CROSS_ENTROPY_FORWARD, code, rows, features, classes), input)
    out, lse = _loss_like(input, rows, reduction), _loss_like(input, rows, "none")
    lib.varlstm_linear_cross_entropy_forward(
        context.loss(classes, ignore_index, reduction, label_smoothing).pointer, None, code, rows, features,
        input.data_ptr(), weight.data_ptr(), address(bias), target.data_ptr(), address(class_weight), out.data_ptr(),
        None, lse.data_ptr(), workspace.data_ptr(), workspace.numel(), context.stream)
    return out, lse


def _linear_cross_entropy_fake(input, weight, bias, target, class_weight, ignore_index, reduction, label_smoothing):
    return _loss_like(input, input.size(0), reduction), _loss_like(input, input.size(0), "none")


def _linear_cross_entropy_backward(dout: Tensor, input: Tensor, weight: Tensor, bias: Optional[Tensor], target: Tensor,
                                   class_weight: Optional[Tensor], lse: Tensor, ignore_index: int, reduction: str,
                                   label_smoothing: float, need_dinput: bool, need_dweight: bool,
                                   need_dbias: bool) -> Tuple[Tensor, Tensor, Tensor]:
    """The gradients of input, weight and bias; a gradient that is not needed has no elements."""
    context, dout = context_of(input, Product.MATMUL), dense(dout)
    input, weight, bias = dense(input), dense(weight), dense(bias)
    (rows, features), classes = input.shape, weight.size(0)
    code = dtype_code("input", input.dtype)
    workspace = scratch(context.op_workspace(Op.LINEAR_CROSS_ENTROPY_BACKWARD, code, rows, features, classes), input)
    dinput = input.new_empty(input.shape if need_dinput else 0)
    dweight = input.new_zeros(weight.shape if need_dweight else 0)
    dbias = input.new_zeros(classes if need_dbias else 0)
    lib.varlstm_linear_cross_entropy_backward(
        context.loss(classes, ignore_index, reduction, label_smoothing).pointer, None, code, rows, features,
        input.data_ptr(), weight.data_ptr(), address(bias), target.data_ptr(), address(class_weight), lse.data_ptr(),
        dout.data_ptr(), dinput.data_ptr(), dweight.data_ptr(), dbias.data_ptr(), workspace.data_ptr(),
        workspace.numel(), context.stream)
    return dinput, dweight, dbias


def _linear_cross_entropy_backward_fake(dout, input, weight, bias, target, class_weight, lse, ignore_index, reduction,
                                        label_smoothing, need_dinput, need_dweight, need_dbias):
    return (input.new_empty(input.shape if need_dinput else 0), input.new_empty(weight.shape if need_dweight else 0),
            input.new_empty(weight.size(0) if need_dbias else 0))


_linear_cross_entropy_adjoint = adjoint("linear_cross_entropy_backward", _linear_cross_entropy_backward,
                                        _linear_cross_entropy_backward_fake,
                                        *refuse_again("linear_cross_entropy", "cross_entropy of torch's linear"))


def _linear_cross_entropy_setup(ctx, inputs, output):
    *tensors, ignore_index, reduction, label_smoothing = inputs
    ctx.options = (ignore_index, reduction, label_smoothing)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, output[1])


def _linear_cross_entropy_autograd(ctx, needs, dout, *unused):
    if dout is None:
        return (None,) * 5
    gradients = _linear_cross_entropy_adjoint(dout, *ctx.saved_tensors, *ctx.options, *needs[:3])
    return tuple(gradient if need else None for gradient, need in zip(gradients, needs)) + (None,) * 2


linear_cross_entropy = differentiable("linear_cross_entropy", _linear_cross_entropy, _linear_cross_entropy_fake,
                                      _linear_cross_entropy_setup, _linear_cross_entropy_autograd, kept=1)
