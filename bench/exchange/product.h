// What a product of a warpgroup costs (wgmma m64nNk16, bf16, both operands in shared memory).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/runtime.h"

namespace varlstm::bench {

struct Product {
  unsigned columns;  // N: 8, 16, 32, 64, 128 or 256
  bool waited;       // for each before the next one begins; else for a group when the next group has begun
};
constexpr uint32_t kProductsOfGroup = 16;
constexpr unsigned kProductColumns[] = {8, 16, 32, 64, 128, 256};

struct ProductResult {
  uint64_t cycles;
  float sum;  // any of the sums, which are all 16 times the number of products
};

// Adds `count` products, a multiple of kProductsOfGroup and at most 2^20, into the same sums, by one warpgroup alone.
// Needs sm_90a.
cudaError_t launch_products(const Product& product, uint32_t count, ProductResult* result, cudaStream_t stream);

}  // namespace varlstm::bench
