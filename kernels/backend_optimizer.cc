// Optimisers of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/optimizer/optimizer.h"

namespace varlstm::cuda {
namespace {

int32_t sgd_call(BackendState* state, const SgdArgs& args, void* params, const void* grads, void* velocity,
                 void* stream) {
  return sgd_step(make_stream(state, stream), args, params, grads, velocity);
}

int32_t adam_call(BackendState* state, const AdamArgs& args, void* params, const void* grads, void* m, void* v,
                  int64_t* step, void* stream) {
  return adam_step(make_stream(state, stream), args, params, grads, m, v, step);
}

int32_t norm_call(BackendState* state, DType dtype, int64_t count, double max_norm, void* grads, double* norm,
                  void* workspace, int64_t, void* stream) {
  return grad_norm(make_stream(state, stream), dtype, count, max_norm, grads, norm, workspace);
}

int32_t sgd_rows_call(BackendState* state, const SgdRowsArgs& args, const void* drows, void* stream) {
  return sgd_rows_step(make_stream(state, stream), args, drows);
}

int32_t adam_rows_call(BackendState* state, const AdamRowsArgs& args, const void* drows, int64_t*, void* stream) {
  return adam_rows_step(make_stream(state, stream), args, drows);
}

int32_t catch_up_call(BackendState* state, const AdamRowsArgs& args, int64_t*, void* stream) {
  return adam_rows_catch_up(make_stream(state, stream), args);
}

}  // namespace

void set_optimizer_operations(Backend& table) {
  table.sgd_step = sgd_call;
  table.adam_step = adam_call;
  table.grad_norm = norm_call;
  table.sgd_rows_step = sgd_rows_call;
  table.adam_rows_step = adam_rows_call;
  table.adam_rows_catch_up = catch_up_call;
}

}  // namespace varlstm::cuda
