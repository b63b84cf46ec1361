// Chooses how a matrix product runs: on which of our tiles, or in cuBLAS.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <initializer_list>

#include "capi/contract/environment.h"
#include "capi/contract/shapes.h"

namespace varlstm::cuda {

// A block computes a tile of rows x columns, and each thread thread_rows x thread_columns of it, with `depth` values of
// k at a time.
template <int Rows, int Columns, int Depth, int ThreadRows, int ThreadColumns>
struct GemmTile {
  static constexpr int kRows = Rows, kColumns = Columns, kDepth = Depth;
  static constexpr int kThreadRows = ThreadRows, kThreadColumns = ThreadColumns;
  static constexpr int kThreads = (Rows / ThreadRows) * (Columns / ThreadColumns);
};
using WideTile = GemmTile<64, 64, 16, 4, 4>;  // 256 threads
using FlatTile = GemmTile<16, 32, 32, 2, 2>;  // 128 threads: for the few rows of a step, or the few classes of a tagger

// A tile of products on tensor cores, whose bits do not depend on it.
enum class TensorTile { k64x64, k128x128, k128x256, k256x256 };
constexpr TensorTile kTensorTiles[] = {TensorTile::k64x64, TensorTile::k128x128, TensorTile::k128x256,
                                       TensorTile::k256x256};
constexpr int rows_of(TensorTile tile) {
  return tile == TensorTile::k64x64 ? 64 : tile == TensorTile::k256x256 ? 256 : 128;
}
constexpr int columns_of(TensorTile tile) {
  return tile == TensorTile::k64x64 ? 64 : tile == TensorTile::k128x128 ? 128 : 256;
}
// The blocks of a cluster that share the tile.
constexpr int blocks_of(TensorTile tile) {
  return tile == TensorTile::k256x256 ? 2 : 1;
}

// A block of a number of warpgroups, each of which computes 64 rows of the tile.
template <int Warpgroups, int Columns>
struct WgmmaTile {
  static constexpr int kWarpgroups = Warpgroups, kThreads = 128 * Warpgroups;
  static constexpr int kRows = 64 * Warpgroups, kColumns = Columns;
};

// kWide and kFlat give the same bits. kTensor (our tiles on tensor cores by mma.sync), kWgmma (the same by wgmma, on
// sm_90a alone) and kCublas each may give other bits.
enum class GemmPolicy { kWide, kFlat, kTensor, kWgmma, kCublas };
constexpr GemmPolicy kGemmPolicies[] = {GemmPolicy::kWide, GemmPolicy::kFlat, GemmPolicy::kTensor, GemmPolicy::kWgmma,
                                        GemmPolicy::kCublas};

inline const char* gemm_policy_name(GemmPolicy policy) {
  switch (policy) {
    case GemmPolicy::kWide:
      return "wide";
    case GemmPolicy::kFlat:
      return "flat";
    case GemmPolicy::kTensor:
      return "tensor";
    case GemmPolicy::kWgmma:
      return "wgmma";
    default:
      return "cublas";
  }
}

// The facts about a product, and about its context, on which the choice depends.
struct GemmShape {
  DType dtype, dtype_c;
  int64_t m, n, k;
  int64_t longest_line;  // the largest of the three row pitches
  bool rows_are_tokens;  // C's rows are tokens: not a gradient of weights, which sums over tokens
  bool rows_on_device;   // only the device knows how many tokens there are
  bool b_by_index;       // B's rows are named by an array
  bool accumulate;
  int biases;
  int64_t workspace_bytes;
};
struct GemmContext {
  bool batch_invariant;
  bool tf32;          // F32 operands may be rounded to TF32
  bool tensor_cores;  // those of sm_80 and later
  bool cublas;        // cuBLAS was opened
  bool wgmma;         // the device has it: sm_90 alone
};

// The bytes that cuBLAS gets as workspace for a product of m x n, in which it sums pieces of k: 16 for each element of
// C, at most 32 MiB. If it gets less than the 16 KiB that its documentation asks for, cuBLAS may refuse even a small
// product (CUBLAS_STATUS_ALLOC_FAILED); it gets at least four times as much.
inline int64_t gemm_workspace_bytes(int64_t m, int64_t n) {
  constexpr int64_t kLeast = 64 << 10, kMost = 32 << 20, kOfElement = 16, kAlignment = 256;
  const bool small = n == 0 || m <= kMost / kOfElement / n;
  const int64_t wanted = small ? kOfElement * m * n : kMost;
  return (wanted > kLeast ? wanted : kLeast) + kAlignment;
}

// cuBLAS counts in 32 bits here and would read rows past the last token. The biases are stored in C before the product,
// so C cannot be accumulated to as well, and a narrow C would round the sum of two biases.
inline bool is_legal_for_cublas(const GemmShape& shape) {
  const bool narrow_c = shape.dtype_c == DType::kBF16 || shape.dtype_c == DType::kF16;
  for (const int64_t size : {shape.m, shape.n, shape.k, shape.longest_line})
    if (size > INT32_MAX) return false;
  return shape.k > 0 && !shape.rows_on_device && !shape.b_by_index &&
         shape.workspace_bytes >= gemm_workspace_bytes(0, 0) && !(shape.accumulate && shape.biases > 0) &&
         !(narrow_c && shape.biases > 1);
}

// Our tiles can run every shape. Whether a product is computed in 16 bits or TF32 depends on the dtype, not on m and n.
inline bool is_legal(GemmPolicy policy, const GemmShape& shape, const GemmContext& context) {
  switch (policy) {
    case GemmPolicy::kTensor:
      return context.tensor_cores && shape.dtype != DType::kF64 && (shape.dtype != DType::kF32 || context.tf32);
    case GemmPolicy::kWgmma:
      return context.wgmma && !shape.b_by_index && is_legal(GemmPolicy::kTensor, shape, context);
    case GemmPolicy::kCublas:
      return context.cublas && is_legal_for_cublas(shape);
    default:
      return true;
  }
}

// A gradient of weights over few tokens, of a product that fills one wave of a device at most. All those of a layer run
// in one launch of our small tiles, with the sums of its A; in cuBLAS each would be one or two launches, and a launch
// costs about as much as it.
inline bool is_small_gradient(const GemmShape& shape) {
  constexpr int64_t kFewTokens = 1024, kFewElements = int64_t{1} << 19;
  return !shape.rows_are_tokens && shape.k <= kFewTokens && shape.n <= kFewElements &&
         shape.m <= kFewElements / (shape.n > 0 ? shape.n : 1);
}

// cuBLAS chooses its kernel by m, so it is not used for rows whose results must not depend on the number of rows. For
// the same reason tensor cores are used whenever they are legal, whatever m is. The rest is not measured on a GPU: a
// tile should not be mostly padding, and small products need many blocks.
inline GemmPolicy select_gemm(const GemmShape& shape, const GemmContext& context) {
  const bool invariant = context.batch_invariant && shape.rows_are_tokens;
  const bool small = is_small_gradient(shape);
  if (!invariant && !small && is_legal(GemmPolicy::kCublas, shape, context)) return GemmPolicy::kCublas;
  if (!small && is_legal(GemmPolicy::kWgmma, shape, context)) return GemmPolicy::kWgmma;
  if (is_legal(GemmPolicy::kTensor, shape, context)) return GemmPolicy::kTensor;
  return shape.m <= 16 || shape.n <= 32 ? GemmPolicy::kFlat : GemmPolicy::kWide;
}

// The tile for which the blocks, in waves that fill the device, take the least time. A block's time goes by the bytes
// that it loads, its part of rows + columns for each value of k: on all multiprocessors at once L2 brings less than
// tensor cores can multiply, even for the largest tile. Not measured on a GPU.
inline TensorTile select_tensor_tile(int64_t m, int64_t n, int multiprocessors, TensorTile largest) {
  TensorTile best = TensorTile::k64x64;
  double least = 0;
  for (const TensorTile tile : kTensorTiles) {
    if (tile > largest) break;
    const int64_t rows = rows_of(tile), columns = columns_of(tile);
    const int64_t blocks = (m + rows - 1) / rows * ((n + columns - 1) / columns) * blocks_of(tile);
    const int64_t waves = (blocks + multiprocessors - 1) / multiprocessors;
    const double time = static_cast<double>(waves) * static_cast<double>(rows + columns) / blocks_of(tile);
    if (least == 0 || time < least) best = tile, least = time;
  }
  return best;
}

// Returns whether the environment names one of the policies.
inline bool forced_gemm(GemmPolicy* policy) {
  const char* forced = environment(kGemmPolicyVariable);
  for (const GemmPolicy one : kGemmPolicies) {
    if (forced == nullptr || strcmp(forced, gemm_policy_name(one)) != 0) continue;
    *policy = one;
    return true;
  }
  return false;
}

// Returns the forced policy if it is legal, otherwise the selection. Before it asks, gemm() refuses cublas if there is
// no cuBLAS.
inline GemmPolicy gemm_policy(const GemmShape& shape, const GemmContext& context) {
  GemmPolicy forced;
  return forced_gemm(&forced) && is_legal(forced, shape, context) ? forced : select_gemm(shape, context);
}

}  // namespace varlstm::cuda
