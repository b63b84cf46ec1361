// The LSTM, as varlstm.h writes it. An activation takes the slot of its sum.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "host/cells/cell.h"

namespace varlstm::host {

struct Lstm {
  static constexpr Cell kCell = Cell::kLstm;
  enum Slot { kI, kF, kG, kO };

  static constexpr CellTraits traits() {
    CellTraits t;
    t.gates = t.slots = 4;
    t.has_c = true;
    t.onnx = {0, 2, 3, 1};   // i, o, f, c
    t.haste = {0, 2, 1, 3};  // i, g, f, o
    return t;
  }

  template <class Units>
  static void forward(const Units& at) {
    using V = typename Units::Vector;
    const V i = Units::sigmoid(at.value(kI));
    const V f = Units::sigmoid(at.value(kF));
    const V g = Units::tanh(at.value(kG));
    const V o = Units::sigmoid(at.value(kO));
    const V next = at.clip(f * at.c_before() + i * at.candidate(g));
    at.keep(kI, i);
    at.keep(kF, f);
    at.keep(kG, g);
    at.keep(kO, o);
    at.set_c(next);
    if constexpr (Units::kNormalises)
      at.keep_c(next);
    else
      at.set_h(o * Units::tanh(next));
  }

  // After the normalisation of c'.
  template <class Units>
  static void forward_output(const Units& at) {
    at.set_h(at.value(kO) * Units::tanh(at.normalised_c()));
  }

  // Through h = o tanh(c): returns dh o (1 - tanh(c)^2), and do = dh tanh(c) o (1 - o).
  template <class Units>
  static typename Units::Vector through_output(const Units& at, typename Units::Vector o, typename Units::Vector c) {
    using V = typename Units::Vector;
    const V one = Units::all(1), tanh_c = Units::tanh(c), dh = at.dh();
    at.set_gradient(kO, dh * tanh_c * o * (one - o));
    return dh * o * (one - tanh_c * tanh_c);
  }
  template <class Units>
  static void backward_output(const Units& at) {
    at.keep_normalised_gradient(through_output(at, at.value(kO), at.normalised_c()));
  }

  // dc += what comes through h. From dc come the gradients of the other three sums: di = dc g i (1 - i),
  // df = dc c_before f (1 - f), dg = dc i (1 - g^2). The step before gets dc f. `next` is c before a clip.
  template <class Units>
  static void backward(const Units& at) {
    using V = typename Units::Vector;
    const V one = Units::all(1);
    const V i = at.value(kI);
    const V f = at.value(kF);
    const V g = at.value(kG);
    const V next = at.c_after([&] { return f * at.c_before() + i * at.candidate(g); });
    const V after = at.dc();
    V of_output;
    if constexpr (Units::kNormalises)
      of_output = at.dc_of_output();
    else
      of_output = through_output(at, at.value(kO), at.clip(next));
    const V dc = at.clip_gradient(next, after + of_output);
    at.set_gradient(kI, dc * at.candidate(g) * i * (one - i));
    at.set_gradient(kF, dc * at.c_before() * f * (one - f));
    at.set_gradient(kG, at.candidate(dc * i) * (one - g * g));
    at.pass_dc(dc * f);
  }
};

}  // namespace varlstm::host
