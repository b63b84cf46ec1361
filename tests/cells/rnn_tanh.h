// RNN_TANH: h' = tanh(W x + b + U h + b').
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/step.h"
#include "varlstm.h"

namespace varlstm_test {

struct RnnTanh {
  static constexpr const char* kName = "RnnTanh";
  static constexpr int32_t kCell = VARLSTM_CELL_RNN_TANH;
  static constexpr int64_t kGates = 1;
  static constexpr bool kHasC = false;

  template <class T>
  static UnitStep<T> forward(const Layer<T>& layer, int64_t u, const T* x, const T* h, const T*, UnitState<T>,
                             const UnitOptions<T>&) {
    const T next = std::tanh(layer.of_both(0, u, x, h));
    return {{next, T(0)}, {next}};
  }

  template <class T>
  static UnitGradients<T> backward(const UnitStep<T>& step, UnitState<T>, UnitState<T> gradient,
                                   const UnitOptions<T>&) {
    const T h = step.values[0];  // before it was rounded to be stored
    const T dgate = gradient.h * (T(1) - h * h);
    return {{dgate}, {dgate}, {T(0), T(0)}};
  }
};

}  // namespace varlstm_test
