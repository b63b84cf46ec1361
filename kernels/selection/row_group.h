// Assigns each row of C classes to a group of threads: lanes of a warp for short rows, a block for long ones. Also the
// device code of such a group: its rows, its sum and maximum, and the sum of a softmax.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include "capi/contract/environment.h"
#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"

namespace varlstm::cuda {

constexpr unsigned kRowBlock = 256;  // threads of a block, whatever the group

enum class RowPolicy { kLanes8, kWarp, kBlock };
constexpr RowPolicy kRowPolicies[] = {RowPolicy::kLanes8, RowPolicy::kWarp, RowPolicy::kBlock};

inline const char* row_policy_name(RowPolicy policy) {
  return policy == RowPolicy::kLanes8 ? "lanes8" : policy == RowPolicy::kWarp ? "warp" : "block";
}

// Not measured on a GPU. A row of up to 16 classes would leave most of a warp idle; a row of more than 2,048 has enough
// classes for each thread of a block. Every policy is legal for every C.
inline RowPolicy select_row_policy(int64_t classes) {
  return classes <= 16 ? RowPolicy::kLanes8 : classes <= 2048 ? RowPolicy::kWarp : RowPolicy::kBlock;
}

// Returns the selection, unless the environment names a policy.
inline RowPolicy row_policy(int64_t classes) {
  if (const char* forced = environment(kRowPolicyVariable)) {
    for (const RowPolicy policy : kRowPolicies)
      if (strcmp(forced, row_policy_name(policy)) == 0) return policy;
  }
  return select_row_policy(classes);
}

// The group of kThreads threads (a power of two up to a warp, or the block) that a thread belongs to. Every thread of
// the block goes through the same number of rows, and calls sum and max the same number of times.
template <int kThreads>
struct RowGroup {
  static_assert(kThreads <= 32 || kThreads == static_cast<int>(kRowBlock), "lanes of a warp, or the block");
  static constexpr int64_t kRows = kRowBlock / kThreads;  // rows of a block

  // The loop over rows ends for all threads at once, so `row` may be past the last row.
  VARLSTM_DEVICE static int64_t first_of_block() { return static_cast<int64_t>(blockIdx.x) * kRows; }
  VARLSTM_DEVICE static int64_t step() { return static_cast<int64_t>(gridDim.x) * kRows; }
  VARLSTM_DEVICE static int64_t row_in_block() { return threadIdx.x / kThreads; }
  VARLSTM_DEVICE static int64_t first_class() { return threadIdx.x % kThreads; }

  // `scratch`: shared memory for kRowBlock / 32 values.
  template <class C>
  VARLSTM_DEVICE static C sum(C value, C* scratch) {
    if constexpr (kThreads <= 32) {
      return warp_sum<kThreads>(value);
    } else {
      return block_sum(value, scratch);
    }
  }
  template <class C>
  VARLSTM_DEVICE static C max(C value, C* scratch) {
    if constexpr (kThreads <= 32) {
      return warp_max<kThreads>(value);
    } else {
      return block_max(value, scratch);
    }
  }
};

// Calls body(RowGroup) with the group that the policy chooses.
template <class Body>
int32_t with_row_group(int64_t classes, const Body& body) {
  switch (row_policy(classes)) {
    case RowPolicy::kLanes8:
      return body(RowGroup<8>());
    case RowPolicy::kWarp:
      return body(RowGroup<32>());
    default:
      return body(RowGroup<kRowBlock>());
  }
}

template <class Group>
LaunchShape row_group_shape(Stream stream, int64_t rows, size_t scalar_bytes) {
  LaunchShape shape = elementwise_shape(stream, rows * (kRowBlock / Group::kRows), kRowBlock);
  shape.shared_bytes = kRowBlock / 32 * scalar_bytes;
  return shape;
}

// The maximum, and the sum of exp(x - maximum), over what a thread, then the group, has seen, in one pass over the row.
// A value of -inf adds nothing; +inf and NaN make the sum NaN.
template <class C>
struct SoftmaxSum {
  C largest = -INFINITY;
  C sum = 0;

  VARLSTM_DEVICE void add(C x) {
    if (x == -INFINITY) return;
    if (x > largest || x != x) {
      sum = sum * exp(largest - x) + 1;
      largest = x;
      if (x == INFINITY) sum = NAN;
    } else {
      sum += exp(x - largest);
    }
  }

  template <class Group>
  VARLSTM_DEVICE void join(C* scratch) {
    const C all = Group::max(largest, scratch);
    sum = Group::sum(largest == all ? sum : sum * exp(largest - all), scratch);
    largest = all;
  }
};

}  // namespace varlstm::cuda
