// Fibers: one stack for each thread of a launch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::simt {

struct Fiber {
  void* context = nullptr;         // where it stopped
  unsigned char* stack = nullptr;  // its lowest byte; null for the fiber that the host runs on
  void* fake_stack = nullptr;      // AddressSanitizer's
};

// Makes `fiber` start with entry() on its next turn; it takes a stack where it has none. entry never returns.
void start_fiber(Fiber& fiber, void (*entry)());

// Goes on with `to`; returns when another fiber comes back to `from`. `last`: none will.
void switch_fiber(Fiber& from, Fiber& to, bool last);

// Whether the stack was used to its end: the words that stand there were overwritten.
bool stack_overflowed(const Fiber& fiber);

}  // namespace varlstm::simt
