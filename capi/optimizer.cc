// Optimiser steps and gradient norms over one flat buffer.
// SPDX-License-Identifier: Apache-2.0
#include "capi/optimizer.h"
#include "capi/op_workspace.h"

using namespace varlstm;

namespace varlstm {

int32_t check_master_dtype(int32_t dtype) {
  VARLSTM_TRY(check_dtype("dtype", dtype));
  if (dtype != VARLSTM_DTYPE_BF16 && dtype != VARLSTM_DTYPE_F16) return VARLSTM_OK;
  return set_error(VARLSTM_ERROR_UNSUPPORTED,
                   "dtype = %d (%s): parameters are kept in F32 or F64; varlstm_convert rounds a copy", dtype,
                   dtype == VARLSTM_DTYPE_BF16 ? "VARLSTM_DTYPE_BF16" : "VARLSTM_DTYPE_F16");
}

int32_t check_adam(double beta1, double beta2, double eps, double weight_decay, int32_t decoupled) {
  VARLSTM_TRY(check_probability("beta1", beta1));
  VARLSTM_TRY(check_probability("beta2", beta2));
  VARLSTM_TRY(check_finite_non_negative("eps", eps));
  VARLSTM_TRY(check_finite_non_negative("weight_decay", weight_decay));
  return check_flag("decoupled", decoupled);
}

}  // namespace varlstm

namespace {

int32_t check_flat(const varlstm_ctx* ctx, int32_t dtype, int64_t count, const void* stream) {
  VARLSTM_TRY(check_usable("ctx", ctx, stream));
  VARLSTM_TRY(check_master_dtype(dtype));
  VARLSTM_TRY(check_at_least("count", count, 0));
  return check_bytes("grads", {{"count", count}}, 8, nullptr);
}

// If max_norm < 0, only the norm is computed and grads are only read.
int32_t run_grad_norm(varlstm_ctx* ctx, int32_t dtype, int64_t count, double max_norm, void* grads, double* norm,
                      void* workspace, int64_t workspace_bytes, void* stream) {
  const DType type = static_cast<DType>(dtype);
  int64_t needed = 0;
  VARLSTM_TRY(query_op_workspace(ctx, Op::kGradNorm, type, count, 0, 0, &needed));
  BufferCheck buffers(element_size(type));
  if (max_norm < 0) {
    buffers.read("grads", grads, {{"count", count}});
  } else {
    buffers.write("grads", grads, {{"count", count}});
  }
  buffers.write("norm", norm, {}, sizeof(double));
  buffers.scratch("workspace", workspace, workspace_bytes, needed);
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "grad_norm", &Backend::grad_norm, type, count, max_norm, grads, norm, workspace,
                      workspace_bytes, stream);
}

}  // namespace

int32_t varlstm_sgd_step(varlstm_ctx* ctx, int32_t dtype, int64_t count, double lr, double momentum,
                         double weight_decay, int32_t nesterov, void* params, const void* grads, void* velocity,
                         void* stream) {
  VARLSTM_TRY(check_flat(ctx, dtype, count, stream));
  VARLSTM_TRY(check_finite_non_negative("lr", lr));
  VARLSTM_TRY(check_finite_non_negative("momentum", momentum));
  VARLSTM_TRY(check_finite_non_negative("weight_decay", weight_decay));
  VARLSTM_TRY(check_flag("nesterov", nesterov));
  if (nesterov == 1 && momentum == 0) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "nesterov = 1 needs momentum > 0, but momentum = 0");
  }
  const SgdArgs args{static_cast<DType>(dtype), count, lr, momentum, weight_decay, nesterov == 1};
  BufferCheck buffers(element_size(args.dtype));
  buffers.write("params", params, {{"count", count}});
  buffers.read("grads", grads, {{"count", count}});
  if (momentum != 0 || velocity != nullptr) buffers.write("velocity", velocity, {{"count", count}});
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "sgd_step", &Backend::sgd_step, args, params, grads, velocity, stream);
}

int32_t varlstm_adam_step(varlstm_ctx* ctx, int32_t dtype, int64_t count, double lr, double beta1, double beta2,
                          double eps, double weight_decay, int32_t decoupled, void* params, const void* grads, void* m,
                          void* v, int64_t* step, void* stream) {
  VARLSTM_TRY(check_flat(ctx, dtype, count, stream));
  VARLSTM_TRY(check_finite_non_negative("lr", lr));
  VARLSTM_TRY(check_adam(beta1, beta2, eps, weight_decay, decoupled));
  const AdamArgs args{static_cast<DType>(dtype), count, lr, beta1, beta2, eps, weight_decay, decoupled == 1};
  BufferCheck buffers(element_size(args.dtype));
  buffers.write("params", params, {{"count", count}});
  buffers.read("grads", grads, {{"count", count}});
  buffers.write("m", m, {{"count", count}});
  buffers.write("v", v, {{"count", count}});
  buffers.write("step", step, {}, sizeof(int64_t));
  VARLSTM_TRY(buffers.finish());
  return call_backend(ctx, "adam_step", &Backend::adam_step, args, params, grads, m, v, step, stream);
}

int32_t varlstm_grad_norm(varlstm_ctx* ctx, int32_t dtype, int64_t count, const void* grads, double* norm,
                          void* workspace, int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_flat(ctx, dtype, count, stream));
  return run_grad_norm(ctx, dtype, count, -1.0, const_cast<void*>(grads), norm, workspace, workspace_bytes, stream);
}

int32_t varlstm_clip_grad_norm(varlstm_ctx* ctx, int32_t dtype, int64_t count, double max_norm, void* grads,
                               double* norm, void* workspace, int64_t workspace_bytes, void* stream) {
  VARLSTM_TRY(check_flat(ctx, dtype, count, stream));
  if (!(max_norm >= 0)) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "max_norm = %g is not a number >= 0", max_norm);
  }
  return run_grad_norm(ctx, dtype, count, max_norm, grads, norm, workspace, workspace_bytes, stream);
}
