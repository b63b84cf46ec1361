// C [m, n] = A [m, k] * op(B) [k, n] (+ bias + bias2) (+ C) of BF16 or F16, with the bits of wgmma_gemm.cu. Not
// measured on a GPU.
//
// Two blocks of a cluster compute a tile of 256 x 256, 128 rows each. Each block needs all 256 columns of op(B), and
// copies half of them from L2 to both. Bytes from L2: m k (n / 256) e + k n (m / 256) e, so 128 operations a byte (85
// for a block by itself with 128 x 256). Grid: 2 blocks for each tile of C. A block has 2 warpgroups that multiply,
// with 128 sums in registers of each thread, and a warp of which one lane, the filler, copies. A stage is 64 values of
// k: 128 rows of A, and 256 columns of op(B) in halves, each as a tensor copy leaves it, which is how wgmma reads it
// (wgmma_tiles.h). Stage n comes into slot n % kSlots.
//   full[slot]   counts the bytes of the stage that comes next: A and one half from this block's filler, the other half
//                from the peer's.
//   empty[slot]  counts the warps of both blocks that have read what was there.
//   P1: the filler copies into a slot of both blocks only after every warp of both has released it: no copy overwrites
//       what a product still reads.
//   P2: the peer's half may come before this block's filler has announced the stage. The phase does not end without the
//       announcement, and the phase before it has ended, because this block's warps have waited for it before P1.
//   P3: copies and wgmma are in the same proxy, so there is no fence between them. The host makes the tensor maps.
//   R1: in TF32 the warpgroups round the stage in its place, each thread some of its words. They fence them, and
//       wgmma sees them after this barrier. The products of the stage before run meanwhile.
//   P4: the sums, which are stored by the generic proxy, are behind a fence before the next copies overwrite them.
//   S1: after it no warp of the block reads the ring any more, and it holds the sums on their way to C. The stages of
//       the next product of a chain are not copied before S2.
//   S2: a barrier of the cluster: after it the ring of either block is free. No block ends while the peer may still
//       arrive at its mbarriers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/wgmma_pair.h"

#include <string.h>

#include "kernels/core/tensor_map.h"
#include "kernels/gemm/wgmma_products.h"
#include "kernels/selection/gemm_selection.h"

namespace varlstm::cuda {

constexpr int kPairBlocks = 2;

// What a block computes of the tile.
using PairTile = WgmmaTile<2, 256>;
constexpr int kPairThreads = PairTile::kThreads + 32;
constexpr int kPairRows = kPairBlocks * PairTile::kRows, kHalf = PairTile::kColumns / kPairBlocks;
template <class T>
constexpr int kPairDepth = kStageDepthBytes / static_cast<int>(sizeof(T));  // values of k of a stage

struct PairRing {
  static constexpr uint32_t kSlots = 4;
  static constexpr int kABytes = PairTile::kRows * kStageDepthBytes, kHalfBytes = kHalf * kStageDepthBytes;
  static constexpr int kBytes = kABytes + kPairBlocks * kHalfBytes;
  static constexpr unsigned kReaders = kPairBlocks * PairTile::kThreads / 32;

  alignas(1024) unsigned char stage[kSlots][kBytes];
  uint64_t full[kSlots], empty[kSlots];
};
static_assert(kSumsBytes<PairTile> <= sizeof(PairRing::stage), "the sums fit in the ring");

// The operands of a group as tensor copies see them.
struct PairMaps {
  CUtensorMap a[kMostProducts], b[kMostProducts];
};

#if VARLSTM_HAS_WGMMA
// The boxes of op(B): where its lines are contiguous a row of shared memory has 64 of them, for one value of k each.
template <class T, bool BAlongK>
VARLSTM_DEVICE void copy_half(unsigned char* to, const CUtensorMap* map, int k0, int line0, uint64_t* full) {
  constexpr uint16_t kBoth = (1 << kPairBlocks) - 1;
  if constexpr (BAlongK) {
    simt::tensor_load_multicast(to, map, k0, line0, full, kBoth);
  } else {
    constexpr int kLines = 64, kPartBytes = kPairDepth<T> * kStageDepthBytes;
#pragma unroll
    for (int part = 0; part < kHalf / kLines; ++part)
      simt::tensor_load_multicast(to + part * kPartBytes, map, line0 + part * kLines, k0, full, kBoth);
  }
}

// The filler's way through the stages of a product. n: the first stage's number; returns the next one's.
template <class T, bool BAlongK>
VARLSTM_DEVICE uint32_t fill_stages(PairRing& ring, const CUtensorMap* a, const CUtensorMap* b, int row0, int column0,
                                    int stages, uint32_t n) {
  const int rank = static_cast<int>(simt::cluster_rank());
#pragma unroll 1
  for (int stage = 0; stage < stages; ++stage, ++n) {
    const uint32_t slot = n % PairRing::kSlots, turn = n / PairRing::kSlots;
    if (turn > 0) simt::mbarrier_wait_bytes(&ring.empty[slot], (turn - 1) % 2, "a stage to be released");  // P1
    unsigned char* const to = ring.stage[slot];
    simt::mbarrier_announce(&ring.full[slot], PairRing::kBytes);  // P2
    simt::tensor_load(to, a, stage * kPairDepth<T>, row0, &ring.full[slot]);
    copy_half<T, BAlongK>(to + PairRing::kABytes + rank * PairRing::kHalfBytes, b, stage * kPairDepth<T>,
                          column0 + rank * kHalf, &ring.full[slot]);
  }
  return n;
}

// This warp has read the stage.
VARLSTM_DEVICE void release_stage(PairRing& ring, uint32_t n) {
  const uint32_t lane = threadIdx.x % 32;
  if (lane < kPairBlocks) simt::mbarrier_arrive_reader(simt::cluster_map(&ring.empty[n % PairRing::kSlots], lane));
}

VARLSTM_DEVICE void round_stage(unsigned char* stage) {
  struct alignas(16) Word {
    float of[4];
  };
  Word* const words = reinterpret_cast<Word*>(stage);
  constexpr int kWords = PairRing::kBytes / static_cast<int>(sizeof(Word));
  static_assert(kWords % PairTile::kThreads == 0, "every thread has as many words");
#pragma unroll 4
  for (int i = 0; i < kWords; i += PairTile::kThreads) {
    Word word = words[i + static_cast<int>(threadIdx.x)];
#pragma unroll
    for (float& value : word.of) {
      const uint32_t rounded = simt::to_tf32(value);
      memcpy(&value, &rounded, sizeof rounded);
    }
    words[i + static_cast<int>(threadIdx.x)] = word;
  }
  simt::async_proxy_fence();
  simt::named_barrier_sync(1, PairTile::kThreads);  // R1
}

// A warpgroup's way through the same stages.
template <class T, bool BAlongK>
VARLSTM_DEVICE uint32_t multiply_stages(PairRing& ring, int stages, uint32_t n, float (&sums)[PairTile::kColumns / 2]) {
  const int warpgroup = static_cast<int>(threadIdx.x) / 128;
  if (stages == 0) return n;
  const uint32_t end = n + static_cast<uint32_t>(stages), first = n;
#pragma unroll 1
  do {
    const uint32_t slot = n % PairRing::kSlots;
    simt::mbarrier_wait_bytes(&ring.full[slot], n / PairRing::kSlots % 2, "a stage");
    unsigned char* const stage = ring.stage[slot];
    if constexpr (sizeof(T) == 4) round_stage(stage);
    simt::wgmma_fence();
    start_products<T, false, !BAlongK>(stage + warpgroup * (PairRing::kABytes / PairTile::kWarpgroups),
                                       stage + PairRing::kABytes, sums);
    simt::wgmma_commit();
    simt::wgmma_wait<1>();  // of the stage before
    if (n != first) release_stage(ring, n - 1);
  } while (++n != end);
  simt::wgmma_wait<0>(sums);
  release_stage(ring, n - 1);
  return n;
}
#endif

// narrow: C has the dtype of A and B, otherwise it is F32.
template <class T, bool BAlongK>
VARLSTM_KERNEL void __launch_bounds__(kPairThreads)
    wgmma_pair_kernel(GemmGroup<T, void> products, const __grid_constant__ PairMaps maps, bool narrow) {
#if VARLSTM_HAS_WGMMA
  PairRing& ring = *simt::shared_memory<PairRing>();
  if (threadIdx.x == 0) {
    for (uint32_t slot = 0; slot < PairRing::kSlots; ++slot) {
      simt::mbarrier_init(&ring.full[slot], 1);
      simt::mbarrier_init(&ring.empty[slot], PairRing::kReaders);
    }
  }
  simt::cluster_sync();
  const bool fills = threadIdx.x >= PairTile::kThreads;
  uint32_t next = 0;  // stage
  const int64_t tile_of_pair = static_cast<int64_t>(blockIdx.x) / kPairBlocks;
  run_products(
      products, kPairRows, PairTile::kColumns, tile_of_pair, [&](const GemmOperands<T, void>& p, int64_t tile) {
        const int64_t product = &p - products.of;
        TileExtent extent = tile_extent(p, kPairRows, PairTile::kColumns, tile);
        extent.row0 += static_cast<int64_t>(simt::cluster_rank()) * PairTile::kRows;
        const int stages = static_cast<int>((extent.k + kPairDepth<T> - 1) / kPairDepth<T>);
        float sums[PairTile::kColumns / 2] = {};
        if (!fills)
          next = multiply_stages<T, BAlongK>(ring, stages, next, sums);
        else if (threadIdx.x == PairTile::kThreads)
          next = fill_stages<T, BAlongK>(ring, &maps.a[product], &maps.b[product], static_cast<int>(extent.row0),
                                         static_cast<int>(extent.column0), stages, next);
        simt::warp_sync();
        simt::block_sync();  // S1
        if (!fills) store_sums<PairTile>(p, narrow, extent, sums);
        simt::async_proxy_fence();  // P4
        simt::cluster_sync();       // S2
      });
#else
  (void)products, (void)maps, (void)narrow;
  __trap();  // runs_wgmma() is false where there is no code for sm_90a
#endif
}

namespace {

bool can_be_mapped(const void* matrix, int64_t pitch_bytes) {
  return (reinterpret_cast<uintptr_t>(matrix) | static_cast<uint64_t>(pitch_bytes)) % 16 == 0;
}

template <class T, bool BAlongK>
int32_t run_pairs(Stream stream, const GemmArgs* products, int count, GemmOrder order) {
  PairMaps maps = {};
  for (int i = 0; i < count; ++i) {
    const GemmArgs& p = products[i];
    if (p.k == 0) continue;
    constexpr int kDepth = kPairDepth<T>, kSize = sizeof(T);
    VARLSTM_CUDA_TRY(make_tensor_map(&maps.a[i], p.dtype, p.a, {p.m, p.k, p.lda * kSize}, {PairTile::kRows, kDepth}));
    VARLSTM_CUDA_TRY(BAlongK ? make_tensor_map(&maps.b[i], p.dtype, p.b, {p.n, p.k, p.ldb * kSize}, {kHalf, kDepth})
                             : make_tensor_map(&maps.b[i], p.dtype, p.b, {p.k, p.n, p.ldb * kSize}, {kDepth, kDepth}));
  }
  const GemmGroup<T, void> group = make_group<T, void>(products, count, order);
  const int64_t blocks = kPairBlocks * count_tiles(group, kPairRows, PairTile::kColumns);
  VARLSTM_CUDA_TRY(check_blocks(blocks, kPairRows, PairTile::kColumns));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks));
  shape.block = dim3(kPairThreads);
  shape.cluster = kPairBlocks;
  shape.shared_bytes = sizeof(PairRing);
  return launch<wgmma_pair_kernel<T, BAlongK>>(stream, "wgmma_pair", shape, group, maps,
                                               products[0].dtype_c != DType::kF32);
}

template <class T>
int32_t run_either(Stream stream, const GemmArgs* products, int count, GemmOrder order) {
  return products[0].transpose_b ? run_pairs<T, true>(stream, products, count, order)
                                 : run_pairs<T, false>(stream, products, count, order);
}

}  // namespace

bool takes_pairs(const GemmArgs& args) {
  const bool is_narrow = args.dtype == DType::kBF16 || args.dtype == DType::kF16;
  const bool has_type = is_narrow || (args.dtype == DType::kF32 && args.transpose_b);
  const int64_t size = is_narrow ? 2 : 4;
  return has_type && !args.transpose_a && args.rows == nullptr && args.m <= INT32_MAX && args.n <= INT32_MAX &&
         args.k <= INT32_MAX && can_be_mapped(args.a, args.lda * size) && can_be_mapped(args.b, args.ldb * size) &&
         has_tensor_maps();
}

int32_t wgmma_pair(Stream stream, const GemmArgs* products, int count, GemmOrder order) {
  if (products[0].dtype == DType::kF32) return run_pairs<float, true>(stream, products, count, order);
  return products[0].dtype == DType::kBF16 ? run_either<Bf16>(stream, products, count, order)
                                           : run_either<F16>(stream, products, count, order);
}

}  // namespace varlstm::cuda
