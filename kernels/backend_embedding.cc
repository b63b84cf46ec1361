// Embedding of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/backend_ops.h"
#include "kernels/embedding/embedding.h"

namespace varlstm::cuda {
namespace {

int32_t forward(BackendState* state, const EmbeddingArgs& args, const void* table, void* y, void* stream) {
  return embedding_forward(make_stream(state, stream), args, table, y);
}

int32_t backward(BackendState* state, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* dtable,
                 void* workspace, int64_t, void* stream) {
  return embedding_backward(make_stream(state, stream), args, padding_idx, dy, dtable, workspace);
}

int32_t backward_rows(BackendState* state, const EmbeddingArgs& args, int64_t padding_idx, const void* dy,
                      int64_t* row_ids, void* drows, void* workspace, int64_t, void* stream) {
  return embedding_backward_rows(make_stream(state, stream), args, padding_idx, dy, row_ids, drows, workspace);
}

}  // namespace

void set_embedding_operations(Backend& table) {
  table.embedding_forward = forward;
  table.embedding_backward = backward;
  table.embedding_backward_rows = backward_rows;
}

}  // namespace varlstm::cuda
