// Fibers: one stack for each thread of a launch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::simt {

struct Fiber {
  void* context = nullptr;         // the place where it stopped
  unsigned char* stack = nullptr;  // its lowest byte; null for the fiber that the host runs on
  void* fake_stack = nullptr;      // AddressSanitizer's
};

// Makes `fiber` start with entry() when it is next switched to. It gets a stack if it has none. entry never returns.
void start_fiber(Fiber& fiber, void (*entry)());

// Continues with `to`; returns when another fiber switches back to `from`. `last`: none will.
void switch_fiber(Fiber& from, Fiber& to, bool last);

// Returns whether the stack was used to its end, because the words there were overwritten.
bool stack_overflowed(const Fiber& fiber);

}  // namespace varlstm::simt
