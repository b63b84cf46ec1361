// Forward of several stacked layers in one launch, resident: the teams of a layer work right behind those of the layer
// below, so that T steps of L layers take the time of about T + L - 1 steps instead of L T.
//
//   z[gate] = sum_k y_below[row, k] * w_ih[gate * H + u, k] + b_ih + b_hh + sum_k h[k] * w_hh[gate * H + u, k]
//
// All layers share one schedule: team k of a layer works on the rows of team k below, step by step. The lowest layer is
// resident_forward.h's, with the x-gates of all tokens from one product; a block above holds its slice of W_ih beside
// that of W_hh. One direction, no dropout between the layers. Shapes as in recurrence.h.
// Grid: kBlocks x teams x layers; cooperative for recurrence_grid. Block and weights as in resident_forward.h; shared
// memory: LayersShared.
// Handover: outputs go up through L2 in words of 8 bytes that say themselves whether they have come (handover.h). Each
// is written once, and the reader asks for it until it is there: no flag, no fence, nothing on the chain of steps but
// the store. A row's words are asked for before the wait for the step ahead of it, and multiplied after that step's
// states have left: both beside the exchange.
//   S7: the row's values lie in shared memory for the block; their buffer is written again two rows later, after the
//   barrier of the row between, to which every warp comes after its product.
// No layer waits for one above, and teams are numbered in the order in which they begin, lower layers first: whoever a
// team waits for has begun, so that the launch ends in whatever order a device starts its blocks. The teams of
// recurrence_grid, whose blocks would have to agree on a number, are all resident, as cooperative launches promise.
//   S8: the team's number lies in the shared memory of its first block.
// Bytes of a step and team beside resident_forward.h's: H kSlots e written and kBlocks times as many read of words;
// of the layers above the lowest no rows of gates in, and without `save` of those below the highest no rows of y.
// Workspace: H e a row for each layer but the highest, H that of the tile.
// The input's sums are one chain over k from 0 and then the biases: gemm's order, and for F32 its operations. So each
// bit is that of the layers one after the other: for F32 by arithmetic; for matrix products as far as an element does
// not see which operand it came from, as in the emulator. On a GPU the tests have to show it; not measured on a GPU.
// Mirrored by host/rnn/rnn_forward.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/recurrence/resident/resident_forward.h"
#include "kernels/recurrence/stacked/handover.h"

namespace varlstm::cuda {

template <class Tile>
struct Handover {
  static constexpr int kUnits = 8 / static_cast<int>(sizeof(typename Tile::Value));  // of a word
  static constexpr int kWords = Tile::kHidden / kUnits;                              // of a row
};

template <class Tile, class Exchange>
struct LayersShared {
  using Weights = WeightTiles<typename Tile::Math, 2, Tile::kHidden, 0>;
  ForwardShared<Tile, Exchange> forward;
  StateBuffer<Tile> input[2];
  Float4 biases[2][Tile::kUnits];  // b_ih and b_hh of each unit's four gates, which a warp alone writes and reads
  alignas(16) uint32_t number;     // of the team, in its first block
  alignas(16) unsigned char weights[Tile::kForwardWarps][Weights::kSharedBytes];
};

// What a team has below and above it.
template <class Tile, class Exchange>
class LayerNeighbours {
  using Scalar = typename Tile::Scalar;
  using Cells = ForwardCells<Tile>;
  using Shared = LayersShared<Tile, Exchange>;
  using Words = Handover<Tile>;
  static_assert(Tile::kSplits == 1 && Cells::kTiles == Tile::kSlotTiles, "a warp has all slots of its units");

  // A thread takes words of one slot: kLanes apart.
  static constexpr int kLanes = Tile::kForwardThreads / Tile::kSlots;
  static constexpr int kCount = (Words::kWords + kLanes - 1) / kLanes;

 public:
  // unit: of this thread's cells, among all of the layer's.
  VARLSTM_DEVICE LayerNeighbours(const StackForward<Scalar>& stack, int64_t layer, const TeamSchedule& schedule,
                                 int64_t unit, Shared& shared)
      : schedule_(schedule),
        below_(layer > 0 ? stack.handover + (layer - 1) * stack.rows * Words::kWords : nullptr),
        above_(layer + 1 < stack.count ? stack.handover + layer * stack.rows * Words::kWords : nullptr),
        shared_(shared) {
    if (below_ == nullptr) return;
    next_row_ = schedule_.at(0, slot()).row;
    // Each lane one gate of its unit.
    const StackedInput<Scalar>& input = stack.inputs[layer];
    const int64_t hidden = stack.layers[layer].hidden, gate = lane_column() * hidden + unit;
    shared_.biases[0][unit_of_block()].v[lane_column()] = unit < hidden ? scalar_or_zero(input.b_ih, gate) : 0;
    shared_.biases[1][unit_of_block()].v[lane_column()] = unit < hidden ? scalar_or_zero(input.b_hh, gate) : 0;
    simt::warp_sync();
  }

  // W_ih moves in.
  VARLSTM_DEVICE void load(const Fragment* arranged, int warp) { weights_.load(arranged, shared_.weights[warp]); }

  // Asks for the outputs below of `step`, one after the other from 0 on.
  VARLSTM_DEVICE void ask(int64_t step) {
    if (below_ == nullptr) return;
    row_ = next_row_;
#pragma unroll
    for (int k = 0; k < kCount; ++k)
      if (row_ >= 0 && counts(k)) words_[k] = simt::load_relaxed8(word(k));
    next_row_ = schedule_.at(step + 1, slot()).row;
  }

  // The step that was asked for: waits for its outputs and makes x-gates of them. Every thread of the block.
  VARLSTM_DEVICE void take(int64_t step, Cells& cells) {
    if (below_ == nullptr) return;
    StateBuffer<Tile>& input = shared_.input[step % 2];
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      if (!counts(k)) continue;
      uint64_t values = 0;
      if (row_ >= 0) {
        simt::spin_until("the outputs of the layer below", [&] {
          if (has_come(words_[k])) return true;
          words_[k] = simt::load_relaxed8(word(k));
          return false;
        });
        values = static_cast<uint64_t>(words_[k].r[1]) << 32 | words_[k].r[0];
      }
      *reinterpret_cast<uint64_t*>(&input.h[slot()][number(k) * Words::kUnits]) = values;
    }
    simt::block_sync();  // S7
    simt::f32x4 sums[Tile::kSlotTiles][2] = {};
    weights_.product(input.h[0], Tile::kHiddenPitch, sums);
#pragma unroll
    for (int i = 0; i < Tile::kSlotTiles; ++i)
      cells.set_inputs(i, sums[i], shared_.biases[0][unit_of_block()], shared_.biases[1][unit_of_block()]);
  }

  // The outputs of a step, for the layer above. Whole warps.
  VARLSTM_DEVICE void give(const Cells& cells, int unit, const StepResult (&results)[Cells::kTiles]) {
    if (above_ == nullptr) return;
#pragma unroll
    for (int i = 0; i < Cells::kTiles; ++i) {
      const StateChunk chunk = chunk_of_states<Tile>(cells.slot(i), unit, results[i].h);
      const int64_t row = (lane_row() & 1 ? results[i].token[1] : results[i].token[0]).row;  // of the chunk's slot
      if (row < 0 || chunk.at.copy != 0) continue;
      simt::store_relaxed8(above_ + row * Words::kWords + chunk.at.unit / Words::kUnits, handover_word(chunk.values));
    }
  }

 private:
  VARLSTM_DEVICE static int slot() {
    return static_cast<int>(threadIdx.x / kLanes);
  }
  VARLSTM_DEVICE static int number(int k) {
    return static_cast<int>(threadIdx.x % kLanes) + k * kLanes;
  }
  VARLSTM_DEVICE static bool counts(int k) {
    return number(k) < Words::kWords;
  }
  VARLSTM_DEVICE const simt::b32x2* word(int k) const {
    return below_ + row_ * Words::kWords + number(k);
  }
  VARLSTM_DEVICE static int unit_of_block() {
    return static_cast<int>(threadIdx.x / 32) * 8 + lane_row();
  }

  const TeamSchedule& schedule_;
  const simt::b32x2* const below_;
  simt::b32x2* const above_;
  Shared& shared_;
  typename Shared::Weights weights_;
  int64_t row_, next_row_;  // of this thread's slot: what was asked for, what comes after
  simt::b32x2 words_[kCount];
};

// The team's number among those of all layers: how many have begun before it. Their count lies behind the words and is
// filled as they are, so that the first addition gives kNothingYet and 1 more than that is 0. Every thread.
template <class Tile, class Exchange>
VARLSTM_DEVICE int64_t team_number(const StackForward<typename Tile::Scalar>& stack,
                                   LayersShared<Tile, Exchange>& shared) {
  if constexpr (std::is_same<Exchange, GridForwardExchange<Tile>>::value) {
    return static_cast<int64_t>(blockIdx.x) / Tile::kBlocks;
  } else {
    simt::b32x2* begun = stack.handover + (stack.count - 1) * stack.rows * Handover<Tile>::kWords;
    if (blockIdx.x % Tile::kBlocks == 0 && threadIdx.x == 0) shared.number = simt::atomic_add(&begun->r[0], 1u) + 1;
    if constexpr (Tile::kBlocks == 1) {
      simt::block_sync();  // S8
      return shared.number;
    } else {
      simt::cluster_sync();  // S8
      return *simt::cluster_map(&shared.number, 0);
    }
  }
}

template <class Tile, class Exchange>
VARLSTM_KERNEL void __launch_bounds__(Tile::kForwardThreads, 1)
    resident_layers_kernel(StackForward<typename Tile::Scalar> stack, SlotSchedule schedule, int64_t teams,
                           const Fragment* arranged, GridForwardArea<Tile>* areas) {
  using Place = ForwardPlace<Tile>;
  auto& shared = *simt::shared_memory<LayersShared<Tile, Exchange>>();
  const int64_t number = team_number<Tile, Exchange>(stack, shared);
  const int64_t layer = number / teams;
  const Team team = {number % teams, 0, static_cast<int>(blockIdx.x % Tile::kBlocks)};
  const TeamSchedule team_schedule(schedule, team);
  Exchange exchange(shared.forward.exchange, areas == nullptr ? nullptr : areas + layer * teams + team.index, team);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int unit0 = team.rank * Tile::kUnits + warp * 8;  // of the warp

  // Phase 1: the weights move in.
  typename Tile::ForwardWeights weights;
  weights.load(arranged_for<Tile, Place>(arranged, layer, team.rank, warp), shared.forward.weights[warp]);
  LayerNeighbours<Tile, Exchange> neighbours(stack, layer, team_schedule, unit0 + lane_row(), shared);
  if (layer > 0) neighbours.load(arranged_for<Tile, Place>(arranged, stack.count + layer - 1, team.rank, warp), warp);
  exchange.begin();

  // Phase 2: the steps.
  ForwardCells<Tile> cells(stack.layers[layer], stack.layers[layer].direction[0], team_schedule, 0, unit0 + lane_row(),
                           layer == 0);
  if (team_schedule.steps() > 0)
    forward_steps(team_schedule.steps(), weights, exchange, shared.forward, cells, unit0, neighbours);
  exchange.end();
}

}  // namespace varlstm::cuda
