// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/launch_kernels.h"

#include "kernels/arch/device.h"

namespace varlstm::test {

VARLSTM_KERNEL void add_kernel(uint32_t* words, uint32_t value) {
  words[blockIdx.x * blockDim.x + threadIdx.x] += value;
}

VARLSTM_KERNEL void read_kernel(const uint32_t* source, uint32_t* words) {
  words[0] = *source;
}

VARLSTM_KERNEL void barriers_kernel(uint32_t* words, unsigned rounds) {
  uint32_t* shared = simt::shared_memory<uint32_t>();
  uint32_t value = threadIdx.x;
  for (unsigned round = 0; round < rounds; ++round) {
    shared[threadIdx.x] = value;
    simt::block_sync();
    value += shared[(threadIdx.x + 1) % blockDim.x];
    simt::block_sync();
  }
  words[blockIdx.x * blockDim.x + threadIdx.x] = value;
}

__attribute__((noinline)) uint32_t recurse(unsigned depth) {
  volatile uint32_t frame[256];
  frame[depth % 256] = depth;
  return depth == 0 ? frame[0] : recurse(depth - 1) + frame[depth % 256];
}

VARLSTM_KERNEL void recursion_kernel(unsigned depth, uint32_t* words) {
  words[threadIdx.x] = recurse(depth);
}

VARLSTM_KERNEL void shared_scan_kernel(uint32_t* words) {
  float* shared = simt::shared_memory<float>();
  if (!(shared[threadIdx.x] != shared[threadIdx.x])) simt::atomic_add(words, 1u);
  simt::block_sync();
  shared[threadIdx.x] = 1.0f;
}

cudaError_t launch_add(const LaunchShape& shape, uint32_t* words, uint32_t value, cudaStream_t stream) {
  return simt::launch(shape, stream, "add", add_kernel, words, value);
}

cudaError_t launch_read(const uint32_t* source, uint32_t* words) {
  return simt::launch(LaunchShape(), nullptr, "read", read_kernel, source, words);
}

cudaError_t launch_barriers(const LaunchShape& shape, uint32_t* words, unsigned rounds) {
  return simt::launch(shape, nullptr, "barriers", barriers_kernel, words, rounds);
}

cudaError_t launch_recursion(unsigned depth, uint32_t* words) {
  LaunchShape shape;
  shape.block = dim3(32);
  return simt::launch(shape, nullptr, "recursion", recursion_kernel, depth, words);
}

cudaError_t launch_shared_scan(const LaunchShape& shape, uint32_t* words) {
  return simt::launch(shape, nullptr, "shared scan", shared_scan_kernel, words);
}

}  // namespace varlstm::test
