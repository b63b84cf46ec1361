// One unit of an RNN with a rectifier, forward and backward.
//
//   forward   h' = max(0, x + s)
//   backward  the gate's gradient is dh where h' > 0, else 0
//
// Forward saves h' as it was before it was rounded to the dtype. Mirrored by host/cells/rnn_relu.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "kernels/cells/options.h"
#include "kernels/cells/unit.h"

namespace varlstm::cuda {

struct RnnReluCell {
  static constexpr Cell kKind = Cell::kRnnRelu;
  static constexpr int kGates = 1, kSaved = 1, kStateGates = 0, kSecondGates = 0;
  static constexpr bool kHasC = false, kStateBias = false, kPassesH = false, kReadsH = false;
  static constexpr bool kProjects = false;

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitStep<RnnReluCell, C> forward(const UnitValues<C, 1>& x, const UnitValues<C, 1>& s,
                                                         const UnitState<C>&, const Options& = {}) {
    const C sum = x.of[0] + s.of[0];
    const C h = sum < C(0) ? C(0) : sum;  // a NaN stays a NaN
    return {{{h}}, {h, C(0)}};
  }

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitValues<C, 1> backward(const UnitValues<C, 1>& saved, const UnitState<C>& before,
                                                  const UnitState<C>& after, UnitState<C>* gradient,
                                                  const Options& = {}) {
    return backward(factors<Functions>(saved, before, after), gradient);
  }

  // dh passes if this is above 0.
  template <class C>
  using Factors = UnitValues<C, 1>;
  template <class Functions, class C>
  VARLSTM_DEVICE static Factors<C> factors(const UnitValues<C, 1>& saved, const UnitState<C>&, const UnitState<C>&) {
    return {{saved.of[0]}};
  }
  template <class C>
  VARLSTM_DEVICE static UnitValues<C, 1> backward(const Factors<C>& by, UnitState<C>* gradient) {
    const C dz = by.of[0] > C(0) ? gradient->h : C(0);
    *gradient = {C(0), C(0)};
    return {{dz}};
  }
};

}  // namespace varlstm::cuda
