// Teams of threads that run the steps of one recurrence together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <atomic>

#include "host/threads/helpers.h"
#include "host/threads/wait_word.h"

namespace varlstm::host {

// A barrier for the members of one team, which is cheap enough for every step: one word counts the steps, and the
// members that have arrived in this one. Atomic is std::atomic, except in a test that checks the memory orders.
template <template <class> class Atomic>
class BasicTeamBarrier {
 public:
  void wait(int members) {
    if (members == 1) return;
    uint32_t value = word_.add(1);
    const uint32_t step = value / kStep;
    if (value % kStep == static_cast<uint32_t>(members)) return word_.set((step + 1) * kStep);
    while (value / kStep == step) value = word_.wait_while(value);
  }

 private:
  static constexpr uint32_t kStep = 2 * kMostThreads;
  alignas(64) BasicWaitWord<Atomic> word_;
};
using TeamBarrier = BasicTeamBarrier<std::atomic>;

// A thread as a member of its team.
struct Member {
  int rank;
  int size;
  TeamBarrier* barrier;  // null if size is 1

  void sync() const {
    if (size > 1) barrier->wait(size);
  }
};

// The part [begin, end) of the work that belongs to one member.
struct Share {
  int64_t begin;
  int64_t end;
};
inline Share share_of(int64_t count, const Member& member) {
  return {count * member.rank / member.size, count * (member.rank + 1) / member.size};
}

// Gathers threads that must all be there: those that report in time. The word counts the helpers that have reported,
// and tells when the caller has stopped to wait for more.
class Gathering {
 public:
  // The caller waits for the `asked` helpers, at most for `patience`. Returns how many threads there are.
  int begin(int asked, Nanoseconds patience) {
    const auto now = [] { return std::chrono::steady_clock::now(); };
    const auto end = now() + patience;
    uint32_t reported = word_.value();
    while (reported < static_cast<uint32_t>(asked) && now() < end) reported = word_.wait_while(reported, end - now());
    while (!word_.replace(reported, reported | kBegun)) reported = word_.value();
    return static_cast<int>(reported) + 1;
  }

  // A helper reports. Sets its rank, and returns how many threads there are; 0 if it comes too late.
  int report(int* rank) {
    uint32_t value = word_.value();
    while (!(value & kBegun) && !word_.replace(value, value + 1)) value = word_.value();
    if (value & kBegun) return 0;
    *rank = static_cast<int>(value) + 1;
    for (value = word_.value(); !(value & kBegun);) value = word_.wait_while(value);
    return static_cast<int>(value & ~kBegun) + 1;
  }

 private:
  static constexpr uint32_t kBegun = 1u << 30;
  WaitWord word_;
};

// Runs body(direction, member) for every direction on at most `threads` threads: at the same time if there are several,
// else one direction after the other. Helpers that do not report within `patience` take no part.
template <class Body>
void run_teams(int threads, int64_t directions, Nanoseconds patience, const Body& body) {
  TeamBarrier barriers[2];
  const auto work = [&](int thread, int count) {
    if (directions == 2 && count >= 2) {
      const int direction = thread % 2;
      return body(direction, Member{thread / 2, (count + 1 - direction) / 2, &barriers[direction]});
    }
    for (int64_t d = 0; d < directions; ++d) body(d, Member{thread, count, &barriers[d]});
  };
  if (threads == 1) return work(0, 1);
  Gathering gathering;
  const auto take_part = [&](int rank) {
    const int count = gathering.report(&rank);
    if (count > 0) work(rank, count);
  };
  const Helpers helpers(threads - 1, job_of(take_part));
  work(0, gathering.begin(helpers.count(), patience));
}

}  // namespace varlstm::host
