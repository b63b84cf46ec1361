// Chooses how a step of the stepwise recurrence multiplies, and its tile. All functions are pure.
//
// A sum's order does not depend on the tile, so the tile may depend on the number of ranks. Whether tensor cores are
// used does not. Not measured on a GPU: bench/results/modelled/ has a model's estimates.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/device_facts.h"

namespace varlstm::cuda {

// The tile of a small step: ranks (or streams) x units (or features).
constexpr int kSmallRanks = 16, kSmallUnits = 16;
// The ranks of the tile of a wide step, and its units where a unit has several gates or one.
constexpr int kWideRanks = 64, kWideGatesUnits = 32, kWideUnits = 128;
// The blocks of a cluster that may share a wide tile.
constexpr int kSharingBlocks = 4;

// For types of 16 bits, and of 32 if products may round to TF32.
constexpr bool steps_on_tensor_cores(bool is_f32, bool tf32, int capability) {
  return capability >= 80 && (!is_f32 || tf32);
}

// Whether a step takes the wide tile. It reads the weights and the operand fewer times, but has fewer blocks, so that
// it is worth it from where the small tile's blocks no longer run at once.
constexpr bool is_wide_step(int64_t ranks, int64_t units, int64_t directions, int64_t multiprocessors) {
  const int64_t small_blocks =
      (ranks + kSmallRanks - 1) / kSmallRanks * ((units + kSmallUnits - 1) / kSmallUnits) * directions;
  return ranks > kSmallRanks && small_blocks > multiprocessors;
}

// Whether clusters of blocks share the wide tiles, which are of so many units: if one block each would leave half of
// the multiprocessors idle.
inline bool shares_wide_tiles(int64_t ranks, int64_t units, int64_t tile_units, int64_t directions,
                              int64_t multiprocessors, const DeviceFacts& facts) {
  const int64_t tiles = (ranks + kWideRanks - 1) / kWideRanks * ((units + tile_units - 1) / tile_units) * directions;
  return facts.capability >= 90 && 2 * tiles <= multiprocessors;
}

}  // namespace varlstm::cuda
