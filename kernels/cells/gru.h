// One unit of a GRU (Cho et al. 2014) whose reset gate acts after the product, as in PyTorch and cuDNN.
//
//   forward   r, z = sigmoid(x + s);  n = tanh(x_n + r * s_n);  h' = (1 - z) * n + z * h
//   backward  dn = dh * (1 - z) * (1 - n^2);  dz = dh * (h - n) * z * (1 - z);  dr = dn * s_n * r * (1 - r);
//             s_n receives dn * r;  the step before receives dh * z besides what comes through the product
//
// The gates are in the order r, z, n, and s includes b_hh. Forward saves r, z, n and s_n. With dropout of the candidate
// (options.h) n is multiplied by its factor where h' and dz use it. Mirrored by host/cells/gru.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "kernels/cells/options.h"
#include "kernels/cells/unit.h"

namespace varlstm::cuda {

struct GruCell {
  static constexpr Cell kKind = Cell::kGru;
  static constexpr int kGates = 3, kSaved = 4, kStateGates = 1, kSecondGates = 0;
  static constexpr bool kHasC = false, kStateBias = true, kPassesH = true, kReadsH = true;
  static constexpr bool kProjects = false;

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitStep<GruCell, C> forward(const UnitValues<C, 3>& x, const UnitValues<C, 3>& s,
                                                     const UnitState<C>& before, const Options& at = {}) {
    const C r = Functions::sigmoid(x.of[0] + s.of[0]), z = Functions::keeping_sigmoid(x.of[1] + s.of[1]);
    const C n = Functions::tanh(x.of[2] + r * s.of[2]);
    return {{{r, z, n, s.of[2]}}, {add_products<Functions>(C(1) - z, at.candidate(n), z, before.h), C(0)}};
  }

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitValues<C, 4> backward(const UnitValues<C, 4>& saved, const UnitState<C>& before,
                                                  const UnitState<C>& after, UnitState<C>* gradient,
                                                  const Options& at = {}) {
    return backward(factors<Functions>(saved, before, after, at), gradient, at);
  }

  // What dh and dn are multiplied by on their ways to the sums of the gates, to s_n and to h.
  template <class C>
  struct Factors {
    C n_to_r, h_to_z, h_to_n, n_to_state, h_to_before;
  };
  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static Factors<C> factors(const UnitValues<C, 4>& saved, const UnitState<C>& before,
                                           const UnitState<C>&, const Options& at = {}) {
    const C r = saved.of[0], z = saved.of[1], n = saved.of[2];
    return {saved.of[3] * (r * (C(1) - r)), (before.h - at.candidate(n)) * (z * (C(1) - z)),
            (C(1) - z) * (C(1) - n * n), r, z};
  }
  template <class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitValues<C, 4> backward(const Factors<C>& by, UnitState<C>* gradient,
                                                  const Options& at = {}) {
    const C dh = gradient->h, dn = at.candidate(dh * by.h_to_n);
    *gradient = {dh * by.h_to_before, C(0)};
    return {{dn * by.n_to_r, dh * by.h_to_z, dn, dn * by.n_to_state}};
  }
};

}  // namespace varlstm::cuda
