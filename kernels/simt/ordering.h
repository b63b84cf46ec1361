// How a memory access or a fence is ordered, and among which threads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/knowledge.h"

namespace varlstm::simt {

enum class Order : unsigned char { kWeak, kRelaxed, kAcquire, kRelease, kAcquireRelease };

inline bool releases(Order order) {
  return order == Order::kRelease || order == Order::kAcquireRelease;
}
inline bool acquires(Order order) {
  return order == Order::kAcquire || order == Order::kAcquireRelease;
}

// The ordering of a strong access or a fence. The scope is kBlock, kCluster or kGrid; kGrid also represents the system.
struct Ordering {
  Order order = Order::kRelaxed;
  Scope scope = kGrid;
};

}  // namespace varlstm::simt
