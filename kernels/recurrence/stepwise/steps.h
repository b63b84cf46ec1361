// The row of each token of a batch's segments, the rows before and after it in one direction, and the states that a
// segment starts from and gives, in either order of rows. Without resets the segments are the sequences.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/arch/device.h"
#include "kernels/recurrence/stepwise/step_shape.h"

namespace varlstm::cuda {

// The row of token t of the segment of rank j. The segment must have that token.
VARLSTM_DEVICE int64_t row_of(const BatchPlan& plan, RowOrder order, int64_t t, int64_t j) {
  const int64_t at = plan.segments.offsets[t] + j;
  const int64_t* rows = order == RowOrder::kRagged ? plan.segments.ragged_rows : plan.segments.packed_rows;
  return rows == nullptr ? at : rows[at];
}

// Likewise, or -1 if the segment has no token t.
VARLSTM_DEVICE int64_t row_at(const BatchPlan& plan, RowOrder order, int64_t t, int64_t j) {
  return t >= 0 && t < plan.bounds.max_len && j < plan.segments.sizes[t] ? row_of(plan, order, t, j) : -1;
}

// The row that the direction visits before (t, j), or -1 if the segment begins there.
VARLSTM_DEVICE int64_t row_before(const BatchPlan& plan, RowOrder order, bool reverse, int64_t t, int64_t j) {
  return row_at(plan, order, reverse ? t + 1 : t - 1, j);
}

// The row that the direction visits after (t, j), or -1 if the segment ends there.
VARLSTM_DEVICE int64_t row_after(const BatchPlan& plan, RowOrder order, bool reverse, int64_t t, int64_t j) {
  return row_at(plan, order, reverse ? t - 1 : t + 1, j);
}

// The sequence from whose initial state the segment of rank j starts in that direction; -1: it starts from zeros.
VARLSTM_DEVICE int64_t initial_of(const BatchPlan& plan, bool reverse, int64_t j) {
  return reverse ? plan.segments.lasts[j] : plan.segments.begins[j];
}

// The sequence whose final state the segment of rank j gives in that direction; -1: none.
VARLSTM_DEVICE int64_t final_of(const BatchPlan& plan, bool reverse, int64_t j) {
  return reverse ? plan.segments.firsts[j] : plan.segments.lasts[j];
}

// The row in ragged order of a row.
VARLSTM_DEVICE int64_t ragged_row(const BatchPlan& plan, RowOrder order, int64_t row) {
  return order == RowOrder::kRagged ? row : plan.packed_to_ragged[row];
}

// The sequence of the segment of rank j, which has that row. With resets it is the last one that begins at the row or
// before it: sequences without a token begin where the next one does.
VARLSTM_DEVICE int64_t sequence_of(const BatchPlan& plan, RowOrder order, int64_t row, int64_t j) {
  if (plan.segments.lengths == nullptr) return plan.sorted_indices[j];
  const int64_t n = ragged_row(plan, order, row);
  int64_t first = 0, end = plan.batch;
  while (end - first > 1) {
    const int64_t middle = first + (end - first) / 2;
    if (plan.cu_seqlens[middle] <= n)
      first = middle;
    else
      end = middle;
  }
  return first;
}

// The first and the last row that the direction visits in sequence b, which has a token.
VARLSTM_DEVICE int64_t sequence_row(const BatchPlan& plan, RowOrder order, int64_t b, int64_t t) {
  return order == RowOrder::kRagged ? plan.cu_seqlens[b] + t : plan.step_offsets[t] + plan.unsorted_indices[b];
}
VARLSTM_DEVICE int64_t first_row(const BatchPlan& plan, RowOrder order, bool reverse, int64_t b) {
  return sequence_row(plan, order, b, reverse ? plan.lengths[b] - 1 : 0);
}
VARLSTM_DEVICE int64_t last_row(const BatchPlan& plan, RowOrder order, bool reverse, int64_t b) {
  return sequence_row(plan, order, b, reverse ? 0 : plan.lengths[b] - 1);
}

// The number of steps that are launched: T of the segments, or its bound if only the device knows T.
inline int64_t launched_steps(const BatchPlan& plan) {
  return plan.segments.steps;
}

// At most so many segments have a token t: those with one have t + 1 each.
inline int64_t most_segments(const BatchPlan& plan, int64_t t) {
  const int64_t tokens = plan.tokens >= 0 ? plan.tokens : plan.bounds.max_tokens;
  const int64_t long_enough = tokens / (t + 1);
  return long_enough < plan.segments.count ? long_enough : plan.segments.count;
}

// The number of ranks that the step's launch needs, which visits t = step and t = steps - 1 - step if there are
// two directions. `from_end`: the forward direction is at t = steps - 1 - step, as in backward.
template <class Layer>
int64_t launched_ranks(const Layer& layer, int64_t step, int64_t steps, bool from_end = false) {
  const int64_t opposite = steps - 1 - step, forward = from_end ? opposite : step;
  const int64_t earliest = layer.directions == 1 ? forward : step < opposite ? step : opposite;
  return most_segments(layer.plan, earliest);
}

}  // namespace varlstm::cuda
