// The chunks of a gradient's norm, one for each block. There may be more elements than 32 bits can count.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

constexpr int64_t kNormChunk = 8192;

// Elements [begin, end).
struct NormChunk {
  int64_t begin, end;
};

VARLSTM_HOST_DEVICE NormChunk norm_chunk(unsigned block, int64_t count) {
  const int64_t begin = static_cast<int64_t>(block) * kNormChunk;
  return {begin, begin + kNormChunk < count ? begin + kNormChunk : count};
}

inline int64_t norm_chunks(int64_t count) {
  return count / kNormChunk + (count % kNormChunk != 0);
}

}  // namespace varlstm::cuda
