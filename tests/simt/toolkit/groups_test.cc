// cooperative_groups: tiles, partitions, copies, and the barriers of block, cluster and grid.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/simt/toolkit/toolkit_test.h"

namespace varlstm::test {
namespace {

const PtxModule& module() {
  static const PtxModule loaded = toolkit_module("groups");
  return loaded;
}

void expect_tile(const std::string& kernel, int lanes) {
  const int threads = 96;
  const std::vector<int> in = numbers(threads, 60);
  std::vector<int> expected(7 * threads);
  for (int i = 0; i < threads; ++i) {
    const int begin = i / lanes * lanes, end = begin + lanes;
    int sum = 0, before = 0;
    unsigned odd = 0, same = 0;
    bool any = false, all = true;
    for (int k = begin; k < end; ++k) {
      sum += in[k];
      if (k < i) before += in[k];
      if (in[k] % 2 == 1) odd |= 1u << (k - begin);
      if (in[k] % 3 == in[i] % 3) same |= 1u << (k - begin);
      any = any || in[k] == 7;
      all = all && in[k] < 50;
    }
    const int down = i + 1 < end ? in[i + 1] : in[i], up = i > begin ? in[i - 1] : in[i];
    const int rows[] = {sum,
                        before + in[i],
                        before,
                        down + 1000 * up,
                        in[i ^ 1] + 1000 * in[begin + 3],
                        static_cast<int>(odd) + (any ? 1 : 0) - (all ? 1 : 0),
                        static_cast<int>(same)};
    for (int row = 0; row < 7; ++row) expected[row * threads + i] = rows[row];
  }
  Place place;
  place.threads = threads;
  expect_result(module(), kernel, place, in, expected);
}

TEST(Groups, TilesReduceScanShuffleAndVote) {
  expect_tile("tile_of_32", 32);
  expect_tile("tile_of_8", 8);
  expect_tile("tile_of_4", 4);
}

TEST(Groups, PartitionsHoldTheLanesOfOneKind) {
  const int threads = 128;
  const std::vector<int> in = numbers(threads, 100);
  std::vector<int> expected(3 * threads);
  int multiples = 0;
  for (int i = 0; i < threads; ++i) {
    const int begin = i / 32 * 32;
    int sum = 0, size = 0, rank = 0, bits = 0;
    for (int k = begin; k < begin + 32; ++k) {
      if ((in[k] % 3 == 0) == (in[i] % 3 == 0)) sum += in[k];
      if (in[k] % 4 != in[i] % 4) continue;
      ++size;
      rank += k < i ? 1 : 0;
      bits ^= in[k];
    }
    multiples += in[i] % 3 == 0 ? 1 : 0;
    expected[i] = sum;
    expected[threads + i] = size * 100 + rank;
    expected[2 * threads + i] = bits;
  }
  Place place;
  place.threads = threads;
  under_every_schedule([&] {
    const DeviceVector<int> source(in), result(4 * threads), counter(1);
    ASSERT_EQ(module().run("partitions", place, source.data(), result.data(), counter.data()), "");
    EXPECT_EQ(counter.values()[0], multiples);
    const std::vector<int> got = result.values();
    EXPECT_EQ(std::vector<int>(got.begin() + threads, got.end()), expected);
    std::vector<int> places;  // each multiple has one of its own
    for (int i = 0; i < threads; ++i)
      if (in[i] % 3 == 0) places.push_back(got[i]);
    std::sort(places.begin(), places.end());
    for (int k = 0; k < multiples; ++k) EXPECT_EQ(places[k], k);
  });
}

TEST(Groups, CopiesAreThereWhenTheyAreWaitedFor) {
  const int threads = 64, batches = 3;
  const std::vector<int> in = numbers(batches * threads, 1000);
  std::vector<int> expected(batches * threads);
  for (int batch = 0; batch < batches; ++batch)
    for (int i = 0; i < threads; ++i)
      expected[batch * threads + i] = in[batch * threads + threads - 1 - i] * 10 + in[i ^ 5];
  Place place;
  place.threads = threads;
  place.dynamic_shared_bytes = 2 * threads * sizeof(int);
  expect_result(module(), "copies", place, in, expected, batches);
}

TEST(Groups, ABlocksBarrierHasTwoParts) {
  const std::vector<int> in = numbers(256, 1000);
  std::vector<int> expected(256);
  for (int i = 0; i < 256; ++i) expected[i] = 2 * in[i] + in[i ^ 63];
  Place place;
  place.threads = 256;
  expect_result(module(), "split_barrier", place, in, expected);
}

TEST(Groups, AGridMeetsBetweenSteps) {
  const int blocks = 4, count = blocks * 64, steps = 4;
  std::vector<int> data = numbers(2 * count, 1000);
  std::vector<int> steps_of_host = data, expected(count);
  for (int step = 0; step < steps; ++step)
    for (int i = 0; i < count; ++i)
      steps_of_host[(step + 1) % 2 * count + i] = steps_of_host[step % 2 * count + (i + 37) % count] + step;
  for (int i = 0; i < count; ++i) expected[i] = steps_of_host[steps % 2 * count + i] + 1000 * blocks;
  Place place;
  place.blocks = blocks;
  place.threads = 64;
  place.cooperative = true;
  expect_result(module(), "steps_of_grid", place, data, expected, count, steps);
}

TEST(Groups, AClusterReadsAndAddsToItsBlocks) {
  const int count = 8 * 64;
  const std::vector<int> in = numbers(count, 100);
  std::vector<int> expected(count);
  for (int i = 0; i < count; ++i) {
    const int cluster = i / 256 * 256, rank = i / 64 % 4, thread = i % 64, right = (rank + 1) % 4;
    int sum = 0;
    for (int k = cluster; k < cluster + 256; ++k) sum += in[k];
    expected[i] = in[cluster + right * 64 + (thread ^ 3)] + 1000 * right + 10000 * (rank * 64 + thread) + 7 * sum;
  }
  Place place;
  place.blocks = 8;
  place.threads = 64;
  expect_result(module(), "neighbours", place, in, expected);
}

}  // namespace
}  // namespace varlstm::test
