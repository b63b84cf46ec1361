// SPDX-License-Identifier: Apache-2.0
#include "host/gemm/row_product.h"

#include <string.h>

#include <algorithm>
#include <initializer_list>

#include "host/gemm/ahead.h"
#include "host/gemm/copy_run.h"
#include "host/gemm/weight_panel.h"
#include "host/simd/row_kernel.h"
#include "host/threads/parallel.h"

namespace varlstm::host {
namespace {

// Between chunks of k the sums of one piece of work are in a tile on the stack: the rows of c, which are often many
// pages apart, are accessed once.
constexpr int64_t kTileBytes = 128 * 1024;
// A packed chunk of the panel stays in the second-level cache, beside the tile. row_kernel_impl.h has the same size.
constexpr int64_t kChunkBytes = 64 * 1024;

// A piece of a product of few rows has up to this many panels.
constexpr int64_t kFewRowsPanels = 16;
// Products of few rows share their work from this many multiplications on: below it a thread is done before a second
// one has begun.
constexpr int64_t kThreadedFewRows = 1'000'000;

// Each of several threads gets about as many pieces, so that they are done at the same time, if blocks do not get fewer
// rows than these: each block packs its panel.
constexpr int64_t kPiecesOfThread = 4;
constexpr int64_t kLeastBlockRows = 128;

template <class T>
int64_t depth(const RowProduct<T>& p) {
  return p.segments * p.segment;
}

// Where a panel of p.panels begins. Only the last one may have fewer vectors than the others.
template <class T>
int64_t panel_offset(const RowProduct<T>& p, int64_t panel) {
  const int64_t vectors = p.groups > 1 ? p.groups : kPanelVectors;
  return panel * vectors * row_kernel<T>().lanes * depth(p);
}

// Whether the panel's vectors are whole and evenly spaced in c, so that the kernel itself can read and write them
// there.
template <class T>
bool is_whole(const RowProduct<T>& p, const PanelColumns& columns) {
  if (columns.runs() * columns.run() < columns.vectors * columns.lanes) return false;
  for (int v = 1; v < columns.runs(); ++v)
    if (p.group_slots[v] != p.group_slots[0] + v) return false;
  return true;
}

// Copies rows of the tile [rows, vectors, lanes] to or from c.
template <class T>
void copy_tile(const RowProduct<T>& p, const PanelColumns& columns, int64_t begin, int64_t end, T* tile, bool to_c) {
  const int64_t bytes = columns.run() * static_cast<int64_t>(sizeof(T));
  for (int64_t row = begin; row < end; ++row, tile += columns.vectors * columns.lanes)
    for (int v = 0; v < columns.runs(); ++v) {
      T* const c = p.c + row * p.ldc + columns.first + p.group_slots[v] * p.group_stride;
      T* const sums = tile + v * columns.lanes;
      if (to_c)
        copy_run(c, sums, bytes);
      else
        copy_run(sums, c, bytes);
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

// From row to row of the weight.
template <class T>
int64_t weight_ld(const RowProduct<T>& p) {
  if (p.weight_ld != 0) return p.weight_ld;
  return p.transposed_weight ? depth(p) : p.groups * p.columns;
}

// The chunk of a panel's weight that begins at k.
template <class T>
Ahead<T> weight_ahead(const RowProduct<T>& p, const PanelColumns& columns, int64_t k, int64_t chunk) {
  Ahead<T> ahead;
  const int64_t left = depth(p) - k;
  ahead.add_weight(columns, p.weight, weight_ld(p), p.transposed_weight, k, left < chunk ? left : chunk);
  return ahead;
}

// The product of the rows of `part`, a few at a time: between them what `ahead` has is asked for.
template <class T>
void multiply(const RowKernel<T>& kernel, const PanelProduct<T>& part, const Ahead<T>& ahead) {
  constexpr int64_t kRows = 24;  // whole tiles of every instruction set
  const int64_t parts = (part.rows + kRows - 1) / kRows;
  for (int64_t k = 0; k < parts; ++k) {
    PanelProduct<T> some = part;
    some.rows = k + 1 < parts ? kRows : part.rows - k * kRows;
    some.a += k * kRows * (part.transposed_a ? 1 : part.lda);
    some.c += k * kRows * part.ldc;
    if (part.before != nullptr) some.before += k * kRows * part.before_ld;
    ahead.ask(k, parts);
    kernel.product(some);
  }
}

// Computes one panel of columns of c for the rows [begin, end).
template <class T>
void run_panel(const RowKernel<T>& kernel, const RowProduct<T>& p, int64_t panel, int64_t begin, int64_t end) {
  const PanelColumns columns = panel_columns(p.columns, p.groups, kernel.lanes, panel);
  const int64_t width = columns.vectors * kernel.lanes;
  alignas(64) T packed[kChunkBytes / sizeof(T)];
  alignas(64) T tile[kTileBytes / sizeof(T)];
  alignas(64) T init[kPanelVectors * kMaxVectorBytes / sizeof(T)] = {};
  const bool whole = is_whole(p, columns);
  if (p.accumulate && !whole) {
    if (columns.runs() * columns.run() < width)  // else there is no padding
      memset(tile, 0, static_cast<size_t>((end - begin) * width) * sizeof(T));
    copy_tile(p, columns, begin, end, tile, false);
  }
  add_biases(p, columns, init);

  T* const c = p.c + begin * p.ldc + columns.first + p.group_slots[0] * p.group_stride;
  const int64_t c_stride = columns.grouped ? p.group_stride : kernel.lanes;
  PanelProduct<T> part;
  part.rows = end - begin;
  part.lda = p.lda;
  part.transposed_a = p.transposed_a;
  part.panel = packed;
  part.vectors = columns.vectors;
  part.init = p.accumulate ? nullptr : init;
  part.before = whole ? c : tile;
  part.before_ld = whole ? p.ldc : width;
  part.before_stride = whole ? c_stride : kernel.lanes;

  const int64_t chunk = kChunkBytes / (static_cast<int64_t>(sizeof(T)) * width);
  for (int64_t segment = 0; segment < p.segments; ++segment)
    for (int64_t k = 0; k < p.segment; k += chunk) {
      part.k = k + chunk < p.segment ? chunk : p.segment - k;
      part.a = p.transposed_a ? p.a + k * p.lda + begin
                              : p.a + begin * p.lda + p.segment_slots[segment] * p.segment_stride + k;
      const int64_t first = segment * p.segment + k, done = first + part.k;
      Ahead<T> ahead;
      if (p.panels != nullptr) {
        part.panel = p.panels + panel_offset(p, panel) + first * width;
      } else {
        pack_panel(columns, p.weight, weight_ld(p), p.transposed_weight, first, part.k, packed);
        if (done < depth(p))
          ahead = weight_ahead(p, columns, done, chunk);
        else if (panel + 1 < panel_count(p.columns, p.groups, kernel.lanes))  // which this thread may well compute next
          ahead = weight_ahead(p, panel_columns(p.columns, p.groups, kernel.lanes, panel + 1), 0, chunk);
      }
      const bool to_c = whole && done == depth(p);
      part.c = to_c ? c : tile;
      part.ldc = to_c ? p.ldc : width;
      part.vector_stride = to_c ? c_stride : kernel.lanes;
      multiply(kernel, part, ahead);
      part.init = nullptr;
      part.before = tile;
      part.before_ld = width;
      part.before_stride = kernel.lanes;
    }
  if (!whole) copy_tile(p, columns, begin, end, tile, true);
}

// Computes the packed panels [begin, end) of columns of c, which are equally wide, for all rows, which are few.
template <class T>
void run_few_rows(const RowKernel<T>& kernel, const RowProduct<T>& p, int64_t begin, int64_t end) {
  alignas(64) T tile[kFewRowsPanels * kFewRows * kPanelVectors * kMaxVectorBytes / sizeof(T)];
  const PanelColumns first = panel_columns(p.columns, p.groups, kernel.lanes, begin);
  const int64_t width = first.vectors * kernel.lanes;
  const auto of_panel = [&](int64_t panel) { return tile + (panel - begin) * p.rows * width; };
  memset(tile, 0, static_cast<size_t>((end - begin) * p.rows * width) * sizeof(T));
  for (int64_t panel = begin; panel < end; ++panel) {
    const PanelColumns columns = panel_columns(p.columns, p.groups, kernel.lanes, panel);
    if (p.accumulate) copy_tile(p, columns, 0, p.rows, of_panel(panel), false);
    for (int64_t row = 0; row < p.rows; ++row) add_biases(p, columns, of_panel(panel) + row * width);
  }
  PanelProduct<T> part;
  part.rows = p.rows;
  part.k = p.segment;
  part.lda = p.lda;
  part.vectors = first.vectors;
  part.init = nullptr;
  part.c = tile;
  part.ldc = width;
  part.vector_stride = kernel.lanes;
  part.panels = end - begin;
  part.panel_stride = width * depth(p);
  part.c_panel_stride = p.rows * width;
  for (int64_t segment = 0; segment < p.segments; ++segment) {
    part.a = p.a + p.segment_slots[segment] * p.segment_stride;
    part.panel = p.panels + panel_offset(p, begin) + segment * p.segment * width;
    kernel.few_rows(part);
  }
  for (int64_t panel = begin; panel < end; ++panel)
    copy_tile(p, panel_columns(p.columns, p.groups, kernel.lanes, panel), 0, p.rows, of_panel(panel), true);
}

// How many of the panels are as wide as the first one: all, or all but the last.
template <class T>
int64_t wide_panels(const RowProduct<T>& p, int64_t panels) {
  const int64_t lanes = row_kernel<T>().lanes;
  return panels - (panel_columns(p.columns, p.groups, lanes, panels - 1).vectors !=
                   panel_columns(p.columns, p.groups, lanes, 0).vectors);
}

}  // namespace

template <class T>
int64_t packed_elements(const RowProduct<T>& p) {
  const int64_t lanes = row_kernel<T>().lanes;
  return (p.columns + lanes - 1) / lanes * lanes * p.groups * depth(p);
}

template <class T>
void pack_weight(int64_t threads, const RowProduct<T>& p, T* panels) {
  const int64_t lanes = row_kernel<T>().lanes;
  parallel_for(packed_elements(p) < kThreadedWork ? 1 : threads, panel_count(p.columns, p.groups, lanes),
               [&](int64_t panel) {
                 pack_panel(panel_columns(p.columns, p.groups, lanes, panel), p.weight, weight_ld(p),
                            p.transposed_weight, 0, depth(p), panels + panel_offset(p, panel));
               });
}

template <class T>
RowProductPieces<T>::RowProductPieces(int64_t threads, const RowProduct<T>& p) : product_(p) {
  if (p.rows == 0 || p.columns == 0) return;
  const int64_t lanes = row_kernel<T>().lanes;
  panels_ = panel_count(p.columns, p.groups, lanes);
  few_rows_ = p.panels != nullptr && p.rows <= kFewRows;
  if (few_rows_) {  // a piece has several equally wide panels
    const int64_t wide = wide_panels(p, panels_);
    count_ = (wide + kFewRowsPanels - 1) / kFewRowsPanels + (panels_ - wide);
    return;
  }
  const int64_t most_rows = kTileBytes / (kPanelVectors * lanes * static_cast<int64_t>(sizeof(T)));
  const int64_t least = (p.rows + most_rows - 1) / most_rows, most = p.rows / kLeastBlockRows;
  const int64_t wanted = threads > 1 ? (kPiecesOfThread * threads + panels_ - 1) / panels_ : 1;
  blocks_ = std::max(least, std::min(wanted, most));
  count_ = panels_ * blocks_;
}

template <class T>
int64_t RowProductPieces<T>::work() const {
  if (count_ == 0) return 0;
  const int64_t work = product_.rows * product_.columns * product_.groups * depth(product_);
  return few_rows_ && work < kThreadedFewRows ? 0 : work;
}

template <class T>
void RowProductPieces<T>::run(int64_t piece) const {
  const RowKernel<T>& kernel = row_kernel<T>();
  if (few_rows_) {
    const int64_t wide = wide_panels(product_, panels_), begin = piece * kFewRowsPanels, end = begin + kFewRowsPanels;
    return run_few_rows(kernel, product_, std::min(begin, wide), begin < wide ? std::min(end, wide) : panels_);
  }
  const int64_t block = piece / panels_;
  run_panel(kernel, product_, piece % panels_, product_.rows * block / blocks_, product_.rows * (block + 1) / blocks_);
}

template <class T>
void row_product(int64_t threads, const RowProduct<T>& p) {
  const RowProductPieces<T> pieces(threads, p);
  parallel_for(pieces.work() < kThreadedWork ? 1 : threads, pieces.count(), [&](int64_t piece) { pieces.run(piece); });
}

template class RowProductPieces<float>;
template class RowProductPieces<double>;
template void row_product<float>(int64_t, const RowProduct<float>&);
template void row_product<double>(int64_t, const RowProduct<double>&);
template void pack_weight<float>(int64_t, const RowProduct<float>&, float*);
template void pack_weight<double>(int64_t, const RowProduct<double>&, double*);
template int64_t packed_elements<float>(const RowProduct<float>&);
template int64_t packed_elements<double>(const RowProduct<double>&);

}  // namespace varlstm::host
