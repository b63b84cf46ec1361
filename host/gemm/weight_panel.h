// Packs a weight matrix into the panels that RowKernel::product reads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include "host/gemm/copy_run.h"
#include "host/simd/row_kernel.h"

namespace varlstm::host {

// The columns of one panel. Lane `l` of vector `v` is the weight's column first + v * vector_step + l, if that column,
// counted inside its group, is below `columns`; otherwise the lane is padding and holds zeros.
struct PanelColumns {
  int64_t first;        // the panel's first column inside its group
  int64_t columns;      // number of columns of a group
  int64_t vector_step;  // columns from one vector to the next: `lanes`, or `columns` for several groups
  bool grouped;         // if set, vector v belongs to group v
  int vectors;
  int64_t lanes;

  // How many lanes of vector v are not padding.
  int64_t valid(int v) const {
    const int64_t left = columns - first - (grouped ? 0 : v * lanes);
    return left < 0 ? 0 : left < lanes ? left : lanes;
  }
  int64_t column(int v) const { return first + v * vector_step; }

  // The columns that are not padding, as runs of adjacent ones: one of the whole panel, or one for each group. Run v
  // begins with vector v.
  int runs() const { return grouped ? vectors : 1; }
  int64_t run() const {
    const int64_t left = columns - first, width = grouped ? lanes : vectors * lanes;
    return left < width ? left : width;
  }
};

// The columns of panel `panel` of a product that has `groups` groups, at most kPanelVectors, of `columns` columns.
inline PanelColumns panel_columns(int64_t columns, int64_t groups, int64_t lanes, int64_t panel) {
  PanelColumns p;
  p.columns = columns;
  p.grouped = groups > 1;
  p.lanes = lanes;
  if (p.grouped) {
    p.first = panel * lanes;
    p.vector_step = columns;
    p.vectors = static_cast<int>(groups);
  } else {
    p.first = panel * kPanelVectors * lanes;
    p.vector_step = lanes;
    const int64_t left = (columns - p.first + lanes - 1) / lanes;
    p.vectors = left < kPanelVectors ? static_cast<int>(left) : kPanelVectors;
  }
  return p;
}

inline int64_t panel_count(int64_t columns, int64_t groups, int64_t lanes) {
  const int64_t width = groups > 1 ? lanes : kPanelVectors * lanes;
  return (columns + width - 1) / width;
}

// dst [k, vectors, lanes] <- the panel's columns of the weight, for k_begin <= index < k_begin + k. Element (index,
// column j) of the weight is weight[j * ld + index] if transposed, else weight[index * ld + j].
template <class T>
void pack_panel(const PanelColumns& columns, const T* weight, int64_t ld, bool transposed, int64_t k_begin, int64_t k,
                T* dst) {
  const int64_t step = columns.vectors * columns.lanes;
  if (transposed) {
    for (int v = 0; v < columns.vectors; ++v)
      row_kernel<T>().transpose(weight + columns.column(v) * ld + k_begin, ld, columns.valid(v), k,
                                dst + v * columns.lanes, step);
    return;
  }
  if (columns.valid(columns.vectors - 1) < columns.lanes) memset(dst, 0, static_cast<size_t>(k * step) * sizeof(T));
  const int64_t bytes = columns.run() * static_cast<int64_t>(sizeof(T));
  for (int v = 0; v < columns.runs(); ++v)
    for (int64_t s = 0; s < k; ++s)
      copy_run(dst + s * step + v * columns.lanes, weight + (k_begin + s) * ld + columns.column(v), bytes);
}

}  // namespace varlstm::host
