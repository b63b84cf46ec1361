// Embedding on the device. See embedding.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

int32_t embedding_forward(Stream stream, const EmbeddingArgs& args, const void* table, void* y);

// *bytes <- workspace of embedding_backward for at most `rows` rows.
int32_t embedding_workspace(DType dtype, int64_t rows, int64_t features, int64_t* bytes);

int32_t embedding_backward(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* dtable,
                           void* workspace);

// row_ids [rows] <- each row's id where the row is the first of its id's rows that have a gradient, else -1; drows
// [rows, features] <- the id's gradient there, else 0. The workspace is that of embedding_backward.
int32_t embedding_backward_rows(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy,
                                int64_t* row_ids, void* drows, void* workspace);

// The two ways of embedding_backward, which give the same bits: for few rows, and for any number of them.
int32_t add_found_rows(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* dtable);
int32_t add_sorted_rows(Stream stream, const EmbeddingArgs& args, int64_t padding_idx, const void* dy, void* dtable,
                        void* workspace);

}  // namespace varlstm::cuda
