// C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias + bias2) (+ C) on tensor cores: BF16 and F16 by mma.m16n8k16, F32
// rounded to TF32 (nearest, ties away) by mma.m16n8k8. Not measured on a GPU.
//
// Sums are in f32. Each element of C is one chain over blocks of 16 (8 for TF32) of k from 0, whatever m, n and the
// alignment are, so its bits depend only on its row of op(A) and its column of op(B). Incomplete blocks are filled with
// zeros. C is stored once, rounded to its own dtype: ((sum + bias) + bias2) + C. C must not overlap A or B.
// Bytes from L2: (m k (n / size) + k n (m / size)) e; 2 m n k operations, so 32 a byte in 16 bits for tiles of 64 x 64,
// and 64 for tiles of 128 x 128. Grid: one block for each tile: of 4 warps that own 32 x 32 each, or of 8 warps that
// own 64 x 32, with 32 or 64 sums in registers of each thread.
// Shared memory: a ring of stages, 2 or 3. Each has a tile of A and a tile of B, 64 bytes of k deep, in the order of
// the matrix: [line][k] if k is contiguous, otherwise [k][line]. The pitch of a row is 80 bytes for [line][k], and size
// + 8 elements for [k][line], so that loads of fragments have no bank conflicts. If matrix and pitch are aligned to 16
// bytes, words inside the matrix are copied by cp.async, and the rest element by element.
//   S1: after it this stage's tiles are in shared memory, and no thread reads the tiles of the stage before any more,
//       in whose place the next tiles are brought.
//   S2: after it no thread reads any tile any more.
// A launch may have several products (GemmGroup). If the sums of A are wanted, the blocks of the first columns add up
// the tiles of A as they pass (LineSums). Mirrored by host/gemm/gemm.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/tensor_gemm.h"

#include "kernels/gemm/gemm_operands.h"
#include "kernels/gemm/tensor_fragments.h"

namespace varlstm::cuda {

// A tile of Size x Size, of which each warp owns WarpRows x WarpColumns.
template <int Size, int WarpRows, int WarpColumns, int Stages>
struct MmaTile {
  static constexpr int kSize = Size, kWarpRows = WarpRows, kWarpColumns = WarpColumns, kStages = Stages;
  static constexpr int kWarpsAcross = Size / WarpColumns, kThreads = Size / WarpRows * kWarpsAcross * 32;
  static constexpr int kAcrossPitch = Size + 8;  // pitch of [k][line], in elements
};
using SmallMmaTile = MmaTile<64, 32, 32, 2>;
using LargeMmaTile = MmaTile<128, 64, 32, 3>;

template <class Tile, class T, bool AlongK>
constexpr int kPitch = AlongK ? Fragments<T>::kAlongPitch : Tile::kAcrossPitch;
template <class Tile, class T>
constexpr int kTileElements = Tile::kSize* Fragments<T>::kAlongPitch;  // of [line][k], which is the larger layout
template <class Tile, class T>
constexpr size_t kMmaSharedBytes = size_t{2} * Tile::kStages* kTileElements<Tile, T> * sizeof(T);

// shared[outer][inner] <- row outer0 + outer of a matrix from inner0 + inner on, with zeros outside outers x inners.
// row_of(row): where that row begins, or null for zeros. `words`: all rows begin at a multiple of 16 bytes.
template <int Threads, int Outer, int Inner, int Pitch, class T, class RowOf>
VARLSTM_DEVICE void load_part(const RowOf& row_of, bool words, int64_t outer0, int64_t outers, int64_t inner0,
                              int64_t inners, T* shared) {
  constexpr int kWord = Fragments<T>::kWord, kWords = Inner / kWord;
  for (int at = static_cast<int>(threadIdx.x); at < Outer * kWords; at += Threads) {
    const int64_t outer = outer0 + at / kWords, inner = inner0 + at % kWords * kWord;
    T* const to = shared + at / kWords * Pitch + at % kWords * kWord;
    const T* const row = outer < outers ? row_of(outer) : nullptr;
    if (words && row != nullptr && inner + kWord <= inners) {
      simt::cp_async16(to, row + inner);
    } else {
      for (int e = 0; e < kWord; ++e) to[e] = row != nullptr && inner + e < inners ? row[inner + e] : T{};
    }
  }
}

// Whether all rows of a matrix begin at a multiple of 16 bytes.
template <class T>
VARLSTM_DEVICE bool has_words(const T* matrix, int64_t ld) {
  return (reinterpret_cast<uintptr_t>(matrix) | static_cast<uint64_t>(ld) * sizeof(T)) % 16 == 0;
}

// Loads the lines from line0 on (rows of op(A) or columns of op(B)), with k from k0 on.
template <class Tile, bool AlongK, class T, class RowOf>
VARLSTM_DEVICE void load_tile(const RowOf& row_of, bool words, int64_t line0, int64_t lines, int64_t k0, int64_t k,
                              T* shared) {
  constexpr int kDepth = Fragments<T>::kDepth;
  if constexpr (AlongK) {
    load_part<Tile::kThreads, Tile::kSize, kDepth, Fragments<T>::kAlongPitch>(row_of, words, line0, lines, k0, k,
                                                                              shared);
  } else {
    static_assert(kDepth * Tile::kAcrossPitch <= kTileElements<Tile, T>, "either layout fits");
    load_part<Tile::kThreads, kDepth, Tile::kSize, Tile::kAcrossPitch>(row_of, words, k0, k, line0, lines, shared);
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

// The warp's sums, in parts of 16 rows x 8 columns.
template <class Tile>
struct WarpSums {
  simt::f32x4 at[Tile::kWarpRows / 16][Tile::kWarpColumns / 8];
};

// sums += the product of a stage's tiles. The warp's part begins at `row` and `column`.
template <class Tile, class T, bool AAlongK, bool BAlongK>
VARLSTM_DEVICE void multiply_tiles(const T* a_tile, const T* b_tile, int row, int column, WarpSums<Tile>& sums) {
  for (int k = 0; k < Fragments<T>::kDepth; k += Fragments<T>::kStep) {
    simt::b32x2 b[Tile::kWarpColumns / 16][2];
    for (int j = 0; j < Tile::kWarpColumns / 16; ++j)
      load_b<BAlongK, kPitch<Tile, T, BAlongK>>(b_tile, column + 16 * j, k, b[j]);
    for (int i = 0; i < Tile::kWarpRows / 16; ++i) {
      const simt::b32x4 a = load_a<AAlongK, kPitch<Tile, T, AAlongK>>(a_tile, row + 16 * i, k);
      for (int j = 0; j < Tile::kWarpColumns / 8; ++j) sums.at[i][j] = multiply<T>(a, b[j / 2][j % 2], sums.at[i][j]);
    }
  }
}

// The shared memory of one stage: a tile of A, then a tile of B.
template <class Tile, class T>
VARLSTM_DEVICE T* stage_of(int64_t k0) {
  return simt::shared_memory<T>() + k0 / Fragments<T>::kDepth % Tile::kStages * 2 * kTileElements<Tile, T>;
}

// Begins to load a stage if there is one. Each call makes a group of copies, even an empty one, so that they can be
// counted.
template <class Tile, bool AAlongK, bool BAlongK, class T, class TC>
VARLSTM_DEVICE void load_stage(const GemmOperands<T, TC>& p, const TileExtent& extent, int64_t k0) {
  if (k0 < extent.k) {
    T* const stage = stage_of<Tile, T>(k0);
    const bool b_words = has_words(p.b, p.ldb) && (p.b_rows == nullptr || has_words(p.b_initial, p.n));
    const auto row_of_a = [&](int64_t row) { return p.a + row * p.lda; };
    const auto b_row = [&](int64_t row) { return BAlongK ? p.b + row * p.ldb : row_of_b(p, row); };
    load_tile<Tile, AAlongK>(row_of_a, has_words(p.a, p.lda), extent.row0, extent.m, k0, extent.k, stage);
    load_tile<Tile, BAlongK>(b_row, b_words, extent.column0, p.n, k0, extent.k, stage + kTileElements<Tile, T>);
  }
  simt::cp_async_commit();
}

template <class Tile, bool AAlongK, bool BAlongK, class T, class TC>
VARLSTM_DEVICE void multiply_tile(const GemmOperands<T, TC>& p, int64_t tile) {
  constexpr int kDepth = Fragments<T>::kDepth, kAhead = Tile::kStages - 1;
  const TileExtent extent = tile_extent(p, Tile::kSize, Tile::kSize, tile);
  if (extent.row0 >= extent.m) return;  // the whole block
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int row = warp / Tile::kWarpsAcross * Tile::kWarpRows, column = warp % Tile::kWarpsAcross * Tile::kWarpColumns;
  WarpSums<Tile> sums = {};
  // Only products with a transposed A have sums of A.
  LineSums<Tile::kSize, Tile::kThreads> of_a;
  const bool sums_a = !AAlongK && p.sums != nullptr && extent.column0 == 0;

#pragma unroll 1
  for (int stage = 0; stage < kAhead; ++stage) load_stage<Tile, AAlongK, BAlongK>(p, extent, stage * kDepth);
#pragma unroll 1
  for (int64_t k0 = 0; k0 < extent.k; k0 += kDepth) {
    simt::cp_async_wait<kAhead - 1>();
    simt::block_sync();  // S1
    load_stage<Tile, AAlongK, BAlongK>(p, extent, k0 + kAhead * kDepth);
    const T* const stage = stage_of<Tile, T>(k0);
    multiply_tiles<Tile, T, AAlongK, BAlongK>(stage, stage + kTileElements<Tile, T>, row, column, sums);
    if (sums_a)
      of_a.template add<kDepth>(
          [&](int line, int kk) { return load_scalar(*element<AAlongK, kPitch<Tile, T, AAlongK>>(stage, line, kk)); });
  }
  simt::cp_async_wait<0>();
  simt::block_sync();  // S2
  if (sums_a) of_a.store(p, extent.row0, simt::shared_memory<double>());

    // Unrolled, so that the sums stay in registers.
#pragma unroll
  for (int i = 0; i < Tile::kWarpRows / 16; ++i) {
#pragma unroll
    for (int j = 0; j < Tile::kWarpColumns / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int64_t c_row = extent.row0 + row + 16 * i + lane / 4 + e / 2 * 8;
        const int64_t c_column = extent.column0 + column + 8 * j + lane % 4 * 2 + e % 2;
        if (c_row < extent.m && c_column < p.n) store_sum(p, c_row, c_column, sums.at[i][j].r[e]);
      }
    }
  }
}

template <class Tile, class T, class TC, bool AAlongK, bool BAlongK>
VARLSTM_KERNEL void __launch_bounds__(Tile::kThreads) tensor_gemm_kernel(GemmGroup<T, TC> group) {
  run_products(group, Tile::kSize, Tile::kSize, static_cast<int64_t>(blockIdx.x),
               [&](const GemmOperands<T, TC>& p, int64_t tile) { multiply_tile<Tile, AAlongK, BAlongK>(p, tile); });
}

namespace {

template <class Tile, class T, class TC, bool AAlongK, bool BAlongK>
int32_t run_kernel(Stream stream, const GemmGroup<T, TC>& group) {
  static_assert(kMmaSharedBytes<Tile, T> >= sizeof(double) * Tile::kSize * kSumLanes, "the sums of A fit in the ring");
  return launch_tiles<tensor_gemm_kernel<Tile, T, TC, AAlongK, BAlongK>>(
      stream, "tensor_gemm", Tile::kSize, Tile::kSize, Tile::kThreads, kMmaSharedBytes<Tile, T>, group);
}

template <class Tile, class T, class TC, bool AAlongK>
int32_t run_tile(Stream stream, const GemmGroup<T, TC>& group) {
  return group.of[0].transpose_b ? run_kernel<Tile, T, TC, AAlongK, true>(stream, group)
                                 : run_kernel<Tile, T, TC, AAlongK, false>(stream, group);
}

// Gradients of weights, whose A is transposed, have one tile: as a rule cuBLAS computes them.
template <class T, class TC>
int32_t run(Stream stream, const GemmGroup<T, TC>& group, TensorTile tile) {
  if (group.of[0].transpose_a) return run_tile<SmallMmaTile, T, TC, false>(stream, group);
  return tile == TensorTile::k64x64 ? run_tile<SmallMmaTile, T, TC, true>(stream, group)
                                    : run_tile<LargeMmaTile, T, TC, true>(stream, group);
}

}  // namespace

int32_t tensor_gemm(Stream stream, const GemmArgs* products, int count, GemmOrder order, TensorTile tile) {
  const GemmArgs& first = products[0];
  return with_product_types(first.dtype, first.dtype_c, [&](auto scalar, auto scalar_c) -> int32_t {
    using T = decltype(scalar);
    if constexpr (sizeof(T) == 8)
      return fail(VARLSTM_ERROR_INTERNAL, "tensor_gemm has no kernel for dtype %d", static_cast<int>(first.dtype));
    else
      return run(stream, make_group<T, decltype(scalar_c)>(products, count, order), tile);
  });
}

}  // namespace varlstm::cuda
