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

// How the elements of a tile's rows are found: rows are evenly spaced, or each has a pointer of its own, or they are
// the columns of a transposed operand.
enum class Rows { kSpaced, kListed, kColumns };

template <class T, int Count, Rows kRows>
struct TileRows;

template <class T, int Count>
struct TileRows<T, Count, Rows::kSpaced> {
  T* first;
  int64_t spacing;
  TileRows(T* base, int64_t ld, const RowIndex& rows, int64_t row)
      : first(base + (rows.first + row * rows.stride) * ld), spacing(rows.stride * ld) {}
  T* at(int r, int64_t k) const { return first + r * spacing + k; }
};

template <class T, int Count>
struct TileRows<T, Count, Rows::kListed> {
  T* rows[Count];
  TileRows(T* base, int64_t ld, const RowIndex& index, int64_t row) {
    for (int r = 0; r < Count; ++r) rows[r] = base + row_at(index, row + r) * ld;
  }
  T* at(int r, int64_t k) const { return rows[r] + k; }
};

template <class T, int Count>
struct TileRows<T, Count, Rows::kColumns> {
  T* first;
  int64_t ld;
  TileRows(T* base, int64_t distance, const RowIndex&, int64_t row) : first(base + row), ld(distance) {}
  T* at(int r, int64_t k) const { return first + k * ld + r; }
};

// Asks for what the tile of Count rows after this one reads of a, and for its sums if they are anywhere.
template <class T, int Count, int Vectors, Rows kRows>
inline void prefetch_next(const PanelProduct<T>& p, const TileRows<const T, Count, kRows>& a, int64_t row,
                          int64_t k_begin, int64_t k_end) {
  if constexpr (kRows == Rows::kColumns) return;  // product_tile does, step by step
  for (int r = Count; r < 2 * Count && (kRows == Rows::kSpaced || row + r < p.rows); ++r) {
    const T* const next = kRows == Rows::kListed ? p.a + row_at(p.a_rows, row + r) * p.lda : a.at(r, 0);
    for (int64_t k = k_begin; k < k_end; k += 64 / sizeof(T)) __builtin_prefetch(next + k);
    if constexpr (kRows == Rows::kListed)
      for (int v = 0; v < Vectors; ++v)
        __builtin_prefetch(p.c + row_at(p.c_rows, row + r) * p.ldc + v * p.vector_stride, 1);
  }
}

// Computes a tile of c whose Count x Vectors sums stay in registers for all k.
template <class T, int Lanes, int Count, int Vectors, Rows kRows>
inline void product_tile(const PanelProduct<T>& p, int64_t row, int64_t k_begin, int64_t k_end) {
  Vec<T, Lanes> sum[Count][Vectors];
  const TileRows<T, Count, kRows == Rows::kListed ? kRows : Rows::kSpaced> c(p.c, p.ldc, p.c_rows, row);
  const TileRows<const T, Count, Rows::kSpaced> before(p.before, p.before_ld, {}, row);
  const bool from_init = p.init != nullptr && k_begin == 0, from_before = p.before != nullptr && k_begin == 0;
  for (int r = 0; r < Count; ++r)
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = load<T, Lanes>(from_init     ? p.init + v * Lanes
                                 : from_before ? before.at(r, v * p.before_stride)
                                               : c.at(r, v * p.vector_stride));
  for (int r = Count; r < 2 * Count && from_before; ++r)  // the next tile's sums
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(before.at(r, v * p.before_stride));
  // The next panel's sums of these rows, if each vector has a cache line of its own.
  if (kRows == Rows::kSpaced && k_begin == 0 && p.vector_stride > Lanes)
    for (int r = 0; r < Count; ++r)
      for (int v = 0; v < Vectors; ++v) __builtin_prefetch(c.at(r, v * p.vector_stride + Lanes), 1);
  const TileRows<const T, Count, kRows> a(p.a, p.lda, p.a_rows, row);
  prefetch_next<T, Count, Vectors, kRows>(p, a, row, k_begin, k_end);
  const T* w = p.panel + k_begin * Vectors * Lanes;
  for (int64_t k = k_begin; k < k_end; ++k, w += Vectors * Lanes) {
    if constexpr (kRows == Rows::kColumns) __builtin_prefetch(a.at(Count, k));
    // The smaller of the two operands is kept in registers; the larger one is loaded element by element.
    if constexpr (Count < Vectors) {
      Vec<T, Lanes> x[Count];
      for (int r = 0; r < Count; ++r) x[r] = broadcast<T, Lanes>(*a.at(r, k));
      for (int v = 0; v < Vectors; ++v) {
        const Vec<T, Lanes> weight = load<T, Lanes>(w + v * Lanes);
        for (int r = 0; r < Count; ++r) sum[r][v] += x[r] * weight;
      }
    } else {
      Vec<T, Lanes> weight[Vectors];
      for (int v = 0; v < Vectors; ++v) weight[v] = load<T, Lanes>(w + v * Lanes);
      for (int r = 0; r < Count; ++r) {
        const Vec<T, Lanes> x = broadcast<T, Lanes>(*a.at(r, k));
        for (int v = 0; v < Vectors; ++v) sum[r][v] += x * weight[v];
      }
    }
  }
  for (int r = 0; r < Count; ++r)
    for (int v = 0; v < Vectors; ++v) store<T, Lanes>(c.at(r, v * p.vector_stride), sum[r][v]);
}

// A tile of `count` rows, 1 .. Most.
template <class T, int Lanes, int Most, int Vectors, Rows kRows>
inline void product_tile_of(int64_t count, const PanelProduct<T>& p, int64_t row, int64_t k_begin, int64_t k_end) {
  if constexpr (Most > 1)
    if (count < Most) return product_tile_of<T, Lanes, Most - 1, Vectors, kRows>(count, p, row, k_begin, k_end);
  product_tile<T, Lanes, Most, Vectors, kRows>(p, row, k_begin, k_end);
}

// Uses tiles of at most Most rows. If these are 4 to 8, all tiles are equal but for a row: a small tile beside large
// ones would have too few chains of additions. Otherwise the rest is done by smaller tiles.
template <class T, int Lanes, int Most, int Vectors, Rows kRows>
inline void product_rows(const PanelProduct<T>& p, int64_t row, int64_t k_begin, int64_t k_end) {
  constexpr int kLeastEqual = 4, kMostEqual = 8;
  if constexpr (kLeastEqual <= Most && Most <= kMostEqual) {
    for (int64_t tiles = (p.rows - row + Most - 1) / Most; tiles > 0; --tiles) {
      const int64_t count = (p.rows - row + tiles - 1) / tiles;
      product_tile_of<T, Lanes, Most, Vectors, kRows>(count, p, row, k_begin, k_end);
      row += count;
    }
  } else {
    for (; row + Most <= p.rows; row += Most) product_tile<T, Lanes, Most, Vectors, kRows>(p, row, k_begin, k_end);
    if constexpr (Most > 1)
      if (row < p.rows)
        product_rows<T, Lanes, (Most > 4 ? Most / 2 : Most - 1), Vectors, kRows>(p, row, k_begin, k_end);
  }
}

// `Accumulators` registers hold sums. A chunk of the panel stays in the second-level cache while all rows are
// multiplied by it, which it feeds fast enough; in smaller chunks, for the first-level cache, the sums would be stored
// and loaded so often that it costs more. Storing them between chunks does not change them. A tile of listed rows has
// at most 8 rows, whose addresses fit in the registers.
template <class T, int Lanes, int Accumulators, Rows kRows>
void product_chunks(const PanelProduct<T>& p) {
  constexpr int64_t kChunkBytes = 64 * 1024;
  constexpr bool kListed = kRows == Rows::kListed;
  const int64_t chunk = kChunkBytes / (static_cast<int64_t>(sizeof(T)) * Lanes * p.vectors);
  const int64_t step = p.rows <= Accumulators / p.vectors ? p.k : chunk;
  int64_t begin = 0;
  do {
    const int64_t end = begin + step < p.k ? begin + step : p.k;
    switch (p.vectors) {
      case 1:
        product_rows<T, Lanes, (kListed ? 8 : Accumulators), 1, kRows>(p, 0, begin, end);
        break;
      case 2:
        product_rows<T, Lanes, (kListed && Accumulators > 16 ? 8 : Accumulators / 2), 2, kRows>(p, 0, begin, end);
        break;
      case 3:
        product_rows<T, Lanes, Accumulators / 3, 3, kRows>(p, 0, begin, end);
        break;
      default:
        product_rows<T, Lanes, Accumulators / 4, 4, kRows>(p, 0, begin, end);
        break;
    }
    begin = end;
  } while (begin < p.k);
}

template <class T, int Lanes, int Accumulators>
void product(const PanelProduct<T>& p) {
  if (p.transposed_a) return product_chunks<T, Lanes, Accumulators, Rows::kColumns>(p);
  if (p.a_rows.list == nullptr && p.c_rows.list == nullptr)
    return product_chunks<T, Lanes, Accumulators, Rows::kSpaced>(p);
  product_chunks<T, Lanes, Accumulators, Rows::kListed>(p);
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
