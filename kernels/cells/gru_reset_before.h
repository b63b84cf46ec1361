// One unit of a GRU whose reset gate acts before the product (Cho et al. 2014), which has two products in a step.
//
//   forward   r, z = sigmoid(x + s), with s of the first product;  the second one multiplies r * h
//             n = tanh(x_n + s_n);  h' = (1 - z) * n + z * h
//   backward  dn = dh * (1 - z) * (1 - n^2);  dz = dh * (h - n) * z * (1 - z);  the step before receives dh * z besides
//             what comes through the products
//             of d, the gradient of r * h:  dr = d * (r * h) * (1 - r);  h receives d * r
//
// The gates are in the order r, z, n. Forward saves r, z and n. With dropout of the candidate (options.h) n is
// multiplied by its factor where h' and dz use it. Mirrored by host/cells/gru_reset_before.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "kernels/cells/options.h"
#include "kernels/cells/unit.h"

namespace varlstm::cuda {

struct GruResetBeforeCell {
  static constexpr Cell kKind = Cell::kGruResetBefore;
  static constexpr int kGates = 3, kSaved = 3, kStateGates = 0, kSecondGates = 1;
  static constexpr bool kHasC = false, kStateBias = false, kPassesH = true, kReadsH = true;
  static constexpr bool kProjects = false;

  // r and z take the place of their x-gates.
  template <class Functions, class C>
  VARLSTM_DEVICE static C operand(const UnitValues<C, 2>& s, C h, UnitValues<C, 2>* x) {
    const C r = Functions::sigmoid(x->of[0] + s.of[0]), z = Functions::keeping_sigmoid(x->of[1] + s.of[1]);
    *x = {{r, z}};
    return r * h;
  }

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitStep<GruResetBeforeCell, C> forward(const UnitValues<C, 3>& x, const UnitValues<C, 3>& s,
                                                                const UnitState<C>& before, const Options& at = {}) {
    const C r = x.of[0], z = x.of[1], n = Functions::tanh(x.of[2] + s.of[2]);
    return {{{r, z, n}}, {add_products<Functions>(C(1) - z, at.candidate(n), z, before.h), C(0)}};
  }

  // The gradient of r is not known yet.
  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitValues<C, 3> backward(const UnitValues<C, 3>& saved, const UnitState<C>& before,
                                                  const UnitState<C>&, UnitState<C>* gradient, const Options& at = {}) {
    const C z = saved.of[1], n = saved.of[2], dh = gradient->h;
    const C dn = at.candidate(dh * (C(1) - z)) * (C(1) - n * n);
    *gradient = {dh * z, C(0)};
    return {{C(0), dh * (before.h - at.candidate(n)) * (z * (C(1) - z)), dn}};
  }

  template <class C>
  VARLSTM_DEVICE static C operand_backward(const UnitValues<C, 3>& saved, C operand, C d, C* dh) {
    const C r = saved.of[0];
    *dh = d * r;
    return d * operand * (C(1) - r);
  }
};

}  // namespace varlstm::cuda
