// What the host back end's threads share: the team's barrier, the ranges of work, and indices beyond 32 bits.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "host/ops/dropout.h"
#include "host/threads/parallel.h"
#include "host/threads/team.h"
#include "support/ordered_atomic.h"

namespace varlstm::host {
namespace {

using varlstm_test::OrderedAtomic;
using varlstm_test::OrderedData;
using varlstm_test::OrderedWorld;

constexpr int64_t kTwoTo32 = int64_t{1} << 32;

// Members that write before the barrier and read each other's behind it, round after round.
int64_t unordered_accesses(int members) {
  OrderedWorld& world = OrderedWorld::instance();
  world.clocks = {};
  world.unordered = 0;
  BasicTeamBarrier<OrderedAtomic> barrier;
  std::vector<OrderedData> data(static_cast<size_t>(members));
  std::vector<std::thread> threads;
  for (int member = 0; member < members; ++member)
    threads.emplace_back([&, member] {
      OrderedWorld::self = member;
      for (int round = 0; round < 100; ++round) {
        data[static_cast<size_t>(member)].write();
        barrier.wait(members);
        for (OrderedData& other : data) other.read();
        barrier.wait(members);
      }
    });
  for (std::thread& thread : threads) thread.join();
  return world.unordered.load();
}

TEST(TeamBarrier, OrdersWhatMembersWroteBeforeIt) {
  for (const int members : {2, 3, 5}) EXPECT_EQ(unordered_accesses(members), 0) << members << " members";
}

// The measure itself: a barrier that passes nothing on is found out.
TEST(TeamBarrier, OfRelaxedOperationsIsFoundOut) {
  OrderedWorld& world = OrderedWorld::instance();
  world.clocks = {};
  world.unordered = 0;
  OrderedAtomic<int> flag(0);
  OrderedData data;
  const auto hand_over = [&](std::memory_order store, std::memory_order load) {
    OrderedWorld::self = 0;
    data.write();
    flag.store(1, store);
    OrderedWorld::self = 1;
    (void)flag.load(load);
    data.read();
    OrderedWorld::self = 0;
    return world.unordered.exchange(0);
  };
  EXPECT_EQ(hand_over(std::memory_order_relaxed, std::memory_order_acquire), 1);
  world.clocks = {};
  data = {};
  EXPECT_EQ(hand_over(std::memory_order_release, std::memory_order_relaxed), 1);
  world.clocks = {};
  data = {};
  EXPECT_EQ(hand_over(std::memory_order_release, std::memory_order_acquire), 0);
}

TEST(ParallelRanges, CoverMoreThan32Bits) {
  for (const int64_t count : {kTwoTo32 - 1, kTwoTo32, kTwoTo32 + 1, 3 * kTwoTo32 + 77}) {
    constexpr int64_t kGrain = int64_t{1} << 25;
    std::mutex lock;
    std::vector<std::pair<int64_t, int64_t>> ranges;
    parallel_ranges(3, count, kGrain, [&](int64_t begin, int64_t end) {
      const std::lock_guard<std::mutex> guard(lock);
      ranges.emplace_back(begin, end);
    });
    std::sort(ranges.begin(), ranges.end());
    int64_t next = 0;
    for (const auto& [begin, end] : ranges) {
      EXPECT_EQ(begin, next);
      EXPECT_EQ(end, std::min(count, begin + kGrain));
      next = end;
    }
    EXPECT_EQ(next, count);
  }
}

// Elements around 2^32, and around the one whose Philox block is number 2^32: of so many there is address space, and
// memory for the pages that are touched.
TEST(DropoutRange, CountsBlocksIn64Bits) {
  constexpr int64_t kMost = 4 * kTwoTo32 + 4096;
  constexpr size_t kBytes = static_cast<size_t>(kMost) * sizeof(Bf16);
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) GTEST_SKIP() << "no address space of " << kBytes << " bytes";
  Bf16* const values = static_cast<Bf16*>(memory);
  constexpr uint64_t kSeed = 77;
  constexpr uint32_t kLastDropped = 1u << 30;
  int64_t dropped = 0;
  for (const int64_t middle : {kTwoTo32 / 2, kTwoTo32, 2 * kTwoTo32, 4 * kTwoTo32}) {
    const int64_t begin = middle - kDropoutChunk, end = middle + kDropoutChunk + 5;
    for (int64_t k = begin; k < end; ++k) values[k] = Bf16(1.f);
    dropout_range<Bf16>(begin, end, kLastDropped, 2.f, kSeed, values, values);
    for (int64_t k = begin; k < end; ++k) {
      const auto block = philox4x32<1>(kSeed, static_cast<uint64_t>(k / 4));
      const bool kept = block.words[k % 4][0] > kLastDropped;
      dropped += !kept;
      EXPECT_EQ(static_cast<float>(values[k]), kept ? 2.f : 0.f) << "element " << k;
    }
  }
  EXPECT_GT(dropped, 0);
  munmap(memory, kBytes);
}

}  // namespace
}  // namespace varlstm::host
