// One chunk of rows of a linear layer with cross-entropy on the device, between the products. See chunk_rows.cu and
// chunk_loss.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// Rows [begin, begin + rows) of the operands.
struct RowChunk {
  int64_t begin, rows;
};

// What a chunk works in. The kept rows of a chunk stand together, in order, as the first *count rows of x and logits.
struct ChunkScratch {
  double *totals, *partial;        // of the loss over all rows, as in LossView
  double* sum;                     // [1] terms of the chunks so far
  double* terms;                   // [chunk]
  int64_t* count;                  // [1] kept rows of this chunk
  int64_t *kept, *places;          // [chunk] kept row k of the chunk; its inverse, -1 where the row is not kept
  void *x, *logits, *dlogits;      // [chunk, in], [chunk, classes]; dlogits are the logits' memory but for 16 bits
  float *dweight_sum, *dbias_sum;  // [classes, in], [classes]; 16-bit dtypes' backward alone
};

// The weights' sums over all rows; a bad label raises its bit. Before the first chunk.
int32_t weigh_rows(Stream stream, const LossArgs& args, const ChunkScratch& scratch);

// count, kept, places <- the chunk's. Rows that are not kept get their zeros: in `out` (with NONE) and lse, each [rows]
// of the call or null. for_gradient: no row is kept where the loss has no gradient at all.
int32_t select_rows(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk, bool for_gradient,
                    void* out, void* lse);

// dst row k <- src row sources[k] for k < rows and, where it is not null, < *limit; zeros where that is negative.
int32_t move_rows(Stream stream, DType dtype, int64_t rows, const int64_t* limit, const int64_t* sources,
                  int64_t features, const void* src, void* dst);

// Terms and lse (or null) of the kept rows, from their logits in F32 (F64 for F64); each to its own row of `out` with
// NONE. Then the sum over the chunks so far, and after the last one `out` and weight_sum (or null).
int32_t chunk_forward(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk, void* out,
                      void* weight_sum, void* lse);

// dlogits of the kept rows from their logits and lse; dout as in nll_backward, null for ones.
int32_t chunk_gradient(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk,
                       const void* lse, const void* dout);

}  // namespace varlstm::cuda
