// CUB: reductions, scans and sorts of blocks and warps, and a scan over many blocks that look back.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "tests/simt/toolkit/toolkit_test.h"

namespace varlstm::test {
namespace {

constexpr int kThreads = 128;
constexpr int kItems = 2;

const PtxModule& module() {
  static const PtxModule loaded = toolkit_module("cub");
  return loaded;
}

Place block_of(unsigned threads) {
  Place place;
  place.threads = threads;
  return place;
}

TEST(Cub, ABlockReduces) {
  const std::vector<int> in = numbers(96, 1000);
  const int valid = 87;
  expect_result(module(), "reduce", block_of(96), in,
                {std::accumulate(in.begin(), in.end(), 0), *std::max_element(in.begin(), in.begin() + valid)}, valid);
}

TEST(Cub, ABlockScans) {
  const std::vector<int> values = numbers(kThreads * kItems, 100000);
  const std::vector<long long> in(values.begin(), values.end());
  std::vector<long long> expected(in.size() + 1);
  std::partial_sum(in.begin(), in.end(), expected.begin() + 1);
  under_every_schedule([&] {
    const DeviceVector<long long> source(in), result(expected.size());
    ASSERT_EQ(module().run("scan", block_of(kThreads), source.data(), result.data()), "");
    EXPECT_EQ(result.values(), expected);
  });
}

TEST(Cub, ABlockSortsAndKeepsTheOrderOfEquals) {
  std::vector<int> in = numbers(kThreads * kItems, 300);
  for (int& key : in) key -= 150;
  std::vector<int> places(in.size()), keys(in);
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(), [&](int a, int b) { return in[a] < in[b]; });
  std::sort(keys.begin(), keys.end());
  under_every_schedule([&] {
    const DeviceVector<int> source(in), sorted(in.size()), stood(in.size());
    ASSERT_EQ(module().run("sort", block_of(kThreads), source.data(), sorted.data(), stood.data()), "");
    EXPECT_EQ(sorted.values(), keys);
    EXPECT_EQ(stood.values(), places);
  });
}

TEST(Cub, PartsOfAWarpScanAndReduceSegments) {
  const std::vector<int> in = numbers(kThreads, 100);
  std::vector<int> expected(2 * kThreads);
  for (int i = 0; i < kThreads; ++i) {
    const int begin = i / 16 * 16;
    for (int k = begin; k <= i; ++k) expected[i] += in[k];
    if (i % 5 != 0 && i != begin) continue;
    for (int k = i; k < begin + 16 && (k == i || k % 5 != 0); ++k) expected[kThreads + i] += in[k];
  }
  expect_result(module(), "warps", block_of(kThreads), in, expected);
}

// A block spins until those before it have published: by relaxed and volatile words, fences and backing off.
TEST(Cub, BlocksLookBackAtThoseBefore) {
  const int tiles = 8;
  const std::vector<int> in = numbers(tiles * kThreads, 1000);
  std::vector<int> expected(in.size());
  std::partial_sum(in.begin(), in.end(), expected.begin());
  under_every_schedule([&] {
    const size_t bytes = 4096;
    const DeviceVector<int> source(in), result(in.size());
    const DeviceVector<unsigned char> words(bytes);
    ASSERT_EQ(module().run("prepare_tiles", block_of(64), words.data(), bytes, tiles), "");
    Place place = block_of(kThreads);
    place.blocks = tiles;
    ASSERT_EQ(module().run("scan_of_device", place, source.data(), result.data(), words.data(), bytes, tiles), "");
    EXPECT_EQ(result.values(), expected);
  });
}

}  // namespace
}  // namespace varlstm::test
