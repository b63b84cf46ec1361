// One unit of an RNN with tanh (Elman 1990), forward and backward.
//
//   forward   h' = tanh(x + s)
//   backward  the gate's gradient is dh * (1 - h'^2)
//
// Forward saves h' as it was before it was rounded to the dtype. Mirrored by host/cells/rnn_tanh.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "kernels/cells/options.h"
#include "kernels/cells/unit.h"

namespace varlstm::cuda {

struct RnnTanhCell {
  static constexpr Cell kKind = Cell::kRnnTanh;
  static constexpr int kGates = 1, kSaved = 1, kStateGates = 0, kSecondGates = 0;
  static constexpr bool kHasC = false, kStateBias = false, kPassesH = false, kReadsH = false;
  static constexpr bool kProjects = false;

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitStep<RnnTanhCell, C> forward(const UnitValues<C, 1>& x, const UnitValues<C, 1>& s,
                                                         const UnitState<C>&, const Options& = {}) {
    const C h = Functions::tanh(x.of[0] + s.of[0]);
    return {{{h}}, {h, C(0)}};
  }

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitValues<C, 1> backward(const UnitValues<C, 1>& saved, const UnitState<C>& before,
                                                  const UnitState<C>& after, UnitState<C>* gradient,
                                                  const Options& = {}) {
    return backward(factors<Functions>(saved, before, after), gradient);
  }

  // What dh is multiplied by.
  template <class C>
  using Factors = UnitValues<C, 1>;
  template <class Functions, class C>
  VARLSTM_DEVICE static Factors<C> factors(const UnitValues<C, 1>& saved, const UnitState<C>&, const UnitState<C>&) {
    return {{C(1) - saved.of[0] * saved.of[0]}};
  }
  template <class C>
  VARLSTM_DEVICE static UnitValues<C, 1> backward(const Factors<C>& by, UnitState<C>* gradient) {
    const C dz = gradient->h * by.of[0];
    *gradient = {C(0), C(0)};
    return {{dz}};
  }
};

}  // namespace varlstm::cuda
