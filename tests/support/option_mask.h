// The masks of an rnn as varlstm.h documents them, with a Philox of its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace varlstm_test {

enum MaskKind : uint32_t { kWeightsMask = 1, kStateMask, kCandidateMask, kZoneoutHMask, kZoneoutCMask };

// Philox4x32-10 of Salmon et al. 2011.
inline std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, uint64_t key) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u) {
    const uint64_t a = uint64_t{0xD2511F53u} * counter[0], b = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(a)};
  }
  return counter;
}

inline bool is_drawn(uint64_t seed, MaskKind kind, int64_t layer, int64_t direction, int64_t k, double p) {
  const uint64_t block = static_cast<uint64_t>(k) / 4;
  const auto words = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), kind,
                             static_cast<uint32_t>(2 * layer + direction)},
                            seed);
  return static_cast<double>(words[k % 4]) * 0x1p-32 < p;
}

}  // namespace varlstm_test
