// Philox4x32-10, the counter-based random generator of Salmon, Moraes, Dror and Shaw (SC 2011): ten rounds of two
// 32 x 32 -> 64 bit products turn a counter of 128 bits and a key of 64 bits into four words of 32 bits. The code
// handles `Lanes` consecutive counters at once, so that the compiler makes vector code of it. kernels/dropout does the
// same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace varlstm::host {

// `Lanes` blocks; word w of block j is words[w][j].
template <int Lanes>
struct PhiloxBlocks {
  uint32_t words[4][Lanes];
};

template <int Lanes>
void philox_rounds(uint64_t key, PhiloxBlocks<Lanes>& blocks) {
  auto& w = blocks.words;
  uint32_t key_low = static_cast<uint32_t>(key);
  uint32_t key_high = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int j = 0; j < Lanes; ++j) {
      const uint64_t even = uint64_t{0xD2511F53} * w[0][j];
      const uint64_t odd = uint64_t{0xCD9E8D57} * w[2][j];
      w[0][j] = static_cast<uint32_t>(odd >> 32) ^ w[1][j] ^ key_low;
      w[1][j] = static_cast<uint32_t>(odd);
      w[2][j] = static_cast<uint32_t>(even >> 32) ^ w[3][j] ^ key_high;
      w[3][j] = static_cast<uint32_t>(even);
    }
    key_low += 0x9E3779B9;
    key_high += 0xBB67AE85;
  }
}

// The blocks of counters `counter` .. `counter` + Lanes - 1, whose upper 64 bits are `upper`.
template <int Lanes>
PhiloxBlocks<Lanes> philox4x32(uint64_t key, uint64_t counter, uint64_t upper = 0) {
  PhiloxBlocks<Lanes> blocks = {};
  for (int j = 0; j < Lanes; ++j) {
    const uint64_t lane_counter = counter + static_cast<uint64_t>(j);
    blocks.words[0][j] = static_cast<uint32_t>(lane_counter);
    blocks.words[1][j] = static_cast<uint32_t>(lane_counter >> 32);
    blocks.words[2][j] = static_cast<uint32_t>(upper);
    blocks.words[3][j] = static_cast<uint32_t>(upper >> 32);
  }
  philox_rounds(key, blocks);
  return blocks;
}

}  // namespace varlstm::host
