// The sizes of a wide team, whose slots are the rows of wgmma, and its layout of matrices in shared and global memory.
//
// A set of kBlocks co-resident blocks holds one copy of W_hh in shared memory, each block the gates of kUnits units,
// for as long as its teams have sequences. It serves kTeams teams of kSlots slots. In each block a team has a
// warpgroup, which multiplies, a warp, the filler, which starts copies, and a ring (stage_ring.h). The teams share
// nothing but the weights and the tensor cores: while one exchanges its states, the other multiplies. kCluster blocks
// of a set are a cluster, which reads every state from L2 once.
//
// Example: WideTeamTile<LstmCell, Bf16Math, 1024>.
//   Set:     1024 / 16 = 64 blocks in 16 clusters; block 5 owns units 80 to 95, and has their 64 gate rows, 128 KB. Two
//            sets take 128 multiprocessors and have 4 teams, so 256 slots.
//   Step:    the states of a team are [64 slots, 1024], 128 KB. They come in 16 stages of 64 units, 8 KB each.
//   Thread:  lane 9 (row 9 / 4 = 2, column 9 % 4 = 1) of warp 3 of a team has slots 48 + 2 and 48 + 10, and of each the
//            units 2, 3, 10 and 11 of the block with all gates.
//
// A team's sums are made in the order of another policy of the recurrence, so that its results have the same bits. They
// are made in parts of the depth, which are added in order:
//   stepwise  four parts of a quarter of the depth, each one chain of blocks of 16 from 0; they are added to 0
//             (tensor_product.h)
//   resident  the splits of the resident tiles for this H, each a chain over the even blocks of 16 and one over the odd
//             ones (weight_tiles.h); if H is padded there, a split of zeros follows
//
// A stage is a tile of wgmma: 128 bytes of k of each line, 64 values or 32 of TF32, swizzled to 128 bytes: the word w
// of 16 bytes of line l is in the place of word w ^ (l % 8).
//
// At H = 2048 the weights do not fit into a block. They are streamed (weight_stream.h), as are those of TF32 in the
// order of stepwise: of each part of the depth one stage in kEvery stays in shared memory, and the others flow through
// a ring of their own in every step. Then a block has one team, which may have fewer slots, a multiple of 8: what is
// copied of a step's values depends on it. In TF32 in the order of resident tiles a block has 8 units, whose weights
// fit.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/recurrence/resident/resident_cell.h"
#include "kernels/recurrence/resident/resident_math.h"
#include "kernels/recurrence/stepwise/step_tile.h"
#include "kernels/recurrence/wide/stage_ring.h"
#include "kernels/recurrence/wide/team_exchange.h"
#include "kernels/selection/wide_selection.h"

namespace varlstm::cuda {

constexpr int kLineBytes = 128;  // of a line of a stage

// The values of k in a line of a stage.
template <class Value>
constexpr int kStageDepth = kLineBytes / static_cast<int>(sizeof(Value));

// The bytes from the beginning of a stage to value k of a line.
template <class Value>
VARLSTM_DEVICE constexpr int place_in_stage(int line, int k) {
  constexpr int kSize = sizeof(Value), kWord = 16 / kSize;
  return line * kLineBytes + ((k / kWord ^ line % 8) * 16) + k % kWord * kSize;
}

// The matrices of wgmma with sums in f32.
template <class Math>
constexpr simt::MatrixType kMatrixOf = simt::MatrixType::kTf32;
template <>
constexpr simt::MatrixType kMatrixOf<Bf16Math> = simt::MatrixType::kBf16;
template <>
constexpr simt::MatrixType kMatrixOf<F16Math> = simt::MatrixType::kF16;

// How many stages of weights that are streamed there are for one that stays in shared memory: of a chain over so many
// stages. At H = 2048 128 KB stay.
template <class Value>
constexpr int kept_every(int stages) {
  constexpr int kMost = sizeof(Value);
  return stages < kMost ? stages : kMost;
}

// The functions of forward in resident tiles (forward_cells.h).
template <class CellType, class Math>
using ResidentFunctions =
    std::conditional_t<Math::kCoarseForward && std::is_same_v<CellType, LstmCell>, Coarse, typename Math::Functions>;

// CellType: as in ResidentTile. MathType: Bf16Math, F16Math or Tf32Math. SplitDepth: of the resident tiles whose order
// of sums it is, and whether these pad H; 0: the order is that of stepwise.
template <class CellType, class MathType, int Hidden, int SplitDepth = 0, bool Padded = false>
struct WideTeamTile {
  using Cell = CellType;
  using Math = MathType;
  using Scalar = typename Math::Scalar;
  using Value = typename Math::Value;
  static constexpr bool kResident = SplitDepth > 0;
  static constexpr bool kStreamed = streams_weights(WidePass::kForward, kResident, Hidden, sizeof(Value));
  static constexpr int kHidden = Hidden;  // H exactly
  static constexpr int kUnits = wide_units(WidePass::kForward, kResident, sizeof(Value));
  static constexpr int kBlocks = kHidden / kUnits, kCluster = 4;
  static constexpr int kSlots = 64, kTeams = kStreamed ? 1 : 2;
  static constexpr int kDepthOfStage = kStageDepth<Value>;
  static constexpr int kStages = kHidden / kDepthOfStage;      // of a state
  static constexpr int kStageBlocks = kDepthOfStage / kUnits;  // blocks whose units are in a stage
  static constexpr int kStageBytes = kSlots * kLineBytes;
  static constexpr int kRingSlots = 6;                           // what shared memory has room for at H = 1024
  static constexpr int kFillers = kTeams + (kStreamed ? 1 : 0);  // warps
  static constexpr unsigned kReaderThreads = 128 * kTeams, kThreads = kReaderThreads + 32 * kFillers;
  static constexpr int kColumns = Cell::kGates * kUnits;      // gates of a block
  static constexpr int kWeightBytes = kColumns * kLineBytes;  // of a stage's k
  static constexpr int kUnitTiles = kUnits / 8;

  static constexpr int kPartStages = kResident ? SplitDepth / kDepthOfStage : kStages / 4;
  static constexpr int kParts = kStages / kPartStages;
  static constexpr int kEvery = kStreamed ? kept_every<Value>(kPartStages) : 1, kKeptStages = kStages / kEvery;
  static constexpr int kChains = kResident ? 2 : 1;
  static constexpr bool kAddsZeros = !kResident || Padded;  // zeros as a part, whichever comes first
  // Whether the x-gates of a thread's second slot are asked for after the product: two chains of the sums of four gates
  // leave no registers for them.
  static constexpr bool kAsksLate = kChains == 2 && Cell::kGates * kUnitTiles == 8;
  using Functions = std::conditional_t<kResident, ResidentFunctions<Cell, Math>, StepFunctions>;

  using Ring = StageRing<kRingSlots, kStageBytes, kCluster>;
  using WeightRing = StageRing<6, kWeightBytes, 1>;
  using Area = TeamArea<kStages, kStageBytes, kStageBlocks>;  // of a team's states

  static_assert(kPartStages * kParts == kStages && SplitDepth % kDepthOfStage == 0 && kHidden % kDepthOfStage == 0 &&
                    kBlocks % kCluster == 0 && kPartStages % kEvery == 0,
                "whole stages and clusters");
  static_assert(kWeightBytes % 1024 == 0, "weights begin where a swizzled layout may");
};

// Where a block and a warp of it work. Grid: kBlocks x sets x directions along x. Team t is in set t % sets, so that
// few teams are in as many sets as possible.
struct WidePlace {
  int rank;  // of the block in its set
  int64_t direction;
  int64_t team;   // in its direction
  bool reads;     // whether the warp is of the team's warpgroup; otherwise it fills a ring
  int warpgroup;  // the team among those of its block
  bool weights;   // whether the ring is that of the weights
};

template <class Tile>
VARLSTM_DEVICE WidePlace wide_place(int64_t sets) {
  const int64_t set = static_cast<int64_t>(blockIdx.x) / Tile::kBlocks;
  const bool reads = threadIdx.x < Tile::kReaderThreads;
  const auto part = static_cast<int>(reads ? threadIdx.x / 128 : (threadIdx.x - Tile::kReaderThreads) / 32);
  const int warpgroup = part % Tile::kTeams;
  return {static_cast<int>(blockIdx.x % Tile::kBlocks),
          set / sets,
          set % sets + sets * warpgroup,
          reads,
          warpgroup,
          part >= Tile::kTeams};
}

}  // namespace varlstm::cuda
