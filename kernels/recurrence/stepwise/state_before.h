// The states that the ranks of a tile start a step of forward from, and h as the product with W_hh reads it. For kernel
// files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/scalar.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/stepwise/cell_options.h"
#include "kernels/recurrence/stepwise/steps.h"

namespace varlstm::cuda {

struct PlainRanks {
  int64_t before[kRows];   // the row that was visited before, or -1
  int64_t initial[kRows];  // then: the sequence from whose initial state the rank starts, or -1
};

struct OptionRanks : PlainRanks {
  int64_t sequences[kRows];  // the sequence of the rank, if the state is under a mask; or -1
};

template <class Options>
using RanksOf = std::conditional_t<Options::kAct, OptionRanks, PlainRanks>;

// Fills in the rank of each of the first kRows threads, at token t. `width` ranks have that token.
template <class Options, class T, class C>
VARLSTM_DEVICE void fill_ranks(RanksOf<Options>& ranks, const LayerForward<T, C>& layer, const Options& options,
                               bool reverse, int64_t t, int64_t rank0, int64_t width) {
  const BatchPlan& plan = layer.plan;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread >= kRows) return;
  const int64_t own = rank0 + thread;
  ranks.before[thread] = own < width ? row_before(plan, layer.row_order, reverse, t, own) : -1;
  ranks.initial[thread] = own < width ? initial_of(plan, reverse, own) : -1;
  if constexpr (Options::kAct) {
    const bool masked = own < width && DirectionOptions<C>(options, blockIdx.z).drops_state();
    ranks.sequences[thread] =
        masked ? sequence_of(plan, layer.row_order, row_of(plan, layer.row_order, t, own), own) : -1;
  }
}

// Element k of the state before the step. `before` is the row that was visited before, or -1: then the state is the
// initial one of sequence b, or zero if b is -1.
template <class T>
VARLSTM_DEVICE ComputeType<T> state_before(const T* y, int64_t ldy, const T* initial, int64_t features, int64_t before,
                                           int64_t b, int64_t k) {
  if (before >= 0) return load_scalar(y[before * ldy + k]);
  return initial == nullptr || b < 0 ? ComputeType<T>(0) : load_scalar(initial[b * features + k]);
}

// The same of a rank, as it enters the product: under the mask of the state, if there is one. `ranks` must be filled
// and visible.
template <class Options, class T, class C>
VARLSTM_DEVICE C operand_before(const LayerForward<T, C>& layer, const RanksOf<Options>& ranks, const Options& options,
                                int rank, int64_t k) {
  const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
  const C h = state_before(dir.y, layer.ldy, dir.h0, layer.state, ranks.before[rank], ranks.initial[rank], k);
  if constexpr (Options::kAct) {
    const int64_t b = ranks.sequences[rank];
    if (b >= 0) return masked_state<T>(h, DirectionOptions<C>(options, blockIdx.z).state_factor(b, layer.state, k));
  }
  return h;
}

}  // namespace varlstm::cuda
