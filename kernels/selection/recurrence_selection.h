// Chooses the policy and the tile of a layer's recurrence. All functions are pure functions of cell, shape, dtype, math
// and device, and the tile's also of the batch.
//
//   policy  the legal one with the fewest modelled clocks for kReferenceBatch sequences of one length; cluster if two
//           have as many. It does not depend on the batch, because another policy gives other bits, and the results of
//           a sequence are bit-identical whatever else is in the batch
//   tile    of those that are made for this H, the one with the fewest modelled clocks for the whole batch; the one
//   with
//           fewer slots if two have as many. Only the numbers of slots and teams differ, and no sum depends on those
//   teams   as many as the batch fills and the device holds
//
// The modelled clocks are steps of the schedule, times the clocks of a step forward and backward: both passes take the
// same tile, so that they share a schedule. step_clocks.h has the figures of every tile, which bench/model.py computes
// from counts of the kernels. They are not measured on a GPU. Stepwise has no tiles: it runs what no resident
// policy may run, because the model has it behind at the H of every tile if B = 16 (bench/model_test.py).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <initializer_list>

#include "kernels/core/device_facts.h"
#include "kernels/selection/resident_tiles.h"
#include "kernels/selection/step_clocks.h"

namespace varlstm::cuda {

struct RecurrenceShape {
  Cell cell;
  DType dtype;
  bool tf32;  // f32 may be rounded to TF32 for products
  int64_t hidden;
  int64_t directions;
  bool projects = false;     // h has fewer features than there are units
  bool cell_states = false;  // c of every token, or its gradient
  bool options = false;      // the cell has options that its kernels must know
  bool layer_norm = false;   // the cell has layer normalisation
  int64_t max_rows = 0;      // the most tokens of a batch
  int64_t team_slots = 0;    // forces tiles of so many slots, if this H has one; 0: any
};

constexpr int log2_of(int power) {
  int log = 0;
  while (1 << log < power) ++log;
  return log;
}

// Returns what is modelled of a step of a tile, in every cell that of an LSTM. F16 has the kernels of BF16. A tile that
// is not listed yet is the last to be chosen.
inline TileStep step_of_tile(RecurrencePolicy policy, MathKind kind, const TileShape& tile) {
  const MathKind counted = kind == MathKind::kF16 ? MathKind::kBf16 : kind;
  for (const TileStep& step : kTileSteps) {
    if (step.policy == policy && step.math == counted && step.hidden == tile.hidden && step.slots == tile.slots())
      return step;
  }
  constexpr StepFigures kNotListed = {1 << 24, 0, 0};
  return {policy, kind, tile.hidden, tile.slots(), kNotListed, kNotListed};
}

// Returns the modelled clocks of a step while so many blocks run.
inline int64_t step_clocks(const StepFigures& step, int64_t blocks) {
  int64_t longest = step.work;
  for (const int64_t device : {step.bytes / kL2BytesOfBlock, step.bytes * blocks / kL2BytesOfAll})
    if (device > longest) longest = device;
  return step.chain + longest;
}

// Returns how many teams of that tile are resident together.
inline int64_t resident_teams(RecurrencePolicy policy, const TileShape& tile, const DeviceFacts& device) {
  return policy == RecurrencePolicy::kGrid ? device.resident_blocks / tile.blocks()
                                           : device.active_clusters[log2_of(tile.blocks())];
}

inline bool fits(RecurrencePolicy policy, MathKind kind, Cell cell, const TileShape& tile, const DeviceFacts& device) {
  return forward_shared_bytes(policy, kind, cell, tile) <= device.shared_bytes &&
         backward_shared_bytes(policy, kind, cell, tile) <= device.shared_bytes;
}

inline bool fits_layers(RecurrencePolicy policy, MathKind kind, const TileShape& tile, const DeviceFacts& device) {
  return stacks_layers(policy, kind, tile) && layers_shared_bytes(policy, kind, tile) <= device.shared_bytes;
}

// The first row of a table that is made for H and has kernels of the cell, or -1. The rows after it of the same H
// differ from it in the slots alone.
inline int first_row(Cell cell, const TileRows& table, int64_t hidden) {
  for (int k = 0; k < table.count; ++k)
    if (table.rows[k].hidden >= hidden && has_kernels(cell, table, k)) return k;
  return -1;
}

// Returns null if the policy may run the shape, otherwise the reason against it.
inline const char* why_not(RecurrencePolicy policy, const RecurrenceShape& shape, const DeviceFacts& device) {
  if (policy == RecurrencePolicy::kStepwise) return nullptr;
  MathKind kind;
  if (has_two_products(shape.cell)) return "resident kernels exchange once in a step, and the cell needs two";
  if (resident_gates(shape.cell) == 0) return "the cell has no resident kernels";
  if (shape.projects) return "resident kernels have no projection of h";
  if (shape.layer_norm) return "resident kernels have no layer normalisation";
  if (shape.cell_states) return "resident kernels have no output of c of every token";
  if (shape.options) return "resident kernels have no option of a cell but dropout of weights";
  if (shape.max_rows > INT32_MAX) return "resident kernels count rows with 32 bits";
  if (!math_kind(shape.dtype, shape.tf32, &kind)) return "F64 is computed a step at a time";
  if (device.capability < 80) return "tensor cores for these types need sm_80";
  if (policy == RecurrencePolicy::kGrid && device.resident_blocks == 0) return "the device has no cooperative launches";
  const TileRows table = tile_rows(policy, kind);
  const int first = first_row(shape.cell, table, shape.hidden);
  if (first < 0) return "H is larger than the largest tile";
  const TileShape& tile = table.rows[first];  // it decides, whatever the batch
  if (policy == RecurrencePolicy::kCluster && tile.blocks() > 1 && device.capability < 90)
    return "clusters of blocks need sm_90";
  if (!fits(policy, kind, shape.cell, tile, device)) return "the weights do not fit a multiprocessor's shared memory";
  if (resident_teams(policy, tile, device) < 1)
    return policy == RecurrencePolicy::kGrid ? "the device has too few multiprocessors for a team's blocks"
                                             : "no cluster of that size is resident";
  return nullptr;
}

// B sequences of one length.
inline BatchBounds of_one_length(int64_t batch) {
  return {batch, 1, batch};
}

// The steps that a schedule of so many slots should take for a batch: those of the longest sequence, or of as many
// sequences of mean length as come into one slot. Exact for sequences of one length.
// Example: 100 sequences of 20 tokens in the mean and 154 at most take 154 steps in 16 slots or more, and 13 * 20 = 260
// in 8 slots.
inline int64_t modelled_steps(const BatchBounds& batch, int64_t slots) {
  const int64_t sequences = batch.max_batch > 0 ? batch.max_batch : 1;
  const int64_t mean = (batch.max_tokens + sequences - 1) / sequences, of_slot = (sequences + slots - 1) / slots;
  const int64_t steps = of_slot * mean > batch.max_len ? of_slot * mean : batch.max_len;
  return steps > 0 ? steps : 1;
}

// Chooses the tile and the teams for a batch. tile is null if no team is resident. Two directions run one after the
// other if not even one team of each is resident. layers: the number of layers in one launch.
inline RecurrenceChoice choose_tile(RecurrencePolicy policy, const RecurrenceShape& shape, const BatchBounds& batch,
                                    const DeviceFacts& device, int64_t layers = 1) {
  RecurrenceChoice choice{policy, MathKind::kF32, shape.cell, 0, nullptr, 0, 0, 0};
  if (!math_kind(shape.dtype, shape.tf32, &choice.math)) return choice;
  const TileRows table = tile_rows(policy, choice.math);
  bool forced = false;
  for (int k = 0; k < table.count; ++k) {
    const TileShape& tile = table.rows[k];
    if (tile.hidden < shape.hidden || (choice.tile != nullptr && tile.hidden != choice.tile->hidden)) continue;
    if (!has_kernels(shape.cell, table, k)) continue;
    if (!fits(policy, choice.math, shape.cell, tile, device)) continue;
    if (layers > 1 && !fits_layers(policy, choice.math, tile, device)) continue;
    const int64_t resident = resident_teams(policy, tile, device) / layers;
    if (resident < 1) continue;
    const int64_t directions = resident < shape.directions ? 1 : shape.directions;
    const int64_t most = resident / directions;
    const int64_t wanted = batch.max_batch > 0 ? (batch.max_batch + tile.slots() - 1) / tile.slots() : 1;
    const int64_t teams = wanted < most ? wanted : most;
    const TileStep step = step_of_tile(policy, choice.math, tile);
    const int64_t blocks = tile.blocks() * teams * directions * layers;
    const int64_t clocks = modelled_steps(batch, teams * tile.slots()) * (shape.directions / directions) *
                           (step_clocks(step.forward, blocks) + step_clocks(step.backward, blocks));
    const bool is_forced = tile.slots() == shape.team_slots;
    if (choice.tile == nullptr || (is_forced && !forced) || (is_forced == forced && clocks < choice.clocks))
      choice = {policy, choice.math, shape.cell, k, &tile, teams, directions, clocks};
    forced = forced || is_forced;
  }
  return choice;
}
inline RecurrenceChoice choose_tile(RecurrencePolicy policy, const RecurrenceShape& shape, int64_t batch,
                                    const DeviceFacts& device, int64_t layers = 1) {
  return choose_tile(policy, shape, of_one_length(batch), device, layers);
}

constexpr int64_t kReferenceBatch = 64;

// Returns the policy: `forced` if that is not 0 (stepwise if it is not legal), otherwise the legal one with the fewest
// modelled clocks, and stepwise if there is none.
inline RecurrencePolicy select_recurrence(const RecurrenceShape& shape, const DeviceFacts& device, int32_t forced) {
  if (forced != 0)
    return why_not(static_cast<RecurrencePolicy>(forced), shape, device) == nullptr
               ? static_cast<RecurrencePolicy>(forced)
               : RecurrencePolicy::kStepwise;
  RecurrenceShape any_slots = shape;
  any_slots.team_slots = 0;
  RecurrencePolicy best = RecurrencePolicy::kStepwise;
  int64_t fewest = 0;
  for (const RecurrencePolicy policy : {RecurrencePolicy::kCluster, RecurrencePolicy::kGrid}) {
    if (why_not(policy, shape, device) != nullptr) continue;
    const int64_t clocks = choose_tile(policy, any_slots, kReferenceBatch, device).clocks;
    if (best != RecurrencePolicy::kStepwise && clocks >= fewest) continue;
    best = policy;
    fewest = clocks;
  }
  return best;
}

// Returns null if the forward of that many layers may run as one launch, otherwise the reason against it. The policy
// must be legal.
inline const char* why_not_together(RecurrencePolicy policy, const RecurrenceShape& shape, int64_t layers,
                                    const DeviceFacts& device) {
  if (layers < 2) return "there is one layer";
  if (shape.cell != Cell::kLstm) return "only layers of an LSTM run in one launch";
  if (layers > kMaxStackedLayers) return "there are more layers than one launch takes";
  if (shape.directions > 1) return "a layer above needs both directions of the whole sequence";
  MathKind kind;
  if (policy == RecurrencePolicy::kStepwise || !math_kind(shape.dtype, shape.tf32, &kind))
    return "the recurrence does not stay resident";
  const TileRows table = tile_rows(policy, kind);
  const TileShape& tile = table.rows[first_row(shape.cell, table, shape.hidden)];
  if (tile.splits > 1) return "warps share the depth of a product at this H";
  if (tile.hidden > kMostStackedUnits) return "the kernel of stacked layers would spill registers at this H";
  if (!fits_layers(policy, kind, tile, device)) return "W_ih and W_hh do not fit a multiprocessor's shared memory";
  if (resident_teams(policy, tile, device) < layers) return "the device has too few multiprocessors for all layers";
  return nullptr;
}

// The largest batch for which running layers in one launch should pay off. The batch is at most L / 2 (rounded down)
// times the slots of a layer. So a slot takes at most about L / 2 sequences one after the other, while layers one after
// the other work through the batch L times. Results are bit-identical either way.
inline int64_t most_together(const RecurrenceChoice& together, int64_t layers) {
  return layers / 2 * together.slots();
}

}  // namespace varlstm::cuda
