// GRU, reset after: r, z = sigmoid(W x + b + U h + b'), n = tanh(W x + b + r (U h + b')), h' = (1 - z) n + z h.
// The gates are in the order r, z, n.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/step.h"
#include "varlstm.h"

namespace varlstm_test {

struct Gru {
  static constexpr const char* kName = "Gru";
  static constexpr int32_t kCell = VARLSTM_CELL_GRU;
  static constexpr int64_t kGates = 3;
  static constexpr bool kHasC = false;

  template <class T>
  static UnitStep<T> forward(const Layer<T>& layer, int64_t u, const T* x, const T* h, const T*, UnitState<T> before,
                             const UnitOptions<T>& options) {
    const T r = sigmoid(layer.of_both(0, u, x, h)), z = sigmoid(layer.of_both(1, u, x, h));
    const T reset = layer.of_state(2, u, h);  // what r is multiplied with
    const T n = std::tanh(layer.of_input(2, u, x) + r * reset);
    return {{(T(1) - z) * options.candidate * n + z * before.h, T(0)}, {r, z, n, reset}};
  }

  template <class T>
  static UnitGradients<T> backward(const UnitStep<T>& step, UnitState<T> before, UnitState<T> gradient,
                                   const UnitOptions<T>& options) {
    const auto [r, z, n, reset, unused] = step.values;
    const T dh = gradient.h;
    const T dn = dh * (T(1) - z) * options.candidate * (T(1) - n * n);
    const T dz = dh * (before.h - options.candidate * n) * z * (T(1) - z);
    const T dr = dn * reset * r * (T(1) - r);
    return {{dr, dz, dn}, {dr, dz, dn * r}, {dh * z, T(0)}};
  }
};

}  // namespace varlstm_test
