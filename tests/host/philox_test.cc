// The host's Philox4x32-10 against the known answers that its authors publish (Random123, kat_vectors).
// SPDX-License-Identifier: Apache-2.0
#include "host/ops/philox.h"

#include <gtest/gtest.h>

#include <array>

namespace varlstm::host {
namespace {

using Words = std::array<uint32_t, 4>;

Words block_of(uint64_t key, const Words& counter) {
  PhiloxBlocks<1> blocks;
  for (int w = 0; w < 4; ++w) blocks.words[w][0] = counter[w];
  philox_rounds(key, blocks);
  return {blocks.words[0][0], blocks.words[1][0], blocks.words[2][0], blocks.words[3][0]};
}

TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(block_of(0, {0, 0, 0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(block_of(~uint64_t{0}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(block_of(0x299f31d0a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, EachLaneIsItsOwnCounter) {
  const uint64_t key = 0x0123456789abcdef;
  for (const uint64_t counter : {uint64_t{0}, uint64_t{0xfffffff9}, uint64_t{0x123456789}}) {
    const PhiloxBlocks<16> blocks = philox4x32<16>(key, counter);
    for (uint64_t j = 0; j < 16; ++j) {
      const uint64_t own = counter + j;
      const Words expected = block_of(key, {static_cast<uint32_t>(own), static_cast<uint32_t>(own >> 32), 0, 0});
      for (int w = 0; w < 4; ++w) EXPECT_EQ(blocks.words[w][j], expected[w]) << "lane " << j << ", word " << w;
    }
  }
}

}  // namespace
}  // namespace varlstm::host
