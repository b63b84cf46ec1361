// Workspace sizes of the CUDA back end's operations.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/embedding/embedding.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

int32_t op_workspace(const BackendState*, Op op, DType dtype, int64_t rows, int64_t, int64_t b, int64_t* bytes) {
  *bytes = 0;
  switch (op) {
    case Op::kEmbeddingBackward:
      return embedding_workspace(dtype, rows, b, bytes);
    default:
      return VARLSTM_OK;
  }
}

}  // namespace

void set_workspace_sizes(Backend& table) {
  table.op_workspace = op_workspace;
}

}  // namespace varlstm::cuda
