// Helpers: threads that take part in a caller's work. The caller does the work itself, and waits only for helpers that
// have begun: one that gets no core holds nobody up.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

// The most threads of one call, the caller among them.
inline constexpr int kMostThreads = 1024;

// Work that several threads take part in.
struct Job {
  void (*run)(const void* body, int rank);
  const void* body;
};

// The helpers that one caller has asked, which were free. Each may run the job, with its own rank in 1 .. count().
class Helpers {
 public:
  Helpers(int wanted, const Job& job);
  // Withdraws the job from helpers that have not begun, and waits for those that have.
  ~Helpers();
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  int count() const { return count_; }

 private:
  int count_ = 0;
  int16_t asked_[kMostThreads - 1];
};

// The job that calls work(rank), which must not throw, and must live as long as its helpers.
template <class Work>
Job job_of(const Work& work) {
  return {[](const void* body, int rank) { (*static_cast<const Work*>(body))(rank); }, &work};
}

// Calls work(0) here, and work(1), work(2), ... on at most `wanted` helpers at the same time. work(0) must do
// everything that no other has begun.
template <class Work>
void run_with_helpers(int wanted, const Work& work) {
  const Helpers helpers(wanted, job_of(work));
  work(0);
}

}  // namespace varlstm::host
