// Matrix products of the CUDA back end. Row-major; C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias) (+ C).
// On our own tiles each element of C is one chain in the order of k from 0 (of single terms, or of blocks of them on
// tensor cores: for 16-bit dtypes, and for F32 where the context's math is TF32), so it depends on nothing but its row
// of op(A) and its column of op(B), whatever m and n are. Where C's rows are tokens, a context that is batch-invariant
// runs on them alone; gradients of weights (transpose_a: tokens are summed over), and every product of a context that
// is not, run in cuBLAS where it is there and gemm_tuning.h calls it legal: equal bits from run to run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

struct GemmArgs {
  DType dtype;  // of A and B; accumulated in f32, or f64 for F64
  DType dtype_c;
  int64_t m;
  int64_t n;
  int64_t k;
  const void* a;
  int64_t lda;
  bool transpose_a = false;  // A lies as [k, m]
  const void* b;
  int64_t ldb;
  bool transpose_b = false;  // B lies as [n, k]
  void* c;
  int64_t ldc;
  bool accumulate = false;  // C += instead of C =
  // [n] each, in `dtype`, or null: added to every row of the product.
  const void* bias = nullptr;
  const void* bias2 = nullptr;
  // Where the device alone knows how many of A's rows count (of the k rows if transpose_a): those from *rows on are
  // read as zeros. Rows of C from *rows on are left as they are (transpose_a: all of C is written). Null: all count.
  // cuBLAS cannot read it, and what lies behind *rows may be the caller's: such a product stays on our tiles.
  const int64_t* rows = nullptr;
  // For cuBLAS, gemm_workspace_bytes(m, n) of it; null: none, and the product stays on our tiles. Of the call, not of
  // the context: products on several streams, or of a graph that replays, may run at once.
  void* workspace = nullptr;
  int64_t workspace_bytes = 0;
};

int32_t gemm(Stream stream, const GemmArgs& args);

}  // namespace varlstm::cuda
