// The inner loops of the convolution with maximum (host/ops/conv_max.h). Everything has internal linkage;
// row_kernel_impl.h says why.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/row_kernel.h"
#include "host/simd/vector_math.h"

namespace varlstm::host {
namespace {

// A row replaces the maximum so far if it is larger, or if it is the column's first NaN.
template <class T, int Lanes>
void column_maxima(const ColumnMaxima<T>& p) {
  using Index = decltype(Vec<T, Lanes>{} < Vec<T, Lanes>{});  // integers as wide as T
  for (int64_t j = 0; j < p.columns; j += Lanes) {
    Vec<T, Lanes> largest = load<T, Lanes>(p.values + j);
    Index at{};
    Index row{};
    for (int64_t r = 1; r < p.rows; ++r) {
      row += 1;
      const Vec<T, Lanes> value = load<T, Lanes>(p.values + r * p.ld + j);
      const Index replaces = ~(value <= largest) & (largest == largest);
      largest = replaces ? value : largest;
      at = replaces ? row : at;
    }
    store<T, Lanes>(p.largest + j, largest);
    for (int lane = 0; lane < Lanes; ++lane) p.at[j + lane] = at[lane];
  }
}

// y [count] += a * x, in vectors of Lanes and, at the end, of fewer lanes.
template <class T, int Lanes>
inline void add_scaled(int64_t count, T a, const T* x, T* y) {
  int64_t j = 0;
  for (; j + Lanes <= count; j += Lanes) {
    const Vec<T, Lanes> sum = load<T, Lanes>(y + j) + broadcast<T, Lanes>(a) * load<T, Lanes>(x + j);
    store<T, Lanes>(y + j, sum);
  }
  if constexpr (Lanes > 2) {
    if (j < count) add_scaled<T, Lanes / 2>(count - j, a, x + j, y + j);
  } else {
    for (; j < count; ++j) y[j] += a * x[j];
  }
}

template <class T, int Lanes>
void window_gradients(const WindowGradients<T>& p) {
  const int64_t filter_size = p.width * p.in;
  for (int64_t f = 0; f < p.filters; ++f) {
    const T gradient = p.gradients[f];
    if (gradient == 0) continue;
    const int64_t window = p.windows[f], window_end = window + p.width;
    const int64_t first = window < p.begin ? p.begin : window;
    const int64_t count = ((window_end < p.end ? window_end : p.end) - first) * p.in;
    const int64_t in_filter = f * filter_size + (first - window) * p.in;
    if (p.dx != nullptr) add_scaled<T, Lanes>(count, gradient, p.weight + in_filter, p.dx + first * p.in);
    if (p.dweight != nullptr) add_scaled<T, Lanes>(count, gradient, p.x + first * p.in, p.dweight + in_filter);
  }
}

template <class T, int Lanes>
void tanh_in_place(int64_t count, T* values) {
  for (int64_t j = 0; j < count; j += Lanes) store<T, Lanes>(values + j, tanh_of<T, Lanes>(load<T, Lanes>(values + j)));
}

}  // namespace
}  // namespace varlstm::host
