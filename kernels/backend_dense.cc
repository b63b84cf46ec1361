// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/dropout/dropout.h"

namespace varlstm::cuda {
namespace {

int32_t dropout_call(BackendState* state, DType dtype, int64_t count, double p, uint64_t seed, const void* in,
                     void* out, void* stream) {
  return dropout(make_stream(state, stream), dtype, count, p, seed, in, out);
}

}  // namespace

void set_dense_operations(Backend& table) {
  table.dropout = dropout_call;
}

}  // namespace varlstm::cuda
