// The GRU, reset after, as varlstm.h writes it. The gates are r, z, n. r multiplies the state's sum of n, q, so q has a
// slot of its own. The activations take the slots of the other sums.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "host/cells/cell.h"

namespace varlstm::host {

struct Gru {
  static constexpr Cell kCell = Cell::kGru;
  enum Slot { kN, kR, kZ, kQ };

  static constexpr CellTraits traits() {
    CellTraits t;
    t.gates = 3;
    t.slots = 4;
    t.input_slot = {kR, kZ, kN};
    t.state_slot = {kR, kZ, kQ};
    t.reads_h = true;
    t.passes_dh = true;
    t.keras = t.onnx = t.haste = {1, 0, 2};  // z, r, h; haste calls h g
    return t;
  }

  template <class Units>
  static void forward(const Units& at) {
    using V = typename Units::Vector;
    const V r = Units::sigmoid(at.value(kR));
    const V z = Units::sigmoid(at.value(kZ));
    const V n = Units::tanh(at.value(kN) + r * at.value(kQ));
    at.keep(kR, r);
    at.keep(kZ, z);
    at.keep(kN, n);
    at.set_h((Units::all(1) - z) * at.candidate(n) + z * at.h_before());
  }

  // dn = dh (1 - z) (1 - n^2), dz = dh (h_before - n) z (1 - z), dr = dn q r (1 - r), dq = dn r. h before the step gets
  // dh z beside the product.
  template <class Units>
  static void backward(const Units& at) {
    using V = typename Units::Vector;
    const V one = Units::all(1);
    const V r = at.value(kR);
    const V z = at.value(kZ);
    const V n = at.value(kN);
    const V dh = at.dh();
    const V dn = at.candidate(dh * (one - z)) * (one - n * n);
    at.set_gradient(kN, dn);
    at.set_gradient(kR, dn * at.value(kQ) * r * (one - r));
    at.set_gradient(kZ, dh * (at.h_before() - at.candidate(n)) * z * (one - z));
    at.set_gradient(kQ, dn * r);
    at.pass_dh(dh * z);
  }
};

}  // namespace varlstm::host
