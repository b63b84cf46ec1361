// States and gradients of sequences without a token, which no schedule holds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"
#include "kernels/selection/recurrence_tuning.h"

namespace varlstm::cuda {

// [B, H] each; `from` null: zeros, `to` null: not wanted.
template <class T>
struct StatePair {
  const T* from;
  T* to;
};

template <class T>
struct EmptyStates {
  int count = 0;
  StatePair<T> pairs[2 * kMaxStackedLayers];  // h and c of each direction, or of each stacked layer

  void add(const T* from, T* to) { pairs[count++] = {from, to}; }
};

template <class T>
int32_t pass_empty_sequences(Stream stream, const BatchPlan& plan, int64_t hidden, const EmptyStates<T>& states);

}  // namespace varlstm::cuda
