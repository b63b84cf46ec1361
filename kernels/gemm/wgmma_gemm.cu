// C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias + bias2) (+ C) by wgmma, the products of a warpgroup of sm_90a: BF16
// and F16, and F32 rounded to TF32 (nearest, ties away). Not measured on a GPU.
//
// Sums are in f32. Each element of C is one chain over blocks of 16 (8 for TF32) of k from 0, whatever m, n, the tile
// and the alignment are, so its bits depend only on its row of op(A) and its column of op(B). That an instruction for
// more columns gives an element no other bits is how the hardware is understood; simt_conformance checks it. Incomplete
// blocks are filled with zeros. C is stored once, rounded to its own dtype: ((sum + bias) + bias2) + C. C must not
// overlap A or B.
// Bytes from L2: (m k (n / columns) + k n (m / rows)) e; 2 m n k operations, so 2 rows columns / ((rows + columns) e) a
// byte: in 16 bits 85 for 128 x 256, 64 for 128 x 128, 32 for 64 x 64. Grid: one block for each tile of C, and a
// warpgroup of it for each 64 rows of the tile, with columns / 2 sums in registers of each thread.
// Shared memory: a ring of stages (slots), each with a tile of A and a tile of B 128 bytes of k deep (wgmma_tiles.h).
// At step s every thread
//   waits for its own copies of stage s
//   P1: and fences them, so that wgmma, which reads by the async proxy, sees them after S1
//   S1: after it stage s is in its slot, and no warp reads stage s - 2 any more
//   starts the product of stage s
//   W1: waits for its own product of stage s - 1, which is what S1 of the next step relies on
//   copies a later stage into the slot of stage s - 2: the products of s run meanwhile.
//   S2: after it nobody reads or fills the ring any more, and it holds the sums on their way to C.
//   S3: after it all sums have left the ring, which the next product of a chain fills (GemmGroup).
// Mirrored by host/gemm/gemm.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/wgmma_gemm.h"

#include <type_traits>

#include "kernels/gemm/wgmma_tiles.h"

namespace varlstm::cuda {

template <class T>
constexpr simt::MatrixType kMatrixType = simt::MatrixType::kTf32;
template <>
constexpr simt::MatrixType kMatrixType<Bf16> = simt::MatrixType::kBf16;
template <>
constexpr simt::MatrixType kMatrixType<F16> = simt::MatrixType::kF16;

template <class Tile, class T, bool AAlongK, bool BAlongK>
struct Tiles {
  using A = CopiedTile<Tile::kRows, Tile::kThreads, AAlongK, T>;
  using B = CopiedTile<Tile::kColumns, Tile::kThreads, BAlongK, T>;
  // With three stages two blocks of 128 x 128 fit into a multiprocessor, and one multiplies while the other stores.
  static constexpr int kStages = Tile::kColumns == 128 ? 3 : 4;
};
template <class Tile, bool AAlongK, bool BAlongK>
struct Tiles<Tile, float, AAlongK, BAlongK> {
  using A = RoundedTile<Tile::kRows, Tile::kThreads, AAlongK>;
  using B = RoundedTile<Tile::kColumns, Tile::kThreads, BAlongK>;
  static constexpr int kStages = 3;
};

template <class Tile, class T>
constexpr size_t kWgmmaSharedBytes = size_t{Tiles<Tile, T, true, true>::kStages} *
                                     (Tile::kRows + Tile::kColumns) * kStageDepthBytes;

// The steps of k of a stage, 32 bytes of k each, of the warpgroup's 64 rows. A and B begin at multiples of 1024 bytes.
template <class Tile, class Both, class T>
VARLSTM_DEVICE void start_products(const unsigned char* a, const unsigned char* b, float (&sums)[Tile::kColumns / 2]) {
  constexpr int kSteps = 4;
  constexpr bool kTransposeA = Both::A::kTransposed, kTransposeB = Both::B::kTransposed;
  constexpr unsigned kPart = 8 * kGroupBytes;  // 64 lines of a transposed tile
  constexpr auto kSwizzle = simt::MatrixSwizzle::k128;
  const uint64_t of_a = simt::matrix_descriptor(a, kPart, kGroupBytes, kSwizzle);
  const uint64_t of_b = simt::matrix_descriptor(b, kPart, kGroupBytes, kSwizzle);
#pragma unroll
  for (unsigned step = 0; step < kSteps; ++step)
    simt::wgmma<kMatrixType<T>, kTransposeA, kTransposeB>(
        sums, simt::advance_descriptor(of_a, step * (kTransposeA ? 2 * kGroupBytes : 32)),
        simt::advance_descriptor(of_b, step * (kTransposeB ? 2 * kGroupBytes : 32)), true);
}

// Four neighbouring elements of C from their sums, of which `counted` are inside.
template <class TC, class T>
VARLSTM_DEVICE void store_four(const GemmOperands<T, void>& p, int64_t row, int64_t column, int counted,
                               const float (&sums)[4], const float (&bias)[4], const float (&bias2)[4]) {
  struct alignas(4 * sizeof(TC)) Four {
    TC of[4];
  };
  TC* const target = static_cast<TC*>(p.c) + row * p.ldc + column;
  const bool at_once = counted == 4 && reinterpret_cast<uintptr_t>(target) % sizeof(Four) == 0;
  Four value = {};
  if (p.accumulate) {
    if (at_once)
      value = *reinterpret_cast<const Four*>(target);
    else
      for (int e = 0; e < 4; ++e)
        if (e < counted) value.of[e] = target[e];
  }
  for (int e = 0; e < 4; ++e) {
    float sum = sums[e] + 0.0f;  // a padded tile turns a sum of -0 into 0, so every tile does
    if (p.bias != nullptr) sum += bias[e];
    if (p.bias2 != nullptr) sum += bias2[e];
    if (p.accumulate) sum += load_scalar(value.of[e]);
    value.of[e] = store_scalar<TC>(sum);
  }
  if (at_once)
    *reinterpret_cast<Four*>(target) = value;
  else
    for (int e = 0; e < 4; ++e)
      if (e < counted) target[e] = value.of[e];
}

// Stores the sums of a warp, its 16 rows of the tile. They go through shared memory, from which each lane takes four
// neighbours at a time, so that a warp stores whole rows.
template <class Tile, class T>
VARLSTM_DEVICE void store_sums(const GemmOperands<T, void>& p, bool narrow, const TileExtent& extent,
                               const float (&sums)[Tile::kColumns / 2]) {
  constexpr int kRows = 16, kPitch = Tile::kColumns + 8;  // 8 rows of pairs fall on all banks
  static_assert(Tile::kRows * kPitch * sizeof(float) <= kWgmmaSharedBytes<Tile, T>, "the sums fit in the ring");
  constexpr int kLanesOfRow = Tile::kColumns / 4 < 32 ? Tile::kColumns / 4 : 32;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  float* const mine = simt::shared_memory<float>() + warp * kRows * kPitch;
#pragma unroll
  for (int i = 0; i < Tile::kColumns / 2; ++i)
    mine[(lane / 4 + i / 2 % 2 * 8) * kPitch + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
  simt::warp_sync();
  const int rows = clamped(extent.m - extent.row0 - warp * kRows, kRows);
#pragma unroll 1
  for (int across = lane % kLanesOfRow * 4; across < Tile::kColumns; across += kLanesOfRow * 4) {
    const int64_t column = extent.column0 + across;
    const int counted = clamped(p.n - column, 4);
    float bias[4] = {}, bias2[4] = {};
    for (int e = 0; e < counted; ++e) {
      if (p.bias != nullptr) bias[e] = load_scalar(p.bias[column + e]);
      if (p.bias2 != nullptr) bias2[e] = load_scalar(p.bias2[column + e]);
    }
#pragma unroll 1
    for (int row = lane / kLanesOfRow; row < rows; row += 32 / kLanesOfRow) {
      float four[4];
      for (int e = 0; e < 4; ++e) four[e] = mine[row * kPitch + across + e];
      const int64_t c_row = extent.row0 + warp * kRows + row;
      if (narrow)
        store_four<T>(p, c_row, column, counted, four, bias, bias2);
      else
        store_four<float>(p, c_row, column, counted, four, bias, bias2);
    }
  }
}

#if VARLSTM_HAS_WGMMA
template <class Tile, bool AAlongK, bool BAlongK, class T>
VARLSTM_DEVICE void multiply_tile(const GemmOperands<T, void>& p, bool narrow, int64_t tile) {
  using Both = Tiles<Tile, T, AAlongK, BAlongK>;
  constexpr int kStages = Both::kStages, kDepth = kStageDepthBytes / static_cast<int>(sizeof(T));
  constexpr int kStageBytes = Both::A::kBytes + Both::B::kBytes;
  constexpr bool kCopied = sizeof(T) == 2;
  const TileExtent extent = tile_extent(p, Tile::kRows, Tile::kColumns, tile);
  if (extent.row0 >= extent.m) return;  // the whole block
  unsigned char* const shared = simt::shared_memory<unsigned char>();
  const auto slot = [&](int stage) { return shared + stage % kStages * kStageBytes; };
  typename Both::A a(tile_source<AAlongK>(p.a, p.lda, extent.row0, extent.m, extent.k));
  typename Both::B b(tile_source<BAlongK>(p.b, p.ldb, extent.column0, p.n, extent.k));
  const int stages = static_cast<int>((extent.k + kDepth - 1) / kDepth);
  const int warpgroup = static_cast<int>(threadIdx.x) / 128;
  // Brings a stage, or, if it is in registers, puts it into its slot and fetches the next one.
  const auto bring = [&](int stage) {
    if constexpr (kCopied) {
      if (stage < stages) {
        a.copy_next(slot(stage));
        b.copy_next(slot(stage) + Both::A::kBytes);
      }
      simt::cp_async_commit();  // a group for each stage, even an empty one, so that the groups can be counted
    } else {
      if (stage >= stages) return;
      a.store(slot(stage));
      b.store(slot(stage) + Both::A::kBytes);
      a.fetch_next();
      b.fetch_next();
    }
  };

  float sums[Tile::kColumns / 2] = {};
  if constexpr (!kCopied) {
    a.fetch_next();
    b.fetch_next();
  }
  constexpr int kAhead = kStages - 2;  // stages that are brought before they are needed
#pragma unroll 1
  for (int stage = 0; stage < kAhead; ++stage) bring(stage);
  if (stages > 0) {
    int stage = 0;
#pragma unroll 1
    do {
      if constexpr (kCopied) simt::cp_async_wait<kAhead - 1>();
      simt::async_proxy_fence();  // P1
      simt::block_sync();         // S1
      simt::wgmma_fence();
      start_products<Tile, Both, T>(slot(stage) + warpgroup * (Both::A::kBytes / Tile::kWarpgroups),
                                    slot(stage) + Both::A::kBytes, sums);
      simt::wgmma_commit();
      simt::wgmma_wait<1>();  // W1
      bring(stage + kAhead);
    } while (++stage < stages);
    simt::wgmma_wait<0>(sums);
  }
  if constexpr (kCopied) simt::cp_async_wait<0>();
  simt::block_sync();  // S2
  store_sums<Tile>(p, narrow, extent, sums);
  if constexpr (kCopied) simt::block_sync();  // S3
}
#endif

// In 16 bits a launch has a group of products; the sums of the largest tile and the fetched words of TF32 leave no
// registers for it.
template <class T>
using KernelProducts = std::conditional_t<sizeof(T) == 2, GemmGroup<T, void>, GemmOperands<T, void>>;

// narrow: C has the dtype of A and B, otherwise it is F32.
template <class Tile, class T, bool AAlongK, bool BAlongK>
VARLSTM_KERNEL void __launch_bounds__(Tile::kThreads) wgmma_gemm_kernel(KernelProducts<T> products, bool narrow) {
#if VARLSTM_HAS_WGMMA
  run_products(products, Tile::kRows, Tile::kColumns, [&](const GemmOperands<T, void>& p, int64_t tile) {
    multiply_tile<Tile, AAlongK, BAlongK>(p, narrow, tile);
  });
#else
  (void)products, (void)narrow;
#endif
}

namespace {

template <class T>
struct Products {
  KernelProducts<T> of;
  bool transpose_a, transpose_b, narrow;
};

template <class Tile, class T, bool AAlongK, bool BAlongK>
int32_t run_kernel(Stream stream, const Products<T>& products) {
  return launch_tiles<wgmma_gemm_kernel<Tile, T, AAlongK, BAlongK>>(stream, "wgmma_gemm", Tile::kRows, Tile::kColumns,
                                                                    Tile::kThreads, kWgmmaSharedBytes<Tile, T>,
                                                                    products.of, products.narrow);
}

template <class Tile, class T, bool AAlongK>
int32_t run_tile(Stream stream, const Products<T>& products) {
  return products.transpose_b ? run_kernel<Tile, T, AAlongK, true>(stream, products)
                              : run_kernel<Tile, T, AAlongK, false>(stream, products);
}

// Gradients of weights, whose A is transposed, have one tile: as a rule cuBLAS computes them.
template <class T>
int32_t run(Stream stream, const Products<T>& products, TensorTile tile) {
  if (products.transpose_a) return run_tile<WgmmaTile<2, 128>, T, false>(stream, products);
  if (tile == TensorTile::k64x64) return run_tile<WgmmaTile<1, 64>, T, true>(stream, products);
  if (tile == TensorTile::k128x128) return run_tile<WgmmaTile<2, 128>, T, true>(stream, products);
  return run_tile<WgmmaTile<2, 256>, T, true>(stream, products);
}

template <class T>
int32_t run_all(Stream stream, const GemmArgs* products, int count, GemmOrder order, TensorTile tile) {
  const bool a = products[0].transpose_a, b = products[0].transpose_b, narrow = products[0].dtype_c != DType::kF32;
  if constexpr (sizeof(T) == 2) {
    return run<T>(stream, {make_group<T, void>(products, count, order), a, b, narrow}, tile);
  } else {
    (void)order;
    for (int k = 0; k < count; ++k)
      VARLSTM_CUDA_TRY(run<T>(stream, {make_operands<T, void>(products[k]), a, b, narrow}, tile));
    return VARLSTM_OK;
  }
}

}  // namespace

int32_t wgmma_gemm(Stream stream, const GemmArgs* products, int count, GemmOrder order, TensorTile tile) {
  return with_scalar(products[0].dtype, [&](auto scalar) -> int32_t {
    using T = decltype(scalar);
    if constexpr (sizeof(T) == 8)
      return fail(VARLSTM_ERROR_INTERNAL, "wgmma_gemm has no kernel for dtype %d", static_cast<int>(products[0].dtype));
    else
      return run_all<T>(stream, products, count, order, tile);
  });
}

}  // namespace varlstm::cuda
