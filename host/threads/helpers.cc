// SPDX-License-Identifier: Apache-2.0
#include "host/threads/helpers.h"

#include <pthread.h>
#include <signal.h>

#include "host/threads/machine.h"
#include "host/threads/wait_word.h"

namespace varlstm::host {
namespace {

// The states of a helper and who ends each.
enum : uint32_t {
  kAbsent,    // there is no thread; a caller
  kIdle,      // a caller
  kReserved,  // by a caller that writes a job; the caller
  kOffered,   // a job is there; the helper, or the caller, which withdraws it
  kRunning,   // the helper
  kFinished,  // the caller, after which the helper is idle
  kStopped,   // nobody
};

struct alignas(64) Helper {
  WaitWord state{kAbsent};
  int rank = 0;
  Job job{};
  pthread_t thread{};
};

Helper helpers[kMostThreads - 1];
std::atomic<int> started{0};  // helpers[started ...] have never had a thread

void* help(void* of_helper) {
  Helper& self = *static_cast<Helper*>(of_helper);
  for (uint32_t state = self.state.value();; state = self.state.wait_while(state)) {
    if (state == kStopped) return nullptr;
    if (state != kOffered || !self.state.replace(kOffered, kRunning)) continue;
    self.job.run(self.job.body, self.rank);
    self.state.set(state = kFinished);
  }
}

// Starts the thread of a reserved helper; false if the system has none. Signals are the program's own threads' matter.
bool start(Helper& helper) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool done = pthread_create(&helper.thread, nullptr, help, &helper) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return done;
}

// After a thread could not be started, none is tried for this long.
constexpr Nanoseconds kNextTry{1'000'000'000};
std::atomic<int64_t> next_try{0};

int64_t now() {
  return Nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Reserves helper k for the caller, and starts it if need be.
bool reserve(int k) {
  Helper& helper = helpers[k];
  if (helper.state.replace(kIdle, kReserved)) return true;
  if (helper.state.value() != kAbsent || now() < next_try.load(std::memory_order_relaxed) ||
      !helper.state.replace(kAbsent, kReserved))
    return false;
  if (start(helper)) {
    for (int known = started.load(std::memory_order_relaxed);
         known <= k && !started.compare_exchange_weak(known, k + 1, std::memory_order_relaxed);) {
    }
    return true;
  }
  next_try.store(now() + kNextTry.count(), std::memory_order_relaxed);
  helper.state.set(kAbsent);
  return false;
}

// A child of fork() has none of its parent's threads.
void forget_helpers() {
  for (int k = 0, count = started.exchange(0, std::memory_order_relaxed); k < count; ++k) helpers[k].state.set(kAbsent);
}

[[gnu::constructor]] void forget_helpers_in_children() {
  pthread_atfork(nullptr, nullptr, forget_helpers);
}

// When the library is unloaded or the process ends. At the end of a process some helpers may still work for a thread
// that goes on; they end with it.
[[gnu::destructor]] void stop_helpers() {
  for (int k = 0, count = started.load(std::memory_order_relaxed); k < count; ++k)
    if (helpers[k].state.replace(kIdle, kStopped)) pthread_join(helpers[k].thread, nullptr);
}

}  // namespace

Helpers::Helpers(int wanted, const Job& job) {
  // Callers at the same time share the helpers of one machine, but each may have as many as it wants.
  const int others = usable_cores() - 1, most = wanted > others ? wanted : others;
  for (int k = 0; k < most && count_ < wanted; ++k) {
    if (!reserve(k)) continue;
    asked_[count_++] = static_cast<int16_t>(k);
    helpers[k].rank = count_;
    helpers[k].job = job;
    helpers[k].state.set(kOffered);
  }
}

Helpers::~Helpers() {
  for (int k = 0; k < count_; ++k) {
    WaitWord& state = helpers[asked_[k]].state;
    if (state.replace(kOffered, kIdle)) continue;
    while (state.wait_while(kRunning) != kFinished) {
    }
    state.add(kIdle - kFinished);  // without waking the helper, which waits for more
  }
}

}  // namespace varlstm::host
