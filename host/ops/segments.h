// Resets cut the sequences of a batch into segments, which are ranked by length like the sequences.
//
// Example: A has 5 tokens with a reset at token 3, and B has 2 tokens. The segments are A0 A1 A2, A3 A4 and B0 B1, in
// this order of ranks, so sizes = 3, 3, 1. In packed order the rows are A0 B0 A1 B1 A2 A3 A4, and packed_rows names
// A0 A3 B0, A1 A4 B1, A2, which is 0 5 1, 2 6 3, 4. firsts = A -1 B, lasts = -1 A B and begins = A -1 B. With a reset
// at token 0 of B, begins = A -1 -1: no segment starts from the initial state of B.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/ops/batch_plan.h"

namespace varlstm::host {

// The place of the flag of token t of sequence b.
inline int64_t reset_index(const BatchPlan& plan, const ResetArgs& args, int64_t b, int64_t t) {
  switch (args.layout) {
    case Layout::kBatchFirst:
      return b * args.padded_len + t;
    case Layout::kTimeMajor:
      return t * plan.batch + b;
    case Layout::kRagged:
      break;
  }
  return plan.cu_seqlens[b] + t;
}

struct Segment {
  int64_t sequence;  // b
  int64_t first;     // its first token in the sequence
  int64_t length;
  bool reset;  // there is a reset at its first token
};

// Calls body(segment) in the order of the tokens.
template <class Body>
void for_segments(const BatchPlan& plan, const ResetArgs& args, const Body& body) {
  for (int64_t b = 0; b < plan.batch; ++b) {
    const auto reset = [&](int64_t t) { return args.resets[reset_index(plan, args, b, t)] != 0; };
    int64_t first = 0;
    for (int64_t t = 1; t <= plan.lengths[b]; ++t) {
      if (t < plan.lengths[b] && !reset(t)) continue;
      body(Segment{b, first, t - first, reset(first)});
      first = t;
    }
    if (plan.lengths[b] == 0) body(Segment{b, 0, 0, false});
  }
}

// The number of elements of reset_memory.
inline int64_t reset_memory_elements(const BatchBounds& bounds) {
  return 2 * bounds.max_len + 1 + 2 * bounds.max_tokens + 5 * (bounds.max_tokens + bounds.max_batch);
}

// Computes the segments in the plan's reset_memory. Returns the index of the first flag of a token that is neither 0
// nor 1, or -1.
inline int64_t plan_resets(BatchPlan& plan, const ResetArgs& args) {
  const BatchBounds& bounds = plan.bounds;
  int64_t* next = plan.reset_memory;
  const auto take = [&next](int64_t elements) {
    int64_t* const array = next;
    next += elements;
    return array;
  };
  Segments& segments = plan.segments;
  segments.sizes = take(bounds.max_len);
  segments.offsets = take(bounds.max_len + 1);
  segments.packed_rows = take(bounds.max_tokens);
  segments.ragged_rows = take(bounds.max_tokens);
  const int64_t most = bounds.max_tokens + bounds.max_batch;
  segments.firsts = take(most);
  segments.lasts = take(most);
  segments.begins = take(most);
  segments.lengths = take(most);
  int64_t* const first_rows = take(most);  // by rank: the ragged row of the segment's first token

  segments.count = segments.steps = 0;
  int64_t* const next_rank = segments.offsets;  // by length, until the ranks are known
  std::fill_n(next_rank, plan.steps + 1, 0);
  for_segments(plan, args, [&](const Segment& segment) {
    ++segments.count;
    ++next_rank[segment.length];
    segments.steps = std::max(segments.steps, segment.length);
  });
  rank_lengths(segments.steps, next_rank, segments.sizes);
  uint64_t hash = hash_of_lengths(plan);
  for_segments(plan, args, [&](const Segment& segment) {
    const int64_t rank = next_rank[segment.length]++, b = segment.sequence;
    const bool is_first = segment.first == 0, is_last = segment.first + segment.length == plan.lengths[b];
    segments.firsts[rank] = is_first ? b : -1;
    segments.lasts[rank] = is_last ? b : -1;
    segments.begins[rank] = is_first && !segment.reset ? b : -1;
    segments.lengths[rank] = segment.length;
    first_rows[rank] = plan.cu_seqlens[b] + segment.first;
    if (segment.reset) hash = add_to_hash(hash, first_rows[rank]);
  });
  *plan.lengths_hash = static_cast<int64_t>(hash);

  segments.offsets[0] = 0;
  for (int64_t t = 0; t < segments.steps; ++t) {
    segments.offsets[t + 1] = segments.offsets[t] + segments.sizes[t];
    for (int64_t rank = 0; rank < segments.sizes[t]; ++rank) {
      const int64_t at = segments.offsets[t] + rank, row = first_rows[rank] + t;
      segments.ragged_rows[at] = row;
      segments.packed_rows[at] = plan.ragged_to_packed[row];
    }
  }

  int64_t first_bad = -1;
  for (int64_t b = 0; b < plan.batch; ++b) {
    for (int64_t t = 0; t < plan.lengths[b]; ++t) {
      const int64_t index = reset_index(plan, args, b, t);
      if (args.resets[index] > 1 && (first_bad < 0 || index < first_bad)) first_bad = index;
    }
  }
  return first_bad;
}

}  // namespace varlstm::host
