// The product of a few rows and adjacent panels of weights. Each weight is used for these rows alone, so that the cache
// that holds the weights bounds the speed, if enough multiplications are under way: one chain of additions waits for
// four or five clocks for its own last sum. A tile therefore takes as many panels together as there are registers for
// their sums, and asks for weights long before it needs them. Each sum is the same chain as in `product`.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/row_kernel.h"
#include "host/simd/vector_math.h"

namespace varlstm::host {
namespace {

// A page: hardware prefetches none beyond the page of an access.
inline constexpr int64_t kWeightsAhead = 4096;

// Sums of Rows rows and of Vectors vectors, from vector `first` on, of each of Panels panels, from panel `panel` on.
template <class T, int Lanes, int Rows, int Vectors, int Panels>
inline void few_rows_tile(const PanelProduct<T>& p, int64_t panel, int first) {
  Vec<T, Lanes> sum[Rows][Panels][Vectors];
  const T* a[Rows];
  T* c[Rows];
  for (int r = 0; r < Rows; ++r) {
    a[r] = p.a + row_at(p.a_rows, r) * p.lda;
    c[r] = p.c + row_at(p.c_rows, r) * p.ldc + panel * p.c_panel_stride + first * p.vector_stride;
    for (int q = 0; q < Panels; ++q)
      for (int v = 0; v < Vectors; ++v)
        sum[r][q][v] = p.init != nullptr ? load<T, Lanes>(p.init + (first + v) * Lanes)
                                         : load<T, Lanes>(c[r] + q * p.c_panel_stride + v * p.vector_stride);
  }
  const T* w = p.panel + panel * p.panel_stride + first * Lanes;
  const int64_t step = p.vectors * Lanes;
  for (int64_t k = 0; k < p.k; ++k, w += step) {
    Vec<T, Lanes> x[Rows];
    for (int r = 0; r < Rows; ++r) x[r] = broadcast<T, Lanes>(a[r][k]);
    for (int q = 0; q < Panels; ++q)
      for (int v = 0; v < Vectors; ++v) {
        const T* const weights = w + q * p.panel_stride + v * Lanes;
        __builtin_prefetch(weights + kWeightsAhead / static_cast<int64_t>(sizeof(T)));
        const Vec<T, Lanes> weight = load<T, Lanes>(weights);
        for (int r = 0; r < Rows; ++r) sum[r][q][v] += x[r] * weight;
      }
  }
  for (int r = 0; r < Rows; ++r)
    for (int q = 0; q < Panels; ++q)
      for (int v = 0; v < Vectors; ++v)
        store<T, Lanes>(c[r] + q * p.c_panel_stride + v * p.vector_stride, sum[r][q][v]);
}

// The panels from `panel` on, Panels at a time, and the remaining ones in smaller tiles.
template <class T, int Lanes, int Rows, int Vectors, int Panels>
inline void few_rows_panels(const PanelProduct<T>& p, int64_t panel, int first) {
  const int64_t tiles = (p.panels - panel) / Panels, rest = panel + tiles * Panels;
  const auto remaining = [&] {
    if constexpr (Panels > 1)
      if (rest < p.panels) few_rows_panels<T, Lanes, Rows, Vectors, Panels / 2>(p, rest, first);
  };
  if (p.from_last) remaining();
  for (int64_t k = 0; k < tiles; ++k)
    few_rows_tile<T, Lanes, Rows, Vectors, Panels>(p, panel + (p.from_last ? tiles - 1 - k : k) * Panels, first);
  if (!p.from_last) remaining();
}

template <class T, int Lanes, int Accumulators, int Rows, int Vectors>
inline void few_rows_of(const PanelProduct<T>& p) {
  constexpr int kFit = Accumulators / (Rows * Vectors);
  if constexpr (kFit == 0) {
    few_rows_panels<T, Lanes, Rows, Vectors / 2, 1>(p, 0, 0);
    few_rows_panels<T, Lanes, Rows, Vectors - Vectors / 2, 1>(p, 0, Vectors / 2);
  } else {
    few_rows_panels<T, Lanes, Rows, Vectors, (kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1)>(p, 0, 0);
  }
}

template <class T, int Lanes, int Accumulators, int Rows>
void few_rows_vectors(const PanelProduct<T>& p) {
  switch (p.vectors) {
    case 1:
      return few_rows_of<T, Lanes, Accumulators, Rows, 1>(p);
    case 2:
      return few_rows_of<T, Lanes, Accumulators, Rows, 2>(p);
    case 3:
      return few_rows_of<T, Lanes, Accumulators, Rows, 3>(p);
    default:
      return few_rows_of<T, Lanes, Accumulators, Rows, 4>(p);
  }
}

// rows is at most kFewRows; `Accumulators` registers hold sums.
template <class T, int Lanes, int Accumulators>
void few_rows(const PanelProduct<T>& p) {
  switch (p.rows) {
    case 0:
      return;
    case 1:
      return few_rows_vectors<T, Lanes, Accumulators, 1>(p);
    case 2:
      return few_rows_vectors<T, Lanes, Accumulators, 2>(p);
    case 3:
      return few_rows_vectors<T, Lanes, Accumulators, 3>(p);
    default:
      return few_rows_vectors<T, Lanes, Accumulators, 4>(p);
  }
}

}  // namespace
}  // namespace varlstm::host
