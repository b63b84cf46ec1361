// The code of row_kernel_<name>.cc. Everything has internal linkage, and no inline function of the standard library is
// used, so that code compiled for one instruction set is never linked in place of code for another.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/cells/cells.h"
#include "host/simd/cell_units.h"
#include "host/simd/few_rows.h"
#include "host/simd/norm_rows.h"
#include "host/simd/norm_units.h"
#include "host/simd/option_units.h"
#include "host/simd/row_kernel.h"
#include "host/simd/transpose.h"
#include "host/simd/vector_math.h"
#include "host/simd/window_units.h"

namespace varlstm::host {
namespace {

// Where the rows of a tile begin. In a list each row has a pointer of its own; otherwise they are evenly spaced.
template <class T, int Rows, bool kListed>
struct TileRows;

template <class T, int Rows>
struct TileRows<T, Rows, false> {
  T* first;
  int64_t spacing;
  TileRows(T* base, int64_t ld, const RowIndex& rows, int64_t row)
      : first(base + (rows.first + row * rows.stride) * ld), spacing(rows.stride * ld) {}
  T* of(int r) const { return first + r * spacing; }
};

template <class T, int Rows>
struct TileRows<T, Rows, true> {
  T* rows[Rows];
  TileRows(T* base, int64_t ld, const RowIndex& index, int64_t row) {
    for (int r = 0; r < Rows; ++r) rows[r] = base + row_at(index, row + r) * ld;
  }
  T* of(int r) const { return rows[r]; }
};

// Computes a tile of c whose Rows x Vectors sums stay in registers for all k.
template <class T, int Lanes, int Rows, int Vectors, bool kListed>
inline void product_tile(const PanelProduct<T>& p, int64_t row, int64_t k_begin, int64_t k_end) {
  Vec<T, Lanes> sum[Rows][Vectors];
  const TileRows<T, Rows, kListed> c(p.c, p.ldc, p.c_rows, row);
  const bool from_init = p.init != nullptr && k_begin == 0;
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = from_init ? load<T, Lanes>(p.init + v * Lanes) : load<T, Lanes>(c.of(r) + v * p.vector_stride);
  const TileRows<const T, Rows, kListed> a(p.a, p.lda, p.a_rows, row);
  for (int r = Rows; r < 2 * Rows && (!kListed || row + r < p.rows); ++r) {  // the next tile's rows
    const T* const next = kListed ? p.a + row_at(p.a_rows, row + r) * p.lda : a.of(r);
    for (int64_t k = k_begin; k < k_end; k += 64 / sizeof(T)) __builtin_prefetch(next + k);
    if constexpr (kListed)
      for (int v = 0; v < Vectors; ++v)
        __builtin_prefetch(p.c + row_at(p.c_rows, row + r) * p.ldc + v * p.vector_stride, 1);
  }
  const T* w = p.panel + k_begin * Vectors * Lanes;
  for (int64_t k = k_begin; k < k_end; ++k, w += Vectors * Lanes) {
    // The smaller of the two operands is kept in registers; the larger one is loaded element by element.
    if constexpr (Rows < Vectors) {
      Vec<T, Lanes> x[Rows];
      for (int r = 0; r < Rows; ++r) x[r] = broadcast<T, Lanes>(a.of(r)[k]);
      for (int v = 0; v < Vectors; ++v) {
        const Vec<T, Lanes> weight = load<T, Lanes>(w + v * Lanes);
        for (int r = 0; r < Rows; ++r) sum[r][v] += x[r] * weight;
      }
    } else {
      Vec<T, Lanes> weight[Vectors];
      for (int v = 0; v < Vectors; ++v) weight[v] = load<T, Lanes>(w + v * Lanes);
      for (int r = 0; r < Rows; ++r) {
        const Vec<T, Lanes> x = broadcast<T, Lanes>(a.of(r)[k]);
        for (int v = 0; v < Vectors; ++v) sum[r][v] += x * weight[v];
      }
    }
  }
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) store<T, Lanes>(c.of(r) + v * p.vector_stride, sum[r][v]);
}

// Uses tiles of Rows rows, and smaller tiles for the remaining rows.
template <class T, int Lanes, int Rows, int Vectors, bool kListed>
inline void product_rows(const PanelProduct<T>& p, int64_t row, int64_t k_begin, int64_t k_end) {
  for (; row + Rows <= p.rows; row += Rows) product_tile<T, Lanes, Rows, Vectors, kListed>(p, row, k_begin, k_end);
  if constexpr (Rows > 1)
    if (row < p.rows)
      product_rows<T, Lanes, (Rows > 4 ? Rows / 2 : Rows - 1), Vectors, kListed>(p, row, k_begin, k_end);
}

// `Accumulators` registers hold sums. A chunk of the panel stays in the first-level cache while all rows are multiplied
// by it. The sums are stored between chunks, which does not change them.
template <class T, int Lanes, int Accumulators, bool kListed>
void product_chunks(const PanelProduct<T>& p) {
  constexpr int64_t kChunkBytes = 16 * 1024;
  const int64_t chunk = kChunkBytes / (static_cast<int64_t>(sizeof(T)) * Lanes * p.vectors);
  const int64_t step = p.rows <= Accumulators / p.vectors ? p.k : chunk;
  int64_t begin = 0;
  do {
    const int64_t end = begin + step < p.k ? begin + step : p.k;
    switch (p.vectors) {
      case 1:
        product_rows<T, Lanes, (kListed ? 8 : Accumulators), 1, kListed>(p, 0, begin, end);
        break;
      case 2:
        product_rows<T, Lanes, (kListed && Accumulators > 16 ? 8 : Accumulators / 2), 2, kListed>(p, 0, begin, end);
        break;
      case 3:
        product_rows<T, Lanes, Accumulators / 3, 3, kListed>(p, 0, begin, end);
        break;
      default:
        product_rows<T, Lanes, Accumulators / 4, 4, kListed>(p, 0, begin, end);
        break;
    }
    begin = end;
  } while (begin < p.k);
}

// A tile of listed rows has at most 8 rows, whose addresses fit in the registers.
template <class T, int Lanes, int Accumulators>
void product(const PanelProduct<T>& p) {
  if (p.a_rows.list == nullptr && p.c_rows.list == nullptr) {
    product_chunks<T, Lanes, Accumulators, false>(p);
  } else {
    product_chunks<T, Lanes, Accumulators, true>(p);
  }
}

template <class T, int Lanes>
void transpose(const T* weight, int64_t ld, int64_t valid, int64_t k, T* out, int64_t step) {
  int64_t s = 0;
  for (; s + Lanes <= k; s += Lanes) {
    Vec<T, Lanes> rows[Lanes];
    for (int lane = 0; lane < Lanes; ++lane)
      rows[lane] = lane < valid ? load<T, Lanes>(weight + lane * ld + s) : Vec<T, Lanes>{};
    transpose_square<T, Lanes>(rows);
    for (int j = 0; j < Lanes; ++j) store<T, Lanes>(out + (s + j) * step, rows[j]);
  }
  for (; s < k; ++s)
    for (int lane = 0; lane < Lanes; ++lane) out[s * step + lane] = lane < valid ? weight[lane * ld + s] : T(0);
}

// The part of a cell's formulas that follows the normalisation of c', or goes before it in backward.
template <class Room, class T, int Lanes>
void forward_from_c(const CellForward<T>& p) {
  for (int64_t row = 0; row < p.rows; ++row)
    for (int64_t u = 0; u < p.units; u += Lanes) Room::forward_output(NormForwardUnits<T, Lanes>(p, row, u));
}
template <class Room, class T, int Lanes>
void backward_to_norm(const CellBackward<T>& p) {
  for (int64_t row = 0; row < p.rows; ++row)
    for (int64_t u = 0; u < p.units; u += Lanes) Room::backward_output(NormBackwardUnits<T, Lanes>(p, row, u));
}

template <class Room, class T, int Lanes>
constexpr CellKernel<T> cell_kernel() {
  CellKernel<T> kernel{};
  kernel.forward = cell_forward<Room, T, Lanes>;
  kernel.backward = cell_backward<Room, T, Lanes>;
  kernel.forward_with_options = cell_forward<Room, T, Lanes, OptionForwardUnits>;
  kernel.backward_with_options = cell_backward<Room, T, Lanes, OptionBackwardUnits>;
  if constexpr (Room::traits().second_gates > 0) {
    kernel.operand = cell_operand<Room, T, Lanes>;
    kernel.operand_backward = cell_operand_backward<Room, T, Lanes>;
  }
  if constexpr (Room::traits().has_c) {
    kernel.forward_to_c = cell_forward<Room, T, Lanes, NormForwardUnits>;
    kernel.forward_from_c = forward_from_c<Room, T, Lanes>;
    kernel.backward_to_norm = backward_to_norm<Room, T, Lanes>;
    kernel.backward_from_norm = cell_backward<Room, T, Lanes, NormBackwardUnits>;
  }
  return kernel;
}

// The functions of every cell of the list.
template <class T, int Lanes, class... Rooms>
constexpr CellTable<CellKernel<T>> cell_kernels(CellList<Rooms...>) {
  CellTable<CellKernel<T>> table{};
  ((table.entries[static_cast<int>(Rooms::kCell)] = cell_kernel<Rooms, T, Lanes>()), ...);
  return table;
}

template <class T, int Lanes, int Accumulators>
constexpr RowKernel<T> row_kernel_of() {
  return {Lanes,
          product<T, Lanes, Accumulators>,
          few_rows<T, Lanes, Accumulators>,
          transpose<T, Lanes>,
          column_maxima<T, Lanes>,
          window_gradients<T, Lanes>,
          tanh_in_place<T, Lanes>,
          cell_kernels<T, Lanes>(Cells()),
          normalise<T, Lanes>,
          normalise_backward<T, Lanes>};
}

// VectorBytes is the size of a register. Accumulators is the number of registers that hold sums, a multiple of 12.
template <int VectorBytes, int Accumulators>
constexpr RowKernels make_row_kernels(const char* name) {
  constexpr int kF32 = VectorBytes / 4, kF64 = VectorBytes / 8;
  return {name, row_kernel_of<float, kF32, Accumulators>(), row_kernel_of<double, kF64, Accumulators>()};
}

}  // namespace
}  // namespace varlstm::host
