// Products of one warpgroup, one after the other into the same sums. ptxas makes a product wait for the one before it,
// unless a group of them follows each other without a branch. Every element of A and B is 1, so each product
// adds 16 to every sum, and the layout of the matrices does not matter.
// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/product.h"

#include "kernels/arch/device.h"

namespace varlstm::bench {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

constexpr unsigned kThreads = 128, kRows = 64, kDepth = 16;
constexpr unsigned kMatrixBytes = 128;     // 8 rows of 16 bytes: what a descriptor steps over
constexpr uint32_t kTwoOnes = 0x3f803f80;  // in bf16

template <int kColumns, bool kWaited>
VARLSTM_KERNEL void product_rounds(uint32_t count, ProductResult* result) {
  constexpr uint32_t kTogether = kWaited ? 1 : kProductsOfGroup;
  constexpr unsigned kWords = (kRows + kColumns) * kDepth / 2;
  auto* words = shared_memory<uint32_t>();
  for (unsigned at = threadIdx.x; at < kWords; at += kThreads) words[at] = kTwoOnes;
  async_proxy_fence();  // this thread's stores, before a product of the block reads them
  block_sync();
  const uint64_t a = matrix_descriptor(words, kMatrixBytes, 2 * kMatrixBytes, MatrixSwizzle::kNone);
  const uint64_t b =
      matrix_descriptor(words + kRows * kDepth / 2, kMatrixBytes, 2 * kMatrixBytes, MatrixSwizzle::kNone);
  float sums[kColumns / 2] = {};
  const uint64_t begin = clock_cycles();
  for (uint32_t k = 0; k < count; k += kTogether) {
    wgmma_fence();
#pragma unroll
    for (uint32_t i = 0; i < kTogether; ++i) wgmma<MatrixType::kBf16>(sums, a, b, true);
    wgmma_commit();
    wgmma_wait<kWaited ? 0 : 1>();
  }
  wgmma_wait<0>();
  const uint64_t cycles = clock_cycles() - begin;
  float sum = sums[0];
  for (const float other : sums) sum = other == sum ? sum : -1;
  if (threadIdx.x == 0) *result = {cycles, sum};
}

namespace {

using ProductKernel = void (*)(uint32_t count, ProductResult* result);

template <int kColumns>
ProductKernel kernel_of(bool waited) {
  return waited ? product_rounds<kColumns, true> : product_rounds<kColumns, false>;
}

ProductKernel kernel_of(const Product& product) {
  switch (product.columns) {
    case 8:
      return kernel_of<8>(product.waited);
    case 16:
      return kernel_of<16>(product.waited);
    case 32:
      return kernel_of<32>(product.waited);
    case 64:
      return kernel_of<64>(product.waited);
    case 128:
      return kernel_of<128>(product.waited);
    default:
      return kernel_of<256>(product.waited);
  }
}

}  // namespace

cudaError_t launch_products(const Product& product, uint32_t count, ProductResult* result, cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(1);
  shape.block = dim3(kThreads);
  shape.shared_bytes = size_t{kRows + product.columns} * kDepth * 2;
  return launch(shape, stream, "product_rounds", kernel_of(product), count, result);
}

}  // namespace varlstm::bench
