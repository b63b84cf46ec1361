// Exclusive sums over a block. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

constexpr unsigned kScanBlock = 256;

// Returns the exclusive sum of `value` over the block's kScanBlock threads, all of which call this. `sums`: shared
// memory, [kScanBlock].
//   S1: after it every thread's value is in `sums`. S2: after it their exclusive sums are there.
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
