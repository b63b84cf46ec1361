// Cuts the sequences of a batch into segments on the device. See segments.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// Without resets the segments are the sequences.
inline void take_sequences_as_segments(BatchPlan* plan) {
  Segments segments = {};
  segments.count = plan->batch;
  segments.steps = plan->steps >= 0 ? plan->steps : plan->bounds.max_len;
  segments.sizes = plan->batch_sizes;
  segments.offsets = plan->step_offsets;
  segments.ragged_rows = plan->packed_to_ragged;
  segments.firsts = segments.lasts = segments.begins = plan->sorted_indices;
  plan->segments = segments;
}

// What is needed only while the segments are made. A candidate is a row that may begin a segment, or a sequence that
// may have no token: candidate r < max_tokens is ragged row r, and candidate max_tokens + b is sequence b.
struct SegmentScratch {
  uint64_t* keys;         // [max_tokens + max_batch] max_len - length of the segment, or max_len + 1: none begins
  uint64_t* sorted_keys;  // likewise
  int64_t* candidates;    // likewise: 0, 1, 2, ...
  int64_t* ranked;        // likewise: the candidate of each rank
  uint8_t* flags;         // [max_tokens] flags from host memory, by ragged row
  void* sort_workspace;
  int64_t sort_workspace_bytes;
};

// Lays out the arrays of plan.segments and the scratch in plan.reset_memory, or counts bytes if that is null.
int64_t carve_segments(BatchPlan* plan, SegmentScratch* scratch, int64_t sort_bytes);

// plan.segments, plan.lengths_hash <- the segments between the resets, which are as in ResetArgs. A flag of a token
// that is neither 0 nor 1 raises BadValue::kReset. plan.lengths_hash comes in as that of the lengths
// (plan_lengths_hash).
int32_t cut_segments(Stream stream, BatchPlan* plan, const ResetArgs& args, const SegmentScratch& scratch);

}  // namespace varlstm::cuda
