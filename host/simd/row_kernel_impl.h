// The code of row_kernel_<name>.cc. Everything has internal linkage, and no inline function of the standard library is
// used, so that code compiled for one instruction set is never linked in place of code for another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/cells/cells.h"
#include "host/simd/cell_units.h"
#include "host/simd/row_kernel.h"
#include "host/simd/vector_math.h"

namespace varlstm::host {
namespace {

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

// The functions of every cell of the list.
template <class T, int Lanes, class... Rooms>
constexpr CellTable<CellKernel<T>> cell_kernels(CellList<Rooms...>) {
  CellTable<CellKernel<T>> table{};
  ((table.entries[static_cast<int>(Rooms::kCell)] = {cell_forward<Rooms, T, Lanes>, cell_backward<Rooms, T, Lanes>}),
   ...);
  return table;
}

// VectorBytes is the size of a register. Accumulators is the number of registers that hold sums, a multiple of 12.
template <int VectorBytes, int Accumulators>
constexpr RowKernels make_row_kernels(const char* name) {
  constexpr int kF32 = VectorBytes / 4, kF64 = VectorBytes / 8;
  return {name,
          {kF32, product<float, kF32, Accumulators>, cell_kernels<float, kF32>(Cells())},
          {kF64, product<double, kF64, Accumulators>, cell_kernels<double, kF64>(Cells())}};
}

}  // namespace
}  // namespace varlstm::host
