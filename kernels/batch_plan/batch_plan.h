// Builds the plan of a mini-batch on the device. See batch_plan.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// The arrays of a plan that the caller does not see. They are in the same allocation as those of BatchPlan.
struct PlanScratch {
  int64_t* raw_lengths;   // [max_batch] as they were given
  uint64_t* keys;         // [max_batch] max_len - length
  uint64_t* sorted_keys;  // [max_batch]
  int64_t* identity;      // [max_batch]
  void* sort_workspace;
  int64_t sort_workspace_bytes;
};

// lengths [plan.batch] -> every array of the plan. A length below 0 or beyond a bound is clamped, in the caller's
// order, and raises BadValue::kLength. space: a varlstm_space. Lengths on the host are read before the call returns,
// and are within the bounds.
int32_t plan_from_lengths(Stream stream, const BatchPlan& plan, const int64_t* lengths, int32_t space,
                          const PlanScratch& scratch);

// plan.batch_sizes [max_len] (0 from T on) and plan.sorted_indices [batch] -> the other arrays of the plan.
int32_t plan_from_batch_sizes(Stream stream, const BatchPlan& plan, const PlanScratch& scratch);

// plan.lengths_hash <- that of the lengths, without resets.
int32_t plan_lengths_hash(Stream stream, const BatchPlan& plan);

// plan.sorted_indices [batch] <- 0, 1, 2, ...
int32_t plan_identity_order(Stream stream, const BatchPlan& plan);

// to [count] <- from. `from` is in host memory and is read before the call returns: the values are arguments of
// kernels. So the caller may reuse `from` at once, pinned or not, and a captured graph replays the values of the
// capture. Values are in [0, largest].
int32_t plan_upload(Stream stream, const int64_t* from, int64_t count, int64_t largest, int64_t* to);

}  // namespace varlstm::cuda
