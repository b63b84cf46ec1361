// GRU, reset before: r, z = sigmoid(W x + b + U h + b'), n = tanh(W x + b + U (r h) + b'), h' = (1 - z) n + z h.
// The gates are in the order r, z, n. `second` is r h of all units, as it is stored.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/step.h"
#include "varlstm.h"

namespace varlstm_test {

struct GruResetBefore {
  static constexpr const char* kName = "GruResetBefore";
  static constexpr int32_t kCell = VARLSTM_CELL_GRU_RESET_BEFORE;
  static constexpr int64_t kGates = 3;
  static constexpr bool kHasC = false;

  template <class T>
  static T second(const Layer<T>& layer, int64_t u, const T* x, const T* h) {
    return sigmoid(layer.of_both(0, u, x, h)) * h[u];
  }

  template <class T>
  static UnitStep<T> forward(const Layer<T>& layer, int64_t u, const T* x, const T* h, const T* second,
                             UnitState<T> before, const UnitOptions<T>& options) {
    const T r = sigmoid(layer.of_both(0, u, x, h)), z = sigmoid(layer.of_both(1, u, x, h));
    const T n = std::tanh(layer.of_both(2, u, x, second));
    return {{(T(1) - z) * options.candidate * n + z * before.h, T(0)}, {r, z, n}};
  }

  // Of n and z. That of r comes through `second`, from all units.
  template <class T>
  static UnitGradients<T> backward(const UnitStep<T>& step, UnitState<T> before, UnitState<T> gradient,
                                   const UnitOptions<T>& options) {
    const T z = step.values[1], n = step.values[2], dh = gradient.h;
    const T dn = dh * (T(1) - z) * options.candidate * (T(1) - n * n);
    const T dz = dh * (before.h - options.candidate * n) * z * (T(1) - z);
    return {{T(0), dz, dn}, {T(0), dz, dn}, {dh * z, T(0)}};
  }

  // `second` is that of the unit, `gradient` its gradient.
  template <class T>
  static SecondGradients<T> second_backward(const UnitStep<T>& step, T second, T gradient) {
    const T r = step.values[0];
    return {0, gradient * second * (T(1) - r), gradient * r};
  }
};

}  // namespace varlstm_test
