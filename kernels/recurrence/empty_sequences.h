// Passes on the states and gradients of sequences without a token, which are in no schedule.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"
#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {

// [B, H] each. If `from` is null, zeros are passed on; if `to` is null, the result is not wanted.
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
