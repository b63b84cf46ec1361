// Packing of a weight matrix into the panels that RowKernel::product reads.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/row_kernel.h"

namespace varlstm::host {

// The columns of one panel: lane `l` of vector `v` is weight column first + v * vector_step + l, and real only where
// that column, counted inside its group, is below `columns`; the others are zeros.
struct PanelColumns {
  int64_t first;        // first column of the panel inside its group
  int64_t columns;      // columns of a group
  int64_t vector_step;  // from a vector's column to the next vector's: lanes, or `columns` for gates
  bool gates;           // vector v belongs to group v
  int vectors;
  int64_t lanes;

  // Real lanes of vector v.
  int64_t valid(int v) const {
    const int64_t left = columns - first - (gates ? 0 : v * lanes);
    return left < 0 ? 0 : left < lanes ? left : lanes;
  }
  int64_t column(int v) const { return first + v * vector_step; }
};

// Panel p of a product with `columns` columns a group.
inline PanelColumns panel_columns(int64_t columns, bool gates, int64_t lanes, int64_t panel) {
  PanelColumns p;
  p.columns = columns;
  p.gates = gates;
  p.lanes = lanes;
  if (gates) {
    p.first = panel * lanes;
    p.vector_step = columns;
    p.vectors = kPanelVectors;
  } else {
    p.first = panel * kPanelVectors * lanes;
    p.vector_step = lanes;
    const int64_t left = (columns - p.first + lanes - 1) / lanes;
    p.vectors = left < kPanelVectors ? static_cast<int>(left) : kPanelVectors;
  }
  return p;
}

inline int64_t panel_count(int64_t columns, bool gates, int64_t lanes) {
  const int64_t width = gates ? lanes : kPanelVectors * lanes;
  return (columns + width - 1) / width;
}

// dst [k, vectors, lanes] <- weight columns of the panel at k_begin .. k_begin + k. Element (column j, k) of the weight
// stands at weight[j * ld + k] if transposed, else at weight[k * ld + j].
template <class T>
void pack_panel(const PanelColumns& columns, const T* weight, int64_t ld, bool transposed, int64_t k_begin, int64_t k,
                T* dst) {
  const int64_t step = columns.vectors * columns.lanes;
  for (int v = 0; v < columns.vectors; ++v) {
    const int64_t valid = columns.valid(v);
    T* const out = dst + v * columns.lanes;
    if (transposed) {
      for (int64_t lane = 0; lane < valid; ++lane) {
        const T* const row = weight + (columns.column(v) + lane) * ld + k_begin;
        for (int64_t s = 0; s < k; ++s) out[s * step + lane] = row[s];
      }
    } else {
      for (int64_t s = 0; s < k; ++s) {
        const T* const row = weight + (k_begin + s) * ld + columns.column(v);
        for (int64_t lane = 0; lane < valid; ++lane) out[s * step + lane] = row[lane];
      }
    }
    for (int64_t lane = valid; lane < columns.lanes; ++lane)
      for (int64_t s = 0; s < k; ++s) out[s * step + lane] = 0;
  }
}

}  // namespace varlstm::host
