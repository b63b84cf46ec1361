// libcu++: barriers, pipelines, latches, semaphores, and st.async through cuda::ptx.
// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/toolkit/toolkit_test.h"

namespace varlstm::test {
namespace {

const PtxModule& module() {
  static const PtxModule loaded = toolkit_module("barriers");
  return loaded;
}

Place block_of(unsigned threads) {
  Place place;
  place.threads = threads;
  return place;
}

TEST(Barriers, TokensNameThePhase) {
  const std::vector<int> in = numbers(128, 100);
  std::vector<int> expected(128);
  for (int i = 0; i < 128; ++i)
    for (int step = 0; step < 5; ++step) expected[i] += in[(i + 1 + step) % 128] + step;
  expect_result(module(), "tokens", block_of(128), in, expected);
}

TEST(Barriers, ThreadsThatDropOutAreNotAwaited) {
  under_every_schedule([] {
    const DeviceVector<int> result(4);
    ASSERT_EQ(module().run("dropping", block_of(128), result.data()), "");
    EXPECT_EQ(result.values(), (std::vector<int>{128, 96, 64, 32}));
  });
}

TEST(Barriers, ProducersAndConsumersTakeTurns) {
  const int batches = 6;
  const std::vector<int> in = numbers(batches * 64, 100);
  std::vector<int> expected(batches * 64);
  for (int i = 0; i < batches * 64; ++i) expected[i] = in[i / 64 * 64 + 63 - i % 64] + i / 64;
  expect_result(module(), "producers_and_consumers", block_of(128), in, expected, batches);
}

TEST(Barriers, CopiesCompleteAtABarrier) {
  const std::vector<int> in = numbers(128, 100);
  std::vector<int> expected(128);
  for (int i = 0; i < 128; ++i) expected[i] = in[i ^ 7] * 100 + in[127 - (i ^ 1)];
  expect_result(module(), "copies_to_barrier", block_of(128), in, expected);
}

TEST(Pipelines, StagesAreFilledBeforeTheyAreRead) {
  const int batches = 6;
  const std::vector<int> in = numbers(batches * 128, 100);
  std::vector<int> of_block(batches * 128), of_roles(batches * 64), of_thread(batches * 64);
  for (int i = 0; i < batches * 128; ++i) of_block[i] = in[i / 128 * 128 + 127 - i % 128] + i / 128;
  for (int i = 0; i < batches * 64; ++i) {
    of_roles[i] = in[i / 64 * 64 + 63 - i % 64] - i / 64;
    of_thread[i] = 2 * in[i];
  }
  expect_result(module(), "pipeline_of_block", block_of(128), in, of_block, batches);
  expect_result(module(), "pipeline_of_roles", block_of(128), in, of_roles, batches);
  expect_result(module(), "pipeline_of_thread", block_of(64), in, of_thread, batches);
}

TEST(Barriers, ALatchOpensOnce) {
  std::vector<int> expected(64);
  for (int i = 0; i < 64; ++i) expected[i] = 3 * (63 - i);
  under_every_schedule([&] {
    const DeviceVector<int> result(64);
    ASSERT_EQ(module().run("latches", block_of(64), result.data()), "");
    EXPECT_EQ(result.values(), expected);
  });
}

TEST(Barriers, ASemaphoreLetsTwoIn) {
  under_every_schedule([] {
    const DeviceVector<int> sum(1), most(1);
    ASSERT_EQ(module().run("semaphores", block_of(64), sum.data(), most.data()), "");
    EXPECT_EQ(sum.values()[0], 63 * 32);
    EXPECT_GE(most.values()[0], 1);
    EXPECT_LE(most.values()[0], 2);
  });
}

TEST(Barriers, PushesToAPeerCompleteItsPhase) {
  const std::vector<int> in = numbers(256, 100);
  std::vector<int> expected(256);
  for (int i = 0; i < 256; ++i)
    for (int round = 0; round < 6; ++round)
      expected[i] = expected[i] * 3 + in[((i / 64) ^ 1) * 64 + 63 - i % 64] + round;
  Place place = block_of(64);
  place.blocks = 4;
  expect_result(module(), "pushes", place, in, expected);
}

}  // namespace
}  // namespace varlstm::test
