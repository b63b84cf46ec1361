// The table of operations of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include "capi/contract/backend.h"

#include "kernels/backend_ops.h"
#include "kernels/core/status.h"

namespace varlstm {
namespace {

Backend make_table() {
  Backend table = {};
#if defined(VARLSTM_EMULATED)
  table.name = "CUDA (emulated)";
#else
  table.name = "CUDA";
#endif
  table.failure_text = cuda::take_failure_text;
  cuda::set_memory_operations(table);
  cuda::set_batch_operations(table);
  cuda::set_embedding_operations(table);
  cuda::set_conv_max_operations(table);
  cuda::set_rnn_operations(table);
  cuda::set_linear_operations(table);
  cuda::set_dense_operations(table);
  cuda::set_optimizer_operations(table);
  cuda::set_workspace_sizes(table);
  return table;
}

}  // namespace

const Backend* cuda_backend() {
  static const Backend table = make_table();
  return &table;
}

}  // namespace varlstm
