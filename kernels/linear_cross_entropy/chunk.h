// The work on one chunk of rows of a linear layer with cross-entropy on the device, between the products. See
// chunk_rows.cu and chunk_loss.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// The rows [begin, begin + rows) of the operands.
struct RowChunk {
  int64_t begin, rows;
};

// The memory that a chunk works in. The kept rows of a chunk are stored together, in order, as the first *count rows of
// x and logits.
struct ChunkScratch {
  double *totals, *partial;        // of the loss over all rows, as in LossView
  double* sum;                     // [1] sum of the terms of the chunks so far
  double* terms;                   // [chunk]
  int64_t* count;                  // [1] number of kept rows of this chunk
  int64_t *kept, *places;          // [chunk] the row of kept row k; its inverse, -1 if the row is not kept
  void *x, *logits, *dlogits;      // [chunk, in], [chunk, classes]; dlogits overwrite the logits except for 16 bits
  float *dweight_sum, *dbias_sum;  // [classes, in], [classes]; only for backward of 16-bit dtypes
};

// Sums the weights over all rows, before the first chunk. A bad label raises its status bit.
int32_t weigh_rows(Stream stream, const LossArgs& args, const ChunkScratch& scratch);

// count, kept, places <- those of the chunk. Rows that are not kept get zeros in `out` (with NONE) and in lse; both are
// [rows] of the call, or null. for_gradient: no row is kept if the loss has no gradient at all.
int32_t select_rows(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk, bool for_gradient,
                    void* out, void* lse);

// dst row k <- src row sources[k], for k < rows and k < *limit (unless limit is null); zeros if sources[k] is negative.
int32_t move_rows(Stream stream, DType dtype, int64_t rows, const int64_t* limit, const int64_t* sources,
                  int64_t features, const void* src, void* dst);

// Computes the terms and lse (or null) of the kept rows from their logits in F32 (F64 for F64); with NONE each goes to
// its own row of `out`. Then it adds the terms to the sum of the chunks so far and, after the last chunk, writes `out`
// and weight_sum (or null).
int32_t chunk_forward(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk, void* out,
                      void* weight_sum, void* lse);

// Computes dlogits of the kept rows from their logits and lse. dout is as in nll_backward; null means ones.
int32_t chunk_gradient(Stream stream, const LossArgs& args, const ChunkScratch& scratch, RowChunk chunk,
                       const void* lse, const void* dout);

}  // namespace varlstm::cuda
