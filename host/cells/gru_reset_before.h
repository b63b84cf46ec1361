// The GRU, reset before, as varlstm.h writes it. The gates are r, z, n. r acts on h before the product with W_hn, so
// that product is the second one of a step. It multiplies r h, which has a slot of its own. The activations take the
// slots of their sums.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "host/cells/cell.h"

namespace varlstm::host {

struct GruResetBefore {
  static constexpr Cell kCell = Cell::kGruResetBefore;
  enum Slot { kR, kZ, kN, kRh };

  static constexpr CellTraits traits() {
    CellTraits t;
    t.gates = 3;
    t.slots = 4;
    t.second_gates = 1;
    t.operand_slot = kRh;
    t.reads_h = true;
    t.passes_dh = true;
    t.keras = t.onnx = {1, 0, 2};  // z, r, h
    return t;
  }

  // Between the products. h_before() is h as the first product multiplied it.
  template <class Units>
  static void operand(const Units& at) {
    using V = typename Units::Vector;
    const V r = Units::sigmoid(at.value(kR));
    at.keep(kR, r);
    at.keep(kRh, r * at.h_before());
  }

  template <class Units>
  static void forward(const Units& at) {
    using V = typename Units::Vector;
    const V z = Units::sigmoid(at.value(kZ));
    const V n = Units::tanh(at.value(kN));
    at.keep(kZ, z);
    at.keep(kN, n);
    at.set_h((Units::all(1) - z) * at.candidate(n) + z * at.h_before());
  }

  // dn = dh (1 - z) (1 - n^2), dz = dh (h_before - n) z (1 - z). h before the step gets dh z beside the products.
  template <class Units>
  static void backward(const Units& at) {
    using V = typename Units::Vector;
    const V one = Units::all(1);
    const V z = at.value(kZ);
    const V n = at.value(kN);
    const V dh = at.dh();
    at.set_gradient(kN, at.candidate(dh * (one - z)) * (one - n * n));
    at.set_gradient(kZ, dh * (at.h_before() - at.candidate(n)) * z * (one - z));
    at.pass_dh(dh * z);
  }

  // Between the products of backward: d is the gradient of r h. dr = d h r (1 - r), and h gets d r.
  template <class Units>
  static void operand_backward(const Units& at) {
    using V = typename Units::Vector;
    const V r = at.value(kR);
    const V d = at.gradient(kRh);
    at.set_gradient(kR, d * at.value(kRh) * (Units::all(1) - r));
    at.pass_operand(d * r);
  }
};

}  // namespace varlstm::host
