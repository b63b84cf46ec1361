// The sizes of one team of a resident recurrence.
//
// A team of kBlocks blocks holds one copy of W_hh for as long as its slots have sequences. Each block holds the gates
// of kUnits units. kSlots sequences advance together. Hidden units are padded to kHidden with zero weights.
//
// Example: ResidentTile<LstmCell, Bf16Math, 256, 64, 2, 1, 12, 12>.
//   Team:      256 / 64 = 4 blocks; block 1 owns units 64 to 127. There are 8 * 2 = 16 slots.
//   Forward:   64 / 8 = 8 groups of units and one split, so a block has 8 warps; warp 3 of block 1 has units 88 to 95.
//              Row tile 0 has i (rows 0 to 7) and f (rows 8 to 15) of these units; row tile 1 has g and o.
//              The depth 256 is 16 tiles of 16: 12 in registers (12 * 2 row tiles * 4 = 96 registers of a thread),
//              4 in shared memory.
//   Thread:    lane 9 (row g = 9 / 4 = 2, column q = 9 % 4 = 1) has all four gates of unit 90, for the slots 2 and 3 of
//              slot tile 0 and the slots 10 and 11 of slot tile 1.
//   Backward:  8 warps with 256 / 16 / 8 = 2 row tiles each; warp 3 has units 96 to 127 as rows. The depth is the
//              block's 4 * 64 = 256 gate rows, with 12 of its 16 tiles in registers.
// With GruCell instead, row tile 1 has n in rows 0 to 7 and zero weights in rows 8 to 15, and the depth of backward is
// 3 * 64 = 192 gate rows, that is 12 tiles, all in registers. With RnnCell there is row tile 0 alone, whose rows 8 to
// 15 are zero weights, and the depth of backward is 64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/resident_cell.h"
#include "kernels/recurrence/resident/weight_tiles.h"
#include "kernels/recurrence/schedule/slot_schedule.h"
#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {

// CellType: the cell, a struct of kernels/cells or resident_cell.h. Splits: the warps that share the depth of one unit
// group's product in forward. RegisterTiles: how many tiles of the depth are kept in registers, forward and backward,
// or all if there are fewer; the others are in shared memory.
template <class CellType, class MathType, int Hidden, int Units, int SlotTiles, int Splits, int ForwardRegisterTiles,
          int BackwardRegisterTiles>
struct ResidentTile {
  using Cell = CellType;
  using Math = MathType;
  using Scalar = typename Math::Scalar;
  using Value = typename Math::Value;
  static constexpr int kHidden = Hidden, kUnits = Units, kBlocks = Hidden / Units;
  static constexpr int kSlotTiles = SlotTiles, kSlots = 8 * SlotTiles;

  // Forward: a group of 8 units is kGateTiles row tiles of two gates each, and zero weights in the place of a gate that
  // an odd number of gates lacks. So a thread has all gates of a unit.
  static constexpr int kGateTiles = (Cell::kGates + 1) / 2;
  static constexpr int kSplits = Splits, kGroups = kUnits / 8;
  static constexpr int kForwardThreads = 32 * kGroups * kSplits;
  static constexpr int kForwardWarps = kGroups * kSplits, kForwardDepth = kHidden / kSplits;
  using ForwardWeights = WeightTiles<Math, kGateTiles, kForwardDepth, ForwardRegisterTiles>;

  // Backward: a row tile is 16 units out of all units, and its depth is the gate rows of the block: kUnits of each
  // gate.
  static constexpr int kGates = Cell::kGates * kUnits;
  static constexpr int kBackwardWarps = backward_warps(kHidden, kUnits);
  static constexpr int kBackwardThreads = 32 * kBackwardWarps;
  static constexpr int kRowTiles = kHidden / 16 / kBackwardWarps;
  // Their sums are in registers together: of 8, but of 4 where 16 of two slot tiles leave too few registers.
  static constexpr int kRowTilesAtOnce = kRowTiles * kSlotTiles > 16 ? 4 : kRowTiles < 8 ? kRowTiles : 8;
  static constexpr int kBackwardUnits = kUnits * kSlots >= 2 * kBackwardThreads ? 2 : 1;  // neighbours of a thread
  // Where, in its slot's values, backward has a gate of a unit of the block: groups of kStateUnits units after each
  // other, in a group one gate after the other, and of a gate one unit after the other. F32Math has gate after gate, so
  // that its chain is that of stepwise. This order, and the number of chains, are those of the sums. So they must not
  // depend on the slots: an H that has tiles of 8 and of 16 slots has the same bits in both.
  static constexpr bool kUnitsTogether = Math::kTensorCores;
  static constexpr int kStateUnits = 8 * kUnits >= 2 * kBackwardThreads ? 2 : 1;
  VARLSTM_HOST_DEVICE static constexpr int state_place(int unit, int gate) {
    return kUnitsTogether ? (unit / kStateUnits * Cell::kGates + gate) * kStateUnits + unit % kStateUnits
                          : gate * kUnits + unit;
  }
  static constexpr bool kFewerSlots = false;  // a team has kSlots slots in every batch
  // Whether a thread asks for its values a turn earlier (backward_cells.h): if it has the registers for it. With four
  // cells and several row tiles, or with most row tiles, it has not.
  static constexpr bool kBackwardAhead = kUnits * kSlots <= 2 * kBackwardThreads ? kRowTiles < 16 : kRowTiles == 1;
  // A chain of products waits for each of its members, so a warp with few sums adds each in two chains.
  static constexpr int kBackwardChains = kRowTiles <= 2 ? 2 : 1;
  static constexpr int kBackwardTiles = kGates / Math::kTileDepth;
  using BackwardWeights =
      WeightTiles<Math, kRowTiles, kGates,
                  (BackwardRegisterTiles < kBackwardTiles ? BackwardRegisterTiles : kBackwardTiles)>;

  // The distance, in values, from slot to slot in shared memory. It is 16 bytes more than a multiple of 64 bytes, so
  // that the 16 bytes of eight slots (ldmatrix), and the four values that a warp reads from each of eight slots (32-bit
  // types), are on different banks. 64 bytes are also what a product loads at once.
  static constexpr int kPad = 16 / static_cast<int>(sizeof(Value)), kLoaded = 4 * kPad;
  static constexpr int kHiddenPitch = kHidden + kPad;
  static constexpr int kGatesPitch = (kGates + kLoaded - 1) / kLoaded * kLoaded + kPad;

  static_assert(kGates % Math::kTileDepth == 0, "whole tiles of the depth");
  static_assert(kHidden % kUnits == 0 && kUnits % 8 == 0 && kHidden % 32 == 0, "whole tiles");
  static_assert(kRowTiles % kRowTilesAtOnce == 0, "whole passes");
  static_assert(kHidden / 16 % kBackwardWarps == 0, "as many row tiles for each warp");
};

// The team of a block, and the block's rank in it. Grid: kBlocks x teams x directions along x. Example: with 4 blocks a
// team, 3 teams and 2 directions, block 17 has rank 17 % 4 = 1 in team (17 / 4) % 3 = 1 of direction (17 / 4) / 3 = 1.
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

// The entry of an idle slot.
VARLSTM_DEVICE SlotStep idle_step() {
  return {-1, 0, 0};
}

// A step of forward, in a loop over pairs of steps: `odd` is a constant where it is used. Steps are counted in 32 bits.
// A team has fewer, because the schedule has 16 bytes for each of them and each slot.
struct Step {
  uint32_t pair = 0;
  int odd = 0;

  VARLSTM_DEVICE uint32_t number() const { return 2 * pair + static_cast<uint32_t>(odd); }
  VARLSTM_DEVICE Step next() const { return odd == 0 ? Step{pair, 1} : Step{pair + 1, 0}; }
};

// The part of the schedule that belongs to one team.
class TeamSchedule {
 public:
  VARLSTM_DEVICE TeamSchedule(const SlotSchedule& schedule, const Team& team)
      : entries_(schedule.entries + team.direction * schedule.max_steps * schedule.slots +
                 team.index * schedule.team_slots),
        slots_(schedule.slots),
        team_slots_(schedule.team_slots),
        steps_(schedule.steps[team.index]) {}

  VARLSTM_DEVICE int64_t steps() const { return steps_; }
  // Where the entry of a slot at a step is, and how far it is to that of the next step.
  VARLSTM_DEVICE const SlotStep* entry(int64_t step, int slot) const { return entries_ + step * slots_ + slot; }
  VARLSTM_DEVICE int64_t distance() const { return slots_; }
  VARLSTM_DEVICE int64_t team_slots() const { return team_slots_; }
  VARLSTM_DEVICE SlotStep at(int64_t step, int slot) const {
    return step >= 0 && step < steps_ ? entries_[step * slots_ + slot] : idle_step();
  }

 private:
  const SlotStep* entries_;
  int64_t slots_, team_slots_, steps_;
};

}  // namespace varlstm::cuda
