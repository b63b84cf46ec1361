// LSTM: i, f, o = sigmoid(W x + b + U h + b'), g = tanh(W x + b + U h + b'), c' = f c + i g, h' = o tanh(c').
// The gates are in the order i, f, g, o.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "cells/step.h"
#include "varlstm.h"

namespace varlstm_test {

struct Lstm {
  static constexpr const char* kName = "Lstm";
  static constexpr int32_t kCell = VARLSTM_CELL_LSTM;
  static constexpr int64_t kGates = 4;
  static constexpr bool kHasC = true;

  template <class T>
  static UnitStep<T> forward(const Layer<T>& layer, int64_t u, const T* x, const T* h, const T*, UnitState<T> before,
                             const UnitOptions<T>& options) {
    const T i = sigmoid(layer.of_both(0, u, x, h)), f = sigmoid(layer.of_both(1, u, x, h));
    const T g = std::tanh(layer.of_both(2, u, x, h)), o = sigmoid(layer.of_both(3, u, x, h));
    const T sum = f * before.c + i * options.candidate * g;
    const T c = std::min(std::max(sum, -options.cell_clip), options.cell_clip);
    return {{o * std::tanh(c), c}, {i, f, g, o, sum}};
  }

  template <class T>
  static UnitGradients<T> backward(const UnitStep<T>& step, UnitState<T> before, UnitState<T> gradient,
                                   const UnitOptions<T>& options) {
    const auto [i, f, g, o, sum] = step.values;
    const T dh = gradient.h, tanh_c = std::tanh(step.state.c);
    const bool clipped = std::fabs(sum) > options.cell_clip;
    const T dc = clipped ? T(0) : gradient.c + dh * o * (T(1) - tanh_c * tanh_c);
    const std::array<T, kMostGates> gates = {dc * options.candidate * g * i * (T(1) - i),
                                             dc * before.c * f * (T(1) - f),
                                             dc * i * options.candidate * (T(1) - g * g), dh * tanh_c * o * (T(1) - o)};
    return {gates, gates, {T(0), dc * f}};
  }

  // h = o tanh(c) of a normalised c, and its gradients.
  static constexpr int64_t kOutputGate = 3;

  template <class T>
  static T output(const UnitStep<T>& step, T c) {
    return step.values[kOutputGate] * std::tanh(c);
  }
  template <class T>
  static OutputGradients<T> output_gradients(const UnitStep<T>& step, T c, T dh) {
    const T o = step.values[kOutputGate], tanh_c = std::tanh(c);
    return {dh * o * (T(1) - tanh_c * tanh_c), dh * tanh_c * o * (T(1) - o)};
  }
};

}  // namespace varlstm_test
