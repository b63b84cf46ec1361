// The code of row_kernel_<name>.cc. Everything has internal linkage, and no inline function of the standard library is
// used, so that code compiled for one instruction set is never linked in place of code for another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/row_kernel.h"
#include "host/simd/vector_math.h"

namespace varlstm::host {
namespace {

template <class T, int Lanes>
inline void store_lanes(T* p, Vec<T, Lanes> v, int64_t lanes) {
  if (lanes == Lanes) return store<T, Lanes>(p, v);
  T part[Lanes];
  store<T, Lanes>(part, v);
  for (int64_t k = 0; k < lanes; ++k) p[k] = part[k];
}

template <class T, int Lanes>
inline Vec<T, Lanes> load_lanes(const T* p, int64_t lanes) {
  if (lanes == Lanes) return load<T, Lanes>(p);
  T part[Lanes] = {};
  for (int64_t k = 0; k < lanes; ++k) part[k] = p[k];
  return load<T, Lanes>(part);
}

// Computes a tile of c whose Rows x Vectors sums stay in registers for all k.
template <class T, int Lanes, int Rows, int Vectors>
inline void product_tile(const PanelProduct<T>& p, int64_t row, int64_t k_begin, int64_t k_end) {
  Vec<T, Lanes> sum[Rows][Vectors];
  T* const c = p.c + row * p.ldc;
  const bool from_init = p.init != nullptr && k_begin == 0;
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = from_init ? load<T, Lanes>(p.init + v * Lanes) : load<T, Lanes>(c + r * p.ldc + v * p.vector_stride);
  const T* const a = p.a + row * p.lda;
  for (int r = Rows; r < 2 * Rows; ++r)  // the next tile's rows
    for (int64_t k = k_begin; k < k_end; k += 64 / sizeof(T)) __builtin_prefetch(a + r * p.lda + k);
  const T* w = p.panel + k_begin * Vectors * Lanes;
  for (int64_t k = k_begin; k < k_end; ++k, w += Vectors * Lanes) {
    // The smaller of the two operands is kept in registers; the larger one is loaded element by element.
    if constexpr (Rows < Vectors) {
      Vec<T, Lanes> x[Rows];
      for (int r = 0; r < Rows; ++r) x[r] = broadcast<T, Lanes>(a[r * p.lda + k]);
      for (int v = 0; v < Vectors; ++v) {
        const Vec<T, Lanes> weight = load<T, Lanes>(w + v * Lanes);
        for (int r = 0; r < Rows; ++r) sum[r][v] += x[r] * weight;
      }
    } else {
      Vec<T, Lanes> weight[Vectors];
      for (int v = 0; v < Vectors; ++v) weight[v] = load<T, Lanes>(w + v * Lanes);
      for (int r = 0; r < Rows; ++r) {
        const Vec<T, Lanes> x = broadcast<T, Lanes>(a[r * p.lda + k]);
        for (int v = 0; v < Vectors; ++v) sum[r][v] += x * weight[v];
      }
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) store<T, Lanes>(c + r * p.ldc + v * p.vector_stride, sum[r][v]);
}

// Uses tiles of Rows rows, and smaller tiles for the remaining rows.
template <class T, int Lanes, int Rows, int Vectors>
inline void product_rows(const PanelProduct<T>& p, int64_t row, int64_t k_begin, int64_t k_end) {
  for (; row + Rows <= p.rows; row += Rows) product_tile<T, Lanes, Rows, Vectors>(p, row, k_begin, k_end);
  if constexpr (Rows > 1)
    if (row < p.rows) product_rows<T, Lanes, (Rows > 4 ? Rows / 2 : Rows - 1), Vectors>(p, row, k_begin, k_end);
}

// `Accumulators` registers hold sums. A chunk of the panel stays in the first-level cache while all rows are multiplied
// by it. The sums are stored between chunks, which does not change them.
template <class T, int Lanes, int Accumulators>
void product(const PanelProduct<T>& p) {
  constexpr int64_t kChunkBytes = 16 * 1024;
  const int64_t chunk = kChunkBytes / (static_cast<int64_t>(sizeof(T)) * Lanes * p.vectors);
  const int64_t step = p.rows <= Accumulators / p.vectors ? p.k : chunk;
  int64_t begin = 0;
  do {
    const int64_t end = begin + step < p.k ? begin + step : p.k;
    switch (p.vectors) {
      case 1:
        product_rows<T, Lanes, Accumulators, 1>(p, 0, begin, end);
        break;
      case 2:
        product_rows<T, Lanes, Accumulators / 2, 2>(p, 0, begin, end);
        break;
      case 3:
        product_rows<T, Lanes, Accumulators / 3, 3>(p, 0, begin, end);
        break;
      default:
        product_rows<T, Lanes, Accumulators / 4, 4>(p, 0, begin, end);
        break;
    }
    begin = end;
  } while (begin < p.k);
}

template <class T, int Lanes>
void cell_forward(const CellForward<T>& p) {
  using V = Vec<T, Lanes>;
  for (int64_t row = 0; row < p.rows; ++row) {
    T* const gates = p.gates + row * p.gates_ld;
    const T* const c_prev = p.c_prev + row * p.c_prev_ld;
    T* const c = p.c + row * p.c_ld;
    T* const h = p.h + row * p.h_ld;
    for (int64_t u = 0; u < p.units; u += Lanes) {
      const V i = sigmoid<T, Lanes>(load<T, Lanes>(gates + u));
      const V f = sigmoid<T, Lanes>(load<T, Lanes>(gates + p.gate_stride + u));
      const V g = tanh_of<T, Lanes>(load<T, Lanes>(gates + 2 * p.gate_stride + u));
      const V o = sigmoid<T, Lanes>(load<T, Lanes>(gates + 3 * p.gate_stride + u));
      const V next = f * load<T, Lanes>(c_prev + u) + i * g;
      store<T, Lanes>(gates + u, i);
      store<T, Lanes>(gates + p.gate_stride + u, f);
      store<T, Lanes>(gates + 2 * p.gate_stride + u, g);
      store<T, Lanes>(gates + 3 * p.gate_stride + u, o);
      store<T, Lanes>(c + u, next);
      const int64_t valid = p.valid_units - u;
      if (valid > 0) store_lanes<T, Lanes>(h + u, o * tanh_of<T, Lanes>(next), valid < Lanes ? valid : Lanes);
    }
  }
}

// dc += dh o (1 - tanh(c)^2). From dc come the gradients of the four sums: di = dc g i (1 - i),
// df = dc c_prev f (1 - f), dg = dc i (1 - g^2), do = dh tanh(c) o (1 - o). At the end dc <- dc f.
template <class T, int Lanes>
void cell_backward(const CellBackward<T>& p) {
  using V = Vec<T, Lanes>;
  const V one = broadcast<T, Lanes>(1);
  for (int64_t row = 0; row < p.rows; ++row) {
    const T* const gates = p.gates + row * p.gates_ld;
    T* const dgates = p.dgates + row * p.dgates_ld;
    T* const dc_row = p.dc + row * p.dc_ld;
    for (int64_t u = 0; u < p.units; u += Lanes) {
      const V i = load<T, Lanes>(gates + u);
      const V f = load<T, Lanes>(gates + p.gate_stride + u);
      const V g = load<T, Lanes>(gates + 2 * p.gate_stride + u);
      const V o = load<T, Lanes>(gates + 3 * p.gate_stride + u);
      const V tanh_c = tanh_of<T, Lanes>(load<T, Lanes>(p.c + row * p.c_ld + u));
      V dh = load<T, Lanes>(p.dh + row * p.dh_ld + u);
      const int64_t valid = p.valid_units - u;
      if (p.dy != nullptr && valid > 0)
        dh += load_lanes<T, Lanes>(p.dy + row * p.dy_ld + u, valid < Lanes ? valid : Lanes);
      const V dc = load<T, Lanes>(dc_row + u) + dh * o * (one - tanh_c * tanh_c);
      store<T, Lanes>(dgates + u, dc * g * i * (one - i));
      store<T, Lanes>(dgates + p.gate_stride + u,
                      dc * load<T, Lanes>(p.c_prev + row * p.c_prev_ld + u) * f * (one - f));
      store<T, Lanes>(dgates + 2 * p.gate_stride + u, dc * i * (one - g * g));
      store<T, Lanes>(dgates + 3 * p.gate_stride + u, dh * tanh_c * o * (one - o));
      store<T, Lanes>(dc_row + u, dc * f);
    }
  }
}

// VectorBytes is the size of a register. Accumulators is the number of registers that hold sums, a multiple of 12.
template <int VectorBytes, int Accumulators>
constexpr RowKernels make_row_kernels(const char* name) {
  constexpr int kF32 = VectorBytes / 4, kF64 = VectorBytes / 8;
  return {name,
          {kF32, product<float, kF32, Accumulators>, cell_forward<float, kF32>, cell_backward<float, kF32>},
          {kF64, product<double, kF64, Accumulators>, cell_forward<double, kF64>, cell_backward<double, kF64>}};
}

}  // namespace
}  // namespace varlstm::host
