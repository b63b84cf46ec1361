"""Loss: masked negative log-likelihood and cross-entropy, as F.nll_loss and F.cross_entropy of PyTorch."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, NamedTuple, Optional, Union

from ._batch import Batch
from ._call import Array, Call, Output
from ._context import Context
from ._declarations import Dtype, EmptyMean, Key, Op, Reduction
from ._dtypes import as_dtype
from ._handles import Handle, Native, create, expect_context, get_f64, get_i64, member, set_value
from ._library import lib
from ._operations import LinearGradients, handle_or_null


class NllResult(NamedTuple):
    out: Any  # [rows] with reduction "none", else [1]
    weight_sum: Any  # [1], None unless it was asked for


class CrossEntropyResult(NamedTuple):
    out: Any
    weight_sum: Any
    dlogits: Any  # [rows, C]


class LinearCrossEntropyResult(NamedTuple):
    out: Any
    weight_sum: Any
    lse: Any  # [rows]: log(sum(exp(logits))), for backward


class Loss(Handle):
    """Options of a loss over C classes.

    ignore_index     a target with this value is skipped; it may be in [0, C)
    reduction        "none", "mean" (the sum divided by the weights of the kept targets) or "sum"
    empty_mean       "nan" or "zero": the mean if no target is kept
    label_smoothing  in [0, 1]

    Arrays, for all methods: log_probs, logits [rows, C]; targets [rows] int64; class_weights [C] or None; out [rows]
    with reduction "none", else [1], and dout of the same shape, None for ones; weight_sum [1]: the sum of the kept
    targets' weights. out, weight_sum, class_weights, dout and lse are float64 with float64, else float32. If `batch`
    is given, only its first N rows count. Outputs: an array to write to, None to have one made, False for one that is
    not wanted.
    """

    def __init__(self, context: Context, classes: int, *, ignore_index: int = -100,
                 reduction: Union[str, Reduction] = "mean", empty_mean: Union[str, EmptyMean] = "nan",
                 label_smoothing: float = 0.0):
        expect_context(context)
        pointer = create(lib.varlstm_loss_create, context.handle, classes)
        super().__init__(Native(pointer, lib.varlstm_loss_destroy, context._native))
        self.context = context
        context.adopt(self)
        for key, value in ((Key.IGNORE_INDEX, ignore_index), (Key.REDUCTION, member("reduction", Reduction, reduction)),
                           (Key.EMPTY_MEAN, member("empty_mean", EmptyMean, empty_mean))):
            set_value(lib.varlstm_loss_set_i64, pointer, key, value)
        set_value(lib.varlstm_loss_set_f64, pointer, Key.LABEL_SMOOTHING, label_smoothing)

    def __repr__(self) -> str:
        return f"<varlstm.Loss {'closed' if self.closed else f'over {self.classes} classes, {self.reduction.name}'}>"

    def _get(self, key: Key) -> int:
        return get_i64(lib.varlstm_loss_get_i64, self.handle, key)

    @property
    def classes(self) -> int:
        return self._get(Key.CLASSES)

    @property
    def ignore_index(self) -> int:
        return self._get(Key.IGNORE_INDEX)

    @property
    def reduction(self) -> Reduction:
        return Reduction(self._get(Key.REDUCTION))

    @property
    def empty_mean(self) -> EmptyMean:
        return EmptyMean(self._get(Key.EMPTY_MEAN))

    @property
    def label_smoothing(self) -> float:
        return get_f64(lib.varlstm_loss_get_f64, self.handle, Key.LABEL_SMOOTHING)

    def _out_shape(self, rows: int) -> tuple[int]:
        return (rows if self.reduction == Reduction.NONE else 1,)

    def _targets(self, call: Call, rows: int, dtype: Dtype) -> tuple:
        return (call.read("targets", (rows,), Dtype.I64, "rows"),
                call.read_or_null("class_weights", (self.classes,), _scalar(dtype), "C"))

    def _results(self, call: Call, rows: int, dtype: Dtype) -> tuple:
        return (call.write("out", self._out_shape(rows), _scalar(dtype), "rows with reduction \"none\", else 1"),
                call.write("weight_sum", (1,), _scalar(dtype), "1"))

    def _dout(self, call: Call, rows: int, dtype: Dtype) -> Optional[int]:
        return call.read_or_null("dout", self._out_shape(rows), _scalar(dtype), "that of out")

    def nll_forward(self, log_probs: Array, targets: Array, *, class_weights: Optional[Array] = None,
                    batch: Optional[Batch] = None, out: Optional[Array] = None, weight_sum: Output = False,
                    dtype: Any = None, stream: Any = None) -> NllResult:
        """Negative log-likelihood of log_probs [rows, C]."""
        call = Call(self.context, stream, batch=batch, log_probs=log_probs, targets=targets,
                    class_weights=class_weights, out=out, weight_sum=weight_sum)
        rows, dtype = call.shape("log_probs", 2, "rows by C")[0], call.dtype("log_probs", dtype)
        lib.varlstm_nll_forward(
            self.handle, handle_or_null(batch), dtype, rows,
            call.read("log_probs", (rows, self.classes), dtype, "rows by C"), *self._targets(call, rows, dtype),
            *self._results(call, rows, dtype), *call.workspace(Op.NLL, dtype, rows, self.classes), call.stream)
        return NllResult(call.outputs["out"], call.outputs["weight_sum"])

    def nll_backward(self, targets: Array, dout: Optional[Array] = None, *, class_weights: Optional[Array] = None,
                     batch: Optional[Batch] = None, dlog_probs: Optional[Array] = None, dtype: Any = None,
                     stream: Any = None) -> Any:
        """dlog_probs [rows, C] <- its gradient. dtype is that of dlog_probs, or float32 if dlog_probs is not given."""
        call = Call(self.context, stream, batch=batch, targets=targets, dout=dout, class_weights=class_weights,
                    dlog_probs=dlog_probs)
        rows = call.shape("targets", 1, "rows")[0]
        if dlog_probs is None:
            dtype = Dtype.F32 if dtype is None else as_dtype(dtype)
        else:
            dtype = call.dtype("dlog_probs", dtype)
        lib.varlstm_nll_backward(
            self.handle, handle_or_null(batch), dtype, rows, *self._targets(call, rows, dtype),
            self._dout(call, rows, dtype), call.write("dlog_probs", (rows, self.classes), dtype, "rows by C"),
            *call.workspace(Op.NLL, dtype, rows, self.classes), call.stream)
        return call.outputs["dlog_probs"]

    def cross_entropy_forward(self, logits: Array, targets: Array, *, class_weights: Optional[Array] = None,
                              batch: Optional[Batch] = None, out: Optional[Array] = None, weight_sum: Output = False,
                              dlogits: Output = None, dtype: Any = None, stream: Any = None) -> CrossEntropyResult:
        """Log-softmax and NLL in one pass over logits [rows, C]. dlogits [rows, C] gets the gradient for an incoming
        gradient of 1; it may be logits itself."""
        call = Call(self.context, stream, batch=batch, logits=logits, targets=targets, class_weights=class_weights,
                    out=out, weight_sum=weight_sum, dlogits=dlogits)
        rows, dtype = call.shape("logits", 2, "rows by C")[0], call.dtype("logits", dtype)
        lib.varlstm_cross_entropy_forward(
            self.handle, handle_or_null(batch), dtype, rows,
            call.read("logits", (rows, self.classes), dtype, "rows by C"), *self._targets(call, rows, dtype),
            *self._results(call, rows, dtype), call.write("dlogits", (rows, self.classes), dtype, "rows by C"),
            *call.workspace(Op.CROSS_ENTROPY, dtype, rows, self.classes), call.stream)
        return CrossEntropyResult(*(call.outputs[name] for name in CrossEntropyResult._fields))

    def cross_entropy_backward(self, dlogits: Array, dout: Optional[Array] = None, *, dtype: Any = None,
                               stream: Any = None) -> Any:
        """dlogits [rows, C] <- dlogits of forward times dout, in place."""
        call = Call(self.context, stream, dlogits=dlogits, dout=dout)
        rows, dtype = call.shape("dlogits", 2, "rows by C")[0], call.dtype("dlogits", dtype)
        lib.varlstm_cross_entropy_backward(
            self.handle, dtype, rows, self._dout(call, rows, dtype),
            call.write("dlogits", (rows, self.classes), dtype, "rows by C"), call.stream)
        return dlogits

    def _layer(self, call: Call, rows: int, n_in: int, dtype: Dtype) -> tuple:
        return (call.read("x", (rows, n_in), dtype, "rows by in"),
                call.read("weight", (self.classes, n_in), dtype, "C by in"),
                call.read_or_null("bias", (self.classes,), dtype, "C"))

    def linear_cross_entropy_forward(self, x: Array, weight: Array, bias: Optional[Array], targets: Array, *,
                                     class_weights: Optional[Array] = None, batch: Optional[Batch] = None,
                                     out: Optional[Array] = None, weight_sum: Output = False, lse: Output = None,
                                     dtype: Any = None, stream: Any = None) -> LinearCrossEntropyResult:
        """Cross-entropy of the logits x [rows, in] weight^T + bias, weight [C, in], bias [C] or None, which are never
        stored as [rows, C]."""
        call = Call(self.context, stream, batch=batch, x=x, weight=weight, bias=bias, targets=targets,
                    class_weights=class_weights, out=out, weight_sum=weight_sum, lse=lse)
        (rows, n_in), dtype = call.shape("x", 2, "rows by in"), call.dtype("x", dtype)
        lib.varlstm_linear_cross_entropy_forward(
            self.handle, handle_or_null(batch), dtype, rows, n_in, *self._layer(call, rows, n_in, dtype),
            *self._targets(call, rows, dtype), *self._results(call, rows, dtype),
            call.write("lse", (rows,), _scalar(dtype), "rows"),
            *call.workspace(Op.LINEAR_CROSS_ENTROPY_FORWARD, dtype, rows, n_in, self.classes), call.stream)
        return LinearCrossEntropyResult(*(call.outputs[name] for name in LinearCrossEntropyResult._fields))

    def linear_cross_entropy_backward(self, x: Array, weight: Array, bias: Optional[Array], targets: Array, lse: Array,
                                      dout: Optional[Array] = None, *, class_weights: Optional[Array] = None,
                                      batch: Optional[Batch] = None, dx: Output = None, dweight: Output = None,
                                      dbias: Output = None, dtype: Any = None, stream: Any = None) -> LinearGradients:
        """Makes the logits once more. dx [rows, in] is overwritten; to dweight [C, in] and dbias [C] gradients are
        added, made here they start as zeros."""
        call = Call(self.context, stream, batch=batch, x=x, weight=weight, bias=bias, targets=targets,
                    class_weights=class_weights, lse=lse, dout=dout, dx=dx, dweight=dweight, dbias=dbias)
        (rows, n_in), dtype = call.shape("x", 2, "rows by in"), call.dtype("x", dtype)
        lib.varlstm_linear_cross_entropy_backward(
            self.handle, handle_or_null(batch), dtype, rows, n_in, *self._layer(call, rows, n_in, dtype),
            *self._targets(call, rows, dtype), call.read("lse", (rows,), _scalar(dtype), "rows"),
            self._dout(call, rows, dtype), call.write("dx", (rows, n_in), dtype, "rows by in"),
            call.write("dweight", (self.classes, n_in), dtype, "C by in", zero=True),
            call.write("dbias", (self.classes,), dtype, "C", zero=True),
            *call.workspace(Op.LINEAR_CROSS_ENTROPY_BACKWARD, dtype, rows, n_in, self.classes), call.stream)
        return LinearGradients(*(call.outputs[name] for name in LinearGradients._fields))


def _scalar(dtype: Dtype) -> Dtype:
    """Of out, weight_sum, class_weights, dout and lse."""
    return Dtype.F64 if dtype == Dtype.F64 else Dtype.F32
