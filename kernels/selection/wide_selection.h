// Chooses whether forward of a layer runs by wide teams of 64 slots (recurrence/wide), whose results have the bits of
// the layer's policy. So the choice may depend on the batch. All functions are pure. Not measured on a GPU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/selection/recurrence_selection.h"

namespace varlstm::cuda {

// The sizes of a set of blocks and of its teams, as in WideTeamTile; wide_forward.cu asserts that they agree.
constexpr int kWideTeamSlots = 64, kWideTeamsOfBlock = 2, kWideTeamUnits = 16, kWideTeamCluster = 4;

// A number of slots to force that no team has.
constexpr int64_t kNoTeams = -1;

// The H that have wide teams.
constexpr int kWideTeamHidden[] = {256, 512, 768, 1024};

constexpr bool has_wide_teams(int64_t hidden) {
  for (const int wide : kWideTeamHidden)
    if (wide == hidden) return true;
  return false;
}

constexpr int64_t wide_shared_bytes(Cell cell, int64_t hidden) {
  const int64_t stage = 64 * 128, ring = 6 * stage + 1024;
  return hidden * 2 * resident_gates(cell) * kWideTeamUnits + kWideTeamsOfBlock * ring;
}
// The global memory of a team's states.
constexpr int64_t wide_area_bytes(int64_t hidden) {
  return 2 * kWideTeamSlots * hidden * 2 + 128;
}

// The order of the sums of a resident tile, as far as it depends on the tile.
struct SplitOrder {
  int depth;    // of a split
  bool padded;  // H is less than that of the tile
};
constexpr SplitOrder split_order(const TileRows& table, int64_t hidden) {
  for (int k = 0; k < table.count; ++k)
    if (table.rows[k].hidden >= hidden)
      return {table.rows[k].hidden / table.rows[k].splits, table.rows[k].hidden > hidden};
  return {0, false};
}
// The one that wide teams for H have in place of resident tiles.
constexpr SplitOrder wide_order(int64_t hidden) {
  return split_order(rows_of_table<RecurrencePolicy::kGrid, MathKind::kBf16>(), hidden);
}
constexpr bool has_wide_order(const TileRows& table, int64_t hidden) {
  const SplitOrder own = split_order(table, hidden), wide = wide_order(hidden);
  return own.depth > 0 && own.depth == wide.depth && own.padded == wide.padded;
}

// Returns null if forward of a layer by that policy may run by wide teams, otherwise the reason against it.
inline const char* why_not_wide(RecurrencePolicy policy, const RecurrenceShape& shape, const DeviceFacts& device) {
  if (has_two_products(shape.cell) || resident_gates(shape.cell) == 0) return "the cell has no kernels of wide teams";
  if (shape.projects || shape.layer_norm || shape.cell_states || shape.options)
    return "wide teams have neither a projection nor options";
  if (shape.max_rows > INT32_MAX) return "resident kernels count rows with 32 bits";
  if (shape.dtype != DType::kBF16 && shape.dtype != DType::kF16) return "wide teams multiply 16 bits";
  if (!has_wide_teams(shape.hidden)) return "wide teams have an H of 256, 512, 768 or 1024";
  if (device.capability != 90) return "products of a warpgroup need sm_90a";
  if (wide_shared_bytes(shape.cell, shape.hidden) > device.shared_bytes)
    return "the weights do not fit a multiprocessor's shared memory";
  const int64_t blocks = shape.hidden / kWideTeamUnits;
  if (device.resident_blocks < blocks || device.active_clusters[log2_of(kWideTeamCluster)] * kWideTeamCluster < blocks)
    return "the device has too few multiprocessors for a team's blocks";
  MathKind kind;
  math_kind(shape.dtype, shape.tf32, &kind);
  if (policy != RecurrencePolicy::kStepwise && !has_wide_order(tile_rows(policy, kind), shape.hidden))
    return "the policy's tile for this H adds in another order";
  return nullptr;
}

// The teams that forward of a batch runs with.
struct WideChoice {
  int64_t teams;       // of each direction; 0: there are none
  int64_t sets;        // of each direction, which have the teams in turn
  int64_t directions;  // that run at once

  int64_t slots() const { return teams * kWideTeamSlots; }
};

// The choice for a batch of a layer that may run by wide teams.
inline WideChoice choose_wide(const RecurrenceShape& shape, const BatchBounds& batch, const DeviceFacts& device) {
  const int64_t blocks = shape.hidden / kWideTeamUnits, by_clusters = device.active_clusters[log2_of(kWideTeamCluster)];
  const int64_t most_blocks =
      by_clusters * kWideTeamCluster < device.resident_blocks ? by_clusters * kWideTeamCluster : device.resident_blocks;
  const int64_t resident = most_blocks / blocks;
  WideChoice choice{};
  choice.directions = resident < shape.directions ? 1 : shape.directions;
  const int64_t most_sets = resident / choice.directions;
  const int64_t wanted = batch.max_batch > 0 ? (batch.max_batch + kWideTeamSlots - 1) / kWideTeamSlots : 1;
  choice.teams = wanted < kWideTeamsOfBlock * most_sets ? wanted : kWideTeamsOfBlock * most_sets;
  choice.sets = choice.teams < most_sets ? choice.teams : most_sets;
  return choice;
}

// Returns the modelled clocks of a step of so many teams in each of so many blocks.
inline int64_t wide_step_clocks(int64_t hidden, int64_t teams_of_block, int64_t blocks) {
  for (const WideStep& of : kWideSteps) {
    if (of.hidden != hidden) continue;
    int64_t clocks = of.forward.chain + of.forward.work;
    for (const int64_t all :
         {int64_t{of.forward.work}, of.forward.bytes / kL2BytesOfBlock, of.forward.bytes * blocks / kL2BytesOfAll})
      if (teams_of_block * all > clocks) clocks = teams_of_block * all;
    return clocks;
  }
  return int64_t{1} << 24;
}

// Whether forward of a batch by that policy, which may run by wide teams, should: if they are forced, or have fewer
// modelled clocks than the policy's own tiles, or than a launch for each step, which takes longer for any batch.
inline bool is_wide_faster(RecurrencePolicy policy, const RecurrenceShape& shape, const BatchBounds& batch,
                           const DeviceFacts& device) {
  if (shape.team_slots != 0) return shape.team_slots == kWideTeamSlots;
  if (policy == RecurrencePolicy::kStepwise) return true;
  const WideChoice wide = choose_wide(shape, batch, device);
  const RecurrenceChoice own = choose_tile(policy, shape, batch, device);
  const TileStep step = step_of_tile(policy, own.math, *own.tile);
  const auto rounds = [&](int64_t directions) { return shape.directions / directions; };
  const int64_t own_clocks = modelled_steps(batch, own.slots()) * rounds(own.directions) *
                             step_clocks(step.forward, own.tile->blocks() * own.teams * own.directions);
  const int64_t wide_clocks = modelled_steps(batch, wide.slots()) * rounds(wide.directions) *
                              wide_step_clocks(shape.hidden, (wide.teams + wide.sets - 1) / wide.sets,
                                               shape.hidden / kWideTeamUnits * wide.sets * wide.directions);
  return wide_clocks < own_clocks;
}

}  // namespace varlstm::cuda
