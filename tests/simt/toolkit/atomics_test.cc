// libcu++'s atomics, CUDA C++'s fences, and the warp's intrinsics.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/simt/toolkit/toolkit_test.h"

namespace varlstm::test {
namespace {

const PtxModule& module() {
  static const PtxModule loaded = toolkit_module("atomics");
  return loaded;
}

Place blocks_of_64(unsigned blocks) {
  Place place;
  place.blocks = blocks;
  place.threads = 64;
  return place;
}

TEST(Atomics, EachOperationIsDoneOnceByEachThread) {
  std::vector<int> expected(10);
  int flips = 0, most = 0;
  for (int thread = 0; thread < 256; ++thread) {
    flips ^= 1 << thread % 16;
    most = std::max(most, thread ^ 77);
  }
  expected = {255 * 128, most, -1000, flips, 0x7fffffff, 0, 768, 256 % 100, 44, 0};
  under_every_schedule([&] {
    const DeviceVector<int> words(std::vector<int>{0, 0, 0, 0, 0, 0x7fffffff, 0, 0, 0, 0});
    const DeviceVector<unsigned long long> wide(4);
    const DeviceVector<float> sum(2);
    ASSERT_EQ(module().run("every_operation", blocks_of_64(4), words.data(), wide.data(), sum.data()), "");
    std::vector<int> got = words.values();
    EXPECT_GE(got[9], 1) << "the thread that finds its own number in the word";
    got[9] = 0;
    EXPECT_EQ(got, expected);
    EXPECT_EQ(wide.values(), (std::vector<unsigned long long>{256ull << 33, 0, ~0ull - 299, 0}));
    EXPECT_EQ(sum.values(), (std::vector<float>{128, 64}));
  });
}

TEST(Fences, AMessageIsSeenBehindItsFlag) {
  std::vector<int> expected(64);
  for (int i = 0; i < 64; ++i) expected[i] = 5 * (63 - i);
  for (const char* kernel : {"message", "message_by_fences", "message_by_volatile"})
    expect_result(module(), kernel, blocks_of_64(2), std::vector<int>(80), expected);
}

TEST(Fences, TheLastBlockSeesWhatAllLeft) {
  std::vector<int> expected(64);
  for (int i = 0; i < 64; ++i) expected[i] = 6 + 4 * i;
  expect_result(module(), "last_block", blocks_of_64(4), std::vector<int>(1025), expected);
}

TEST(Intrinsics, OfAWarpAndABlockDoWhatTheyMust) {
  const std::vector<int> in = numbers(64, 100);
  std::vector<unsigned> expected;
  int large = 0, some = 0;
  for (const int value : in) {
    large += value > 50 ? 1 : 0;
    some |= value == 99 ? 1 : 0;
  }
  for (int i = 0; i < 64; ++i) {
    const int lane = i % 32;
    const auto at = [&](int other) { return static_cast<unsigned>(in[i / 32 * 32 + other]); };
    unsigned sum = 0, most = 0, bits = 0, same = 0, fours = 0, odd = 0;
    int least = 1000;
    for (int k = 0; k < 32; ++k) {
      sum += at(k);
      least = std::min(least, static_cast<int>(at(k)) - 50);
      most = std::max(most, at(k) - 50);
      bits ^= at(k);
      if (at(k) % 8 == at(lane) % 8) same |= 1u << k;
      if ((at(k) & 4) != 0) fours |= 1u << k;
      if (k % 2 == 1) odd += at(k);
    }
    for (const unsigned word :
         {sum, static_cast<unsigned>(least), most, bits, same, 0xffffffffu + 1, at(lane % 16 >= 5 ? lane - 5 : lane),
          at(lane % 16 + 5 < 16 ? lane + 5 : lane), at((lane & 24) | ((lane & 7) ^ 6)),
          at((lane & 28) | (lane * 7 & 3)), at(lane ^ 1) + at(lane + 2 < 32 ? lane + 2 : lane), fours,
          lane % 2 == 1 ? odd : at(2), static_cast<unsigned>(large), 2u + static_cast<unsigned>(some),
          at(lane >= 3 ? lane - 3 : lane)})
      expected.push_back(word);
  }
  under_every_schedule([&] {
    const DeviceVector<int> source(in);
    const DeviceVector<unsigned> result(expected.size());
    ASSERT_EQ(module().run("intrinsics", blocks_of_64(1), source.data(), result.data()), "");
    EXPECT_EQ(result.values(), expected);
  });
}

}  // namespace
}  // namespace varlstm::test
