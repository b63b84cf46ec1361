// Pack and unpack: rows of F features move between the caller's layout and the packed one.
//
//   pack    packed [N, F] <- src; padding is never read
//   unpack  dst <- packed [N, F]; every padded position <- pad_value
//
// src and dst are batch first [B, padded_len, F], time major [padded_len, B, F] or ragged [N, F]. unpack with
// pad_value 0 is the adjoint of pack, and pack is the adjoint of unpack. kernels/pack does the same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "capi/contract/shapes.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// The number of rows that one piece of work moves, which is enough to be worth a thread.
inline int64_t rows_per_copy(int64_t features) {
  constexpr int64_t kElements = 32768;
  return std::max<int64_t>(1, kElements / std::max<int64_t>(1, features));
}

template <class T>
void pack(int64_t threads, const PackArgs& args, const T* src, T* packed) {
  const BatchPlan& plan = *args.batch;
  const int64_t features = args.features;
  parallel_ranges(threads, plan.tokens, rows_per_copy(features), [&](int64_t begin, int64_t end) {
    int64_t t = std::upper_bound(plan.step_offsets, plan.step_offsets + plan.steps, begin) - plan.step_offsets - 1;
    for (int64_t row = begin; row < end; ++row) {
      while (row >= plan.step_offsets[t + 1]) ++t;
      const int64_t b = plan.sorted_indices[row - plan.step_offsets[t]];
      int64_t source = plan.packed_to_ragged[row];
      if (args.layout == Layout::kBatchFirst) source = b * args.padded_len + t;
      if (args.layout == Layout::kTimeMajor) source = t * plan.batch + b;
      std::copy_n(src + source * features, features, packed + row * features);
    }
  });
}

// The ragged layout has no padding: row r of dst is the packed row ragged_to_packed[r].
template <class T>
void unpack_ragged(int64_t threads, const PackArgs& args, const T* packed, T* dst) {
  const int64_t features = args.features;
  parallel_ranges(threads, args.batch->tokens, rows_per_copy(features), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(packed + args.batch->ragged_to_packed[row] * features, features, dst + row * features);
    }
  });
}

template <class T>
void unpack_padded(int64_t threads, const PackArgs& args, T pad_value, const T* packed, T* dst) {
  const BatchPlan& plan = *args.batch;
  const int64_t features = args.features;
  const bool batch_first = args.layout == Layout::kBatchFirst;
  parallel_ranges(threads, plan.batch * args.padded_len, rows_per_copy(features), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = batch_first ? row / args.padded_len : row % plan.batch;
      const int64_t t = batch_first ? row % args.padded_len : row / plan.batch;
      if (t < plan.lengths[b]) {
        const int64_t source = plan.step_offsets[t] + plan.unsorted_indices[b];
        std::copy_n(packed + source * features, features, dst + row * features);
      } else {
        std::fill_n(dst + row * features, features, pad_value);
      }
    }
  });
}

template <class T>
void unpack(int64_t threads, const PackArgs& args, double pad_value, const T* packed, T* dst) {
  if (args.layout == Layout::kRagged) return unpack_ragged(threads, args, packed, dst);
  unpack_padded(threads, args, static_cast<T>(static_cast<ComputeType<T>>(pad_value)), packed, dst);
}

}  // namespace varlstm::host
