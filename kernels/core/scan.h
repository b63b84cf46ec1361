// Exclusive sums over a block. For kernel files alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

constexpr unsigned kScanBlock = 256;

// Exclusive sum, over the block's kScanBlock threads, of what each of them holds; every thread calls it. `sums`: shared
// memory, [kScanBlock]. S1: after it every thread's value lies there. S2: after it their exclusive sums do.
VARLSTM_DEVICE int64_t exclusive_block_sum(int64_t value, int64_t* sums) {
  sums[threadIdx.x] = value;
  simt::block_sync();  // S1
  if (threadIdx.x == 0) {
    int64_t sum = 0;
    for (unsigned k = 0; k < kScanBlock; ++k) {
      const int64_t next = sum + sums[k];
      sums[k] = sum;
      sum = next;
    }
  }
  simt::block_sync();  // S2
  return sums[threadIdx.x];
}

}  // namespace varlstm::cuda
