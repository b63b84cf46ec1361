// SPDX-License-Identifier: Apache-2.0
#include "host/gemm/row_product.h"

#include <string.h>

#include <initializer_list>

#include "host/gemm/weight_panel.h"
#include "host/simd/row_kernel.h"
#include "host/threads/parallel.h"

namespace varlstm::host {
namespace {

// The sums of one piece of work are in a tile on the stack, so that the rows of c, which are often many pages apart,
// are accessed once.
constexpr int64_t kTileBytes = 64 * 1024;
// A packed chunk of the panel fits in the first-level cache.
constexpr int64_t kChunkBytes = 16 * 1024;

// Copies rows of the tile [rows, vectors, lanes] to or from c.
template <class T>
void copy_tile(const RowProduct<T>& p, const PanelColumns& columns, int64_t begin, int64_t end, T* tile, bool to_c) {
  const auto bytes = static_cast<size_t>(columns.run()) * sizeof(T);
  for (int64_t row = begin; row < end; ++row, tile += columns.vectors * columns.lanes)
    for (int v = 0; v < columns.runs(); ++v) {
      T* const c = p.c + row * p.ldc + columns.first + p.group_slots[v] * p.group_stride;
      T* const sums = tile + v * columns.lanes;
      if (to_c)
        memcpy(c, sums, bytes);
      else
        memcpy(sums, c, bytes);
    }
}

// init [vectors, lanes] += the biases of the panel's columns.
template <class T>
void add_biases(const RowProduct<T>& p, const PanelColumns& columns, T* init) {
  for (const T* bias : {p.bias, p.bias2})
    for (int v = 0; bias != nullptr && v < (bias == p.bias2 && columns.grouped ? p.bias2_groups : columns.vectors); ++v)
      for (int64_t lane = 0; lane < columns.valid(v); ++lane)
        init[v * columns.lanes + lane] += bias[columns.column(v) + lane];
}

// Computes one panel of columns of c for the rows [begin, end).
template <class T>
void run_panel(const RowKernel<T>& kernel, const RowProduct<T>& p, int64_t panel, int64_t begin, int64_t end) {
  const PanelColumns columns = panel_columns(p.columns, p.groups, kernel.lanes, panel);
  const int64_t width = columns.vectors * kernel.lanes;
  alignas(64) T packed[kChunkBytes / sizeof(T)];
  alignas(64) T tile[kTileBytes / sizeof(T)];
  alignas(64) T init[kPanelVectors * kMaxVectorBytes / sizeof(T)] = {};
  if (p.accumulate) {
    if (columns.runs() * columns.run() < width)  // else there is no padding
      memset(tile, 0, static_cast<size_t>((end - begin) * width) * sizeof(T));
    copy_tile(p, columns, begin, end, tile, false);
  }
  add_biases(p, columns, init);

  PanelProduct<T> part;
  part.rows = end - begin;
  part.lda = p.lda;
  part.panel = packed;
  part.vectors = columns.vectors;
  part.init = p.accumulate ? nullptr : init;
  part.c = tile;
  part.ldc = width;
  part.vector_stride = kernel.lanes;

  const int64_t adjacent = p.transposed_weight ? p.segments * p.segment : p.groups * p.columns;
  const int64_t ld = p.weight_ld != 0 ? p.weight_ld : adjacent;
  const int64_t chunk = kChunkBytes / (static_cast<int64_t>(sizeof(T)) * width);
  for (int64_t segment = 0; segment < p.segments; ++segment)
    for (int64_t k = 0; k < p.segment; k += chunk) {
      part.k = k + chunk < p.segment ? chunk : p.segment - k;
      part.a = p.a + begin * p.lda + p.segment_slots[segment] * p.segment_stride + k;
      pack_panel(columns, p.weight, ld, p.transposed_weight, segment * p.segment + k, part.k, packed);
      kernel.product(part);
      part.init = nullptr;
    }
  copy_tile(p, columns, begin, end, tile, true);
}

}  // namespace

template <class T>
void row_product(int64_t threads, const RowProduct<T>& p) {
  if (p.rows == 0 || p.columns == 0) return;
  const RowKernel<T>& kernel = row_kernel<T>();
  const int64_t panels = panel_count(p.columns, p.groups, kernel.lanes);
  const int64_t most_rows = kTileBytes / (kPanelVectors * kernel.lanes * static_cast<int64_t>(sizeof(T)));
  const int64_t blocks = (p.rows + most_rows - 1) / most_rows;
  const int64_t work = p.rows * p.columns * p.groups * p.segment * p.segments;
  parallel_for(work < kThreadedWork ? 1 : threads, panels * blocks, [&](int64_t piece) {
    const int64_t block = piece / panels;
    run_panel(kernel, p, piece % panels, p.rows * block / blocks, p.rows * (block + 1) / blocks);
  });
}

template void row_product<float>(int64_t, const RowProduct<float>&);
template void row_product<double>(int64_t, const RowProduct<double>&);

}  // namespace varlstm::host
