// RNN_RELU: h' = max(0, W x + b + U h + b'), whose derivative at 0 is 0. A NaN stays a NaN.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/step.h"
#include "varlstm.h"

namespace varlstm_test {

struct RnnRelu {
  static constexpr const char* kName = "RnnRelu";
  static constexpr int32_t kCell = VARLSTM_CELL_RNN_RELU;
  static constexpr int64_t kGates = 1;
  static constexpr bool kHasC = false;

  template <class T>
  static UnitStep<T> forward(const Layer<T>& layer, int64_t u, const T* x, const T* h, const T*, UnitState<T>,
                             const UnitOptions<T>&) {
    const T sum = layer.of_both(0, u, x, h);
    const T next = sum < T(0) ? T(0) : sum;
    return {{next, T(0)}, {next}};
  }

  template <class T>
  static UnitGradients<T> backward(const UnitStep<T>& step, UnitState<T>, UnitState<T> gradient,
                                   const UnitOptions<T>&) {
    const T dgate = step.values[0] > T(0) ? gradient.h : T(0);  // before h was rounded to be stored
    return {{dgate}, {dgate}, {T(0), T(0)}};
  }
};

}  // namespace varlstm_test
