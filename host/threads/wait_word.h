// A word that threads wait for: a short spin, then sleep in the kernel, so that a thread that waits for one without a
// core soon gives its own core away.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

namespace varlstm::host {

using Nanoseconds = std::chrono::nanoseconds;

// How long a thread spins before it sleeps: a fiftieth of a time slice, and longer than most pauses between the pieces
// of a training step. With 1.5 us training on a quiet machine was 8 % slower, and a step's barrier up to three times as
// slow (bench/NOTES.md).
inline constexpr Nanoseconds kSpin{50'000};

// Sleeps until wake_sleepers, if the word still is `value`. It may also return for no reason.
inline void sleep_while(const std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

inline void wake_sleepers(const std::atomic<uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

inline void pause_spinning() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The time that a wait has taken so far. The clock is first read after a few rounds, because most waits are shorter.
class WaitClock {
 public:
  // One round of a spin; false if it has taken kSpin.
  bool spins() {
    pause_spinning();
    if (++rounds_ % kRounds != 0) return true;
    if (rounds_ == kRounds) begin_ = std::chrono::steady_clock::now();
    return std::chrono::steady_clock::now() - begin_ < kSpin;
  }

 private:
  static constexpr unsigned kRounds = 8;
  unsigned rounds_ = 0;
  std::chrono::steady_clock::time_point begin_;
};

// A value of 31 bits. A change publishes what its thread wrote before it to those that see the new value. The lowest
// bit of the word tells whether a thread sleeps, so that a change makes a system call only then. Atomic is std::atomic,
// except in a test that checks the memory orders.
template <template <class> class Atomic>
class BasicWaitWord {
 public:
  explicit BasicWaitWord(uint32_t value = 0) : word_(value << 1) {}

  uint32_t value() const { return word_.load(std::memory_order_acquire) >> 1; }

  void set(uint32_t value) {
    if (word_.exchange(value << 1, std::memory_order_acq_rel) & kSleeper) wake_sleepers(word_);
  }

  // Changes `from` to `to`; false if the value is another.
  bool replace(uint32_t from, uint32_t to) {
    uint32_t word = word_.load(std::memory_order_relaxed);
    while (word >> 1 == from) {
      if (!word_.compare_exchange_weak(word, to << 1, std::memory_order_acq_rel, std::memory_order_relaxed)) continue;
      if (word & kSleeper) wake_sleepers(word_);
      return true;
    }
    return false;
  }

  // Adds to the value, without waking anybody, and returns the sum.
  uint32_t add(uint32_t more) { return (word_.fetch_add(more << 1, std::memory_order_acq_rel) >> 1) + more; }

  // Waits until the value is not `value`, and returns it.
  uint32_t wait_while(uint32_t value) {
    uint32_t word = word_.load(std::memory_order_acquire);
    for (WaitClock clock; word >> 1 == value; word = word_.load(std::memory_order_acquire)) {
      if (clock.spins()) continue;
      if (!(word & kSleeper) &&
          !word_.compare_exchange_strong(word, word | kSleeper, std::memory_order_relaxed, std::memory_order_relaxed))
        continue;
      sleep_while(word_, word | kSleeper);
    }
    return word >> 1;
  }

 private:
  static constexpr uint32_t kSleeper = 1;
  Atomic<uint32_t> word_;
};
using WaitWord = BasicWaitWord<std::atomic>;

}  // namespace varlstm::host
