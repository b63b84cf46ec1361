// The options of a cell in a step: what a thread draws for its unit, and how the state of a step and its gradient go
// through them. For kernel files only.
//
//   zoneout         state = share * before + (1 - share) * after, with the share 1 or 0 of an element that is drawn or
//                   not, or p in a call without a seed. The gradient of the state goes to both with the same shares
//   STATE           h enters the product with W_hh as h * factor, rounded to the dtype; the gradient that comes back
//                   through the product is multiplied by the same factor
//   the other ones  kernels/cells/options.h
//
// A thread makes a whole block of Philox for each element that it draws, which is about 60 integer operations, and uses
// one of its four words: no mask is in memory. An element depends on seed, layer, direction and its index alone, as
// varlstm.h says under "Masks of an rnn". Mirrored by host/rnn/rnn_options.h and host/simd/option_units.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/cells/options.h"
#include "kernels/cells/unit.h"
#include "kernels/core/scalar.h"
#include "kernels/dropout/philox.h"
#include "kernels/recurrence/layer_options.h"

namespace varlstm::cuda {

// Zoneout of one element.
template <class C>
struct Share {
  C kept;  // in [0, 1]: the part of the value before

  VARLSTM_DEVICE C mix(C before, C after) const {
    return kept == C(0) ? after : kept == C(1) ? before : simt::fma(before, kept, after * (C(1) - kept));
  }
  // The parts of the gradient that go to the value before, and to the value after.
  VARLSTM_DEVICE C to_before(C gradient) const { return times_factor(gradient, kept); }
  VARLSTM_DEVICE C to_after(C gradient) const { return times_factor(gradient, C(1) - kept); }
};

// A layer's options in one direction of this call.
template <class C>
class DirectionOptions {
 public:
  VARLSTM_DEVICE DirectionOptions(const LayerOptions<C>& layer, int64_t direction)
      : layer_(layer),
        seed_(layer.stored_seed == nullptr ? layer.seed : *layer.stored_seed),
        entry_(static_cast<uint64_t>(2 * layer.layer + direction)) {}

  // The factor of feature `feature` of h, of R features, of sequence b as it enters the product.
  VARLSTM_DEVICE C state_factor(int64_t b, int64_t features, int64_t feature) const {
    return factor(MaskKind::kState, layer_.state_words, b * features + feature);
  }
  VARLSTM_DEVICE bool drops_state() const { return seed_ != 0 && layer_.state_words != 0; }

  // k is the element, n * H + unit for token n; features of h as well, if h is not projected.
  VARLSTM_DEVICE UnitOptions<C> at_unit(int64_t k) const {
    return {factor(MaskKind::kCandidate, layer_.candidate_words, k), layer_.cell_clip, layer_.keeps_c};
  }
  VARLSTM_DEVICE Share<C> zoneout_h(int64_t k) const {
    return share(MaskKind::kZoneoutH, layer_.zoneout_h, layer_.zoneout_h_words, k);
  }
  VARLSTM_DEVICE Share<C> zoneout_c(int64_t k) const {
    return share(MaskKind::kZoneoutC, layer_.zoneout_c, layer_.zoneout_c_words, k);
  }

 private:
  VARLSTM_DEVICE bool is_drawn(MaskKind kind, uint64_t words, int64_t k) const {
    const uint64_t upper = static_cast<uint64_t>(kind) | entry_ << 32;
    const PhiloxBlock random = philox4x32(seed_, static_cast<uint64_t>(k) / 4, upper);
    const uint32_t even = (k & 2) != 0 ? random.words[2] : random.words[0];
    const uint32_t odd = (k & 2) != 0 ? random.words[3] : random.words[1];
    return ((k & 1) != 0 ? odd : even) < words;
  }
  VARLSTM_DEVICE C factor(MaskKind kind, uint64_t words, int64_t k) const {
    if (words == 0 || seed_ == 0) return C(1);
    return is_drawn(kind, words, k) ? C(0) : layer_.scale;
  }
  VARLSTM_DEVICE Share<C> share(MaskKind kind, C p, uint64_t words, int64_t k) const {
    if (words == 0) return {C(0)};
    if (seed_ == 0) return {p};
    return {is_drawn(kind, words, k) ? C(1) : C(0)};
  }

  const LayerOptions<C>& layer_;
  const uint64_t seed_, entry_;
};

// h as it enters the product, in the dtype T.
template <class T>
VARLSTM_DEVICE ComputeType<T> masked_state(ComputeType<T> h, ComputeType<T> factor) {
  return load_scalar(store_scalar<T>(times_factor(h, factor)));
}

// The cell's step at element k of its options. If h is projected, its zoneout follows the projection.
template <class CellType, class Functions, class C>
VARLSTM_DEVICE UnitStep<CellType, C> forward_with_options(const DirectionOptions<C>& options, int64_t k, bool projected,
                                                          const UnitValues<C, CellType::kGates>& x,
                                                          const UnitValues<C, CellType::kGates>& sums,
                                                          const UnitState<C>& before) {
  UnitStep<CellType, C> step = CellType::template forward<Functions>(x, sums, before, options.at_unit(k));
  if constexpr (CellType::kHasC) step.after.c = options.zoneout_c(k).mix(before.c, step.after.c);
  if (!projected) step.after.h = options.zoneout_h(k).mix(before.h, step.after.h);
  return step;
}

// The same of backward: `gradient` comes in as that of the state after zoneout, and goes out as what goes straight to
// the state before.
template <class CellType, class Functions, class C>
VARLSTM_DEVICE UnitValues<C, kGradientsOf<CellType>> backward_with_options(
    const DirectionOptions<C>& options, int64_t k, bool projected, const UnitValues<C, CellType::kSaved>& saved,
    const UnitState<C>& before, const UnitState<C>& after, UnitState<C>* gradient) {
  const Share<C> of_h = projected ? Share<C>{C(0)} : options.zoneout_h(k);
  const Share<C> of_c = CellType::kHasC ? options.zoneout_c(k) : Share<C>{C(0)};
  const UnitState<C> straight = {of_h.to_before(gradient->h), of_c.to_before(gradient->c)};
  *gradient = {of_h.to_after(gradient->h), of_c.to_after(gradient->c)};
  const auto gradients = CellType::template backward<Functions>(saved, before, after, gradient, options.at_unit(k));
  gradient->h += straight.h;
  gradient->c += straight.c;
  return gradients;
}

}  // namespace varlstm::cuda
