// SPDX-License-Identifier: Apache-2.0
#include "host/row_product.h"

#include <initializer_list>

#include "host/parallel.h"
#include "host/row_kernel.h"
#include "host/weight_panel.h"

namespace varlstm::host {
namespace {

// Rows that one packing of a panel's chunk serves at most; more rows are cut into blocks for the threads.
constexpr int64_t kRowBlock = 1024;
// A packed chunk stays in the first-level cache.
constexpr int64_t kChunkBytes = 16 * 1024;
constexpr int64_t kMaxLanes = 16;

// One panel of columns for rows [begin, end).
template <class T>
void run_panel(const RowKernel<T>& kernel, const RowProduct<T>& p, int64_t panel, int64_t begin, int64_t end) {
  const bool gates = p.groups > 1;
  const PanelColumns columns = panel_columns(p.columns, gates, kernel.lanes, panel);
  alignas(64) T packed[kChunkBytes / sizeof(T)];
  alignas(64) T init[kPanelVectors * kMaxLanes] = {};
  for (int v = 0; v < columns.vectors; ++v)
    for (int64_t lane = 0; lane < columns.valid(v); ++lane)
      for (const T* bias : {p.bias, p.bias2})
        if (bias != nullptr) init[v * kernel.lanes + lane] += bias[columns.column(v) + lane];

  PanelProduct<T> part;
  part.rows = end - begin;
  part.lda = p.lda;
  part.panel = packed;
  part.vectors = columns.vectors;
  part.last_lanes = static_cast<int>(columns.valid(columns.vectors - 1));
  part.init = p.accumulate ? nullptr : init;
  part.c = p.c + begin * p.ldc + columns.first;
  part.ldc = p.ldc;
  part.vector_stride = gates ? p.group_stride : kernel.lanes;

  const int64_t ld = p.transposed_weight ? p.segments * p.segment : p.groups * p.columns;
  const int64_t chunk = kChunkBytes / (static_cast<int64_t>(sizeof(T)) * kernel.lanes * columns.vectors);
  for (int64_t segment = 0; segment < p.segments; ++segment)
    for (int64_t k = 0; k < p.segment; k += chunk) {
      part.k = k + chunk < p.segment ? chunk : p.segment - k;
      part.a = p.a + begin * p.lda + segment * p.segment_stride + k;
      pack_panel(columns, p.weight, ld, p.transposed_weight, segment * p.segment + k, part.k, packed);
      kernel.product(part);
      part.init = nullptr;
    }
}

}  // namespace

template <class T>
void row_product(int64_t threads, const RowProduct<T>& p) {
  if (p.rows == 0 || p.columns == 0) return;
  const RowKernel<T>& kernel = row_kernel<T>();
  const int64_t panels = panel_count(p.columns, p.groups > 1, kernel.lanes);
  const int64_t blocks = (p.rows + kRowBlock - 1) / kRowBlock;
  const int64_t work = p.rows * p.columns * p.groups * p.segment * p.segments;
  parallel_for(work < kThreadedWork ? 1 : threads, panels * blocks, [&](int64_t piece) {
    const int64_t begin = piece / panels * kRowBlock;
    const int64_t end = begin + kRowBlock < p.rows ? begin + kRowBlock : p.rows;
    run_panel(kernel, p, piece % panels, begin, end);
  });
}

template void row_product<float>(int64_t, const RowProduct<float>&);
template void row_product<double>(int64_t, const RowProduct<double>&);

}  // namespace varlstm::host
