// Kernels of tensor copies with one planted defect each: a wrong tensor map, or no wait for the copy.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "simt/case_table.h"

namespace varlstm::test {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

// Starts the copy of a box of `bytes` to the block's shared memory.
VARLSTM_DEVICE void start_copy(const CUtensorMap* map, unsigned bytes, unsigned place = 0) {
  unsigned char* const shared = shared_memory<unsigned char>();
  uint64_t* const mbarrier = reinterpret_cast<uint64_t*>(shared + kSharedBytes - 8);
  if (threadIdx.x == 0) mbarrier_init(mbarrier, 1);
  block_sync();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(mbarrier, bytes);
    tensor_load(shared + place, map, 0, 0, mbarrier);
  }
}
VARLSTM_DEVICE void wait_for_copy() {
  mbarrier_wait_bytes(reinterpret_cast<uint64_t*>(shared_memory<unsigned char>() + kSharedBytes - 8), 0);
}
VARLSTM_DEVICE void copy_and_show(const CUtensorMap* map, uint32_t* words) {
  start_copy(map, kPlain.bytes());
  wait_for_copy();
  words[blockIdx.x * kThreads + threadIdx.x] = shared_memory<uint32_t>()[threadIdx.x];
}

// Which map is not known to the compiler, so that there is a copy to read it from.
VARLSTM_KERNEL void map_in_local_memory(uint32_t* words, const __grid_constant__ TensorMaps maps) {
  CUtensorMap copies[2] = {maps.plain, maps.plain};
  copy_and_show(&copies[words[0] % 2], words);
}

VARLSTM_KERNEL void map_in_shared_memory(uint32_t* words, const __grid_constant__ TensorMaps maps) {
  CUtensorMap* const copy = reinterpret_cast<CUtensorMap*>(shared_memory<unsigned char>() + 1024);
  if (threadIdx.x == 0) memcpy(copy->opaque, maps.plain.opaque, sizeof copy->opaque);
  block_sync();
  copy_and_show(copy, words);
}

VARLSTM_KERNEL void map_in_device_memory(uint32_t* words, const __grid_constant__ TensorMaps maps) {
  CUtensorMap* const copy = reinterpret_cast<CUtensorMap*>(words + 256 + blockIdx.x * 32);
  if (threadIdx.x == 0) memcpy(copy->opaque, maps.plain.opaque, sizeof copy->opaque);
  async_proxy_fence_device();
  block_sync();
  copy_and_show(copy, words);
}

VARLSTM_KERNEL void misaligned_map(uint32_t* words, const __grid_constant__ TensorMaps maps) {
  copy_and_show(reinterpret_cast<const CUtensorMap*>(reinterpret_cast<const unsigned char*>(&maps.plain) + 16), words);
}

VARLSTM_KERNEL void map_that_nobody_made(uint32_t* words, const __grid_constant__ TensorMaps maps) {
  copy_and_show(&maps.unmade, words);
}

VARLSTM_KERNEL void narrow_swizzled_box(uint32_t*, const __grid_constant__ TensorMaps maps) {
  start_copy(&maps.narrow, kNarrow.bytes());
  wait_for_copy();
}

VARLSTM_KERNEL void swizzled_box_at_512(uint32_t*, const __grid_constant__ TensorMaps maps) {
  start_copy(&maps.halves, kHalves.bytes(), 512);
  wait_for_copy();
}

VARLSTM_KERNEL void no_wait_for_the_box(uint32_t* words, const __grid_constant__ TensorMaps maps) {
  start_copy(&maps.plain, kPlain.bytes());
  block_sync();
  words[blockIdx.x * kThreads + threadIdx.x] = shared_memory<uint32_t>()[threadIdx.x];
  wait_for_copy();
}

std::vector<KernelCase> defective_tensor_copies() {
  const auto mapped = [](const char* name, MappedKernel kernel, const char* report, bool needs_hooks = false) {
    return KernelCase{name, nullptr, report, needs_hooks, kThreads, kernel};
  };
  return {mapped("a tensor map in local memory", map_in_local_memory, "tensor map in local memory"),
          mapped("a tensor map in shared memory", map_in_shared_memory, "tensor map in shared memory"),
          mapped("a tensor map in device memory", map_in_device_memory, "tensor map in device memory"),
          mapped("a misaligned tensor map", misaligned_map, "not aligned to 64 bytes"),
          mapped("a tensor map that nobody made", map_that_nobody_made, "cuTensorMapEncodeTiled"),
          mapped("a narrow swizzled box", narrow_swizzled_box, "rows of fewer than 128 bytes"),
          mapped("a swizzled box at 512 bytes", swizzled_box_at_512, "misaligned access"),
          mapped("no wait for the box", no_wait_for_the_box, "race", true)};
}

}  // namespace varlstm::test
