// C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias + bias2) (+ C) on tensor cores: BF16 and F16 by mma.m16n8k16, F32
// rounded to TF32 (nearest, ties away) by mma.m16n8k8. Not measured on a GPU.
//
// Sums are in f32. Each element of C is one chain over blocks of 16 (8 for TF32) of k from 0, whatever m, n and the
// alignment are, so its bits depend only on its row of op(A) and its column of op(B). Incomplete blocks are filled with
// zeros. C is stored once, rounded to its own dtype: ((sum + bias) + bias2) + C. C must not overlap A or B.
// Bytes from memory: about (m k (n / 64) + k n (m / 64)) e; 2 m n k operations. Bound by arithmetic if k and n are some
// hundreds, by memory if they are smaller. Grid: one block of 4 warps for each tile of 64 x 64. A warp owns 32 x 32 of
// the tile, 32 sums in registers of each thread.
// Shared memory: two stages. Each has a tile of A and a tile of B, 64 bytes of k deep, in the order of the matrix:
// [line][k] if k is contiguous, otherwise [k][line]. The pitch of a row is 80 bytes for [line][k], and 144 (16 bits) or
// 288 bytes (F32) for [k][line], so that loads of fragments have no bank conflicts. If matrix and pitch are aligned to
// 16 bytes, words inside the matrix are copied by cp.async, and the rest element by element.
//   S1: after it this stage's tiles are in shared memory, and no thread reads the other stage's tiles any more.
// Mirrored by host/gemm/gemm.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/tensor_gemm.h"

#include "kernels/gemm/gemm_operands.h"

namespace varlstm::cuda {

constexpr int kTile = 64, kWarpTile = 32, kTensorThreads = 128;
constexpr int kAcrossPitch = kTile + 8;  // pitch of [k][line], in elements

// Sizes in elements of T. `depth` values of k are loaded at a time, and `step` of them enter one product of a warp.
template <class T>
struct Depth {
  static constexpr int kWord = 16 / sizeof(T);
  static constexpr int kDepth = 4 * kWord, kStep = kDepth / 2;
  static constexpr int kAlongPitch = kDepth + kWord;
  static constexpr int kTileElements = kTile * kAlongPitch;  // of [line][k], which is the larger layout
  static constexpr size_t kSharedBytes = 4 * kTileElements * sizeof(T);
  static_assert(kDepth * kAcrossPitch <= kTileElements, "either layout fits");
};

// shared[outer][inner] <- matrix[outer0 + outer][inner0 + inner], with zeros outside outers x inners. `words`: matrix
// and ld are aligned to 16 bytes.
template <int Outer, int Inner, int Pitch, class T>
VARLSTM_DEVICE void load_part(const T* matrix, int64_t ld, bool words, int64_t outer0, int64_t outers, int64_t inner0,
                              int64_t inners, T* shared) {
  constexpr int kWord = Depth<T>::kWord, kWords = Inner / kWord;
  for (int at = static_cast<int>(threadIdx.x); at < Outer * kWords; at += kTensorThreads) {
    const int64_t outer = outer0 + at / kWords, inner = inner0 + at % kWords * kWord;
    T* const to = shared + at / kWords * Pitch + at % kWords * kWord;
    const T* const from = matrix + outer * ld + inner;
    if (words && outer < outers && inner + kWord <= inners) {
      simt::cp_async16(to, from);
    } else {
      for (int e = 0; e < kWord; ++e) to[e] = outer < outers && inner + e < inners ? from[e] : T{};
    }
  }
}

// Loads the lines from line0 on (rows of op(A) or columns of op(B)), with k from k0 on.
template <bool AlongK, class T>
VARLSTM_DEVICE void load_tile(const T* matrix, int64_t ld, int64_t line0, int64_t lines, int64_t k0, int64_t k,
                              T* shared) {
  constexpr int kDepth = Depth<T>::kDepth;
  const bool words = (reinterpret_cast<uintptr_t>(matrix) | static_cast<uint64_t>(ld) * sizeof(T)) % 16 == 0;
  if constexpr (AlongK) {
    load_part<kTile, kDepth, Depth<T>::kAlongPitch>(matrix, ld, words, line0, lines, k0, k, shared);
  } else {
    load_part<kDepth, kTile, kAcrossPitch>(matrix, ld, words, k0, k, line0, lines, shared);
  }
}

template <bool AlongK, class T>
VARLSTM_DEVICE const T* element(const T* tile, int line, int k) {
  return AlongK ? tile + line * Depth<T>::kAlongPitch + k : tile + k * kAcrossPitch + line;
}

// Loads the warp's operand of 16 lines from `line` on and one step of k from `k` on: one operand of A, or two of B of 8
// lines each.
template <bool AlongK, class T>
VARLSTM_DEVICE simt::b32x4 load_a(const T* tile, int line, int k) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (sizeof(T) == 2) {
    const int matrix = lane / 8, r = lane % 8;
    if constexpr (AlongK)
      return simt::load_matrix_x4(element<true>(tile, line + matrix % 2 * 8 + r, k + matrix / 2 * 8));
    else
      return simt::load_matrix_x4_transposed(element<false>(tile, line + matrix % 2 * 8, k + matrix / 2 * 8 + r));
  } else {
    simt::b32x4 a;
    for (int i = 0; i < 4; ++i)
      a.r[i] = simt::to_tf32(*element<AlongK>(tile, line + lane / 4 + i % 2 * 8, k + lane % 4 + i / 2 * 4));
    return a;
  }
}
template <bool AlongK, class T>
VARLSTM_DEVICE void load_b(const T* tile, int line, int k, simt::b32x2 (&b)[2]) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if constexpr (sizeof(T) == 2) {
    const int matrix = lane / 8, r = lane % 8;
    simt::b32x4 both;
    if constexpr (AlongK)
      both = simt::load_matrix_x4(element<true>(tile, line + matrix / 2 * 8 + r, k + matrix % 2 * 8));
    else
      both = simt::load_matrix_x4_transposed(element<false>(tile, line + matrix / 2 * 8, k + matrix % 2 * 8 + r));
    for (int i = 0; i < 4; ++i) b[i / 2].r[i % 2] = both.r[i];
  } else {
    for (int i = 0; i < 4; ++i)
      b[i / 2].r[i % 2] = simt::to_tf32(*element<AlongK>(tile, line + i / 2 * 8 + lane / 4, k + lane % 4 + i % 2 * 4));
  }
}

template <class T>
VARLSTM_DEVICE simt::f32x4 multiply(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c);
template <>
VARLSTM_DEVICE simt::f32x4 multiply<Bf16>(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
  return simt::mma_bf16_16816(a, b, c);
}
template <>
VARLSTM_DEVICE simt::f32x4 multiply<F16>(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
  return simt::mma_f16_16816(a, b, c);
}
template <>
VARLSTM_DEVICE simt::f32x4 multiply<float>(const simt::b32x4& a, const simt::b32x2& b, const simt::f32x4& c) {
  return simt::mma_tf32_1688(a, b, c);
}

// The warp's 32 x 32 sums, in parts of 16 rows x 8 columns.
struct WarpSums {
  simt::f32x4 at[kWarpTile / 16][kWarpTile / 8];
};

// sums += the product of a stage's tiles. The warp's part begins at `row` and `column`.
template <class T, bool AAlongK, bool BAlongK>
VARLSTM_DEVICE void multiply_tiles(const T* a_tile, const T* b_tile, int row, int column, WarpSums& sums) {
  for (int k = 0; k < Depth<T>::kDepth; k += Depth<T>::kStep) {
    simt::b32x2 b[kWarpTile / 16][2];
    for (int j = 0; j < kWarpTile / 16; ++j) load_b<BAlongK>(b_tile, column + 16 * j, k, b[j]);
    for (int i = 0; i < kWarpTile / 16; ++i) {
      const simt::b32x4 a = load_a<AAlongK>(a_tile, row + 16 * i, k);
      for (int j = 0; j < kWarpTile / 8; ++j) sums.at[i][j] = multiply<T>(a, b[j / 2][j % 2], sums.at[i][j]);
    }
  }
}

// The shared memory of one stage: a tile of A, then a tile of B. The two stages alternate.
template <class T>
VARLSTM_DEVICE T* stage_of(int64_t k0) {
  return simt::shared_memory<T>() + k0 / Depth<T>::kDepth % 2 * 2 * Depth<T>::kTileElements;
}

template <bool AAlongK, bool BAlongK, class T, class TC>
VARLSTM_DEVICE void load_stage(const GemmOperands<T, TC>& p, const TileExtent& extent, int64_t k0) {
  T* const stage = stage_of<T>(k0);
  load_tile<AAlongK>(p.a, p.lda, extent.row0, extent.m, k0, extent.k, stage);
  load_tile<BAlongK>(p.b, p.ldb, extent.column0, p.n, k0, extent.k, stage + Depth<T>::kTileElements);
  simt::cp_async_commit();
}

template <class T, class TC, bool AAlongK, bool BAlongK>
VARLSTM_KERNEL void __launch_bounds__(kTensorThreads) tensor_gemm_kernel(GemmOperands<T, TC> p) {
  constexpr int kDepth = Depth<T>::kDepth;
  const TileExtent extent = tile_extent(p, kTile, kTile);
  if (extent.row0 >= extent.m) return;  // the whole block
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int row = warp / 2 * kWarpTile, column = warp % 2 * kWarpTile;
  WarpSums sums = {};

  if (extent.k > 0) load_stage<AAlongK, BAlongK>(p, extent, 0);
#pragma unroll 1
  for (int64_t k0 = 0; k0 < extent.k; k0 += kDepth) {
    simt::cp_async_wait<0>();
    simt::block_sync();  // S1
    if (k0 + kDepth < extent.k) load_stage<AAlongK, BAlongK>(p, extent, k0 + kDepth);
    const T* const stage = stage_of<T>(k0);
    multiply_tiles<T, AAlongK, BAlongK>(stage, stage + Depth<T>::kTileElements, row, column, sums);
  }

  // Unrolled, so that the sums stay in registers.
#pragma unroll
  for (int i = 0; i < kWarpTile / 16; ++i) {
#pragma unroll
    for (int j = 0; j < kWarpTile / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t c_row = extent.row0 + row + 16 * i + lane / 4 + e / 2 * 8;
        const int64_t c_column = extent.column0 + column + 8 * j + lane % 4 * 2 + e % 2;
        if (c_row < extent.m && c_column < p.n) store_sum(p, c_row, c_column, sums.at[i][j].r[e]);
      }
    }
  }
}

namespace {

template <auto kKernel, class T, class TC>
int32_t run_kernel(Stream stream, const GemmArgs& args) {
  return launch_tiles<kKernel>(stream, "tensor_gemm", kTile, kTile, kTensorThreads, Depth<T>::kSharedBytes,
                               make_operands<T, TC>(args));
}

template <class T, class TC>
int32_t run(Stream stream, const GemmArgs& args) {
  using Run = int32_t (*)(Stream, const GemmArgs&);
  constexpr Run kRuns[2][2] = {{run_kernel<tensor_gemm_kernel<T, TC, false, false>, T, TC>,
                                run_kernel<tensor_gemm_kernel<T, TC, false, true>, T, TC>},
                               {run_kernel<tensor_gemm_kernel<T, TC, true, false>, T, TC>,
                                run_kernel<tensor_gemm_kernel<T, TC, true, true>, T, TC>}};
  return kRuns[!args.transpose_a][args.transpose_b](stream, args);
}

}  // namespace

int32_t tensor_gemm(Stream stream, const GemmArgs& args) {
  return with_product_types(args.dtype, args.dtype_c, [&](auto scalar, auto scalar_c) -> int32_t {
    using T = decltype(scalar);
    if constexpr (sizeof(T) == 8)
      return fail(VARLSTM_ERROR_INTERNAL, "tensor_gemm has no kernel for dtype %d", static_cast<int>(args.dtype));
    else
      return run<T, decltype(scalar_c)>(stream, args);
  });
}

}  // namespace varlstm::cuda
