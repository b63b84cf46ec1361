// Teams of threads that run the steps of one recurrence together. A team begins with one thread. Others join it between
// two steps, as soon as they have a core: the first step waits for nobody, and a late thread still helps with the rest.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <atomic>

#include "host/threads/helpers.h"
#include "host/threads/wait_word.h"

namespace varlstm::host {

// A range [begin, end) of the work.
struct Share {
  int64_t begin;
  int64_t end;
};
// Share `k` of `shares`.
inline Share share_of(int64_t count, int64_t k, int64_t shares) {
  return {count * k / shares, count * (k + 1) / shares};
}

template <template <class> class Atomic>
class BasicTeam;
using Team = BasicTeam<std::atomic>;

// A thread as a member of its team. The work of each step has a fixed number of parts, which the members share.
template <template <class> class Atomic>
struct BasicMember {
  int rank;
  int size;                           // how many members the team has in this step
  int parts;                          // at least `size`
  BasicTeam<Atomic>* team = nullptr;  // null if no member waits for another
  int64_t first = 0;                  // the step in which this member joined
  int64_t step = 0;                   // how many steps have ended, from this member's point of view

  // The parts of this step that are this member's: none of the steps before it joined, through which it only counts.
  Share own_parts() const { return step < first ? Share{0, 0} : share_of(parts, rank, size); }

  // Ends a step: what the members have written is seen by all of them in the next one.
  void sync() {
    if (step++ >= first && team != nullptr) size = team->end_step(size, step);
  }
};
using Member = BasicMember<std::atomic>;

// The member that has one part to itself, in a team in which nobody waits.
inline Member member_of_part(int64_t part, int parts) {
  return {static_cast<int>(part), parts, parts};
}

// One word counts the steps, the members, and those that have arrived at the end of this step. Only the last one to
// arrive changes the number of members, and with it begins the next step; so all agree on it. Atomic is std::atomic,
// except in a test that checks the memory orders.
template <template <class> class Atomic>
class BasicTeam {
 public:
  explicit BasicTeam(int parts) : parts_(parts) {}

  // Makes the calling thread a member, the first one at once, another one with the next step. The member's size is 0 if
  // the team needs no more members, or has done its work.
  BasicMember<Atomic> join() {
    const int rank = came_.fetch_add(1, std::memory_order_relaxed);
    if (rank == 0) return {0, 1, parts_, this};
    uint32_t value = word_.value();
    while (rank < parts_ && size_of(value) <= rank && !(value & kDone)) value = word_.wait_while(value);
    if (size_of(value) <= rank) return {};
    return {rank, size_of(value), parts_, this, first_};
  }

  // The end of the step before `step` for one of `members`. Returns how many members that step has.
  int end_step(int members, int64_t step) {
    uint32_t value = members == 1 ? word_.value() + 1 : word_.add(1);
    if (static_cast<int>(value % kField) < members) {
      const uint32_t ended = value / kStep;
      while (value / kStep == ended) value = word_.wait_while(value);
      return size_of(value);
    }
    const int came = came_.load(std::memory_order_relaxed), next = came < parts_ ? came : parts_;
    if (next == 1) return 1;
    if (next > members) first_ = step;  // is read by those who join now, before they arrive for the first time
    word_.set((value / kStep + 1) * kStep + static_cast<uint32_t>(next) * kField);
    return next;
  }

  // After the last step, by the first member: nobody joins any more.
  void finish() { word_.set(word_.value() | kDone); }

 private:
  // The word's fields: members that have arrived, members, whether the work is done, steps, of which the rest of the
  // word has enough bits to tell one from the next.
  static constexpr uint32_t kField = 2 * kMostThreads, kDone = kField * kField, kStep = 2 * kDone;
  static int size_of(uint32_t value) { return static_cast<int>(value / kField % kField); }

  alignas(64) BasicWaitWord<Atomic> word_{kField};
  int64_t first_ = 0;
  alignas(64) Atomic<int> came_{0};
  const int parts_;
};

// Runs body(direction, member) for every direction, whose work has `parts` parts a step, on at most `threads` threads.
// A direction is led by the first thread that comes to it; the others join it, from the first direction on or from the
// second.
template <class Body>
void run_teams(int threads, int64_t directions, int parts, const Body& body) {
  Team teams[2] = {Team(parts), Team(parts)};
  run_with_helpers(threads - 1, [&](int rank) {
    for (int64_t k = 0; k < directions; ++k) {
      const int64_t direction = (rank + k) % directions;
      const Member member = teams[direction].join();
      if (member.size == 0) continue;
      body(direction, member);
      if (member.rank == 0) teams[direction].finish();
    }
  });
}

}  // namespace varlstm::host
