// How a product runs: on which of our tiles, or in cuBLAS.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <initializer_list>

#include "capi/contract/environment.h"
#include "capi/contract/shapes.h"

namespace varlstm::cuda {

// A block computes a tile of rows x columns, each thread thread_rows x thread_columns of it, `depth` of k at a time.
template <int Rows, int Columns, int Depth, int ThreadRows, int ThreadColumns>
struct GemmTile {
  static constexpr int kRows = Rows, kColumns = Columns, kDepth = Depth;
  static constexpr int kThreadRows = ThreadRows, kThreadColumns = ThreadColumns;
  static constexpr int kThreads = (Rows / ThreadRows) * (Columns / ThreadColumns);
};
using WideTile = GemmTile<64, 64, 16, 4, 4>;  // 256 threads
using FlatTile = GemmTile<16, 32, 32, 2, 2>;  // 128 threads: the few rows of a step, the few classes of a tagger

// kWide and kFlat give the same bits; kTensor, our tiles on tensor cores, and kCublas their own.
enum class GemmPolicy { kWide, kFlat, kTensor, kCublas };
constexpr GemmPolicy kGemmPolicies[] = {GemmPolicy::kWide, GemmPolicy::kFlat, GemmPolicy::kTensor, GemmPolicy::kCublas};

inline const char* gemm_policy_name(GemmPolicy policy) {
  switch (policy) {
    case GemmPolicy::kWide:
      return "wide";
    case GemmPolicy::kFlat:
      return "flat";
    case GemmPolicy::kTensor:
      return "tensor";
    default:
      return "cublas";
  }
}

// What the choice depends on, of a product and of the context it runs in.
struct GemmShape {
  DType dtype, dtype_c;
  int64_t m, n, k;
  int64_t longest_line;  // of the three row pitches
  bool rows_are_tokens;  // of C: not a gradient of weights, where tokens are what is summed over
  bool rows_on_device;   // only the device knows how many of the tokens count
  bool accumulate;
  int biases;
  int64_t workspace_bytes;
};
struct GemmContext {
  bool batch_invariant;
  bool tf32;          // F32 operands may be rounded to it
  bool tensor_cores;  // of sm_80 and later
  bool cublas;        // it was opened
};

// Bytes that a product of m x n gets for cuBLAS, which sums pieces of k there: 16 for each element of C, in 32 MiB at
// most. cuBLAS may refuse a product (CUBLAS_STATUS_ALLOC_FAILED) with less than the 16 KiB that its documentation asks
// for, however small the product is; it gets four times as much at least.
inline int64_t gemm_workspace_bytes(int64_t m, int64_t n) {
  constexpr int64_t kLeast = 64 << 10, kMost = 32 << 20, kOfElement = 16, kAlignment = 256;
  const bool small = n == 0 || m <= kMost / kOfElement / n;
  const int64_t wanted = small ? kOfElement * m * n : kMost;
  return (wanted > kLeast ? wanted : kLeast) + kAlignment;
}

// cuBLAS counts in 32 bits here, would read rows that do not count, and rounds C once where the biases lie in it.
inline bool is_legal_for_cublas(const GemmShape& shape) {
  const bool narrow_c = shape.dtype_c == DType::kBF16 || shape.dtype_c == DType::kF16;
  for (const int64_t size : {shape.m, shape.n, shape.k, shape.longest_line})
    if (size > INT32_MAX) return false;
  return shape.k > 0 && !shape.rows_on_device && shape.workspace_bytes >= gemm_workspace_bytes(0, 0) &&
         !(shape.accumulate && shape.biases > 0) && !(narrow_c && shape.biases > 1);
}

// Our tiles take every shape; of which dtype a product is computed in 16 bits or in TF32, m and n do not decide.
inline bool is_legal(GemmPolicy policy, const GemmShape& shape, const GemmContext& context) {
  switch (policy) {
    case GemmPolicy::kTensor:
      return context.tensor_cores && shape.dtype != DType::kF64 && (shape.dtype != DType::kF32 || context.tf32);
    case GemmPolicy::kCublas:
      return context.cublas && is_legal_for_cublas(shape);
    default:
      return true;
  }
}

// cuBLAS chooses its kernel by m: not for rows that may not depend on how many there are. Where tensor cores may
// compute, they always do, whatever m is, for the same reason. None of this has been measured on a GPU: a tile should
// not be mostly padding, and small products need many blocks.
inline GemmPolicy select_gemm(const GemmShape& shape, const GemmContext& context) {
  const bool invariant = context.batch_invariant && shape.rows_are_tokens;
  if (!invariant && is_legal(GemmPolicy::kCublas, shape, context)) return GemmPolicy::kCublas;
  if (is_legal(GemmPolicy::kTensor, shape, context)) return GemmPolicy::kTensor;
  return shape.m <= 16 || shape.n <= 32 ? GemmPolicy::kFlat : GemmPolicy::kWide;
}

// Whether the environment names one of the policies.
inline bool forced_gemm(GemmPolicy* policy) {
  const char* forced = environment(kGemmPolicyVariable);
  for (const GemmPolicy one : kGemmPolicies) {
    if (forced == nullptr || strcmp(forced, gemm_policy_name(one)) != 0) continue;
    *policy = one;
    return true;
  }
  return false;
}

// The policy forced where it is legal, and the selection elsewhere.
inline GemmPolicy gemm_policy(const GemmShape& shape, const GemmContext& context) {
  GemmPolicy forced;
  return forced_gemm(&forced) && is_legal(forced, shape, context) ? forced : select_gemm(shape, context);
}

}  // namespace varlstm::cuda
