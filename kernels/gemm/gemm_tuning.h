// Which tiles a product runs with. Every policy gives the same bits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

enum class GemmPolicy { kWide, kFlat };
constexpr GemmPolicy kGemmPolicies[] = {GemmPolicy::kWide, GemmPolicy::kFlat};

inline const char* gemm_policy_name(GemmPolicy policy) {
  return policy == GemmPolicy::kWide ? "wide" : "flat";
}

// Not measured on a GPU: a tile should not be mostly padding, and small products need many blocks.
inline GemmPolicy select_gemm(int64_t m, int64_t n) {
  return m <= 16 || n <= 32 ? GemmPolicy::kFlat : GemmPolicy::kWide;
}

// The selection, unless VARLSTM_GEMM_POLICY names one of the policies.
inline GemmPolicy gemm_policy(int64_t m, int64_t n) {
  if (const char* forced = getenv("VARLSTM_GEMM_POLICY")) {
    for (const GemmPolicy policy : kGemmPolicies)
      if (strcmp(forced, gemm_policy_name(policy)) == 0) return policy;
  }
  return select_gemm(m, n);
}

}  // namespace varlstm::cuda
