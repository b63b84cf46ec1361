// A chain of steps through the exchange and the rings of wide teams, without a product.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/runtime.h"

namespace varlstm_test {

// 8 blocks, two of which write each of 4 parts of 256 words. In each step each of a block's 128 threads adds up the
// words t and t + 128 of every part, times (part + 1), and writes the word 128 (b % 2) + t of part b / 2 for the next
// step: sum * 31 + 7 b + t + step + 1. Before the first step that is done with a sum of 0 and a step of -1.
constexpr unsigned kExchangeBlocks = 8, kExchangeParts = 4, kExchangeWords = 256;

// Which blocks of a cluster share stages: 1, 2 or 4, which are neighbours, or 2 of a cluster of 4 with a stride of 2.
struct Sharing {
  unsigned sharers, stride;
};

// sums [steps][blocks][128] <- the sums of each step. slots: 3 or 6, of the ring.
cudaError_t launch_exchange(const Sharing& sharing, unsigned slots, uint32_t steps, uint32_t* sums);

}  // namespace varlstm_test
