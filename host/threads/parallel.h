// Work that is cut into pieces, which threads claim. The pieces do not depend on the number of threads, so results are
// bitwise equal for any number of threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <atomic>

#include "host/threads/helpers.h"
#include "host/threads/machine.h"

namespace varlstm::host {

// Below this many multiplications a second thread costs more than it saves.
inline constexpr int64_t kThreadedWork = 100'000;

// The number of threads for `pieces` independent pieces; for `requested` 0 it is default_threads().
inline int thread_count(int64_t requested, int64_t pieces) {
  int64_t threads = requested > 0 ? requested : default_threads();
  if (threads > kMostThreads) threads = kMostThreads;
  if (threads > pieces) threads = pieces;
  return threads < 1 ? 1 : static_cast<int>(threads);
}

// The pieces of one job, as ranges that two threads each claim from, one from its begin and one from its end: threads
// seldom write to the same cache line at the same time, and a thread that works on alone gets adjacent pieces. A thread
// whose range is empty claims from the others.
class Pieces {
 public:
  Pieces(int64_t pieces, int threads) : ranges_(threads / 2 < kMostRanges ? (threads + 1) / 2 : kMostRanges) {
    const int64_t longest = (pieces + ranges_ - 1) / ranges_;
    run_ = longest / kMostRuns + 1;
    for (int r = 0; r < ranges_; ++r) {
      Range& range = range_[r];
      range.begin = pieces * r / ranges_;
      range.end = pieces * (r + 1) / ranges_;
      range.unclaimed.store((range.end - range.begin + run_ - 1) / run_, std::memory_order_relaxed);
    }
  }

  // Claims pieces [*begin, *end) for a thread; false if none are left.
  bool claim(int rank, int64_t* begin, int64_t* end) {
    for (int k = 0; k < ranges_; ++k) {
      Range& range = range_[(rank / 2 + k) % ranges_];
      int64_t run;
      if (!claim_run(range.unclaimed, rank % 2 == 0, &run)) continue;
      *begin = range.begin + run * run_;
      *end = *begin + run_ < range.end ? *begin + run_ : range.end;
      return true;
    }
    return false;
  }

 private:
  static constexpr int kMostRanges = 16;
  static constexpr int64_t kMostRuns = int64_t{1} << 31;  // of a range, whose two ends share one word

  struct alignas(64) Range {
    std::atomic<uint64_t> unclaimed;  // runs: the first in the upper half, and one past the last in the lower
    int64_t begin, end;
  };

  // What a claim orders is not memory but who has a piece: the helpers' own words order what the pieces write.
  static bool claim_run(std::atomic<uint64_t>& unclaimed, bool first, int64_t* run) {
    uint64_t ends = unclaimed.load(std::memory_order_relaxed);
    for (;;) {
      const uint64_t begin = ends >> 32, end = ends & UINT32_MAX;
      if (begin >= end) return false;
      const uint64_t left = first ? ends + (uint64_t{1} << 32) : ends - 1;
      if (!unclaimed.compare_exchange_weak(ends, left, std::memory_order_relaxed)) continue;
      *run = static_cast<int64_t>(first ? begin : end - 1);
      return true;
    }
  }

  const int ranges_;
  int64_t run_;  // pieces that are claimed together: 1, unless there are very many
  Range range_[kMostRanges];
};

// Calls body(k) once for each k < pieces, on at most `threads` threads. body must not throw.
template <class Body>
void parallel_for(int64_t threads, int64_t pieces, const Body& body) {
  const int used = thread_count(threads, pieces);
  if (used == 1) {
    for (int64_t k = 0; k < pieces; ++k) body(k);
    return;
  }
  Pieces unclaimed(pieces, used);
  run_with_helpers(used - 1, [&](int rank) {
    for (int64_t k, end; unclaimed.claim(rank, &k, &end);)
      for (; k < end; ++k) body(k);
  });
}

// Calls body(begin, end) for consecutive ranges of fixed size `grain` that cover [0, count).
template <class Body>
void parallel_ranges(int64_t threads, int64_t count, int64_t grain, const Body& body) {
  const int64_t pieces = (count + grain - 1) / grain;
  parallel_for(threads, pieces, [&](int64_t piece) {
    const int64_t begin = piece * grain;
    const int64_t end = begin + grain < count ? begin + grain : count;
    body(begin, end);
  });
}

}  // namespace varlstm::host
