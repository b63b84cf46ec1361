// What the host back end's threads share: the team's barrier, the ranges of work, and indices beyond 32 bits.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
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

// Members that write their parts in a step and read all parts in the next one, step after step. All but the first join
// it while it runs.
int64_t unordered_accesses(int members) {
  OrderedWorld& world = OrderedWorld::instance();
  world.clocks = {};
  world.unordered = 0;
  BasicTeam<OrderedAtomic> team(members);
  std::atomic<int> came{0}, last_size{0};
  std::vector<OrderedData> data(static_cast<size_t>(members));
  std::vector<std::thread> threads;
  for (int thread = 0; thread < members; ++thread)
    threads.emplace_back([&, thread] {
      OrderedWorld::self = thread;
      ++came;
      BasicMember<OrderedAtomic> member = team.join();
      for (int round = 0; round < 200; ++round) {
        while (came < members) std::this_thread::yield();
        const Share own = member.own_parts();
        for (int64_t part = own.begin; part < own.end; ++part) data[static_cast<size_t>(part)].write();
        member.sync();
        for (size_t part = 0; part < data.size() && own.begin < own.end; ++part) data[part].read();
        member.sync();
      }
      if (member.rank == 0 && member.size > 0) {
        last_size = member.size;
        team.finish();
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(last_size.load(), 1) << "nobody joined";
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
