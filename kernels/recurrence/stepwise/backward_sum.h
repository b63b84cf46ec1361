// The products of a step of backward: rows of gradients times a matrix, tile by tile. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cells/unit.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/steps.h"

namespace varlstm::cuda {

template <class C>
struct BackwardTiles {
  C dgates[kRows][kDepth + 1];
  C w[kDepth][kUnits];
  int64_t rows[kRows];  // the row whose gradients are summed for this rank, or -1: the sum is 0
};

// Element k of a sum is at `k` of its row, from `plain` on at `k + gap`.
struct SumDepth {
  int64_t count, plain, gap;
};

// Returns the sum over k < depth.count of values[row, k] * w[k, column0 + u], for this thread's (r, u). A row has
// row_size elements, w [depth.count, columns]. One chain of fused multiply-adds over k. tiles.rows must be filled and
// visible. S1: after it the tiles of this depth are in shared memory. S2: after it no thread reads them any more.
template <class T>
VARLSTM_DEVICE ComputeType<T> row_sum(BackwardTiles<ComputeType<T>>& tiles, const T* values, int64_t row_size,
                                      const SumDepth& depth, const T* w, int64_t columns, int64_t column0) {
  using C = ComputeType<T>;
  const int thread = static_cast<int>(threadIdx.x);
  C sum = 0;
  for (int64_t k0 = 0; k0 < depth.count; k0 += kDepth) {
    for (int at = thread; at < kRows * kDepth; at += static_cast<int>(kStepThreads)) {
      const int64_t row = tiles.rows[at / kDepth], k = k0 + at % kDepth;
      const int64_t place = k < depth.plain ? k : k + depth.gap;
      tiles.dgates[at / kDepth][at % kDepth] =
          row >= 0 && k < depth.count ? load_scalar(values[row * row_size + place]) : C(0);
    }
    for (int at = thread; at < kUnits * kDepth; at += static_cast<int>(kStepThreads)) {
      const int64_t column = column0 + at % kUnits, k = k0 + at / kUnits;
      tiles.w[at / kUnits][at % kUnits] =
          column < columns && k < depth.count ? load_scalar(w[k * columns + column]) : C(0);
    }
    simt::block_sync();  // S1
    for (int kk = 0; kk < kDepth; ++kk)
      sum = simt::fma(tiles.dgates[thread / kUnits][kk], tiles.w[kk][thread % kUnits], sum);
    simt::block_sync();  // S2
  }
  return sum;
}

// The same over k < F H, with F gates of the first product, of dstate[row, k] * w_hh[k, column0 + u], with w_hh [GH,
// features].
template <class CellType, class T>
VARLSTM_DEVICE ComputeType<T> recurrent_gradient(BackwardTiles<ComputeType<T>>& tiles, const T* dgates, const T* w_hh,
                                                 int64_t hidden, int64_t features, int64_t column0) {
  const int64_t plain = (CellType::kGates - CellType::kStateGates) * hidden;  // rows of gates with one gradient
  return row_sum(tiles, dgates, kGradientsOf<CellType> * hidden,
                 {kFirstGates<CellType> * hidden, plain, CellType::kStateGates * hidden}, w_hh, features, column0);
}

template <class T>
VARLSTM_DEVICE ComputeType<T> load_or_zero(const T* values, int64_t at) {
  return values == nullptr ? ComputeType<T>(0) : load_scalar(values[at]);
}

// The element `unit` of sequence b in states [B, width], or zero if there is no such sequence or tensor.
template <class T>
VARLSTM_DEVICE ComputeType<T> of_sequence(const T* states, int64_t b, int64_t width, int64_t unit) {
  return b < 0 ? ComputeType<T>(0) : load_or_zero(states, b * width + unit);
}

}  // namespace varlstm::cuda
