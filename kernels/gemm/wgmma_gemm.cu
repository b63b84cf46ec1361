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

#include "kernels/gemm/wgmma_pair.h"
#include "kernels/gemm/wgmma_products.h"
#include "kernels/gemm/wgmma_tiles.h"

namespace varlstm::cuda {

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
      start_products<T, Both::A::kTransposed, Both::B::kTransposed>(
          slot(stage) + warpgroup * (Both::A::kBytes / Tile::kWarpgroups), slot(stage) + Both::A::kBytes, sums);
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
  run_products(
      products, Tile::kRows, Tile::kColumns, static_cast<int64_t>(blockIdx.x),
      [&](const GemmOperands<T, void>& p, int64_t tile) { multiply_tile<Tile, AAlongK, BAlongK>(p, narrow, tile); });
#else
  (void)products, (void)narrow;
  __trap();  // runs_wgmma() is false where there is no code for sm_90a
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
  if (tile == TensorTile::k256x256) return wgmma_pair(stream, products, count, order);
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
