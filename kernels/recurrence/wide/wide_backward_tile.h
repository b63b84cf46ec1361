// The sizes of a set of blocks of a wide backward (wide_backward.h), and its orders of sums.
//
// A set of kBlocks co-resident blocks holds one copy of W_hh in shared memory. Four blocks are a quad, which has 64
// units as columns of W_hh: each block of it has the rows of a quarter of the depth GH, and finishes 16 of the 64
// units. 64 values of the depth (32 in TF32), of all slots of a team, are a stage. A cluster has kSharers quads, whose
// blocks of the same quarter read the same stages. The order of the sums is that of another policy, so that the bits
// are the same:
//   stepwise  the depth is gate after gate. A quarter is one chain over blocks of 16 of k, and the four are added to 0
//             (stepwise/tensor_product.h). In the example of an LSTM quarter q is gate q; the 768 rows of a quarter of
//             a GRU are in up to two gates.
//   grid      the depth is block after block of the tiles of policy grid, which have 16 units, 8 in TF32, so that all
//             gates of them are a stage of an LSTM. Each is a chain of its own, rounded towards 0 to 23 bits, and they
//             are added in eight groups of neighbours, 16 in TF32 (resident/grid_backward_exchange.h), whose sums are
//             parts of their own.
//
// Example: WideBackwardTile<LstmCell, Bf16Math, 768, false>. A set has 48 blocks in 12 quads, and a cluster has two of
// these. Block 37 is quarter 1 of quad 9: it has the rows of gate f and the columns of units 576 to 639, 96 KB, takes
// 12 stages of 8 KB in each turn of a team, and finishes units 592 to 607. It works for two teams.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/grid_backward_exchange.h"
#include "kernels/recurrence/wide/wide_tile.h"

namespace varlstm::cuda {

// The parts of backward of policy grid: units of a block, of which each has one, and the groups of neighbours in which
// they are added.
template <bool GridOrder, class CellType, class MathType, int Hidden>
struct WideGridParts {
  static constexpr int kUnits = 0, kGroups = 4;  // in the order of stepwise each quarter is a part
};
template <class CellType, class MathType, int Hidden>
struct WideGridParts<true, CellType, MathType, Hidden> {
  static constexpr TileShape kShape = *grid_tile(Hidden, sizeof(typename MathType::Value) == 4);
  using Tile = ResidentTile<CellType, MathType, Hidden, kShape.units, kShape.slot_tiles, kShape.splits,
                            kShape.forward_register_tiles, kShape.backward_register_tiles>;
  static constexpr int kUnits = Tile::kUnits, kGroups = PartGroups<Tile>::kGroups;
  static_assert(Tile::kStateUnits == 1 && Tile::kBackwardChains == 1, "a chain over unit after unit");
};

// CellType: as in ResidentTile; with GridOrder an LSTM. MathType: Bf16Math, F16Math or Tf32Math.
template <class CellType, class MathType, int Hidden, bool GridOrder>
struct WideBackwardTile {
  using Cell = CellType;
  using Math = MathType;
  using Scalar = typename Math::Scalar;
  using Value = typename Math::Value;
  static constexpr bool kGridOrder = GridOrder;
  static constexpr bool kStreamed = streams_weights(WidePass::kBackward, GridOrder, Hidden, sizeof(Value));
  static constexpr int kHidden = Hidden;  // H exactly
  // Twice as many parts, or a ring for the weights, leave room for one team.
  static constexpr int kSlots = 64, kTeams = kGridOrder || kStreamed ? 1 : 2;
  static constexpr int kQuarters = 4, kQuadUnits = 64, kUnits = kQuadUnits / kQuarters;
  static constexpr int kQuads = kHidden / kQuadUnits, kBlocks = kQuads * kQuarters;
  // Two quads in a cluster halve what is read from L2. But an H100 has room for 15 clusters of 8 blocks, which is one
  // set of 64 blocks, and for 32 of 4, which are two sets; a block with one team does not read as fast as L2 gives. Two
  // sets that stream their weights would share what L2 gives, too.
  static constexpr int kSharers = kStreamed                     ? (kGridOrder && sizeof(Value) == 4 ? 2 : 1)
                                  : kGridOrder && kHidden > 768 ? 1
                                                                : 2;
  static constexpr int kCluster = kQuarters * kSharers;
  static constexpr int kStageBytes = kSlots * kLineBytes, kDepthOfStage = kStageDepth<Value>;
  static constexpr int kQuadStages = kQuadUnits / kDepthOfStage;  // of a gate of a quad's units
  static constexpr int kDepth = Cell::kGates * kHidden / kQuarters, kStages = kDepth / kDepthOfStage;  // of a quarter
  static constexpr int kEvery = kStreamed ? kept_every<Value>(kStages) : 1, kKeptStages = kStages / kEvery;
  static constexpr int kWeightBytes = kKeptStages * kQuadUnits * kLineBytes;
  // Of policy grid: units of a block. Sums of a quarter that its block pushes, and the stages of each.
  using GridParts = WideGridParts<GridOrder, CellType, MathType, Hidden>;
  static constexpr int kGridUnits = GridParts::kUnits;
  static constexpr int kSums = GridParts::kGroups / kQuarters, kSumStages = kStages / kSums;

  // What BackwardCells takes, of one team. A thread owns two units of two slots. A slot has a line in a stage.
  static constexpr int kBackwardThreads = kUnits * kSlots / 4, kBackwardUnits = 2, kStateUnits = 2;
  static constexpr bool kBackwardAhead = false, kFewerSlots = kStreamed;
  static constexpr int kGatesPitch = kUnits;
  VARLSTM_HOST_DEVICE static constexpr int state_place(int unit, int) { return unit; }

  // Both warpgroups of a team own cells. The first one multiplies, too, and a warp of the second fills the ring. But
  // parts of two stages, streamed weights and cells do not fit into the registers of a thread: then a third one does.
  static constexpr bool kMultiplier = kGridOrder && kStreamed;
  static constexpr int kThreads = kTeams * kBackwardThreads + (kMultiplier ? 128 : 0);
  static constexpr int kWarpgroups = kBackwardThreads / 128;

  using Parts = PartBuffer<WideBackwardTile, kQuarters * kSums>;
  static constexpr unsigned kSlotPartBytes = sizeof(float) * kQuarters * kSums * kUnits;  // of all parts
  // As many slots of a ring as fit beside weights, parts and mbarriers in a block, but not more than are of use.
  static constexpr int kMostShared = 227 * 1024, kMbarrierBytes = 1024;
  static constexpr int kRings = kTeams + (kStreamed ? 1 : 0);
  static constexpr int kRoom =
      (kMostShared - kWeightBytes - kTeams * static_cast<int>(sizeof(Parts))) / kRings - kMbarrierBytes;
  static constexpr int kMostSlots = kRoom / kStageBytes < 8 ? kRoom / kStageBytes : 8;
  // Stages that a warpgroup which only multiplies has unrolled (quarter_multiplier.h): its rings go into them.
  static constexpr int kRun = 2 * kEvery;
  static constexpr int kRingSlots = kMultiplier ? 4 : kMostSlots;
  static constexpr int kWeightSlots = kMultiplier ? kRun - kRun / kEvery : kMostSlots;
  using Ring = StageRing<kRingSlots, kStageBytes, kSharers, kQuarters>;
  using WeightRing = StageRing<kWeightSlots, kQuadUnits * kLineBytes, 1>;
  // A part of the exchange has all gates of a quad's units; each warpgroup of each of its blocks writes a share.
  using Area = TeamArea<kQuads, Cell::kGates * kQuadStages * kStageBytes, kQuarters * kWarpgroups>;

  static_assert(kSumStages % kEvery == 0, "which stages are kept is known of each sum");
  static_assert(kHidden % (2 * kQuadUnits) == 0 && kQuads % kSharers == 0, "quarters of stepwise, whole clusters");
  static_assert(Cell::kGates * kQuads % kQuarters == 0 && kStages % kSums == 0, "as many stages in each sum");
  static_assert(!kGridOrder || Cell::kGates * kGridUnits == kDepthOfStage, "the gates of a block are a stage");
  static_assert(kWarpgroups == 2 && kRingSlots >= 3, "who multiplies and who fills; stages under way");
};

template <class Tile, bool = Tile::kStreamed>
struct WideBackwardShared {
  alignas(1024) unsigned char weights[Tile::kWeightBytes];
  typename Tile::Ring rings[Tile::kTeams];
  typename Tile::Parts parts[Tile::kTeams];
};
template <class Tile>
struct WideBackwardShared<Tile, true> {
  alignas(1024) unsigned char weights[Tile::kWeightBytes];
  typename Tile::Ring rings[Tile::kTeams];
  typename Tile::WeightRing weight_ring;
  typename Tile::Parts parts[Tile::kTeams];
};

// What a team has there.
template <class Tile>
struct WideBackwardTeam {
  typename Tile::Ring& ring;
  typename Tile::Parts& parts;
  int slots;  // of the team

  // Phase t completes with the parts of turn t.
  VARLSTM_DEVICE uint64_t* parts_full() const { return &ring.beside; }
};

}  // namespace varlstm::cuda
