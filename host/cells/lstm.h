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
    at.set_h(o * Units::tanh(next));
  }

  // dc += dh o (1 - tanh(c)^2). From dc come the gradients of the four sums: di = dc g i (1 - i),
  // df = dc c_before f (1 - f), dg = dc i (1 - g^2), do = dh tanh(c) o (1 - o). The step before gets dc f. `next` is c
  // before a clip.
  template <class Units>
  static void backward(const Units& at) {
    using V = typename Units::Vector;
    const V one = Units::all(1);
    const V i = at.value(kI);
    const V f = at.value(kF);
    const V g = at.value(kG);
    const V o = at.value(kO);
    const V next = at.c_after([&] { return f * at.c_before() + i * at.candidate(g); });
    const V tanh_c = Units::tanh(at.clip(next));
    const V dh = at.dh();
    const V dc = at.clip_gradient(next, at.dc() + dh * o * (one - tanh_c * tanh_c));
    at.set_gradient(kI, dc * at.candidate(g) * i * (one - i));
    at.set_gradient(kF, dc * at.c_before() * f * (one - f));
    at.set_gradient(kG, at.candidate(dc * i) * (one - g * g));
    at.set_gradient(kO, dh * tanh_c * o * (one - o));
    at.pass_dc(dc * f);
  }
};

}  // namespace varlstm::host
