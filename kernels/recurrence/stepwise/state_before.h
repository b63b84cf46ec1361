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

template <int kRanks>
struct PlainRanks {
  int64_t rows[kRanks];     // the row of the token, or -1: no such rank
  int64_t before[kRanks];   // the row that was visited before, or -1
  int64_t initial[kRanks];  // then: the sequence from whose initial state the rank starts, or -1
};

template <int kRanks>
struct OptionRanks : PlainRanks<kRanks> {
  int64_t sequences[kRanks];  // the sequence of the rank, if the state is under a mask; or -1
};

template <class Tile, class Options>
using RanksOf = std::conditional_t<Options::kAct, OptionRanks<Tile::kRanks>, PlainRanks<Tile::kRanks>>;

// Fills in the rank of each of the tile's first threads, at token t. `width` ranks have that token.
template <class Tile, class Options, class T, class C>
VARLSTM_DEVICE void fill_ranks(RanksOf<Tile, Options>& ranks, const LayerForward<T, C>& layer, const Options& options,
                               const StepPlace& at) {
  const BatchPlan& plan = layer.plan;
  const int64_t t = at.t, width = at.width, rank0 = at.rank0;
  const bool reverse = at.reverse;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread >= Tile::kRanks) return;
  const int64_t own = rank0 + thread;
  const int64_t row = own < width ? row_of(plan, layer.row_order, t, own) : -1;
  ranks.rows[thread] = row;
  ranks.before[thread] = own < width ? row_before(plan, layer.row_order, reverse, t, own) : -1;
  ranks.initial[thread] = own < width ? initial_of(plan, reverse, own) : -1;
  if constexpr (Options::kAct) {
    const bool masked = own < width && DirectionOptions<C>(options, blockIdx.z).drops_state();
    ranks.sequences[thread] = masked ? sequence_of(plan, layer.row_order, row, own) : -1;
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

// The same of the ranks of a tile, as an operand of the product: under the mask of the state, if there is one. `ranks`
// must be filled and visible.
template <class Tile, class Options>
struct StateOperand {
  using T = typename Tile::Scalar;
  using C = typename Tile::Compute;
  const LayerForward<T, C>& layer;
  const RanksOf<Tile, Options>& ranks;
  const Options& options;

  VARLSTM_DEVICE const T* row(int r) const {
    const DirectionForward<T, C>& dir = layer.direction[blockIdx.z];
    if (ranks.before[r] >= 0) return dir.y + ranks.before[r] * layer.ldy;
    return dir.h0 == nullptr || ranks.initial[r] < 0 ? nullptr : dir.h0 + ranks.initial[r] * layer.state;
  }
  VARLSTM_DEVICE static constexpr int64_t place(int64_t k) { return k; }
  VARLSTM_DEVICE static constexpr bool is_whole(int64_t, int64_t) { return true; }
  VARLSTM_DEVICE C value(int r, int64_t k) const {
    const T* const from = row(r);
    const C h = from == nullptr ? C(0) : load_scalar(from[k]);
    if constexpr (Options::kAct) {
      const int64_t b = ranks.sequences[r];
      if (b >= 0) return masked_state<T>(h, DirectionOptions<C>(options, blockIdx.z).state_factor(b, layer.state, k));
    }
    return h;
  }
  VARLSTM_DEVICE bool is_stored() const {
    if constexpr (Options::kAct) return !DirectionOptions<C>(options, blockIdx.z).drops_state();
    return true;
  }
};

}  // namespace varlstm::cuda
