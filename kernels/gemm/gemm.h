// Matrix products of the CUDA back end. Row-major; C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias) (+ C).
// On our own tiles each element of C is one chain in the order of k from 0. Tensor cores, which are used for 16-bit
// dtypes and for F32 if the context's math is TF32 (by wgmma on sm_90, by mma.sync elsewhere), chain blocks of terms
// instead of single terms. So an element depends only on its row of op(A) and its column of op(B), whatever m and n
// are. If the context is batch-invariant and the rows of C are tokens, only our tiles are used. Other products run in
// cuBLAS if it was found and gemm_selection.h calls it legal: gradients of weights (transpose_a: they sum over tokens),
// and all products of a context that is not batch-invariant. Their bits are the same from run to run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

struct GemmArgs {
  DType dtype;  // of A and B; sums are in f32, or in f64 for F64
  DType dtype_c;
  int64_t m;
  int64_t n;
  int64_t k;
  const void* a;
  int64_t lda;
  bool transpose_a = false;  // A is stored as [k, m]
  const void* b;
  int64_t ldb;
  bool transpose_b = false;  // B is stored as [n, k]
  void* c;
  int64_t ldc;
  bool accumulate = false;  // C += instead of C =
  // [n] each, in `dtype`, or null. They are added to every row of the product.
  const void* bias = nullptr;
  const void* bias2 = nullptr;
  // Points to the number of A's rows that count (of the k rows if transpose_a), if only the device knows it; null: all
  // count. Rows from *rows on are read as zeros. Rows of C from *rows on are left as they are (transpose_a: all of C is
  // written). cuBLAS cannot read *rows, and memory past it may be the caller's, so such a product runs on our tiles.
  const int64_t* rows = nullptr;
  // Workspace for cuBLAS, of gemm_workspace_bytes(m, n) bytes; null: the product runs on our tiles. It belongs to the
  // call, not to the context, because products on several streams, or of a graph that replays, may run at once.
  void* workspace = nullptr;
  int64_t workspace_bytes = 0;
};

int32_t gemm(Stream stream, const GemmArgs& args);

}  // namespace varlstm::cuda
