// Masked negative log-likelihood and cross-entropy.
// SPDX-License-Identifier: Apache-2.0
#include "capi/op_workspace.h"

using namespace varlstm;

namespace {

int32_t check_rows(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                   const void* stream) {
  VARLSTM_TRY(check_usable("loss", loss, stream));
  VARLSTM_TRY(check_dtype("dtype", dtype));
  VARLSTM_TRY(check_at_least("rows", rows, 0));
  return check_batch_or_null(loss->ctx, batch, rows);
}

int32_t check_loss_call(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                        const void* stream) {
  VARLSTM_TRY(check_rows(loss, batch, dtype, rows, stream));
  return check_bytes("logits", {{"rows", rows}, {"classes", loss->classes}}, 8, nullptr);
}

// Bytes of an element of class_weights, out, weight_sum, lse and dout.
int64_t scalar_size(DType dtype) {
  return dtype == DType::kF64 ? sizeof(double) : sizeof(float);
}

LossArgs loss_args(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                   const int64_t* targets, const void* class_weights, void* workspace, int64_t workspace_bytes) {
  LossArgs args = {};
  args.dtype = static_cast<DType>(dtype);
  args.rows = rows;
  args.classes = loss->classes;
  args.reduction = static_cast<Reduction>(loss->reduction);
  args.ignore_index = loss->ignore_index;
  args.label_smoothing = loss->label_smoothing;
  args.empty_mean_is_zero = loss->empty_mean == VARLSTM_EMPTY_MEAN_ZERO;
  args.batch = batch == nullptr ? nullptr : &batch->plan;
  args.targets = targets;
  args.class_weights = class_weights;
  args.workspace = workspace;
  args.workspace_bytes = workspace_bytes;
  return args;
}

// The shape of `out` and of its gradient.
Dim out_dim(const varlstm_loss* loss, int64_t rows) {
  return {"out", loss->reduction == VARLSTM_REDUCTION_NONE ? rows : 1};
}

int32_t query_loss_workspace(const varlstm_loss* loss, Op op, const LossArgs& args, int64_t* needed) {
  return query_op_workspace(loss->ctx, op, args.dtype, args.rows, args.classes, 0, needed);
}

// Checks the workspace and what forward and backward both read; lse and dout are checked by the caller.
int32_t check_linear_loss(const varlstm_loss* loss, Op op, const LinearLossArgs& args, BufferCheck& buffers) {
  const LossArgs& l = args.loss;
  VARLSTM_TRY(check_bytes("x", {{"rows", l.rows}, {"in", args.in}}, 8, nullptr));
  VARLSTM_TRY(check_bytes("weight", {{"classes", l.classes}, {"in", args.in}}, 8, nullptr));
  int64_t needed = 0;
  VARLSTM_TRY(query_op_workspace(loss->ctx, op, l.dtype, l.rows, args.in, l.classes, &needed));
  buffers.read("x", args.x, {{"rows", l.rows}, {"in", args.in}});
  buffers.read("weight", args.weight, {{"classes", l.classes}, {"in", args.in}});
  buffers.read_or_null("bias", args.bias, {{"classes", l.classes}});
  buffers.read("targets", l.targets, {{"rows", l.rows}}, sizeof(int64_t));
  buffers.read_or_null("class_weights", l.class_weights, {{"classes", l.classes}}, scalar_size(l.dtype));
  buffers.scratch("workspace", l.workspace, l.workspace_bytes, needed);
  return VARLSTM_OK;
}

}  // namespace

int32_t varlstm_loss_create(varlstm_ctx* ctx, int64_t classes, varlstm_loss** loss) {
  VARLSTM_TRY(check_usable("ctx", ctx));
  VARLSTM_TRY(check_at_least("classes", classes, 1));
  VARLSTM_TRY(check_bytes("loss", {{"classes", classes}}, 8, nullptr));
  BufferCheck buffers(sizeof(varlstm_loss*));
  buffers.write("loss", loss, {});
  VARLSTM_TRY(buffers.finish());
  std::unique_ptr<varlstm_loss> made(new (std::nothrow) varlstm_loss);
  if (!made) return set_error(VARLSTM_ERROR_OUT_OF_MEMORY, "no memory for a varlstm_loss");
  made->ctx = ctx;
  made->classes = classes;
  ctx->children.fetch_add(1);
  *loss = made.release();
  return VARLSTM_OK;
}

int32_t varlstm_loss_set_i64(varlstm_loss* loss, int32_t key, int64_t value) {
  VARLSTM_TRY(check_usable("loss", loss));
  switch (key) {
    case VARLSTM_KEY_CLASSES:
      return read_only_key(key);
    case VARLSTM_KEY_IGNORE_INDEX:
      loss->ignore_index = value;
      return VARLSTM_OK;
    case VARLSTM_KEY_REDUCTION:
      VARLSTM_TRY(check_enum("value", "varlstm_reduction", value, VARLSTM_REDUCTION_SUM));
      loss->reduction = value;
      return VARLSTM_OK;
    case VARLSTM_KEY_EMPTY_MEAN:
      VARLSTM_TRY(check_enum("value", "varlstm_empty_mean", value, VARLSTM_EMPTY_MEAN_ZERO));
      loss->empty_mean = value;
      return VARLSTM_OK;
    default:
      return bad_key(varlstm_loss::kTypeName, "an int64", key);
  }
}

int32_t varlstm_loss_set_f64(varlstm_loss* loss, int32_t key, double value) {
  VARLSTM_TRY(check_usable("loss", loss));
  if (key != VARLSTM_KEY_LABEL_SMOOTHING) return bad_key(varlstm_loss::kTypeName, "an f64", key);
  if (!(value >= 0 && value <= 1)) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "value = %g is not in [0, 1]", value);
  }
  loss->label_smoothing = value;
  return VARLSTM_OK;
}

int32_t varlstm_loss_get_i64(const varlstm_loss* loss, int32_t key, int64_t* value) {
  VARLSTM_TRY(check_usable("loss", loss));
  if (key < VARLSTM_KEY_CLASSES || key > VARLSTM_KEY_EMPTY_MEAN) {
    return bad_key(varlstm_loss::kTypeName, "an int64", key);
  }
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("value", value, {});
  VARLSTM_TRY(buffers.finish());
  switch (key) {
    case VARLSTM_KEY_CLASSES:
      *value = loss->classes;
      break;
    case VARLSTM_KEY_IGNORE_INDEX:
      *value = loss->ignore_index;
      break;
    case VARLSTM_KEY_REDUCTION:
      *value = loss->reduction;
      break;
    default:  // VARLSTM_KEY_EMPTY_MEAN
      *value = loss->empty_mean;
  }
  return VARLSTM_OK;
}

int32_t varlstm_loss_get_f64(const varlstm_loss* loss, int32_t key, double* value) {
  VARLSTM_TRY(check_usable("loss", loss));
  if (key != VARLSTM_KEY_LABEL_SMOOTHING) return bad_key(varlstm_loss::kTypeName, "an f64", key);
  BufferCheck buffers(sizeof(double));
  buffers.write("value", value, {});
  VARLSTM_TRY(buffers.finish());
  *value = loss->label_smoothing;
  return VARLSTM_OK;
}

int32_t varlstm_loss_destroy(varlstm_loss* loss) {
  if (loss == nullptr) return VARLSTM_OK;
  VARLSTM_TRY(check_handle("loss", loss));
  if (!retire(loss, varlstm_loss::kMagic)) return check_handle("loss", loss);
  loss->ctx->children.fetch_sub(1);
  bury(loss);
  return VARLSTM_OK;
}

int32_t varlstm_nll_forward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                            const void* log_probs, const int64_t* targets, const void* class_weights, void* out,
                            void* weight_sum, void* workspace, int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_loss_call(loss, batch, dtype, rows, stream));
  const LossArgs args = loss_args(loss, batch, dtype, rows, targets, class_weights, workspace, workspace_bytes);
  int64_t needed = 0;
  VARLSTM_TRY(query_loss_workspace(loss, Op::kNll, args, &needed));
  BufferCheck buffers(element_size(args.dtype));
  buffers.read("log_probs", log_probs, {{"rows", rows}, {"classes", loss->classes}});
  buffers.read("targets", targets, {{"rows", rows}}, sizeof(int64_t));
  buffers.read_or_null("class_weights", class_weights, {{"classes", loss->classes}}, scalar_size(args.dtype));
  buffers.write("out", out, {out_dim(loss, rows)}, scalar_size(args.dtype));
  buffers.write_or_null("weight_sum", weight_sum, {}, scalar_size(args.dtype));
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  return call_backend(loss->ctx, "nll_forward", &Backend::nll_forward, args, log_probs, out, weight_sum, stream);
}

int32_t varlstm_nll_backward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                             const int64_t* targets, const void* class_weights, const void* dout, void* dlog_probs,
                             void* workspace, int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_loss_call(loss, batch, dtype, rows, stream));
  const LossArgs args = loss_args(loss, batch, dtype, rows, targets, class_weights, workspace, workspace_bytes);
  int64_t needed = 0;
  VARLSTM_TRY(query_loss_workspace(loss, Op::kNll, args, &needed));
  BufferCheck buffers(element_size(args.dtype));
  buffers.read("targets", targets, {{"rows", rows}}, sizeof(int64_t));
  buffers.read_or_null("class_weights", class_weights, {{"classes", loss->classes}}, scalar_size(args.dtype));
  buffers.read_or_null("dout", dout, {out_dim(loss, rows)}, scalar_size(args.dtype));
  buffers.write("dlog_probs", dlog_probs, {{"rows", rows}, {"classes", loss->classes}});
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  return call_backend(loss->ctx, "nll_backward", &Backend::nll_backward, args, dout, dlog_probs, stream);
}

int32_t varlstm_cross_entropy_forward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype, int64_t rows,
                                      const void* logits, const int64_t* targets, const void* class_weights, void* out,
                                      void* weight_sum, void* dlogits, void* workspace, int64_t workspace_bytes,
                                      void* stream) {
  VARLSTM_TRY(check_loss_call(loss, batch, dtype, rows, stream));
  const LossArgs args = loss_args(loss, batch, dtype, rows, targets, class_weights, workspace, workspace_bytes);
  int64_t needed = 0;
  VARLSTM_TRY(query_loss_workspace(loss, Op::kCrossEntropy, args, &needed));
  BufferCheck buffers(element_size(args.dtype));
  buffers.read("logits", logits, {{"rows", rows}, {"classes", loss->classes}});
  buffers.read("targets", targets, {{"rows", rows}}, sizeof(int64_t));
  buffers.read_or_null("class_weights", class_weights, {{"classes", loss->classes}}, scalar_size(args.dtype));
  buffers.write("out", out, {out_dim(loss, rows)}, scalar_size(args.dtype));
  buffers.write_or_null("weight_sum", weight_sum, {}, scalar_size(args.dtype));
  buffers.write_or_null("dlogits", dlogits, {{"rows", rows}, {"classes", loss->classes}});
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  buffers.may_be_same("logits", "dlogits");
  VARLSTM_TRY(buffers.finish());
  return call_backend(loss->ctx, "cross_entropy_forward", &Backend::cross_entropy_forward, args, logits, out,
                      weight_sum, dlogits, stream);
}

int32_t varlstm_cross_entropy_backward(const varlstm_loss* loss, int32_t dtype, int64_t rows, const void* dout,
                                       void* dlogits, void* stream) {
  VARLSTM_TRY(check_loss_call(loss, nullptr, dtype, rows, stream));
  const LossArgs args = loss_args(loss, nullptr, dtype, rows, nullptr, nullptr, nullptr, 0);
  BufferCheck buffers(element_size(args.dtype));
  buffers.read_or_null("dout", dout, {out_dim(loss, rows)}, scalar_size(args.dtype));
  buffers.write("dlogits", dlogits, {{"rows", rows}, {"classes", loss->classes}});
  VARLSTM_TRY(buffers.finish());
  return call_backend(loss->ctx, "cross_entropy_backward", &Backend::cross_entropy_backward, args, dout, dlogits,
                      stream);
}

int32_t varlstm_linear_cross_entropy_forward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                             int64_t rows, int64_t in, const void* x, const void* weight,
                                             const void* bias, const int64_t* targets, const void* class_weights,
                                             void* out, void* weight_sum, void* lse, void* workspace,
                                             int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_rows(loss, batch, dtype, rows, stream));
  VARLSTM_TRY(check_at_least("in", in, 1));
  const LinearLossArgs args{loss_args(loss, batch, dtype, rows, targets, class_weights, workspace, workspace_bytes), in,
                            x, weight, bias};
  const int64_t scalar = scalar_size(args.loss.dtype);
  BufferCheck buffers(element_size(args.loss.dtype));
  VARLSTM_TRY(check_linear_loss(loss, Op::kLinearCrossEntropyForward, args, buffers));
  buffers.write("out", out, {out_dim(loss, rows)}, scalar);
  buffers.write_or_null("weight_sum", weight_sum, {}, scalar);
  buffers.write_or_null("lse", lse, {{"rows", rows}}, scalar);
  VARLSTM_TRY(buffers.finish());
  return call_backend(loss->ctx, "linear_cross_entropy_forward", &Backend::linear_cross_entropy_forward, args, out,
                      weight_sum, lse, stream);
}

int32_t varlstm_linear_cross_entropy_backward(const varlstm_loss* loss, const varlstm_batch* batch, int32_t dtype,
                                              int64_t rows, int64_t in, const void* x, const void* weight,
                                              const void* bias, const int64_t* targets, const void* class_weights,
                                              const void* lse, const void* dout, void* dx, void* dweight, void* dbias,
                                              void* workspace, int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_rows(loss, batch, dtype, rows, stream));
  VARLSTM_TRY(check_at_least("in", in, 1));
  const LinearLossArgs args{loss_args(loss, batch, dtype, rows, targets, class_weights, workspace, workspace_bytes), in,
                            x, weight, bias};
  const int64_t scalar = scalar_size(args.loss.dtype);
  BufferCheck buffers(element_size(args.loss.dtype));
  VARLSTM_TRY(check_linear_loss(loss, Op::kLinearCrossEntropyBackward, args, buffers));
  buffers.read("lse", lse, {{"rows", rows}}, scalar);
  buffers.read_or_null("dout", dout, {out_dim(loss, rows)}, scalar);
  buffers.write_or_null("dx", dx, {{"rows", rows}, {"in", in}});
  buffers.write_or_null("dweight", dweight, {{"classes", loss->classes}, {"in", in}});
  buffers.write_or_null("dbias", dbias, {{"classes", loss->classes}});
  VARLSTM_TRY(buffers.finish());
  return call_backend(loss->ctx, "linear_cross_entropy_backward", &Backend::linear_cross_entropy_backward, args, lse,
                      dout, dx, dweight, dbias, stream);
}
