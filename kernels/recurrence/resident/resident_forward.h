// Forward of a cell over one layer, resident: W_hh stays with a team of blocks while its slots work through their
// sequences.
//
//   s[gate, u] = sum_k h[k] * w_hh[gate * H + u, k]  (+ b_hh[gate * H + u]);  the saved values, c, h' from the x-gates
//   and s as in the cell's file of kernels/cells
//
// Shapes as in recurrence.h. The x-gates of a token are what `gates` has for it at first: the product of its input with
// W_ih, and the biases that are not added to s. The schedule says which row each slot works on at each step
// (slot_schedule.h). When the sequence of a slot ends, the h0 and c0 of the next one replace the slot's states, so a
// step is the same for all slots.
// Grid: kBlocks x teams x directions. A team is a cluster, a set of co-resident blocks, or one block; its Exchange
// differs.
// Block: kGroups x kSplits warps. A warp computes the gates of 8 units (weight_tiles.h) over its split of the depth.
// The warp of split n % kSplits owns slot tile n: it has the cells (unit, slot), keeps their c, and their h if the cell
// reads it, in registers from step to step, and loads their x-gates one step ahead. Shared memory: ForwardShared.
//   S0 to S3: of the exchange (forward_exchange.h).
//   S4: after it the sums of the other splits are in shared memory. They are not overwritten before the next wait,
//   which completes only after every warp that reads them has pushed. S4 also guards the exchange's buffer: the warps
//   that push nothing have read it before any other warp of the block pushes.
//   S6: with 16 bits a lane pushes only to some of the blocks. Its push may allow them to write this block's buffer
//   again, so it must come after the reads of all lanes of the warp. With 32 bits a lane pushes to all blocks, and they
//   have the whole state only after every lane has read: S6 is left out.
// Bytes of a step and team: rows of gates G H 4 in (and S H 4 out if they are saved), c H 4 if saved, y H e, and
// kBlocks H kSlots e of states pushed. Bound by the latency of product and exchange, not by bytes. Sums are in f32: one
// chain over k in each split, then the splits in order, then b_hh, then the pre-activation. Exchanged values are
// rounded to the math's type; the h that a unit reads of its own is rounded to the dtype, as in y; c stays in f32. The
// order depends only on the policy, the math and H, so results are bit-identical from run to run and whatever else is
// in the batch. The saved values overwrite the x-gates. Mirrored by host/rnn.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/arrange_weights.h"
#include "kernels/recurrence/resident/forward_exchange.h"

namespace varlstm::cuda {

struct alignas(16) Sums {
  simt::f32x4 sums;
};

// The sums of every split, slot tile, unit group, row tile and lane; empty if the depth is not split.
template <class Tile, bool kSplit>
struct SplitSums {
  Sums of[Tile::kSplits][Tile::kSlotTiles][Tile::kGroups][Tile::kGateTiles][32];
};
template <class Tile>
struct SplitSums<Tile, false> {
  Sums nothing;
};

template <class Tile, class Exchange>
struct ForwardShared {
  typename Exchange::Shared exchange;
  SplitSums<Tile, (Tile::kSplits > 1)> splits;
  alignas(16) unsigned char weights[Tile::kForwardThreads / 32]
                                   [Tile::ForwardWeights::kSharedBytes > 0 ? Tile::ForwardWeights::kSharedBytes : 16];
};

// The values of one slot and neighbouring units, as they are exchanged.
struct StateChunk {
  StatePlace at;
  uint64_t values;
};

// Makes a chunk of this thread's two states, which are of unit `unit` and the slots `slot` and `slot + 1`: lanes swap
// values until each holds neighbouring units of one slot. The whole warp calls this.
// Example with 16 bits: lanes 1, 5, 9 and 13 have units 0 to 3 of their group, each with slots 2 and 3. Afterwards
// lanes 1 and 9 hold the four units of slot 2 (copies 0 and 1), and lanes 5 and 13 hold those of slot 3. With 32 bits
// lanes 1 and 5 swap: lane 1 then holds units 0 and 1 of slot 2, and lane 5 those of slot 3, each as the only copy.
template <class Tile>
VARLSTM_DEVICE StateChunk chunk_of_states(int slot, int unit, const float (&h)[2]) {
  using Math = typename Tile::Math;
  constexpr unsigned kAll = 0xffffffffu;
  const int g = lane_row(), odd = g & 1;
  if constexpr (sizeof(typename Tile::Value) == 2) {
    const uint32_t own = static_cast<uint32_t>(Math::round(h[0])) | static_cast<uint32_t>(Math::round(h[1])) << 16;
    const uint32_t neighbour = simt::shfl_xor(kAll, own, 4);  // of unit g ^ 1
    const uint32_t two = odd ? neighbour >> 16 | (own & 0xffff0000u) : (own & 0xffffu) | neighbour << 16;
    const uint32_t far = simt::shfl_xor(kAll, two, 8);  // of units (g ^ 2) and its neighbour
    const uint64_t chunk = g & 2 ? static_cast<uint64_t>(two) << 32 | far : static_cast<uint64_t>(far) << 32 | two;
    return {{slot + odd, unit - (g & 3), g >> 1 & 1, 2}, chunk};
  } else {
    const typename Tile::Value rounded[2] = {Math::round(h[0]), Math::round(h[1])};
    uint32_t own[2];
    memcpy(own, rounded, sizeof own);
    const uint32_t neighbour = simt::shfl_xor(kAll, odd ? own[0] : own[1], 4);
    const uint64_t chunk =
        odd ? static_cast<uint64_t>(own[1]) << 32 | neighbour : static_cast<uint64_t>(neighbour) << 32 | own[0];
    return {{slot + odd, unit - odd, 0, 1}, chunk};
  }
}

// Pushes those states. The whole warp calls this.
template <class Tile, class Exchange>
VARLSTM_DEVICE void push_states(Exchange& exchange, int64_t step, int slot, int unit, const float (&h)[2]) {
  const StateChunk chunk = chunk_of_states<Tile>(slot, unit, h);
  if constexpr (sizeof(typename Tile::Value) == 2) simt::warp_sync();  // S6
  exchange.push(step, chunk.at, chunk.values);
}

// The results of a step for a thread's two cells of a slot tile, kept until they are saved.
template <class Tile>
struct StepResult {
  SlotStep token[2];
  UnitValues<float, Tile::Cell::kSaved> saved[2];
  float c[2], h[2];
};

// Gate `gate` of a unit, in slot s of a thread's two, from the sums of the unit's row tiles.
template <int kGateTiles>
VARLSTM_DEVICE float sum_of_gate(const simt::f32x4 (&sums)[kGateTiles], int gate, int s) {
  return sums[gate / 2].r[gate % 2 * 2 + s];
}

// The cells of a thread: one unit, and two slots of each slot tile that its warp owns.
template <class Tile>
class ForwardCells {
  using Scalar = typename Tile::Scalar;
  using CellType = typename Tile::Cell;
  using Functions = typename Tile::Math::Functions;
  using Layer = LayerForward<Scalar, float>;
  using Direction = DirectionForward<Scalar, float>;
  using Gates = UnitValues<float, CellType::kGates>;

 public:
  static constexpr int kTiles = (Tile::kSlotTiles + Tile::kSplits - 1) / Tile::kSplits;

  // unit: counted in the whole layer. gates_have_inputs: the x-gates are in dir.gates; otherwise set_inputs sets them.
  VARLSTM_DEVICE ForwardCells(Cell kind, const Layer& layer, const Direction& dir, const TeamSchedule& schedule,
                              int split, int64_t unit, bool gates_have_inputs)
      : kind_(kind),
        layer_(layer),
        dir_(dir),
        schedule_(schedule),
        split_(split),
        unit_(unit),
        counts_(unit < layer.hidden),
        gates_have_inputs_(gates_have_inputs) {
    for (int i = 0; i < kTiles; ++i) look_ahead(0, i);
    if constexpr (CellType::kStateBias) {
      // -0 changes no sum it is added to.
      for (int gate = 0; gate < CellType::kGates; ++gate)
        b_hh_.of[gate] = counts_ && dir.b_hh != nullptr ? load_scalar(dir.b_hh[gate * layer.hidden + unit]) : -0.0f;
    }
  }

  // Whether there is an i-th owned slot tile.
  VARLSTM_DEVICE bool owns(int i) const { return slot_tile(i) < Tile::kSlotTiles; }
  VARLSTM_DEVICE int slot_tile(int i) const { return split_ + i * Tile::kSplits; }
  VARLSTM_DEVICE int slot(int i) const { return slot_tile(i) * 8 + 2 * lane_column(); }

  // Returns in h the states that the first sequences start from, and loads the x-gates of their first tokens.
  VARLSTM_DEVICE void begin(int i, float (&h)[2]) {
    for (int s = 0; s < 2; ++s) h[s] = c_[i][s] = h_[i][s] = 0;
    fetch(0, i);
    replace(i, h);
  }

  // Sets the x-gates of the next step from the sums of the input, and adds both biases in the way of gemm.
  VARLSTM_DEVICE void set_inputs(int i, const simt::f32x4 (&sums)[Tile::kGateTiles], const Float4& b_ih,
                                 const Float4& b_hh) {
    for (int s = 0; s < 2; ++s) {
      for (int gate = 0; gate < CellType::kGates; ++gate)
        x_[i][s].of[gate] = sum_of_gate(sums, gate, s) + 0.0f + b_ih.v[gate] + b_hh.v[gate];
    }
  }

  // Does one step of slot tile i: h <- the states before the next step. sums: the state's product.
  VARLSTM_DEVICE StepResult<Tile> step(int64_t step, int i, const simt::f32x4 (&sums)[Tile::kGateTiles],
                                       float (&h)[2]) {
    StepResult<Tile> result;
    Gates x[2];
    for (int s = 0; s < 2; ++s) {
      result.token[s] = now_[i][s];
      x[s] = x_[i][s];
    }
    fetch(step + 1, i);
    for (int s = 0; s < 2; ++s) {
      Gates product;
      for (int gate = 0; gate < CellType::kGates; ++gate) {
        product.of[gate] = sum_of_gate(sums, gate, s);
        if constexpr (CellType::kStateBias) product.of[gate] += b_hh_.of[gate];
      }
      const auto unit = forward_unit<CellType, Functions>(kind_, x[s], product, UnitState<float>{h_[i][s], c_[i][s]});
      result.saved[s] = unit.saved;
      result.c[s] = c_[i][s] = unit.after.c;
      result.h[s] = h[s] = unit.after.h;
    }
    replace(i, h);
    return result;
  }
  VARLSTM_DEVICE void save(const StepResult<Tile>& result) const {
    for (int s = 0; s < 2; ++s) {
      if (result.token[s].row >= 0 && counts_) save(result.token[s], result.saved[s], result.c[s], result.h[s]);
    }
  }

 private:
  // now <- the entries of `step` with their x-gates; next <- the entries of the step after.
  VARLSTM_DEVICE void fetch(int64_t step, int i) {
    for (int s = 0; s < 2; ++s) {
      now_[i][s] = next_[i][s];
      x_[i][s] = {};
      if (now_[i][s].row < 0 || !counts_ || !gates_have_inputs_) continue;
      const float* gates = dir_.gates + now_[i][s].row * CellType::kSaved * layer_.hidden + unit_;
      for (int k = 0; k < CellType::kGates; ++k) x_[i][s].of[k] = gates[k * layer_.hidden];
    }
    look_ahead(step + 1, i);
  }
  VARLSTM_DEVICE void look_ahead(int64_t step, int i) {
    for (int s = 0; s < 2; ++s) next_[i][s] = owns(i) ? schedule_.at(step, slot(i) + s) : idle_step();
  }
  // If a segment begins in a slot, its initial states replace those of the slot's last one; they are zeros after a
  // reset. An idle slot gets zeros. Then h_ <- h, as it is stored in y.
  VARLSTM_DEVICE void replace(int i, float (&h)[2]) {
    for (int s = 0; s < 2; ++s) {
      const SlotStep& now = now_[i][s];
      if (now.row < 0 || !counts_ || (now.marks & kFirstToken)) {
        h[s] = c_[i][s] = 0;
        if (now.row >= 0 && counts_ && (now.marks & kTakesInitial)) {
          const int64_t at = static_cast<int64_t>(now.sequence) * layer_.hidden + unit_;
          if (dir_.h0 != nullptr) h[s] = load_scalar(dir_.h0[at]);
          if (CellType::kHasC && dir_.c0 != nullptr) c_[i][s] = load_scalar(dir_.c0[at]);
        }
      }
      if constexpr (CellType::kReadsH) h_[i][s] = load_scalar(store_scalar<Scalar>(h[s]));
    }
  }

  VARLSTM_DEVICE void save(const SlotStep& now, const UnitValues<float, CellType::kSaved>& saved, float c,
                           float h) const {
    const int64_t hidden = layer_.hidden;
    if (dir_.y != nullptr) dir_.y[now.row * layer_.ldy + unit_] = store_scalar<Scalar>(h);
    if (layer_.save) {
      float* gates = dir_.gates + now.row * CellType::kSaved * hidden + unit_;
      for (int k = 0; k < CellType::kSaved; ++k) gates[k * hidden] = saved.of[k];
      if constexpr (CellType::kHasC) dir_.c[now.row * hidden + unit_] = c;
    }
    if (!(now.marks & kGivesFinal)) return;
    const int64_t at = static_cast<int64_t>(now.sequence) * hidden + unit_;
    if (dir_.h_n != nullptr) dir_.h_n[at] = store_scalar<Scalar>(h);
    if (CellType::kHasC && dir_.c_n != nullptr) dir_.c_n[at] = store_scalar<Scalar>(c);
  }

  const Cell kind_;
  const Layer& layer_;
  const Direction& dir_;
  const TeamSchedule& schedule_;
  const int split_;
  const int64_t unit_;
  const bool counts_;  // the unit is not padding
  const bool gates_have_inputs_;
  SlotStep now_[kTiles][2], next_[kTiles][2];
  Gates x_[kTiles][2];
  Gates b_hh_;          // of this unit; unused if it is part of the x-gates
  float c_[kTiles][2];  // unused if the cell has no c
  float h_[kTiles][2];  // the unit's own h; unused if the cell does not read it
};

// own[i] <- the sums of the i-th owned slot tile over all splits, in their order.
template <class Tile, class Exchange>
VARLSTM_DEVICE void add_splits(ForwardShared<Tile, Exchange>& shared, int group, int split,
                               const simt::f32x4 (&sums)[Tile::kSlotTiles][Tile::kGateTiles],
                               simt::f32x4 (&own)[ForwardCells<Tile>::kTiles][Tile::kGateTiles]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  if constexpr (Tile::kSplits > 1) {
#pragma unroll
    for (int n = 0; n < Tile::kSlotTiles; ++n)
      for (int r = 0; r < Tile::kGateTiles; ++r) shared.splits.of[split][n][group][r][lane].sums = sums[n][r];
    simt::block_sync();  // S4
#pragma unroll
    for (int i = 0; i < ForwardCells<Tile>::kTiles; ++i) {
      const int n = split + i * Tile::kSplits;
      if (n >= Tile::kSlotTiles) break;
      for (int r = 0; r < Tile::kGateTiles; ++r) {
        own[i][r] = shared.splits.of[0][n][group][r][lane].sums;
        for (int other = 1; other < Tile::kSplits; ++other) {
          const simt::f32x4 more = shared.splits.of[other][n][group][r][lane].sums;
          for (int k = 0; k < 4; ++k) own[i][r].r[k] += more.r[k];
        }
      }
    }
  } else {
    for (int n = 0; n < Tile::kSlotTiles; ++n)
      for (int r = 0; r < Tile::kGateTiles; ++r) own[n][r] = sums[n][r];
  }
}

// The neighbours of a layer on its own: its x-gates are already in dir.gates, and no layer waits for its outputs.
// LayerNeighbours of resident_layers.h is the counterpart for a layer of a stack.
template <class Tile>
struct NoNeighbours {
  VARLSTM_DEVICE void ask(int64_t) {}
  VARLSTM_DEVICE void take(int64_t, ForwardCells<Tile>&) {}
  VARLSTM_DEVICE void give(const ForwardCells<Tile>&, int, const StepResult<Tile> (&)[ForwardCells<Tile>::kTiles]) {}
};

// Runs all steps of a team, of which there must be at least one. unit0: the warp's first unit, counted in the whole
// layer.
template <class Tile, class Exchange, class Neighbours>
VARLSTM_DEVICE void forward_steps(int64_t steps, const typename Tile::ForwardWeights& weights, Exchange& exchange,
                                  ForwardShared<Tile, Exchange>& shared, ForwardCells<Tile>& cells, int unit0,
                                  Neighbours& neighbours) {
  using Cells = ForwardCells<Tile>;
  const int warp = static_cast<int>(threadIdx.x / 32), group = warp % Tile::kGroups, split = warp / Tile::kGroups;
  const int unit = unit0 + lane_row();

  // The first states.
  neighbours.ask(0);
#pragma unroll
  for (int i = 0; i < Cells::kTiles; ++i) {
    if (!cells.owns(i)) break;
    float h[2];
    cells.begin(i, h);
    push_states<Tile>(exchange, 0, cells.slot(i), unit, h);
  }
  exchange.publish(0);
  neighbours.take(0, cells);

#pragma unroll 1
  for (int64_t step = 0; step < steps; ++step) {
    if (step + 1 < steps) neighbours.ask(step + 1);
    const typename Tile::Value* vectors = exchange.wait(step);
    simt::f32x4 sums[Tile::kSlotTiles][Tile::kGateTiles] = {}, own[Cells::kTiles][Tile::kGateTiles];
    weights.product(vectors + split * Tile::kForwardDepth, Tile::kHiddenPitch, sums);
    add_splits<Tile, Exchange>(shared, group, split, sums, own);
    StepResult<Tile> results[Cells::kTiles];
#pragma unroll
    for (int i = 0; i < Cells::kTiles; ++i) {
      if (!cells.owns(i)) break;
      float h[2];
      results[i] = cells.step(step, i, own[i], h);
      if (step + 1 < steps) push_states<Tile>(exchange, step + 1, cells.slot(i), unit, h);
    }
    if (step + 1 < steps) exchange.publish(step + 1);  // before the saves, which no block waits for
    neighbours.give(cells, unit, results);
#pragma unroll
    for (int i = 0; i < Cells::kTiles; ++i) {
      if (!cells.owns(i)) break;
      cells.save(results[i]);
    }
    if (step + 1 < steps) neighbours.take(step + 1, cells);
  }
}

template <class Tile, class Exchange>
VARLSTM_KERNEL void __launch_bounds__(Tile::kForwardThreads, 1)
    resident_forward_kernel(Cell kind, LayerForward<typename Tile::Scalar, float> layer, SlotSchedule schedule,
                            int64_t teams, const Fragment* arranged, GridForwardArea<Tile>* areas) {
  auto& shared = *simt::shared_memory<ForwardShared<Tile, Exchange>>();
  const Team team = this_team<Tile>(teams);
  const DirectionForward<typename Tile::Scalar, float>& dir = layer.direction[team.direction];
  const TeamSchedule team_schedule(schedule, team);
  Exchange exchange(shared.exchange, areas == nullptr ? nullptr : areas + team.direction * teams + team.index, team);
  const int warp = static_cast<int>(threadIdx.x / 32), group = warp % Tile::kGroups, split = warp / Tile::kGroups;
  const int unit0 = team.rank * Tile::kUnits + group * 8;  // the warp's first unit

  // Phase 1: load the weights.
  typename Tile::ForwardWeights weights;
  weights.load(arranged_for<Tile, ForwardPlace<Tile>>(arranged, team.direction, team.rank, warp), shared.weights[warp]);
  exchange.begin();

  // Phase 2: the steps. A team without tokens pushes nothing, because no block would wait for the push, and it could
  // arrive after a block has ended.
  ForwardCells<Tile> cells(kind, layer, dir, team_schedule, split, unit0 + lane_row(), true);
  NoNeighbours<Tile> alone;
  if (team_schedule.steps() > 0) forward_steps(team_schedule.steps(), weights, exchange, shared, cells, unit0, alone);
  exchange.end();
}

}  // namespace varlstm::cuda
