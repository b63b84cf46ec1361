// The row of each token of a batch, and the rows before and after it in one direction, in either order of rows.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/arch/device.h"

namespace varlstm::cuda {

// The row of token t of the sequence of rank j. The sequence must have that token.
VARLSTM_DEVICE int64_t row_of(const BatchPlan& plan, RowOrder order, int64_t t, int64_t j) {
  return order == RowOrder::kRagged ? plan.cu_seqlens[plan.sorted_indices[j]] + t : plan.step_offsets[t] + j;
}

// Likewise, or -1 if the sequence has no token t.
VARLSTM_DEVICE int64_t row_at(const BatchPlan& plan, RowOrder order, int64_t t, int64_t j) {
  return t >= 0 && t < plan.bounds.max_len && j < plan.batch_sizes[t] ? row_of(plan, order, t, j) : -1;
}

// The row that the direction visits before (t, j), or -1 if the sequence begins there.
VARLSTM_DEVICE int64_t row_before(const BatchPlan& plan, RowOrder order, bool reverse, int64_t t, int64_t j) {
  return row_at(plan, order, reverse ? t + 1 : t - 1, j);
}

// The row that the direction visits after (t, j), or -1 if the sequence ends there.
VARLSTM_DEVICE int64_t row_after(const BatchPlan& plan, RowOrder order, bool reverse, int64_t t, int64_t j) {
  return row_at(plan, order, reverse ? t - 1 : t + 1, j);
}

// The first and the last row that the direction visits in the sequence of rank j, which has `length` > 0 tokens.
VARLSTM_DEVICE int64_t first_row(const BatchPlan& plan, RowOrder order, bool reverse, int64_t j, int64_t length) {
  return row_of(plan, order, reverse ? length - 1 : 0, j);
}
VARLSTM_DEVICE int64_t last_row(const BatchPlan& plan, RowOrder order, bool reverse, int64_t j, int64_t length) {
  return row_of(plan, order, reverse ? 0 : length - 1, j);
}

// The number of steps that are launched: T, or its bound if only the device knows T.
inline int64_t launched_steps(const BatchPlan& plan) {
  return plan.steps >= 0 ? plan.steps : plan.bounds.max_len;
}

}  // namespace varlstm::cuda
