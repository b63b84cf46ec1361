// The tiles and the grid of a step's launch. It has no device code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/arch/launch_shape.h"
#include "kernels/selection/step_selection.h"

namespace varlstm::cuda {

constexpr unsigned kStepThreads = 256;

// A grid has up to 65535 blocks along y, and 2^31 - 1 along x. So the ranks, of which there may be as many as tokens,
// are along x.
constexpr int64_t kMostUnits = INT64_C(65535) * kSmallUnits;

// Where a block of a step works.
struct StepPlace {
  int64_t t, width;  // the token, and the number of ranks that have it
  int64_t rank0, unit0;
  bool reverse;
  int blocks;  // that share a tile
};

// Tiles of ranks x tiles of units, of which there are at most kMostUnits, x directions. `blocks` side by side share a
// tile.
template <class Tile>
LaunchShape step_shape(int64_t ranks, int64_t units, int64_t directions, size_t shared_bytes, int blocks) {
  LaunchShape shape;
  shape.grid =
      dim3(static_cast<unsigned>((ranks + Tile::kRanks - 1) / Tile::kRanks * blocks),
           static_cast<unsigned>((units + Tile::kUnits - 1) / Tile::kUnits), static_cast<unsigned>(directions));
  shape.block = dim3(kStepThreads);
  shape.shared_bytes = shared_bytes;
  shape.cluster = static_cast<unsigned>(blocks);
  return shape;
}

}  // namespace varlstm::cuda
