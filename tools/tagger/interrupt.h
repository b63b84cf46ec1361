// Ctrl-C (SIGINT) and SIGTERM as a flag that training looks at between batches.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

namespace tagger {

// While one exists, the two signals only set the flag. At most one at a time.
class InterruptGuard {
 public:
  InterruptGuard() {
    pending() = 0;
    struct sigaction action = {};
    action.sa_handler = [](int signal) { pending() = signal; };
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, &old_interrupt_);
    sigaction(SIGTERM, &action, &old_terminate_);
  }
  ~InterruptGuard() {
    sigaction(SIGINT, &old_interrupt_, nullptr);
    sigaction(SIGTERM, &old_terminate_, nullptr);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // The signal that came, or 0.
  int signal() const { return pending(); }

 private:
  static volatile std::sig_atomic_t& pending() { return pending_; }

  inline static volatile std::sig_atomic_t pending_ = 0;
  struct sigaction old_interrupt_ = {}, old_terminate_ = {};
};

}  // namespace tagger
