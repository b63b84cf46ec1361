// Philox4x32-10, the counter-based random generator of Salmon, Moraes, Dror and Shaw (SC 2011). Ten rounds of two 32 x
// 32 -> 64 bit products turn a counter of 128 bits and a key of 64 bits into four words of 32 bits.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

struct PhiloxBlock {
  uint32_t words[4];
};

// Returns the block of that counter, whose upper 64 bits are `upper`.
VARLSTM_DEVICE PhiloxBlock philox4x32(uint64_t key, uint64_t counter, uint64_t upper = 0) {
  uint32_t w0 = static_cast<uint32_t>(counter), w1 = static_cast<uint32_t>(counter >> 32);
  uint32_t w2 = static_cast<uint32_t>(upper), w3 = static_cast<uint32_t>(upper >> 32);
  uint32_t key_low = static_cast<uint32_t>(key), key_high = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t even = uint64_t{0xD2511F53} * w0;
    const uint64_t odd = uint64_t{0xCD9E8D57} * w2;
    w0 = static_cast<uint32_t>(odd >> 32) ^ w1 ^ key_low;
    w1 = static_cast<uint32_t>(odd);
    w2 = static_cast<uint32_t>(even >> 32) ^ w3 ^ key_high;
    w3 = static_cast<uint32_t>(even);
    key_low += 0x9E3779B9;
    key_high += 0xBB67AE85;
  }
  return {{w0, w1, w2, w3}};
}

}  // namespace varlstm::cuda
