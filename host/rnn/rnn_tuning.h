// How many threads run a recurrence, and how they divide it. Results do not depend on the choice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/cells/cells.h"
#include "host/rnn/rnn_layout.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

struct RecurrenceSplit {
  int threads;
  bool by_segment;  // divides by segments; else by hidden units
};

// The largest W_hh, in bytes, that stays in one core's second-level cache. Up to this size every member may read all of
// it.
inline constexpr int64_t kCacheResidentWeights = 384 * 1024;
// From this many multiplications per step on, a second thread pays for a barrier per step.
inline constexpr int64_t kUnitSplitWork = 30'000;

inline RecurrenceSplit recurrence_split(int64_t threads, const RnnShape& shape, const BatchPlan& batch,
                                        int64_t scalar_bytes) {
  const int64_t weights = (kCellTraits[shape.cell].gates * state_width(shape) + shape.projection) * shape.hidden;
  const int64_t total = weights * batch.tokens, steps = batch.segments.steps;
  if (total < kThreadedWork || steps == 0) return {1, false};
  const int64_t mean_rows = (batch.tokens + steps - 1) / steps;
  // Layer normalisation needs whole rows, so that a thread beyond the segments would have nothing to do.
  if (shape.layer_norm) return {thread_count(threads, shape.directions * batch.segments.count), true};
  const int used = thread_count(threads, shape.directions * shape.hidden);
  const int team = static_cast<int>((used + shape.directions - 1) / shape.directions);
  if (team == 1) return {used, false};
  if (weights * scalar_bytes <= kCacheResidentWeights && mean_rows >= 4 * team) return {used, true};
  if (weights * mean_rows / team < kUnitSplitWork) return {static_cast<int>(shape.directions), false};
  return {used, false};
}

}  // namespace varlstm::host
