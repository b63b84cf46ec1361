// Teams of threads that run the steps of one recurrence together.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <omp.h>
#include <sched.h>
#include <stdint.h>

#include <atomic>

namespace varlstm::host {

// A barrier for the members of one team, which is cheap enough for every step. A member that waits long yields its core
// to the others. Atomic is std::atomic, except in a test that checks the memory orders.
template <template <class> class Atomic>
class BasicTeamBarrier {
 public:
  void wait(int members) {
    if (members == 1) return;
    const uint32_t generation = generation_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
      arrived_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins)
      if (spins > kSpins) sched_yield();
  }

 private:
  static constexpr int kSpins = 2000;
  alignas(64) Atomic<int> arrived_{0};
  alignas(64) Atomic<uint32_t> generation_{0};
};
using TeamBarrier = BasicTeamBarrier<std::atomic>;

// A thread as a member of its team.
struct Member {
  int rank;
  int size;
  TeamBarrier* barrier;

  void sync() const { barrier->wait(size); }
};

// The part [begin, end) of the work that belongs to one member.
struct Share {
  int64_t begin;
  int64_t end;
};
inline Share share_of(int64_t count, const Member& member) {
  return {count * member.rank / member.size, count * (member.rank + 1) / member.size};
}

// Runs body(direction, member) for every direction: at the same time if there are enough threads, else one direction
// after the other with all threads.
template <class Body>
void run_teams(int threads, int64_t directions, const Body& body) {
  TeamBarrier barriers[2];
  const auto work = [&](int thread, int count) {
    if (directions == 2 && count >= 2) {
      const int direction = thread % 2;
      return body(direction, Member{thread / 2, (count + 1 - direction) / 2, &barriers[direction]});
    }
    for (int64_t d = 0; d < directions; ++d) body(d, Member{thread, count, &barriers[d]});
  };
  if (threads == 1) return work(0, 1);
#pragma omp parallel num_threads(threads)
  work(omp_get_thread_num(), omp_get_num_threads());
}

}  // namespace varlstm::host
