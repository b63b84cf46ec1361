// The options of a cell in one call: which of them act, and their masks for one layer and direction at a time. Forward
// and backward make the same masks from the seed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <limits>

#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/ops/option_mask.h"
#include "host/rnn/recurrence_options.h"
#include "host/rnn/rnn_layout.h"
#include "host/simd/rounding.h"
#include "host/simd/row_kernel.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

inline bool has_dropout(const RnnShape& shape, RecurrentDropout kind) {
  return shape.options.recurrent_dropout > 0 && shape.options.recurrent_dropout_kind == kind;
}

// A pointer is null if its option is off.
template <class T>
struct OptionWorkspace {
  int64_t* sequences;                 // [N]
  T* weight_factors[kMaxDirections];  // [GH, R]
  T* w_hh[kMaxDirections];            // [GH, R]
  T* state[kMaxDirections];           // [B, R]
  T* candidate[kMaxDirections];       // [N, Hp]
  T* zoneout_h[kMaxDirections];       // [N, Rp]
  T* zoneout_c[kMaxDirections];       // [N, Hp]
  T* masked[kMaxDirections];          // forward: [N, R] h under the mask of the state
  T* masked_init[kMaxDirections];     // forward: [B, Rp] h0 likewise, and a row of zeros before it
  T* dmasked[kMaxDirections];         // backward: [., Rp] by rank
  T* dw_hh[kMaxDirections];           // backward: [GH, R]

  OptionWorkspace(const RnnShape& shape, const BatchSize& size, bool backward, Carver& carver) {
    const int64_t rows = kCellTraits[shape.cell].gates * shape.hidden, width = state_width(shape);
    const auto take = [&](bool wanted, int64_t a, int64_t b) { return wanted ? carver.take<T>(a, b) : nullptr; };
    const bool weights = has_dropout(shape, RecurrentDropout::kWeights);
    const bool states = has_dropout(shape, RecurrentDropout::kState);
    sequences = states ? carver.take<int64_t>(size.tokens) : nullptr;
    for (int64_t d = 0; d < shape.directions; ++d) {
      weight_factors[d] = take(weights, rows, width);
      w_hh[d] = take(weights, rows, width);
      state[d] = take(states, size.batch, width);
      candidate[d] = take(has_dropout(shape, RecurrentDropout::kCandidate), size.tokens, padded_units(shape.hidden));
      zoneout_h[d] = take(shape.options.zoneout_h > 0, size.tokens, padded_units(width));
      zoneout_c[d] = take(shape.options.zoneout_c > 0, size.tokens, padded_units(shape.hidden));
      masked[d] = take(states && !backward, size.tokens, width);
      masked_init[d] = states && !backward ? take_initial<T>(size.batch, padded_units(width), carver) : nullptr;
      dmasked[d] = take(states && backward, size.segments, padded_units(width));
      dw_hh[d] = take(weights && backward, rows, width);
    }
  }
};

template <class T>
class RnnOptions {
 public:
  // Without a seed nothing is drawn: there is no recurrent dropout, and zoneout gives its expectation.
  RnnOptions(int64_t threads, const RnnShape& shape, const BatchPlan& plan, uint64_t seed,
             const OptionWorkspace<T>& workspace)
      : threads_(threads), shape_(shape), plan_(plan), seed_(seed), workspace_(workspace) {
    if (drops(RecurrentDropout::kState)) find_sequences();
  }

  bool drops(RecurrentDropout kind) const { return seed_ != 0 && has_dropout(shape_, kind); }

  // The options of a layer and direction, whose masks stay until the next call for that direction.
  RecurrenceOptions<T> of(int64_t layer, int64_t d, const T* w_hh) const {
    const CellOptions& o = shape_.options;
    const int64_t units = padded_units(shape_.hidden), width = state_width(shape_);
    const bool projects = shape_.projection > 0;
    RecurrenceOptions<T> r;
    r.units.cell_clip = limit(o.cell_clip);
    r.clips_projection = projects && o.projection_clip > 0;
    if (r.clips_projection) r.projection_clip = limit(o.projection_clip);
    r.units.c = zoneout(o.zoneout_c, mask(MaskKind::kZoneoutC, layer, d), shape_.hidden, workspace_.zoneout_c[d]);
    const Zoneout<T> of_h = zoneout(o.zoneout_h, mask(MaskKind::kZoneoutH, layer, d), width, workspace_.zoneout_h[d]);
    (projects ? r.projected : r.units.h) = of_h;
    r.passes_dh = of_h.p > 0;
    if (drops(RecurrentDropout::kCandidate)) {
      fill_rows(mask(MaskKind::kCandidate, layer, d), shape_.hidden, T(0), scale(), workspace_.candidate[d]);
      r.units.candidate = workspace_.candidate[d];
      r.units.candidate_ld = units;
    }
    if (drops(RecurrentDropout::kState)) {
      fill_mask(mask(MaskKind::kState, layer, d), 0, plan_.batch * width, T(0), scale(), workspace_.state[d]);
      r.state = workspace_.state[d];
      r.sequences = workspace_.sequences;
    }
    if (drops(RecurrentDropout::kWeights)) r.w_hh = mask_weights(layer, d, w_hh);
    r.in_formulas = o.cell_clip > 0 || r.units.candidate != nullptr || r.units.h.p > 0 || r.units.c.p > 0;
    return r;
  }

  // dw [GH, R] += the gradient of the weights under the mask, of those that it has not dropped.
  void add_weight_gradient(int64_t d, const T* under_mask, T* dw) const {
    const T* const factors = workspace_.weight_factors[d];
    for (int64_t k = 0; k < weights(); ++k)
      if (factors[k] != 0) dw[k] += under_mask[k] * factors[k];
  }
  int64_t weights() const { return kCellTraits[shape_.cell].gates * shape_.hidden * state_width(shape_); }

 private:
  static T limit(double clip) {
    constexpr auto kLargest = std::numeric_limits<T>::max();
    return clip == 0 || clip > static_cast<double>(kLargest) ? std::numeric_limits<T>::infinity()
                                                             : static_cast<T>(clip);
  }

  T scale() const { return static_cast<T>(1 / (1 - shape_.options.recurrent_dropout)); }

  OptionMask mask(MaskKind kind, int64_t layer, int64_t d) const {
    const CellOptions& o = shape_.options;
    const double p = kind == MaskKind::kZoneoutH   ? o.zoneout_h
                     : kind == MaskKind::kZoneoutC ? o.zoneout_c
                                                   : o.recurrent_dropout;
    return {seed_, kind, layer * 2 + d, p};
  }

  Zoneout<T> zoneout(double p, const OptionMask& mask, int64_t width, T* room) const {
    if (p == 0 || seed_ == 0) return {static_cast<T>(p), nullptr, 0};
    fill_rows(mask, width, T(1), T(0), room);
    return {static_cast<T>(p), room, padded_units(width)};
  }

  // out [N, padded width], whose row of token t of sequence b has the elements of row cu_seqlens[b] + t of [N, width].
  void fill_rows(const OptionMask& mask, int64_t width, T drawn, T other, T* out) const {
    const int64_t units = padded_units(width);
    parallel_ranges(plan_.tokens * width < kThreadedWork ? 1 : threads_, plan_.tokens, 64,
                    [&](int64_t begin, int64_t end) {
                      for (int64_t row = begin; row < end; ++row) {
                        T* const of_row = out + row * units;
                        fill_mask(mask, ragged_row(row) * width, width, drawn, other, of_row);
                        for (int64_t u = width; u < units; ++u) of_row[u] = 0;
                      }
                    });
  }

  int64_t ragged_row(int64_t row) const {
    return shape_.row_order == RowOrder::kRagged ? row : plan_.packed_to_ragged[row];
  }

  const T* mask_weights(int64_t layer, int64_t d, const T* w_hh) const {
    T* const factors = workspace_.weight_factors[d];
    T* const masked = workspace_.w_hh[d];
    fill_mask(mask(MaskKind::kWeights, layer, d), 0, weights(), T(0), scale(), factors);
    for (int64_t k = 0; k < weights(); ++k) masked[k] = factors[k] == 0 ? T(0) : w_hh[k] * factors[k];
    if (const Rounding<T> round = rounding_to<T>(shape_.dtype)) round(1, weights(), masked, weights());
    return masked;
  }

  void find_sequences() {
    for (int64_t b = 0; b < plan_.batch; ++b)
      for (int64_t at = plan_.cu_seqlens[b]; at < plan_.cu_seqlens[b + 1]; ++at)
        workspace_.sequences[shape_.row_order == RowOrder::kRagged ? at : plan_.ragged_to_packed[at]] = b;
  }

  const int64_t threads_;
  const RnnShape& shape_;
  const BatchPlan& plan_;
  const uint64_t seed_;
  const OptionWorkspace<T>& workspace_;
};

}  // namespace varlstm::host
