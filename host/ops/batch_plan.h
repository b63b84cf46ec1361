// The plan of one mini-batch: the packed row and the ragged row of each token of B sequences.
//
//   sorted_indices    [B]    the caller's index of the sequence of rank j: longest first, ties in the caller's order
//   unsorted_indices  [B]    its inverse, the rank of sequence b
//   batch_sizes       [T]    b_t, the number of sequences longer than t
//   step_offsets      [T+1]  sum of b_0 .. b_{t-1}; the last entry is N
//   cu_seqlens        [B+1]  sum of the lengths of the sequences before b; the last entry is N
//   packed row of (b, t) = step_offsets[t] + unsorted_indices[b];  ragged row of (b, t) = cu_seqlens[b] + t
//
// Sequences are sorted by a stable counting sort in O(B + T) steps and without allocation: b_l is also the first rank
// of the sequences of length l, so one table of counts is enough. It is kept in step_offsets while the plan is built.
// Sequences of length 0 get the last ranks. kernels/batch_plan does the same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "capi/contract/shapes.h"

namespace varlstm::host {

// How many of the first `rows` rows count: the batch's tokens, or all rows if there is no batch.
inline int64_t counted_rows(const BatchPlan* batch, int64_t rows) {
  return batch ? std::min(batch->tokens, rows) : rows;
}

// Copies `count` lengths into the plan. Each is clamped to [0, max_len] and to what is left of max_tokens. Returns the
// first index whose length changed, or -1.
inline int64_t clamp_lengths(BatchPlan& plan, const int64_t* lengths, int64_t count) {
  int64_t first_bad = -1;
  int64_t left = plan.bounds.max_tokens;
  for (int64_t b = 0; b < count; ++b) {
    const int64_t wanted = lengths[b];
    const int64_t length = std::max<int64_t>(0, std::min({wanted, plan.bounds.max_len, left}));
    if (length != wanted && first_bad < 0) first_bad = b;
    plan.lengths[b] = length;
    left -= length;
  }
  return first_bad;
}

// For ranks by length, longest first: ranks_or_counts[l] is how many items have length l, and becomes the first rank of
// that length. sizes[t] <- how many items are longer than t.
inline void rank_lengths(int64_t steps, int64_t* ranks_or_counts, int64_t* sizes) {
  int64_t longer = 0;
  for (int64_t length = steps; length >= 0; --length) {
    const int64_t equal = ranks_or_counts[length];
    ranks_or_counts[length] = longer;
    if (length < steps) sizes[length] = longer;
    longer += equal;
  }
}

// Without resets the segments are the sequences.
inline void take_sequences_as_segments(BatchPlan& plan) {
  Segments& segments = plan.segments;
  segments = {};
  segments.count = plan.batch;
  segments.steps = plan.steps;
  segments.sizes = plan.batch_sizes;
  segments.offsets = plan.step_offsets;
  segments.ragged_rows = plan.packed_to_ragged;
  segments.firsts = segments.lasts = segments.begins = plan.sorted_indices;
}

// Computes batch, steps, batch_sizes, sorted_indices and unsorted_indices from lengths.
inline void sort_lengths(BatchPlan& plan, int64_t count) {
  plan.batch = count;
  plan.steps = 0;
  for (int64_t b = 0; b < count; ++b) plan.steps = std::max(plan.steps, plan.lengths[b]);

  int64_t* next_rank = plan.step_offsets;  // [T+1], indexed by length
  std::fill_n(next_rank, plan.steps + 1, 0);
  for (int64_t b = 0; b < count; ++b) ++next_rank[plan.lengths[b]];
  rank_lengths(plan.steps, next_rank, plan.batch_sizes);
  for (int64_t b = 0; b < count; ++b) {
    const int64_t rank = next_rank[plan.lengths[b]]++;
    plan.sorted_indices[rank] = b;
    plan.unsorted_indices[b] = rank;
  }
}

// FNV-1a, one word at a time.
inline uint64_t add_to_hash(uint64_t hash, int64_t value) {
  return (hash ^ static_cast<uint64_t>(value)) * 1099511628211ULL;
}
inline constexpr uint64_t kEmptyHash = 1469598103934665603ULL;

inline uint64_t hash_of_lengths(const BatchPlan& plan) {
  uint64_t hash = kEmptyHash;
  for (int64_t b = 0; b < plan.batch; ++b) hash = add_to_hash(hash, plan.lengths[b]);
  return hash;
}

// Computes tokens, step_offsets, cu_seqlens, packed_to_ragged, ragged_to_packed, lengths_hash and segments from
// lengths, batch_sizes, sorted_indices and unsorted_indices.
inline void lay_out_rows(BatchPlan& plan) {
  plan.step_offsets[0] = 0;
  for (int64_t t = 0; t < plan.steps; ++t) plan.step_offsets[t + 1] = plan.step_offsets[t] + plan.batch_sizes[t];
  plan.cu_seqlens[0] = 0;
  for (int64_t b = 0; b < plan.batch; ++b) plan.cu_seqlens[b + 1] = plan.cu_seqlens[b] + plan.lengths[b];
  *plan.lengths_hash = static_cast<int64_t>(hash_of_lengths(plan));
  plan.tokens = plan.step_offsets[plan.steps];

  for (int64_t t = 0; t < plan.steps; ++t) {
    for (int64_t rank = 0; rank < plan.batch_sizes[t]; ++rank) {
      const int64_t packed = plan.step_offsets[t] + rank;
      const int64_t ragged = plan.cu_seqlens[plan.sorted_indices[rank]] + t;
      plan.packed_to_ragged[packed] = ragged;
      plan.ragged_to_packed[ragged] = packed;
    }
  }
  take_sequences_as_segments(plan);
}

// Makes the plan of `count` lengths in the caller's order. Returns the result of clamp_lengths, which is -1 if all
// lengths are within the bounds.
inline int64_t plan_from_lengths(BatchPlan& plan, const int64_t* lengths, int64_t count) {
  const int64_t first_bad = clamp_lengths(plan, lengths, count);
  sort_lengths(plan, count);
  lay_out_rows(plan);
  return first_bad;
}

// Makes the plan from the fields of a PackedSequence: batch_sizes [steps], positive and not increasing; sorted_indices
// [batch_sizes[0]], a permutation, or null for the identity. Sequences of equal length keep the given order.
inline void plan_from_batch_sizes(BatchPlan& plan, const int64_t* batch_sizes, int64_t steps,
                                  const int64_t* sorted_indices) {
  plan.batch = steps > 0 ? batch_sizes[0] : 0;
  plan.steps = steps;
  for (int64_t t = 0; t < steps; ++t) plan.batch_sizes[t] = batch_sizes[t];
  for (int64_t rank = 0; rank < plan.batch; ++rank) {
    const int64_t b = sorted_indices ? sorted_indices[rank] : rank;
    plan.sorted_indices[rank] = b;
    plan.unsorted_indices[b] = rank;
  }
  int64_t length = steps;  // of the sequence of this rank: the number of steps t with batch_sizes[t] > rank
  for (int64_t rank = 0; rank < plan.batch; ++rank) {
    while (plan.batch_sizes[length - 1] <= rank) --length;
    plan.lengths[plan.sorted_indices[rank]] = length;
  }
  lay_out_rows(plan);
}

}  // namespace varlstm::host
