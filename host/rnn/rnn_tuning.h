// How many threads run a recurrence, and how they divide it. Results do not depend on the choice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/cells/cells.h"
#include "host/rnn/rnn_layout.h"
#include "host/threads/parallel.h"
#include "host/threads/team.h"

namespace varlstm::host {

struct RecurrenceSplit {
  int threads;
  bool by_segment;  // divides by segments; else by hidden units
  int parts;        // of each direction; if by_segment they do not wait for each other
};

// The largest W_hh, in bytes, that stays in one core's second-level cache. Up to this size every member may read all of
// it.
inline constexpr int64_t kCacheResidentWeights = 384 * 1024;
// From this many multiplications per step on, a second thread pays for a barrier per step.
inline constexpr int64_t kUnitSplitWork = 30'000;

inline RecurrenceSplit recurrence_split(int64_t threads, const RnnShape& shape, const BatchPlan& batch,
                                        int64_t scalar_bytes) {
  const int directions = static_cast<int>(shape.directions);
  const int64_t weights = (kCellTraits[shape.cell].gates * state_width(shape) + shape.projection) * shape.hidden;
  const int64_t total = weights * batch.tokens, steps = batch.segments.steps;
  // A single step of few rows is done before a second thread has begun.
  if (total < kThreadedWork || steps == 0 || (steps == 1 && batch.tokens <= kFewRows)) return {1, true, 1};
  const int64_t mean_rows = (batch.tokens + steps - 1) / steps;
  // Layer normalisation needs whole rows, so that a thread beyond the segments would have nothing to do.
  const int used = thread_count(threads, directions * (shape.layer_norm ? batch.segments.count : shape.hidden));
  const int team = (used + directions - 1) / directions;
  if (team == 1 || shape.layer_norm) return {used, true, team};
  if (weights * scalar_bytes <= kCacheResidentWeights && mean_rows >= 4 * team) return {used, true, team};
  if (weights * mean_rows / team < kUnitSplitWork) return {directions, true, 1};
  return {used, false, team};
}

// Runs pack(direction, member) for every direction and part, if the recurrence packs anything, and then
// steps(direction, member) for every member.
template <class Pack, class Steps>
void run_recurrence(const RecurrenceSplit& split, int64_t directions, bool packs, const Pack& pack,
                    const Steps& steps) {
  const auto for_parts = [&](const auto& body) {
    parallel_for(split.threads, directions * split.parts,
                 [&](int64_t piece) { body(piece % directions, member_of_part(piece / directions, split.parts)); });
  };
  if (split.by_segment && split.parts == 1) {  // what a part packs is still in its cache
    return for_parts([&](int64_t d, const Member& member) {
      pack(d, member);
      steps(d, member);
    });
  }
  if (packs) for_parts(pack);
  if (split.by_segment) return for_parts(steps);
  run_teams(split.threads, directions, split.parts, steps);
}

}  // namespace varlstm::host
