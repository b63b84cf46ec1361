// Chooses whether a pass of a layer runs by wide teams of 64 slots (recurrence/wide), whose results have the bits of
// the layer's policy. So the choice may depend on the batch, and on the pass. All functions are pure. Not measured on a
// GPU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/selection/recurrence_selection.h"
#include "kernels/selection/wgmma_code.h"

namespace varlstm::cuda {

enum class WidePass { kForward, kBackward };

constexpr int kWideTeamSlots = 64;

// A number of slots to force that no team has: launches must not be cooperative.
constexpr int64_t kNoTeams = -1;

// The H that have wide teams: in 16 bits, and those whose weights are streamed in every step, in TF32 in the order of
// stepwise, the only one for an H of 2048, and in 16 bits. In TF32 also those in the order of resident tiles, of which
// backward has one. Tests see more of the smaller ones in the same time.
constexpr int kWideTeamHidden[] = {256, 512, 768, 1024};
constexpr int kStreamedHidden[] = {256, 2048}, kStreamedHidden16 = 2048;
constexpr int kTilesHiddenTf32[] = {256, 1024}, kGridHiddenTf32 = 1024;

constexpr bool has_wide_teams(int64_t hidden) {
  for (const int wide : kWideTeamHidden)
    if (wide == hidden) return true;
  return false;
}
constexpr bool has_streamed_teams(int64_t hidden) {
  return hidden == kStreamedHidden[0] || hidden == kStreamedHidden[1];
}

// Whether a block streams its weights in every step, because they do not fit, and how many units it has. resident: the
// order of sums is that of the resident tiles, otherwise that of stepwise. bytes: of a value.
constexpr bool streams_weights(WidePass pass, bool resident, int64_t hidden, int64_t bytes) {
  return bytes == 4 ? pass == WidePass::kBackward || !resident : hidden > 1024;
}
constexpr int wide_units(WidePass pass, bool resident, int64_t bytes) {
  return bytes == 4 && pass == WidePass::kForward && resident ? 8 : 16;
}

// The sizes of a set of blocks and of its teams, as in WideTeamTile and WideBackwardTile; the launchers assert that
// they agree.
struct WideSizes {
  int64_t blocks, cluster;  // of a set; blocks of a cluster
  int64_t teams_of_block;
  int64_t shared_bytes;  // of a block
  int64_t area_bytes;    // of a team, in global memory
  int64_t weight_bytes;  // likewise, of a direction: weights that are streamed
};
constexpr WideSizes wide_sizes(WidePass pass, bool resident, Cell cell, int64_t hidden, int64_t bytes = 2) {
  const bool back = pass == WidePass::kBackward;
  const int64_t units = wide_units(pass, resident, bytes), blocks = hidden / units, gates = resident_gates(cell);
  const int64_t counters = (hidden / (back ? 64 : 128 / bytes) * 4 + 127) / 128 * 128;
  const int64_t area = 2 * (back ? gates : 1) * kWideTeamSlots * hidden * bytes + counters, ring = 6 * 64 * 128 + 1024;
  if (streams_weights(pass, resident, hidden, bytes))
    return {blocks, back && resident && bytes == 4 ? 8 : 4, 1, 227 * 1024, area, gates * hidden * hidden * bytes};
  if (back) return {blocks, resident && hidden > 768 ? 4 : 8, resident ? 1 : 2, 227 * 1024, area, 0};
  return {blocks, 4, 2, hidden * bytes * gates * units + 2 * ring, area, 0};
}

// The blocks of such sets that are resident together.
inline int64_t resident_wide_blocks(const WideSizes& sizes, const DeviceFacts& device) {
  const int64_t in_clusters = device.active_clusters[log2_of(static_cast<int>(sizes.cluster))] * sizes.cluster;
  return in_clusters < device.resident_blocks ? in_clusters : device.resident_blocks;
}

// The most teams of each direction that so many sequences fill and the device holds.
inline int64_t most_wide_teams(const WideSizes& sizes, const RecurrenceShape& shape, int64_t sequences,
                               const DeviceFacts& device) {
  const int64_t resident = resident_wide_blocks(sizes, device) / sizes.blocks;
  const int64_t held = sizes.teams_of_block * (resident < shape.directions ? resident : resident / shape.directions);
  const int64_t filled = sequences > 0 ? (sequences + kWideTeamSlots - 1) / kWideTeamSlots : 1;
  return filled < held ? filled : held;
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
constexpr TileRows rows_of_grid(bool tf32) {
  return tf32 ? rows_of_table<RecurrencePolicy::kGrid, MathKind::kTf32>()
              : rows_of_table<RecurrencePolicy::kGrid, MathKind::kBf16>();
}
// The one that wide teams for H have in place of resident tiles, in 16 bits or in TF32.
constexpr SplitOrder wide_order(int64_t hidden, bool tf32 = false) {
  return split_order(rows_of_grid(tf32), hidden);
}
constexpr bool has_wide_order(const TileRows& table, int64_t hidden, bool tf32 = false) {
  const SplitOrder own = split_order(table, hidden), wide = wide_order(hidden, tf32);
  return own.depth > 0 && own.depth == wide.depth && own.padded == wide.padded;
}

// The first tile of policy grid for exactly that H, or null.
constexpr const TileShape* grid_tile(int64_t hidden, bool tf32) {
  const TileRows table = rows_of_grid(tf32);
  for (int k = 0; k < table.count; ++k)
    if (table.rows[k].hidden == hidden) return &table.rows[k];
  return nullptr;
}

// Whether backward by wide teams has the order of a resident tile, of policy grid alone: the gates of a block of an
// LSTM are a stage there, and the parts of its blocks are added in groups of neighbours (WideBackwardTile).
constexpr bool has_wide_grid_order(Cell cell, int64_t hidden, bool tf32 = false) {
  return cell == Cell::kLstm && (tf32 ? hidden == kGridHiddenTf32 : has_wide_teams(hidden) && hidden >= 512);
}

inline bool has_16_bits(const RecurrenceShape& shape) {
  return shape.dtype == DType::kBF16 || shape.dtype == DType::kF16;
}
inline bool has_tf32(const RecurrenceShape& shape) {
  return shape.dtype == DType::kF32 && shape.tf32;
}
// Whether wide teams of a layer in 16 bits or TF32 stream their weights.
inline bool is_streamed(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape) {
  return streams_weights(pass, policy != RecurrencePolicy::kStepwise, shape.hidden, has_16_bits(shape) ? 2 : 4);
}
inline WideSizes wide_sizes(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape) {
  return wide_sizes(pass, policy != RecurrencePolicy::kStepwise, shape.cell, shape.hidden, has_16_bits(shape) ? 2 : 4);
}

// Returns null if wide teams have the policy's order of sums at that H, otherwise the reason against it.
inline const char* why_not_wide_order(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape) {
  const bool tf32 = has_tf32(shape);
  if (policy == RecurrencePolicy::kStepwise) {
    if (tf32 ? has_streamed_teams(shape.hidden) : has_wide_teams(shape.hidden)) return nullptr;
    return tf32 ? "wide teams of TF32 have an H of 256 or 2048 in the order of stepwise"
                : "wide teams have an H of 256, 512, 768 or 1024 in the order of stepwise";
  }
  if (tf32) {
    if (shape.hidden != kTilesHiddenTf32[0] && shape.hidden != kTilesHiddenTf32[1])
      return "wide teams of TF32 have an H of 256 or 1024 in the order of the tiles";
  } else if (!has_wide_teams(shape.hidden) && shape.hidden != kStreamedHidden16) {
    return "wide teams have an H of 256, 512, 768, 1024 or 2048";
  }
  MathKind kind;
  math_kind(shape.dtype, shape.tf32, &kind);
  const bool has_order = pass == WidePass::kForward ? has_wide_order(tile_rows(policy, kind), shape.hidden, tf32)
                                                    : policy == RecurrencePolicy::kGrid &&
                                                          (has_wide_grid_order(shape.cell, shape.hidden, tf32) ||
                                                           (!tf32 && shape.hidden == kStreamedHidden16));
  return has_order ? nullptr : "the policy's tile for this H adds in another order";
}

// Returns null if that pass of a layer by that policy may run by wide teams, otherwise the reason against it.
inline const char* why_not_wide(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape,
                                const DeviceFacts& device) {
  if (shape.team_slots == kNoTeams) return "a requested stepwise or cluster has no cooperative launch";
  if (has_two_products(shape.cell) || resident_gates(shape.cell) == 0) return "the cell has no kernels of wide teams";
  if (shape.projects || shape.layer_norm || shape.cell_states || shape.options)
    return "wide teams have neither a projection nor options";
  if (shape.max_rows > INT32_MAX) return "resident kernels count rows with 32 bits";
  if (!has_16_bits(shape) && !has_tf32(shape)) return "wide teams multiply 16 bits or TF32";
  if (shape.cell != Cell::kLstm && (has_tf32(shape) || is_streamed(pass, policy, shape)))
    return "wide teams of TF32, and those that stream their weights, have an LSTM alone";
  if (const char* reason = why_not_wide_order(pass, policy, shape)) return reason;
  if (!runs_wgmma(device.capability)) return "products of a warpgroup need sm_90a";
  const WideSizes sizes = wide_sizes(pass, policy, shape);
  if (sizes.shared_bytes > device.shared_bytes) return "the weights do not fit a multiprocessor's shared memory";
  if (resident_wide_blocks(sizes, device) < sizes.blocks)
    return "the device has too few multiprocessors for a team's blocks";
  return nullptr;
}

// What is modelled of one team of a block. An H that is not listed yet is the last to be chosen.
inline WideFigures wide_figures(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape) {
  for (const WideStep& of : kWideSteps) {
    if (of.hidden != shape.hidden || of.narrow != has_16_bits(shape)) continue;
    return pass == WidePass::kForward              ? of.forward
           : policy != RecurrencePolicy::kStepwise ? of.backward_of_grid
                                                   : of.backward;
  }
  return {1 << 24, 0, 0, 0};
}

// Returns the clocks, or those in which L2 gives each of so many blocks that many bytes, if these are more.
inline int64_t no_less_than_bytes(int64_t clocks, int64_t bytes, int64_t blocks) {
  for (const int64_t device : {bytes / kL2BytesOfBlock, bytes * blocks / kL2BytesOfAll})
    if (device > clocks) clocks = device;
  return clocks;
}

// Returns the modelled clocks of a step of so many teams in each of so many blocks.
inline int64_t wide_step_clocks(const WideFigures& step, int64_t teams_of_block, int64_t blocks) {
  const int64_t alone = step.chain + no_less_than_bytes(step.work, step.copied, blocks);
  const int64_t all = teams_of_block * no_less_than_bytes(step.work, step.bytes, blocks);
  return alone > all ? alone : all;
}

// The same where weights are streamed: what the ring does not hold ahead comes with the values of the step.
inline int64_t streamed_step_clocks(const StreamedFigures& step, int64_t slots, int64_t blocks) {
  const int64_t behind = step.weights > step.ahead ? step.weights - step.ahead : 0;
  const int64_t alone =
      step.chain + step.chain_of_slot * slots + no_less_than_bytes(step.work, behind + step.copied * slots, blocks);
  return no_less_than_bytes(alone, step.weights + step.bytes * slots, blocks);
}
inline StreamedFigures streamed_figures(WidePass pass, const RecurrenceShape& shape) {
  for (const StreamedStep& of : kStreamedSteps)
    if (of.hidden == shape.hidden && of.narrow == (shape.dtype != DType::kF32))
      return pass == WidePass::kForward ? of.forward : of.backward;
  return {1 << 24, 0, 0, 0, 0, 0, 0};
}

// The teams that a pass of a batch runs with.
struct WideChoice {
  int64_t teams;                        // of each direction; 0: there are none
  int64_t sets;                         // of each direction, which have the teams in turn
  int64_t directions;                   // that run at once
  int64_t clocks;                       // modelled, of the whole batch
  int64_t team_slots = kWideTeamSlots;  // fewer only if the weights are streamed

  int64_t slots() const { return teams * team_slots; }
};

// The same of teams that stream their weights, one in each set: the number of slots is chosen, too, because the values
// of a step take the longer the more slots there are. If wide teams are forced, it is the least that takes the batch at
// once.
inline WideChoice choose_streamed(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape,
                                  const BatchBounds& batch, const DeviceFacts& device) {
  const WideSizes sizes = wide_sizes(pass, policy, shape);
  const StreamedFigures step = streamed_figures(pass, shape);
  const int64_t resident = resident_wide_blocks(sizes, device) / sizes.blocks;
  const int64_t directions = resident < shape.directions ? 1 : shape.directions;
  const int64_t most = most_wide_teams(sizes, shape, batch.max_batch, device);
  const bool forced = shape.team_slots == kWideTeamSlots;
  WideChoice choice{0, 0, directions, 0};
  for (int64_t teams = forced ? most : 1; teams <= most; ++teams) {
    for (int64_t slots = 8; slots <= kWideTeamSlots; slots += 8) {
      if (forced && slots < kWideTeamSlots && teams * slots < batch.max_batch) continue;
      const int64_t clocks = modelled_steps(batch, teams * slots) * (shape.directions / directions) *
                             streamed_step_clocks(step, slots, sizes.blocks * teams * directions);
      if (choice.teams == 0 || (!forced && clocks < choice.clocks)) choice = {teams, teams, directions, clocks, slots};
    }
  }
  return choice;
}

// Chooses among the numbers of teams that the batch fills and the device holds the one with the fewest modelled clocks,
// or the largest if wide teams are forced. The layer's pass may run by wide teams.
// Example: 256 sequences of 40 tokens in the mean and 250 at most take 250 steps of one team or of two, and a step of
// two takes longer, because they share what L2 gives.
inline WideChoice choose_wide(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape,
                              const BatchBounds& batch, const DeviceFacts& device) {
  if (is_streamed(pass, policy, shape)) return choose_streamed(pass, policy, shape, batch, device);
  const WideSizes sizes = wide_sizes(pass, policy, shape);
  const WideFigures step = wide_figures(pass, policy, shape);
  const int64_t resident = resident_wide_blocks(sizes, device) / sizes.blocks;
  const int64_t directions = resident < shape.directions ? 1 : shape.directions, most_sets = resident / directions;
  const int64_t most = most_wide_teams(sizes, shape, batch.max_batch, device);
  WideChoice choice{0, 0, directions, 0};
  for (int64_t teams = shape.team_slots == kWideTeamSlots ? most : 1; teams <= most; ++teams) {
    const int64_t sets = teams < most_sets ? teams : most_sets;
    const int64_t clocks = modelled_steps(batch, teams * kWideTeamSlots) * (shape.directions / directions) *
                           wide_step_clocks(step, (teams + sets - 1) / sets, sizes.blocks * sets * directions);
    if (choice.teams == 0 || clocks < choice.clocks) choice = {teams, sets, directions, clocks};
  }
  return choice;
}

// Whether a pass of a batch by that policy, which may run by wide teams, should: if they are forced, or have fewer
// modelled clocks than the policy's own tiles, or than a launch for each step, which in 16 bits takes longer for any
// batch.
inline bool is_wide_faster(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape,
                           const BatchBounds& batch, const DeviceFacts& device) {
  if (shape.team_slots != 0) return shape.team_slots == kWideTeamSlots;
  if (policy == RecurrencePolicy::kStepwise && has_tf32(shape)) {
    for (const StepwiseStep& of : kStepwiseSteps) {
      if (of.hidden != shape.hidden) continue;
      const StepwiseFigures& step = pass == WidePass::kForward ? of.forward : of.backward;
      const int64_t few = batch.max_len * step.step + (batch.max_tokens - batch.max_len) * step.more;
      const int64_t many = batch.max_tokens * step.rank;
      return choose_streamed(pass, policy, shape, batch, device).clocks < shape.directions * (few > many ? few : many);
    }
    return false;
  }
  if (policy == RecurrencePolicy::kStepwise) return true;
  const RecurrenceChoice own = choose_tile(policy, shape, batch, device);
  const TileStep of_tile = step_of_tile(policy, own.math, *own.tile);
  const StepFigures& step = pass == WidePass::kForward ? of_tile.forward : of_tile.backward;
  const int64_t own_clocks = modelled_steps(batch, own.slots()) * (shape.directions / own.directions) *
                             step_clocks(step, own.tile->blocks() * own.teams * own.directions);
  return choose_wide(pass, policy, shape, batch, device).clocks < own_clocks;
}

}  // namespace varlstm::cuda
