// Forward of several stacked layers in one launch, resident. The teams of a layer work right behind those of the layer
// below, so T steps of L layers take the time of about T + L - 1 steps instead of L T. For example, T = 100 and L = 3:
// while layer 2 does step 7, layer 1 does step 8 and layer 0 does step 9, and all is done after the time of 102 steps.
//
//   z[gate] = sum_k y_below[row, k] * w_ih[gate * H + u, k] + b_ih + b_hh + sum_k h[k] * w_hh[gate * H + u, k]
//
// All layers share one schedule: team k of a layer works on the rows of team k of the layer below, step by step. The
// lowest layer works as in resident_forward.h, with the x-gates of all tokens from one product. A block of a higher
// layer holds its slice of W_ih as well as that of W_hh. There is one direction, and no dropout between the layers.
// Shapes as in recurrence.h.
// Grid: kBlocks x teams x layers; the launch is cooperative for policy grid. Block and weights as in
// resident_forward.h; shared memory: LayersShared.
// Handover: outputs go up through L2 in words of 8 bytes which show by themselves whether they have been written
// (checked_words.h). Each word is written once, and the reader loads it again until it has been written. No flag and no
// fence is needed; only the store is on the critical path. The words of a row are first loaded before the wait for the
// previous step's states, and multiplied after that step's new states have been pushed, so both overlap with the
// exchange.
//   S7: after it the row's values are in shared memory for the block. Their buffer is written again two rows later,
//   after the barrier of the row between, which every warp reaches only after its product.
// No layer waits for a higher one, and teams are numbered in the order in which they begin, lower layers first. So
// every team that a team waits for has begun, and the launch ends whatever the order in which a device starts its
// blocks. For example, with 2 teams in each of 3 layers, the team numbered 3 is team 1 of layer 1; it waits for number
// 1, which is team 1 of layer 0. The blocks of a team of policy grid could not easily agree on such a number; they use
// their block index, because all blocks of a cooperative launch are resident.
//   S8: after it the team's number is in the shared memory of the team's first block.
// Bytes of a step and team in addition to those of resident_forward.h: H kSlots e of words written, and kBlocks times
// as many read. The layers above the lowest read no rows of gates, and without `save` the layers below the highest
// write no rows of y. Workspace: H e for each row and each layer but the highest, with the H of the tile.
// The sums of the input are one chain over k from 0, and then the biases: the order of gemm, and for F32 its
// operations. So the results are bit-identical to those of the layers one after the other. For F32 this follows from
// the arithmetic; for matrix products it holds if an element of a product does not depend on the operand it came from,
// as in the emulator. Tests must show it on a GPU. Not measured on a GPU. Mirrored by host/rnn/rnn_forward.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/recurrence/checked_words.h"
#include "kernels/recurrence/resident/resident_forward.h"
#include "kernels/recurrence/resident/unit_of_rows.h"

namespace varlstm::cuda {

template <class Tile>
struct Handover {
  static constexpr int kUnits = 8 / static_cast<int>(sizeof(typename Tile::Value));  // units of a word
  static constexpr int kWords = Tile::kHidden / kUnits;                              // words of a row
};

// The outputs of the layer below, slot after slot.
template <class Tile>
struct alignas(16) InputBuffer {
  typename Tile::Value h[Tile::kSlots][Tile::kHiddenPitch];
};

template <class Tile, class Exchange>
struct LayersShared {
  static_assert(Tile::Cell::kGates == 4 && !Tile::Cell::kStateBias, "of an LSTM: see `biases`");
  using Weights = WeightTiles<typename Tile::Math, Tile::kGateTiles, Tile::kHidden, 0>;
  ForwardShared<Tile, Exchange> forward;
  InputBuffer<Tile> input[2];
  Float4 biases[2][Tile::kUnits];  // b_ih and b_hh of a unit's four gates; only the unit's warp uses them
  alignas(16) uint32_t number;     // of the team; used in its first block
  alignas(16) unsigned char weights[Tile::kForwardWarps][Weights::kSharedBytes];
};

// The values of one slot and neighbouring units, from the unit that is a multiple of their number. Of the lanes that
// hold the same ones, one is the first.
struct StateChunk {
  bool first;
  uint64_t values;
};

// Makes a chunk of the states of a thread's unit and two slots: lanes swap values until each holds neighbouring units
// of one slot. The whole warp calls this.
// Example with 16 bits: lanes 1, 5, 9 and 13 have units 0 to 3 of their group, each with slots 2 and 3. Afterwards
// lanes 1 and 9 hold the four units of slot 2, and lanes 5 and 13 hold those of slot 3. With 32 bits lanes 1 and 5
// swap: lane 1 then holds units 0 and 1 of slot 2, and lane 5 those of slot 3.
template <class Tile>
VARLSTM_DEVICE StateChunk chunk_of_states(typename Tile::Math::Pair states) {
  constexpr unsigned kAll = 0xffffffffu;
  const int g = lane_row(), odd = g & 1;
  if constexpr (sizeof(states) == 4) {
    const uint32_t neighbour = simt::shfl_xor(kAll, states, 4);  // of unit g ^ 1
    const uint32_t two = odd ? neighbour >> 16 | (states & 0xffff0000u) : (states & 0xffffu) | neighbour << 16;
    const uint32_t far = simt::shfl_xor(kAll, two, 8);  // of units (g ^ 2) and its neighbour
    return {(g & 2) == 0, g & 2 ? pair_of_words(far, two) : pair_of_words(two, far)};
  } else {
    const auto low = static_cast<uint32_t>(states), high = static_cast<uint32_t>(states >> 32);
    const uint32_t neighbour = simt::shfl_xor(kAll, odd ? low : high, 4);
    return {true, odd ? pair_of_words(neighbour, high) : pair_of_words(low, neighbour)};
  }
}

// The connection of a team to the same team of the layers below and above.
template <class Tile, class Exchange>
class LayerNeighbours {
  using Scalar = typename Tile::Scalar;
  using Cells = ForwardCells<Tile>;
  using Shared = LayersShared<Tile, Exchange>;
  using Words = Handover<Tile>;
  static_assert(Tile::kSplits == 1 && Cells::kTiles == Tile::kSlotTiles, "a warp has all slots of its units");

  // A thread loads words of one slot: every kLanes-th word. Example: 256 threads and 8 slots give kLanes = 32. With 64
  // words in a row, thread 37 loads words 5 and 37 of slot 1.
  static constexpr int kLanes = Tile::kForwardThreads / Tile::kSlots;
  static constexpr int kCount = (Words::kWords + kLanes - 1) / kLanes;

 public:
  static constexpr bool kGives = true;

  // unit: the unit of this thread's cells, counted in the whole layer.
  VARLSTM_DEVICE LayerNeighbours(const StackForward<Scalar>& stack, int64_t layer, const TeamSchedule& schedule,
                                 int64_t unit, Shared& shared)
      : last_(static_cast<uint32_t>(schedule.steps() - 1)),
        entries_(schedule.entry(0, slot()), schedule.distance(), 0),
        below_(layer > 0 ? stack.handover + (layer - 1) * stack.rows * Words::kWords : nullptr),
        above_(layer + 1 < stack.count ? stack.handover + layer * stack.rows * Words::kWords : nullptr),
        shared_(shared) {
    if (below_ == nullptr) return;
    next_row_ = schedule.at(0, slot()).row;
    // Each lane loads one gate of its unit.
    const StackedInput<Scalar>& input = stack.inputs[layer];
    const int64_t hidden = stack.layers[layer].hidden, gate = lane_column() * hidden + unit;
    shared_.biases[0][unit_of_block()].v[lane_column()] = unit < hidden ? scalar_or_zero(input.b_ih, gate) : 0;
    shared_.biases[1][unit_of_block()].v[lane_column()] = unit < hidden ? scalar_or_zero(input.b_hh, gate) : 0;
    simt::warp_sync();
  }

  // Loads W_ih.
  VARLSTM_DEVICE void load(const Fragment* arranged, int warp) { weights_.load(arranged, shared_.weights[warp]); }

  // Starts to load the outputs of the layer below for `step`. Called for step 0, 1, 2, ... in order, and once more
  // after the last step, whose outputs then stand for those that are not there and are not used.
  VARLSTM_DEVICE void ask(const Step& step) {
    if (below_ == nullptr) return;
    row_ = next_row_;
#pragma unroll
    for (int k = 0; k < kCount; ++k)
      if (row_ >= 0 && counts(k)) words_[k] = simt::load_relaxed8(word(k));
    const uint32_t next = step.number() + 1;
    next_row_ = entries_.of(next < last_ ? next : last_)->row;
  }

  // Waits for the outputs that the last `ask` asked for, and computes the x-gates of `step` from them. Every thread of
  // the block calls this.
  VARLSTM_DEVICE void take(const Step& step, Cells& cells) {
    if (below_ == nullptr) return;
    InputBuffer<Tile>& input = shared_.input[step.odd];
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
    simt::f32x4 sums[Tile::kSlotTiles][Tile::kGateTiles] = {};
    weights_.product(input.h[0], Tile::kHiddenPitch, sums);
#pragma unroll
    for (int i = 0; i < Tile::kSlotTiles; ++i)
      cells.set_inputs(step, i, sums[i], shared_.biases[0][unit_of_block()], shared_.biases[1][unit_of_block()]);
  }

  // Passes the outputs of a step to the layer above. Whole warps call this.
  VARLSTM_DEVICE void give(const Step& step, const Cells& cells, const StepResult<Tile> (&results)[Cells::kTiles]) {
    if (above_ == nullptr) return;
#pragma unroll
    for (int i = 0; i < Cells::kTiles; ++i) {
      const StateChunk chunk = chunk_of_states<Tile>(results[i].state.rounded);
      const int64_t row = Cells::row_of(results[i], lane_row() & 1);  // of the chunk's slot
      if (row < 0 || !chunk.first) continue;
      simt::store_relaxed8(above_ + row * Words::kWords + cells.unit() / Words::kUnits, checked_word(chunk.values));
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

  const uint32_t last_;                 // the team's last step
  UnitOfRows<const SlotStep> entries_;  // of this thread's slot; a row is a step
  const simt::b32x2* const below_;
  simt::b32x2* const above_;
  Shared& shared_;
  typename Shared::Weights weights_;
  int64_t row_, next_row_;  // of this thread's slot: the row that was asked for, and the next one
  simt::b32x2 words_[kCount];
};

// The number of this team: how many teams of all layers began before it. The counter is after the handover words and is
// filled like them, so the first addition returns kNothingYet, and 1 more than that is 0. Every thread calls this.
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
    resident_layers_kernel(Cell kind, StackForward<typename Tile::Scalar> stack, SlotSchedule schedule, int64_t teams,
                           const Fragment* arranged, GridForwardArea<Tile>* areas) {
  static_assert(sizeof(stack) + sizeof(schedule) + 4 * sizeof(int64_t) <= 4096,
                "what CUDA before 12.1 takes as arguments");
  using Place = ForwardPlace<Tile>;
  auto& shared = *simt::shared_memory<LayersShared<Tile, Exchange>>();
  const int64_t number = team_number<Tile, Exchange>(stack, shared);
  const int64_t layer = number / teams;
  const Team team = {number % teams, 0, static_cast<int>(blockIdx.x % Tile::kBlocks)};
  const TeamSchedule team_schedule(schedule, team);
  Exchange exchange(shared.forward.exchange, areas == nullptr ? nullptr : areas + layer * teams + team.index, team);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int unit = team.rank * Tile::kUnits + warp * 8 + lane_row();  // of this thread's cells

  // Phase 1: load the weights.
  typename Tile::ForwardWeights weights;
  weights.load(arranged_for<Tile, Place>(arranged, layer, team.rank, warp), shared.forward.weights[warp]);
  LayerNeighbours<Tile, Exchange> neighbours(stack, layer, team_schedule, unit, shared);
  if (layer > 0) neighbours.load(arranged_for<Tile, Place>(arranged, stack.count + layer - 1, team.rank, warp), warp);
  exchange.begin(unit);

  // Phase 2: the steps.
  const auto steps = static_cast<uint32_t>(team_schedule.steps());
  if (steps > 0) {
    ForwardCells<Tile> cells(kind, stack.layers[layer], stack.layers[layer].direction[0], team_schedule, 0, unit,
                             layer == 0);
    forward_steps(steps, weights, exchange, shared.forward, cells, neighbours);
  }
  exchange.end();
}

}  // namespace varlstm::cuda
