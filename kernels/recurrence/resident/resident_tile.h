// What one team of a resident recurrence is made of.
//
// A team of kBlocks blocks holds one copy of W_hh, each block the four gates of kUnits units, for the whole of its
// slots' sequences; kSlots sequences advance together. Hidden units are padded to kHidden with zero weights.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/weight_tiles.h"
#include "kernels/recurrence/schedule/slot_schedule.h"

namespace varlstm::cuda {

// Splits: warps that share the depth of one unit group's product, forward. RegisterTiles: tiles of the depth that stay
// in registers, forward and backward; the rest lies in shared memory.
template <class MathType, int Hidden, int Units, int SlotTiles, int Splits, int ForwardRegisterTiles,
          int BackwardRegisterTiles>
struct ResidentTile {
  using Math = MathType;
  using Scalar = typename Math::Scalar;
  using Value = typename Math::Value;
  static constexpr int kHidden = Hidden, kUnits = Units, kBlocks = Hidden / Units;
  static constexpr int kSlotTiles = SlotTiles, kSlots = 8 * SlotTiles;

  // Forward: a group of 8 units is two row tiles, of the gates i, f and g, o: a thread has all four gates of a unit.
  static constexpr int kSplits = Splits, kGroups = kUnits / 8;
  static constexpr int kForwardThreads = 32 * kGroups * kSplits;
  static constexpr int kForwardWarps = kGroups * kSplits, kForwardDepth = kHidden / kSplits;
  using ForwardWeights = WeightTiles<Math, 2, kForwardDepth, ForwardRegisterTiles>;

  // Backward: a row tile is 16 of all units, its depth the 4 kUnits gates of the block.
  static constexpr int kGates = 4 * kUnits;
  static constexpr int kBackwardWarps = kHidden / 16 < 8 ? kHidden / 16 : 8;
  static constexpr int kBackwardThreads = 32 * kBackwardWarps;
  static constexpr int kRowTiles = kHidden / 16 / kBackwardWarps;
  static constexpr int kRowTilesAtOnce = kRowTiles < 8 ? kRowTiles : 8;  // whose sums are in registers together
  using BackwardWeights = WeightTiles<Math, kRowTiles, kGates, BackwardRegisterTiles>;

  // Values from slot to slot in shared memory: 16 bytes more than a multiple of 128 bytes, so that eight slots' 16
  // bytes (ldmatrix) or 32 values (a slot's four by eight slots) lie on all banks.
  static constexpr int kPad = 16 / static_cast<int>(sizeof(Value));
  static constexpr int kHiddenPitch = kHidden + kPad, kGatesPitch = kGates + kPad;

  static_assert(kHidden % kUnits == 0 && kUnits % 8 == 0 && kHidden % 32 == 0, "whole tiles");
  static_assert(kRowTiles % kRowTilesAtOnce == 0, "whole passes");
  static_assert(kUnits % 16 == 0 || kBlocks == 1 || kUnits == 8, "a row tile of backward has one or two owners");
};

// Which team a block belongs to, and its place there. Grid: kBlocks x teams x directions along x.
struct Team {
  int64_t index;
  int64_t direction;
  int rank;
};

template <class Tile>
VARLSTM_DEVICE Team this_team(int64_t teams) {
  const int64_t flat = static_cast<int64_t>(blockIdx.x) / Tile::kBlocks;
  return {flat % teams, flat / teams, static_cast<int>(blockIdx.x % Tile::kBlocks)};
}

// The idle slot's entry.
VARLSTM_DEVICE SlotStep idle_step() {
  return {-1, 0, 0};
}

// A team's part of the schedule.
class TeamSchedule {
 public:
  VARLSTM_DEVICE TeamSchedule(const SlotSchedule& schedule, const Team& team)
      : entries_(schedule.entries + team.direction * schedule.max_steps * schedule.slots +
                 team.index * schedule.team_slots),
        slots_(schedule.slots),
        steps_(schedule.steps[team.index]) {}

  VARLSTM_DEVICE int64_t steps() const { return steps_; }
  VARLSTM_DEVICE SlotStep at(int64_t step, int slot) const {
    return step >= 0 && step < steps_ ? entries_[step * slots_ + slot] : idle_step();
  }

 private:
  const SlotStep* entries_;
  int64_t slots_, steps_;
};

}  // namespace varlstm::cuda
