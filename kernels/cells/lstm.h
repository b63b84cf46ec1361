// One unit of an LSTM (Hochreiter & Schmidhuber 1997, forget gate of Gers et al. 2000), forward and backward.
//
//   forward   i, f, o = sigmoid, g = tanh of the pre-activations;  c' = f * c + i * g;  h' = o * tanh(c')
//   backward  dc' = dc + dh * o * (1 - tanh(c')^2);  d_o = dh * tanh(c'), di = dc' * g, df = dc' * c, dg = dc' * i,
//             each times the derivative of its activation;  the step before receives dc' * f
//
// The gates are in the order i, f, g, o; forward saves their activations. With options (options.h) g is multiplied by
// its factor and c' is clipped before it is used. Mirrored by host/cells/lstm.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "kernels/cells/options.h"
#include "kernels/cells/unit.h"

namespace varlstm::cuda {

struct LstmCell {
  static constexpr Cell kKind = Cell::kLstm;
  static constexpr int kGates = 4, kSaved = 4, kStateGates = 0, kSecondGates = 0;
  static constexpr bool kHasC = true, kStateBias = false, kPassesH = false, kReadsH = false;
  static constexpr bool kProjects = true;
  static constexpr int kOutputGate = 3;

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitStep<LstmCell, C> forward(const UnitValues<C, 4>& x, const UnitValues<C, 4>& s,
                                                      const UnitState<C>& before, const Options& at = {}) {
    const C i = Functions::sigmoid(x.of[0] + s.of[0]), f = Functions::sigmoid(x.of[1] + s.of[1]);
    const C g = Functions::tanh(x.of[2] + s.of[2]), o = Functions::sigmoid(x.of[3] + s.of[3]);
    const C c = at.clip(add_products<Functions>(f, before.c, i, at.candidate(g)));
    return {{{i, f, g, o}}, {output<Functions>(o, c), c}};
  }

  template <class Functions, class C>
  VARLSTM_DEVICE static C output(C o, C c) {
    return o * Functions::tanh(c);
  }

  template <class Functions, class C, class Options = NoOptions>
  VARLSTM_DEVICE static UnitValues<C, 4> backward(const UnitValues<C, 4>& saved, const UnitState<C>& before,
                                                  const UnitState<C>& after, UnitState<C>* gradient,
                                                  const Options& at = {}) {
    const C c = unclipped<Functions>(saved, before, after, at);
    const OutputGradients<C> through = output_gradients<Functions>(saved.of[kOutputGate], at.clip(c), gradient->h);
    return backward_from_output(saved, before, c, through, gradient, at);
  }

  // What comes through h' = output(o, c) to c and to the sum of o.
  template <class C>
  struct OutputGradients {
    C c, gate;
  };
  template <class Functions, class C>
  VARLSTM_DEVICE static OutputGradients<C> output_gradients(C o, C c, C dh) {
    const C squashed = Functions::tanh(c);
    return {dh * o * (C(1) - squashed * squashed), dh * squashed * (o * (C(1) - o))};
  }

  // c' before its clip.
  template <class Functions, class C, class Options>
  VARLSTM_DEVICE static C unclipped(const UnitValues<C, 4>& saved, const UnitState<C>& before,
                                    const UnitState<C>& after, const Options& at) {
    return at.c_after(after.c, [&] {
      return add_products<Functions>(saved.of[1], before.c, saved.of[0], at.candidate(saved.of[2]));
    });
  }

  // The rest of backward, with c before its clip; gradient->h is not read.
  template <class C, class Options>
  VARLSTM_DEVICE static UnitValues<C, 4> backward_from_output(const UnitValues<C, 4>& saved, const UnitState<C>& before,
                                                              C c, const OutputGradients<C>& through,
                                                              UnitState<C>* gradient, const Options& at) {
    const C i = saved.of[0], f = saved.of[1], g = saved.of[2];
    const C dc = at.clip_gradient(c, gradient->c + through.c);
    *gradient = {C(0), dc * f};
    return {{dc * at.candidate(g) * (i * (C(1) - i)), dc * before.c * (f * (C(1) - f)),
             at.candidate(dc * i) * (C(1) - g * g), through.gate}};
  }
};

}  // namespace varlstm::cuda
