// RNN_TANH: h' = tanh(sum), which takes the slot of the sum.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "host/cells/cell.h"

namespace varlstm::host {

struct RnnTanh {
  static constexpr Cell kCell = Cell::kRnnTanh;

  static constexpr CellTraits traits() {
    CellTraits t;
    t.gates = t.slots = 1;
    return t;
  }

  template <class Units>
  static void forward(const Units& at) {
    const typename Units::Vector h = Units::tanh(at.value(0));
    at.keep(0, h);
    at.set_h(h);
  }

  template <class Units>
  static void backward(const Units& at) {
    const typename Units::Vector h = at.value(0);
    at.set_gradient(0, at.dh() * (Units::all(1) - h * h));
  }
};

}  // namespace varlstm::host
