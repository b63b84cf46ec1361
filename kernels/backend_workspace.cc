// The workspace sizes of the CUDA back end's operations.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/embedding/embedding.h"
#include "kernels/linear_cross_entropy/linear_cross_entropy.h"
#include "kernels/masked_loss/masked_loss.h"
#include "kernels/optimizer/optimizer.h"
#include "kernels/selection/gemm_selection.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

int32_t op_workspace(const BackendState*, Op op, DType dtype, int64_t rows, int64_t a, int64_t b, int64_t* bytes) {
  *bytes = 0;
  switch (op) {
    case Op::kEmbeddingBackward:
      return embedding_workspace(dtype, rows, b, bytes);
    case Op::kNll:
    case Op::kCrossEntropy:
      return loss_workspace(rows, bytes);
    case Op::kGradNorm:
      return grad_norm_workspace(rows, bytes);
    case Op::kLinearCrossEntropyForward:
    case Op::kLinearCrossEntropyBackward:
      return linear_cross_entropy_workspace(dtype, rows, a, b, op == Op::kLinearCrossEntropyBackward, bytes);
    case Op::kLinearForward:
      *bytes = gemm_workspace_bytes(rows, b);
      break;
    case Op::kLinearBackward:
      *bytes = gemm_workspace_bytes(rows > b ? rows : b, a);  // dx [rows, in], dweight [out, in]
      break;
  }
  return VARLSTM_OK;
}

}  // namespace

void set_workspace_sizes(Backend& table) {
  table.op_workspace = op_workspace;
}

}  // namespace varlstm::cuda
