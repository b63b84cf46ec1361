// One team of a resident recurrence in the emulator, and what the emulator counts of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "kernels/selection/resident_tiles.h"

namespace varlstm::count_recurrence {

enum class Pass { kForward, kBackward };

// A row of the selection's table, for a cell.
struct TableRow {
  Cell cell;
  cuda::RecurrencePolicy policy;
  cuda::MathKind math;
  int index;
  const cuda::TileShape* tile;
};

// By what was counted: mma, ldmatrix, pushes and block_barriers of warps, threads and blocks; bytes; instructions of
// PTX of each thread (0 where the kernels do not run as PTX); launches.
using Counts = std::map<std::string, int64_t>;

// Runs the layer's kernels (weights arranged, then the recurrence) for one team, whose slots all work through a
// sequence of `steps` tokens, one direction, H that of the tile, forward saving for backward; what was counted
// meanwhile. Throws std::runtime_error where a call fails.
Counts count_team(const TableRow& row, Pass pass, int64_t steps);

}  // namespace varlstm::count_recurrence
