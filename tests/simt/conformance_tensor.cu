// Tensor copies as the kernels use them, which exist from sm_90 on: boxes of 16 and 32 bits, swizzled and not, across
// every edge of the matrix, to one block, to the peer and to both, and the bytes that an mbarrier counts.
// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/conformance_case.h"

namespace varlstm::test {

// Where the boxes of a block are in its shared memory, one after the other, and which part of the matrix each has.
struct PlacedBox {
  MappedBox box;
  int x[2], y[2];  // in block 0 and block 1 of the cluster
  unsigned place;
};
struct PlacedBoxes {
  PlacedBox own_halves = {kHalves, {0, 7}, {5, -3}, 0};
  PlacedBox shared_halves = {kHalves, {-5, -5}, {-1, -1}, 2048};  // block 0 copies them to both
  PlacedBox floats = {kFloats, {-3, 4}, {8, -2}, 4096};           // block 1 copies both
  PlacedBox columns = {kPlain, {44, 52}, {2, 2}, 5120};           // the second lies outside
  PlacedBox later = {kPlain, {-8, -6}, {0, 1}, 5376};             // in the next phase; the first lies outside
};
constexpr unsigned kBoxesEnd = 5632;

// The matrix is words[512..]; half k of it is k + 1, also where no row is.
VARLSTM_KERNEL void tensor_kernel(uint32_t* words, const __grid_constant__ TensorMaps maps) {
  unsigned char* shared = shared_memory<unsigned char>();
  uint64_t* mbarrier = reinterpret_cast<uint64_t*>(shared + 8192);
  const int rank = static_cast<int>(cluster_rank());
  for (unsigned i = blockIdx.x * kWarpgroup + threadIdx.x; i < 512; i += gridDim.x * kWarpgroup)
    words[512 + i] = (2 * i + 1) | (2 * i + 2) << 16;
  async_proxy_fence_device();
  if (threadIdx.x == 0) mbarrier_init(mbarrier, 1);
  cluster_sync();
  const PlacedBoxes boxes;
  const auto load = [&](const CUtensorMap* map, const PlacedBox& of) {
    tensor_load(shared + of.place, map, of.x[rank], of.y[rank], mbarrier);
  };
  if (threadIdx.x == 0) {
    async_proxy_fence_device();
    mbarrier_arrive_expect_tx(mbarrier, 2 * kHalves.bytes() + kFloats.bytes() + kPlain.bytes());
    load(&maps.halves, boxes.own_halves);
    load(&maps.plain, boxes.columns);
    if (rank == 0) {
      const PlacedBox& of = boxes.shared_halves;
      tensor_load_multicast(shared + of.place, &maps.halves, of.x[0], of.y[0], mbarrier, 3);
    } else {
      const PlacedBox& of = boxes.floats;
      load(&maps.floats, of);
      tensor_load_multicast(shared + of.place, &maps.floats, of.x[0], of.y[0], mbarrier, 1);
    }
  }
  mbarrier_wait_bytes(mbarrier, 0);
  block_sync();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(mbarrier, kPlain.bytes());
    load(&maps.plain, boxes.later);
  }
  mbarrier_wait_bytes(mbarrier, 1);
  uint32_t mixed = 0;
  for (unsigned i = threadIdx.x; i < kBoxesEnd / 4; i += kWarpgroup)
    mixed = mixed * 31 + reinterpret_cast<const uint32_t*>(shared)[i];
  words[blockIdx.x * kWarpgroup + threadIdx.x] = mixed;
  cluster_sync();
}

// A half of a box, `byte` bytes from its begin in shared memory.
uint32_t half_of_box(const PlacedBox& placed, unsigned block, unsigned byte) {
  const MappedBox& box = placed.box;
  const unsigned row_bytes = box.columns * box.element, r = byte / row_bytes;
  const unsigned swizzled = byte % row_bytes ^ (box.swizzled ? r % 8 * 16 : 0);
  const int row = placed.y[block] + static_cast<int>(r);
  const int at = placed.x[block] * static_cast<int>(box.element) + static_cast<int>(swizzled);
  const bool inside = row >= 0 && row < static_cast<int>(kMatrixRows) && at >= 0 && at < int{kMatrixRowBytes};
  return inside ? static_cast<uint32_t>(row * int{kMatrixPitch / 2} + at / 2 + 1) : 0;
}
uint32_t tensor_expected(unsigned word) {
  const PlacedBoxes boxes;
  const PlacedBox* const all[] = {&boxes.own_halves, &boxes.shared_halves, &boxes.floats, &boxes.columns, &boxes.later};
  const unsigned block = word / kWarpgroup;
  uint32_t mixed = 0;
  for (unsigned byte = word % kWarpgroup * 4; byte < kBoxesEnd; byte += 4 * kWarpgroup) {
    size_t k = 0;
    while (byte >= all[k]->place + all[k]->box.bytes()) ++k;
    const unsigned at = byte - all[k]->place;
    mixed = mixed * 31 + (half_of_box(*all[k], block, at) | half_of_box(*all[k], block, at + 2) << 16);
  }
  return mixed;
}

std::vector<ConformanceCase> tensor_cases() {
  return {{"tensor copies", nullptr, tensor_expected, false, true, tensor_kernel}};
}

}  // namespace varlstm::test
