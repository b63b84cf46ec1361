// Steps and their neighbours in a packed batch, for one direction.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"
#include "kernels/core/shapes.h"

namespace varlstm::cuda {

// Packed row of the sequence of rank j at step t, or -1 where it has none.
VARLSTM_DEVICE int64_t row_at(const BatchPlan& plan, int64_t t, int64_t j) {
  return t >= 0 && t < plan.bounds.max_len && j < plan.batch_sizes[t] ? plan.step_offsets[t] + j : -1;
}

// The row that the direction visits before (t, j), or -1 where the sequence begins.
VARLSTM_DEVICE int64_t row_before(const BatchPlan& plan, bool reverse, int64_t t, int64_t j) {
  return row_at(plan, reverse ? t + 1 : t - 1, j);
}

// The row that the direction visits after (t, j), or -1 where the sequence ends.
VARLSTM_DEVICE int64_t row_after(const BatchPlan& plan, bool reverse, int64_t t, int64_t j) {
  return row_at(plan, reverse ? t - 1 : t + 1, j);
}

// The first and the last row that the direction visits of the sequence of rank j, which has `length` > 0 tokens.
VARLSTM_DEVICE int64_t first_row(const BatchPlan& plan, bool reverse, int64_t j, int64_t length) {
  return reverse ? plan.step_offsets[length - 1] + j : j;
}
VARLSTM_DEVICE int64_t last_row(const BatchPlan& plan, bool reverse, int64_t j, int64_t length) {
  return reverse ? j : plan.step_offsets[length - 1] + j;
}

// Steps that are launched: T, or its bound where only the device knows it.
inline int64_t launched_steps(const BatchPlan& plan) {
  return plan.steps >= 0 ? plan.steps : plan.bounds.max_len;
}

}  // namespace varlstm::cuda
