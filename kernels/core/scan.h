// Exclusive sums over a block. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

constexpr unsigned kScanBlock = 256;

// Returns the exclusive sum of `value` over the block's kScanBlock threads, all of which call this. Each warp scans its
// own values, and each thread adds the sums of the warps before its own. `sums`: shared memory, [kScanBlock / 32]; it
// may be used again right after the call.
//   S1: after it every warp's sum is in `sums`. S2: after it no thread reads them any more.
VARLSTM_DEVICE int64_t exclusive_block_sum(int64_t value, int64_t* sums) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const unsigned warp = threadIdx.x / 32;
  int64_t sum = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int64_t before = simt::shfl(0xffffffffu, sum, lane >= distance ? lane - distance : lane);
    if (lane >= distance) sum += before;
  }
  if (lane == 31) sums[warp] = sum;
  simt::block_sync();  // S1
  sum -= value;
  for (unsigned w = 0; w < warp; ++w) sum += sums[w];
  simt::block_sync();  // S2
  return sum;
}

}  // namespace varlstm::cuda
