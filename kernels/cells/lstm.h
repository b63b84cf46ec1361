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
    const C i = Functions::sigmoid(x.of[0] + s.of[0]), f = Functions::keeping_sigmoid(x.of[1] + s.of[1]);
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

  // What the gradients are multiplied by: that of h' on its way to c' and to the sum of o, and that of c' on its way to
  // the sums of i, f and g and to c.
  template <class C>
  struct Factors {
    C h_to_c, h_to_o, c_to_i, c_to_f, c_to_g, c_to_before;
  };
  template <class Functions, class C>
  VARLSTM_DEVICE static Factors<C> factors(const UnitValues<C, 4>& saved, const UnitState<C>& before,
                                           const UnitState<C>& after) {
    Factors<C> by;
    set_output_factors<Functions>(saved.of[kOutputGate], after.c, &by);
    set_gate_factors(saved, before, NoOptions(), &by);
    return by;
  }
  template <class C>
  VARLSTM_DEVICE static UnitValues<C, 4> backward(const Factors<C>& by, UnitState<C>* gradient) {
    const OutputGradients<C> through = {gradient->h * by.h_to_c, gradient->h * by.h_to_o};
    return gate_gradients(by, gradient->c + through.c, through.gate, gradient, NoOptions());
  }

  // What comes through h' = output(o, c) to c and to the sum of o.
  template <class C>
  struct OutputGradients {
    C c, gate;
  };
  template <class Functions, class C>
  VARLSTM_DEVICE static OutputGradients<C> output_gradients(C o, C c, C dh) {
    Factors<C> by;
    set_output_factors<Functions>(o, c, &by);
    return {dh * by.h_to_c, dh * by.h_to_o};
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
    Factors<C> by;
    set_gate_factors(saved, before, at, &by);
    return gate_gradients(by, at.clip_gradient(c, gradient->c + through.c), through.gate, gradient, at);
  }

 private:
  template <class Functions, class C>
  VARLSTM_DEVICE static void set_output_factors(C o, C c, Factors<C>* by) {
    const C squashed = Functions::tanh(c);
    by->h_to_c = o * (C(1) - squashed * squashed), by->h_to_o = squashed * (o * (C(1) - o));
  }
  template <class C, class Options>
  VARLSTM_DEVICE static void set_gate_factors(const UnitValues<C, 4>& saved, const UnitState<C>& before,
                                              const Options& at, Factors<C>* by) {
    const C i = saved.of[0], f = saved.of[1], g = saved.of[2];
    by->c_to_i = at.candidate(g) * (i * (C(1) - i)), by->c_to_f = before.c * (f * (C(1) - f));
    by->c_to_g = i * (C(1) - g * g), by->c_to_before = f;
  }
  template <class C, class Options>
  VARLSTM_DEVICE static UnitValues<C, 4> gate_gradients(const Factors<C>& by, C dc, C of_o, UnitState<C>* gradient,
                                                        const Options& at) {
    *gradient = {C(0), dc * by.c_to_before};
    return {{dc * by.c_to_i, dc * by.c_to_f, at.candidate(dc * by.c_to_g), of_o}};
  }
};

}  // namespace varlstm::cuda
