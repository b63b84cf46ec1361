// The tiles and the grid of a step's launch. It has no device code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/arch/launch_shape.h"

namespace varlstm::cuda {

// The tiles of a step's launch: ranks x units (or features), for so many values of the depth at a time. A thread has
// one rank and unit.
constexpr int kRows = 16, kUnits = 16, kDepth = 32;
constexpr unsigned kStepThreads = kRows * kUnits;

// Where a block of a step works.
struct StepTile {
  int64_t t, width;  // the token, and the number of ranks that have it
  int64_t rank0, unit0;
  bool reverse;
};

// A grid has up to 65535 blocks along y, and 2^31 - 1 along x. So the ranks, of which there may be as many as tokens,
// are along x.
constexpr int64_t kMostUnits = INT64_C(65535) * kUnits;

// Tiles of ranks (or of streams) x tiles of units (or of features), of which there are at most kMostUnits, x
// directions.
inline LaunchShape step_shape(int64_t ranks, int64_t units, int64_t directions, size_t shared_bytes) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((ranks + kRows - 1) / kRows),
                    static_cast<unsigned>((units + kUnits - 1) / kUnits), static_cast<unsigned>(directions));
  shape.block = dim3(kStepThreads);
  shape.shared_bytes = shared_bytes;
  return shape;
}

}  // namespace varlstm::cuda
