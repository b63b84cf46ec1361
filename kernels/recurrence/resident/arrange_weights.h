// Arranges W_hh, and W_ih of a layer whose input is another layer's output, in the order in which the warps of a
// resident recurrence load it: one fragment (16 bytes) after the other.
//
//   arranged [matrices][kBlocks][warps][kFragments][kLanes] <- w [GH, H], rounded to the math's type, zeros beyond H
//
// ForwardPlace and BackwardPlace give, for row tile r, row and k of a warp's product, the row and column of w. One
// thread copies each fragment, in a grid-stride loop. Bound by memory: G H H e read (in part more than once, from L2)
// and as many bytes written, or more for the zeros in the place of a gate. Teams then load their weights in whole cache
// lines, without arithmetic.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"
#include "kernels/recurrence/reserve_header.h"
#include "kernels/recurrence/resident/resident_tile.h"
#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {

// Forward: row tile r of a warp has gate 2 r in rows 0 to 7 and gate 2 r + 1 in rows 8 to 15, for the warp's group of 8
// units. If the cell has no such gate, the rows are zeros. k counts the states of the warp's split.
// Example: in the tile {256, 64, ...} of resident_tile.h, block 1 has units 64 to 127, and its warp 3 has units 88 to
// 95. Row 10 of row tile 1 is gate 2 * 1 + 10 / 8 = 3, that is o, of unit 88 + 10 % 8 = 90: row 3 H + 90 of w.
template <class Tile>
struct ForwardPlace {
  using Weights = typename Tile::ForwardWeights;
  static constexpr int kWarps = Tile::kForwardWarps;

  VARLSTM_DEVICE static int64_t row(int block, int warp, int r, int row, int, int64_t hidden) {
    const int64_t unit = block * Tile::kUnits + warp % Tile::kGroups * 8 + row % 8;
    const int gate = 2 * r + row / 8;
    return unit < hidden && gate < Tile::Cell::kGates ? gate * hidden + unit : -1;
  }
  VARLSTM_DEVICE static int64_t column(int, int warp, int, int, int k) {
    return warp / Tile::kGroups * Tile::kForwardDepth + k;
  }
};

// Backward: the row tiles cover all units, warp after warp. Rows g and g + 8 of a tile are neighbouring units, so that
// a thread has the sums of both. k counts the block's gate rows as in state_place(). Example: in the same tile a warp
// has 2 row tiles. Row 13 of row tile 1 of warp 3 is unit (3 * 2 + 1) * 16 + 2 * 5 + 1 = 123, a column of w. A group
// has 2 units, so 8 gate rows. In block 1, k = 27 is in the fourth pair of units, row 27 % 8 = 3 of it: gate 3 / 2 = 1,
// that is f, of unit 64 + 27 / 8 * 2 + 3 % 2 = 71: row H + 71 of w.
template <class Tile>
struct BackwardPlace {
  using Weights = typename Tile::BackwardWeights;
  static constexpr int kWarps = Tile::kBackwardWarps;

  VARLSTM_DEVICE static int64_t row(int block, int, int, int, int k, int64_t hidden) {
    constexpr int kWide = Tile::kStateUnits, kRows = kWide * Tile::Cell::kGates;
    const int in_block = Tile::kUnitsTogether ? k / kRows * kWide + k % kWide : k % Tile::kUnits;
    const int gate = Tile::kUnitsTogether ? k % kRows / kWide : k / Tile::kUnits;
    const int64_t unit = block * Tile::kUnits + in_block;
    return unit < hidden ? gate * hidden + unit : -1;
  }
  VARLSTM_DEVICE static int64_t column(int, int warp, int r, int row, int) {
    return (warp * Tile::kRowTiles + r) * 16 + row % 8 * 2 + row / 8;
  }
};

// W_hh of each direction; or W_hh of each stacked layer, then W_ih of each layer above the lowest.
constexpr int kMaxMatrices = 2 * kMaxStackedLayers - 1;

template <class Scalar>
struct GateMatrices {
  int64_t hidden;
  int64_t count = 0;
  const Scalar* of[kMaxMatrices];  // [GH, H]

  void add(const Scalar* matrix) { of[count++] = matrix; }
};

// The arranged fragments of one matrix.
template <class Tile, class Place>
struct ArrangedWeights {
  using Weights = typename Place::Weights;
  static constexpr int64_t kFragments = int64_t{Tile::kBlocks} * Place::kWarps * Weights::kFragments * Weights::kLanes;
};

template <class Tile, class Place>
VARLSTM_KERNEL void arrange_weights_kernel(GateMatrices<typename Tile::Scalar> matrices, Fragment* arranged,
                                           HeaderToCheck check) {
  using Weights = typename Place::Weights;
  using Value = typename Tile::Value;
  if (blockIdx.x == 0) check_header(check);
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t count = ArrangedWeights<Tile, Place>::kFragments * matrices.count;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < count; at += stride) {
    const int lane = static_cast<int>(at % Weights::kLanes);
    const int number = static_cast<int>(at / Weights::kLanes % Weights::kFragments);
    const int64_t of_warp = at / Weights::kLanes / Weights::kFragments;
    const int warp = static_cast<int>(of_warp % Place::kWarps);
    const int block = static_cast<int>(of_warp / Place::kWarps % Tile::kBlocks);
    const auto* matrix = matrices.of[of_warp / Place::kWarps / Tile::kBlocks];
    arranged[at] = Weights::arrange(number, lane, [&](int r, int row, int k) -> Value {
      const int64_t from = Place::row(block, warp, r, row, k, matrices.hidden);
      const int64_t column = Place::column(block, warp, r, row, k);
      if (from < 0 || column >= matrices.hidden) return Value(0);
      return Tile::Math::value_of(matrix[from * matrices.hidden + column]);
    });
  }
}

// Returns a warp's fragments of one of the matrices. rank: of the block in its team.
template <class Tile, class Place>
VARLSTM_DEVICE const Fragment* arranged_for(const Fragment* arranged, int64_t matrix, int rank, int warp) {
  using Weights = typename Place::Weights;
  return arranged + ((matrix * Tile::kBlocks + rank) * Place::kWarps + warp) * Weights::kFragments * Weights::kLanes;
}

}  // namespace varlstm::cuda
