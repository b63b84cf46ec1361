// The products of a step of backward: rows of gradients times a matrix. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/cells/unit.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/stepwise/product.h"
#include "kernels/recurrence/stepwise/steps.h"

namespace varlstm::cuda {

template <class Tile>
struct BackwardTiles {
  using Product = StepProduct<Tile, 1, false>;
  typename Product::Shared product;
  int64_t rows[Tile::kRanks];  // the row whose gradients are summed for this rank, or -1: the sum is 0
};

template <class C>
using OneSum = UnitValues<C, 1>;

// Visits the ranks and units of the tile (product.h) with the sums over k < depth of values[row, k] * w[k, unit0 + u].
// A row of values has row_size elements; from `plain` on element k of a sum is at k + gap. The weights are [depth,
// units]. tiles.rows must be filled and visible.
template <class Tile, class T, class Visitor>
VARLSTM_DEVICE void row_sums(BackwardTiles<Tile>& tiles, const T* values, int64_t row_size,
                             const StepWeights<T>& weights, int64_t plain, int64_t gap, int64_t ranks, int blocks,
                             const Visitor& visitor) {
  const auto row_of = [&](int r) { return tiles.rows[r] < 0 ? nullptr : values + tiles.rows[r] * row_size; };
  BackwardTiles<Tile>::Product::run(tiles.product, row_operand<T>(row_of, plain, gap), weights, ranks, blocks, visitor);
}

// The same over k < F H, with F gates of the first product, of dstate[row, k] * w_hh[k, unit0 + u], with w_hh [GH,
// features].
template <class CellType, class Tile, class T, class Visitor>
VARLSTM_DEVICE void recurrent_gradients(BackwardTiles<Tile>& tiles, const T* dgates, const T* w_hh, int64_t hidden,
                                        int64_t features, int64_t unit0, int64_t ranks, int blocks,
                                        const Visitor& visitor) {
  const int64_t plain = (CellType::kGates - CellType::kStateGates) * hidden;  // rows of gates with one gradient
  const StepWeights<T> weights = {w_hh, kFirstGates<CellType> * hidden, features, unit0};
  row_sums(tiles, dgates, kGradientsOf<CellType> * hidden, weights, plain, CellType::kStateGates * hidden, ranks,
           blocks, visitor);
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
