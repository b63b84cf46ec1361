// Matrix products of the CUDA back end. Row-major; C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias) (+ C).
// On our own tiles each element of C is one chain in the order of k from 0. Tensor cores, which are used for 16-bit
// dtypes and for F32 if the context's math is TF32 (by wgmma on sm_90, by mma.sync elsewhere), chain blocks of terms
// instead of single terms. So an element depends only on its row of op(A) and its column of op(B), whatever m and n
// are. If the context is batch-invariant and the rows of C are tokens, only our tiles are used. Other products run in
// cuBLAS if it was found and gemm_selection.h calls it legal: gradients of weights (transpose_a: they sum over tokens),
// and all products of a context that is not batch-invariant, but for gradients so small that their launches cost more
// than their arithmetic. Their bits are the same from run to run.
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
  // [k], or null: row s of B, which is not transposed, is row b_rows[s] of b [k, n]; or row i of b_initial
  // [b_initials, n] if that is kInitialRow - i; or zeros if it is kNoRow or anything else. Neither cuBLAS nor
  // wgmma takes them.
  const int64_t* b_rows = nullptr;
  const void* b_initial = nullptr;
  int64_t b_initials = 0;
  // [m] in dtype_c, or null: += the sums over k of op(A), which is transposed. They are those of add_column_sums.
  void* sums = nullptr;
  // Workspace for cuBLAS, of gemm_workspace_bytes(m, n) bytes; null: the product runs on our tiles. It belongs to the
  // call, not to the context, because products on several streams, or of a graph that replays, may run at once.
  void* workspace = nullptr;
  int64_t workspace_bytes = 0;
};

constexpr int64_t kNoRow = -1, kInitialRow = -2;

int32_t gemm(Stream stream, const GemmArgs& args);

// kIndependent: no product reads or writes what another one writes. kChain: all have the same m, n and C; one after the
// other is computed.
enum class GemmOrder { kIndependent, kChain };
constexpr int kMostProducts = 6;  // of a group

// Runs the products in one launch if our tiles of one kind can run them all, otherwise each as gemm() does. The bits
// are the same either way.
int32_t gemm_group(Stream stream, const GemmArgs* products, int count, GemmOrder order);

// Whether the product, without b_rows, would run in a kernel that can take them.
bool takes_rows_by_index(Stream stream, const GemmArgs& args);

}  // namespace varlstm::cuda
