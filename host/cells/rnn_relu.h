// RNN_RELU: h' = max(0, sum), which takes the slot of the sum; a NaN stays a NaN, and the derivative at 0 is 0.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "host/cells/cell.h"

namespace varlstm::host {

struct RnnRelu {
  static constexpr Cell kCell = Cell::kRnnRelu;

  static constexpr CellTraits traits() {
    CellTraits t;
    t.gates = t.slots = 1;
    return t;
  }

  template <class Units>
  static void forward(const Units& at) {
    using V = typename Units::Vector;
    const V sum = at.value(0), zero = Units::all(0);
    const V h = sum < zero ? zero : sum;
    at.keep(0, h);
    at.set_h(h);
  }

  template <class Units>
  static void backward(const Units& at) {
    using V = typename Units::Vector;
    const V dh = at.dh(), zero = Units::all(0);
    at.set_gradient(0, at.value(0) > zero ? dh : zero);
  }
};

}  // namespace varlstm::host
