// Launches: shapes that are refused, waves of blocks, calls from several threads, overrides, device memory.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "kernels/simt/kernel_override.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/options.h"
#include "tests/simt/launch_kernels.h"

namespace varlstm::test {
namespace {

LaunchShape shape_of(unsigned grid, unsigned block, size_t shared_bytes = 0) {
  LaunchShape shape;
  shape.grid = dim3(grid);
  shape.block = dim3(block);
  shape.shared_bytes = shared_bytes;
  return shape;
}

// Words of device memory, 0 at first.
struct Words {
  explicit Words(size_t count) : data(static_cast<uint32_t*>(simt::device_allocate(count * sizeof(uint32_t)))) {
    memset(data, 0, count * sizeof(uint32_t));
  }
  ~Words() { simt::device_free(data); }
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;
  uint32_t* data;
};

// Each is read once, so a new process runs each of these.
TEST(LaunchEnvironment, AnUnknownValueEndsTheProgramAndListsTheKnownOnes) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const struct {
    const char *name, *value, *known;
  } kWrong[] = {{"VARLSTM_EMULATOR_RACES", "off", "0 1"},
                {"VARLSTM_EMULATOR_RACES", "2", "0 1"},
                {"VARLSTM_EMULATOR_SIZE", "h10", "small h100"},
                {"VARLSTM_EMULATOR_SCHEDULE", "random", "fifo lifo random:SEED pct:SEED"},
                {"VARLSTM_EMULATOR_SCHEDULE", "pct:x", "fifo lifo random:SEED pct:SEED"}};
  for (const auto& wrong : kWrong) {
    setenv(wrong.name, wrong.value, 1);
    EXPECT_DEATH(simt::options(), wrong.name + std::string(" = ") + wrong.value + " is none of: " + wrong.known);
    unsetenv(wrong.name);
  }
}

TEST(LaunchEnvironment, AnEmptyValueIsNone) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  setenv("VARLSTM_EMULATOR_RACES", "", 1);
  setenv("VARLSTM_EMULATOR_SCHEDULE", "", 1);
  EXPECT_EXIT(exit(simt::options().races && simt::options().schedule == simt::Schedule::kFifo ? 0 : 1),
              testing::ExitedWithCode(0), "");
  unsetenv("VARLSTM_EMULATOR_RACES");
  unsetenv("VARLSTM_EMULATOR_SCHEDULE");
}

TEST(Launch, RefusesShapesThatNoDeviceTakes) {
  Words words(32);
  EXPECT_EQ(launch_add(shape_of(0, 32), words.data, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch_add(shape_of(1, 0), words.data, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch_add(shape_of(1, 1025), words.data, 1), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch_add(shape_of(1, 32, 227 * 1024 + 1), words.data, 1), cudaErrorInvalidConfiguration);
  LaunchShape odd_cluster = shape_of(3, 32);
  odd_cluster.cluster = 2;
  EXPECT_EQ(launch_add(odd_cluster, words.data, 1), cudaErrorInvalidConfiguration);
  LaunchShape too_many_resident = shape_of(132 * 2 + 1, 32);
  too_many_resident.cooperative = true;
  EXPECT_EQ(launch_add(too_many_resident, words.data, 1), cudaErrorCooperativeLaunchTooLarge);
  EXPECT_EQ(words.data[0], 0u);
}

// Blocks that fill a multiprocessor and smaller ones, on a device with the size of an H100.
TEST(Launch, WhatIsResidentDependsOnSharedMemoryThreadsAndTheClustersSize) {
  const simt::Options saved = simt::options();
  simt::set_options(simt::with_size_of_h100(saved));
  const auto blocks = [](unsigned threads, size_t shared_bytes) {
    int count = -1;
    EXPECT_EQ(simt::count_blocks_of_multiprocessor(shape_of(1, threads, shared_bytes), &count), cudaSuccess);
    return count;
  };
  EXPECT_EQ(blocks(256, 227 * 1024), 1);
  EXPECT_EQ(blocks(256, 113 * 1024), 2);
  EXPECT_EQ(blocks(256, 114 * 1024), 1);
  EXPECT_EQ(blocks(256, 0), 8);
  EXPECT_EQ(blocks(1024, 0), 2);
  EXPECT_EQ(blocks(32, 0), 32);
  const auto clusters = [](unsigned size, size_t shared_bytes) {
    int count = -1;
    LaunchShape shape = shape_of(size, 256, shared_bytes);
    shape.cluster = size;
    EXPECT_EQ(simt::count_resident_clusters(shape, &count), cudaSuccess);
    return count;
  };
  EXPECT_EQ(clusters(2, 227 * 1024), 66);
  EXPECT_EQ(clusters(4, 227 * 1024), 31);
  EXPECT_EQ(clusters(8, 227 * 1024), 15);
  EXPECT_EQ(clusters(16, 227 * 1024), 7);
  EXPECT_EQ(clusters(16, 113 * 1024), 15);
  LaunchShape grid = shape_of(132, 256, 227 * 1024);
  grid.cooperative = true;
  EXPECT_EQ(simt::check_shape(grid), cudaSuccess);
  grid.grid = dim3(133);
  EXPECT_EQ(simt::check_shape(grid), cudaErrorCooperativeLaunchTooLarge);
  grid.shared_bytes = 113 * 1024;
  EXPECT_EQ(simt::check_shape(grid), cudaSuccess);
  simt::set_options(saved);
}

TEST(Launch, RunsEveryThreadOfALargeGridOnce) {
  constexpr unsigned kBlocks = 500;
  Words words(kBlocks * 96);
  ASSERT_EQ(launch_add(shape_of(kBlocks, 96), words.data, 3), cudaSuccess);
  for (unsigned i = 0; i < kBlocks * 96; ++i) ASSERT_EQ(words.data[i], 3u) << i;
}

TEST(Launch, RunsACooperativeGridAtTheLimit) {
  Words words(264 * 64);
  LaunchShape shape = shape_of(264, 64, 1024);
  shape.cooperative = true;
  EXPECT_EQ(launch_barriers(shape, words.data, 2), cudaSuccess);
}

TEST(Launch, StartsEveryBlockWithSharedMemoryOfNan) {
  Words words(1);
  ASSERT_EQ(launch_shared_scan(shape_of(40, 128, 512), words.data), cudaSuccess);
  EXPECT_EQ(words.data[0], 0u);
}

TEST(Launch, SerialisesCallsOfSeveralThreads) {
  constexpr unsigned kCalls = 200;
  std::vector<std::thread> threads;
  std::vector<int> failures(8, 0);
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([t, &failures] {
      Words words(64);
      for (unsigned i = 0; i < kCalls; ++i)
        failures[static_cast<size_t>(t)] += launch_add(shape_of(2, 32), words.data, 1) != cudaSuccess;
      for (unsigned i = 0; i < 64; ++i) failures[static_cast<size_t>(t)] += words.data[i] != kCalls;
    });
  for (std::thread& thread : threads) thread.join();
  for (int failed : failures) EXPECT_EQ(failed, 0);
}

TEST(Launch, CountsBarriersAndBytes) {
  constexpr uint64_t kBlocks = 3, kThreads = 64, kRounds = 5, kThreadRounds = kBlocks * kThreads * kRounds;
  Words words(kBlocks * kThreads);
  const simt::Statistics before = simt::statistics();
  ASSERT_EQ(launch_barriers(shape_of(kBlocks, kThreads, 1024), words.data, kRounds), cudaSuccess);
  const simt::Statistics after = simt::statistics();
  EXPECT_EQ(after.block_barriers - before.block_barriers, kBlocks * kRounds * 2);
  EXPECT_EQ(after.barriers - before.barriers, kThreadRounds * 2);
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_EQ(after.shared_bytes_written - before.shared_bytes_written, kThreadRounds * 4);
  EXPECT_EQ(after.shared_bytes_read - before.shared_bytes_read, kThreadRounds * 4);
  EXPECT_EQ(after.device_bytes_written - before.device_bytes_written, kBlocks * kThreads * 4);
  EXPECT_EQ(after.device_bytes_read, before.device_bytes_read);
#endif
}

unsigned overridden_threads = 0;

std::function<void()> count_threads(const simt::KernelCall& call) {
  if (strcmp(call.name, "add") != 0) return nullptr;
  EXPECT_EQ(call.argument_count, 2u);
  EXPECT_EQ(call.argument_bytes[0], sizeof(void*));
  uint32_t value = 0;
  memcpy(&value, call.arguments[1], call.argument_bytes[1]);
  EXPECT_EQ(value, 9u);
  return [] { ++overridden_threads; };
}

TEST(Launch, RunsAnOverrideInTheKernelsPlace) {
  Words words(64);
  simt::set_kernel_override(count_threads);
  EXPECT_EQ(launch_add(shape_of(2, 32), words.data, 9), cudaSuccess);
  simt::set_kernel_override(nullptr);
  EXPECT_EQ(overridden_threads, 64u);
  EXPECT_EQ(words.data[0], 0u);
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(Launch, ReportsHostMemory) {
  Words words(1);
  const std::vector<uint32_t> host(4, 1);
  EXPECT_EQ(launch_read(host.data(), words.data), cudaErrorLaunchFailure);
  EXPECT_NE(simt::last_report().find("host memory"), std::string::npos) << simt::last_report();
  EXPECT_NE(simt::last_report().find("launch_kernels.cu:"), std::string::npos) << simt::last_report();
}

TEST(Launch, ReportsFreedMemory) {
  Words words(1);
  void* freed = simt::device_allocate(64);
  simt::device_free(freed);
  EXPECT_EQ(launch_read(static_cast<uint32_t*>(freed), words.data), cudaErrorLaunchFailure);
  EXPECT_NE(simt::last_report().find("out of bounds"), std::string::npos) << simt::last_report();
}

TEST(Launch, GoesOnAfterADefect) {
  Words words(32);
  const uint32_t* null = nullptr;
  EXPECT_EQ(launch_read(null, words.data), cudaErrorLaunchFailure);
  EXPECT_EQ(launch_add(shape_of(1, 32), words.data, 1), cudaSuccess);
  EXPECT_EQ(words.data[31], 1u);
}
#endif

TEST(Launch, HasStackEnough) {
  Words words(32);
  EXPECT_EQ(launch_recursion(32, words.data), cudaSuccess);
  EXPECT_EQ(words.data[31], 32u * 33 / 2);
}

TEST(Memory, KnowsItsAllocations) {
  auto* first = static_cast<char*>(simt::device_allocate(100));
  auto* second = static_cast<char*>(simt::device_allocate(0));
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 256, 0u);
  EXPECT_TRUE(simt::is_device_memory(first, 100));
  EXPECT_TRUE(simt::is_device_memory(first + 99, 1));
  EXPECT_FALSE(simt::is_device_memory(first, 101));
  EXPECT_FALSE(simt::is_device_memory(first + 1, 100));
  EXPECT_FALSE(simt::is_device_memory(&first, 1));
  EXPECT_EQ(static_cast<unsigned char>(first[7]), 0xffu);
  simt::device_free(first);
  EXPECT_FALSE(simt::is_device_memory(first, 1));
  simt::device_free(second);
  EXPECT_EQ(simt::device_allocate(size_t{1} << 60), nullptr);
}

TEST(Memory, IsUsedAgain) {
  void* before = simt::device_allocate(size_t{1} << 30);
  for (int i = 0; i < 1000; ++i) {
    simt::device_free(before);
    void* after = simt::device_allocate(size_t{1} << 30);
    ASSERT_EQ(after, before);
  }
  simt::device_free(before);
}

// Not a bound on the time, which depends on the machine: the figures are printed.
TEST(Speed, OfSmallLaunchesAndOfBarriers) {
  for (const bool races : {false, true}) {
    simt::Options options;
    options.races = races;
    simt::set_options(options);
    Words words(8192);
    const auto microseconds = [](auto body) {
      const auto start = std::chrono::steady_clock::now();
      body();
      return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    };
    const double launches = microseconds([&] {
      for (int i = 0; i < 2000; ++i) EXPECT_EQ(launch_add(shape_of(1, 32), words.data, 1), cudaSuccess);
    });
    const double barriers =
        microseconds([&] { EXPECT_EQ(launch_barriers(shape_of(8, 256, 1024), words.data, 100), cudaSuccess); });
    printf("races %d: %.2f us a launch of 32 threads, %.3g thread-steps/s\n", races ? 1 : 0, launches / 2000,
           8 * 256 * 100 / barriers * 1e6);
  }
  simt::set_options(simt::Options());
}

}  // namespace
}  // namespace varlstm::test
