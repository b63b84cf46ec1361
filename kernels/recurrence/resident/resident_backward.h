// Backward of a cell over one layer, resident: the same teams, slots and owners as in resident_forward.h, with the
// steps of the schedule from the last to the first.
//
//   dh[u] = dy[row, u] + sum over k < GH of dstate[row after, k] * w_hh[k, u]      (dh_n if the sequence ends here)
//           + what went straight to this step
//   dgates[row], dc, what goes straight to the step before: the cell's file of kernels/cells
//
// dstate are the gradients in dgates that flow to the state: all of them, but for a cell with state gates.
// The product over GH is divided among the blocks. A block has the rows of w_hh of its own units and the dstate of
// these units. It computes a part for all units, and each unit's owner adds the parts (backward_exchange.h). If the
// sequence of a slot began at the step of the turn before, the sum, and what went straight there, are the dh0 of that
// sequence. Grid and teams as in forward.
// Block: kBackwardWarps warps, each with kRowTiles row tiles of 16 units. A thread owns kCells cells (unit, slot),
// keeps their dc and what goes straight to the step before in registers, and loads what a cell needs one turn ahead.
//   S0 to S3: of the exchange (backward_exchange.h).
//   S5: after it the turn's dstate are in shared memory, and no thread reads the parts of the turn before any more.
//   dstate are written again after the exchange's publish, which is a barrier of the block. The exchange's wait alone
//   would not be enough: a warp whose units belong to other blocks pushes nothing to its own block.
// The row tiles of the product are computed kRowTilesAtOnce at a time, because the sums of all would not fit in
// registers together with the weights.
// Bytes of a step and team: rows of gates S H 4, c 2 H 4, y H e if the cell reads h, and dy H e in; dgates G' H e out;
// and H kSlots kBlocks 4 of parts. Bound by latency.
// Sums are in f32: one chain over the block's gates in the order gate, unit; then the blocks in order; then the element
// of dy, and at last what went straight to this step. Results are bit-identical from run to run and whatever else is in
// the batch; another kBlocks gives other bits. dgates are rounded to the dtype when they are stored, and to the math's
// type when they are multiplied; dc and what goes straight to the step before stay in f32. Mirrored by host/rnn.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/arrange_weights.h"
#include "kernels/recurrence/resident/backward_exchange.h"

namespace varlstm::cuda {

template <class Tile, class Exchange>
struct BackwardShared {
  typename Exchange::Shared exchange;
  alignas(16) typename Tile::Value dstate[Tile::kSlots][Tile::kGatesPitch];
  alignas(16) unsigned char weights[Tile::kBackwardWarps]
                                   [Tile::BackwardWeights::kSharedBytes > 0 ? Tile::BackwardWeights::kSharedBytes : 16];
};

// What forward saved for a cell's token, the states before and after it, and the gradient of its output.
template <class CellType>
struct SavedCell {
  UnitValues<float, CellType::kSaved> saved;
  UnitState<float> before, after;  // what the cell does not read is not used
  float dy;
};

// The gradients of a unit, of those that backward stores, that flow to the state.
template <class CellType>
VARLSTM_DEVICE UnitValues<float, CellType::kGates> flowing_to_state(
    const UnitValues<float, kGradientsOf<CellType>>& gradients) {
  UnitValues<float, CellType::kGates> flowing;
  for (int gate = 0; gate < CellType::kGates; ++gate) {
    const bool plain = gate < CellType::kGates - CellType::kStateGates;
    flowing.of[gate] = gradients.of[plain ? gate : gate + CellType::kStateGates];
  }
  return flowing;
}

template <class Tile>
class BackwardCells {
  using Scalar = typename Tile::Scalar;
  using CellType = typename Tile::Cell;
  using Functions = typename Tile::Math::Functions;
  using Layer = LayerBackward<Scalar, float>;
  using Direction = DirectionBackward<Scalar, float>;
  using Gradients = UnitValues<float, kGradientsOf<CellType>>;
  static constexpr unsigned kCount = Tile::kUnits * Tile::kSlots;

 public:
  static constexpr int kCells = (kCount + Tile::kBackwardThreads - 1) / Tile::kBackwardThreads;

  // unit0: the block's first unit.
  VARLSTM_DEVICE BackwardCells(Cell kind, const Layer& layer, const Direction& dir, const TeamSchedule& schedule,
                               int64_t unit0)
      : kind_(kind), layer_(layer), dir_(dir), schedule_(schedule), unit0_(unit0) {
    for (int i = 0; i < kCells; ++i) {
      straight_[i] = {0, 0};
      now_[i] = idle_step();
      next_[i] = look(schedule_.steps() - 1, i);
      fetch(schedule_.steps() - 1, i);
    }
  }

  VARLSTM_DEVICE bool owns(int i) const { return index(i) < kCount; }
  VARLSTM_DEVICE int unit(int i) const { return static_cast<int>(index(i) % Tile::kUnits); }
  VARLSTM_DEVICE int slot(int i) const { return static_cast<int>(index(i) / Tile::kUnits); }

  // Writes dh0 of the sequence that began at the step of the turn before. `recurrent` is the sum of that turn.
  VARLSTM_DEVICE void finish(int i, float recurrent) const {
    const SlotStep& began = later_[i];
    if (began.row < 0 || !(began.marks & kTakesInitial) || dir_.dh0 == nullptr || !counts(i)) return;
    if constexpr (CellType::kPassesH) recurrent += straight_[i].h;
    dir_.dh0[static_cast<int64_t>(began.sequence) * layer_.hidden + unit0_ + unit(i)] = store_scalar<Scalar>(recurrent);
  }

  // Returns the gradients of the gates at `step`, whose token has been fetched.
  VARLSTM_DEVICE Gradients step(int64_t step, int i, float recurrent) {
    const SlotStep now = now_[i];
    const SavedCell<CellType> saved = saved_[i];
    later_[i] = now;
    fetch(step - 1, i);
    if (now.row < 0 || !counts(i)) return {};
    const int64_t hidden = layer_.hidden, at = static_cast<int64_t>(now.sequence) * hidden + unit0_ + unit(i);
    const bool ends = now.marks & kLastToken, gives = now.marks & kGivesFinal;
    UnitState<float> gradient = {saved.dy + (gives ? scalar_or_zero(dir_.dh_n, at) : ends ? 0.0f : recurrent), 0};
    if constexpr (CellType::kPassesH) gradient.h += ends ? 0.0f : straight_[i].h;
    if constexpr (CellType::kHasC) gradient.c = gives ? scalar_or_zero(dir_.dc_n, at) : ends ? 0.0f : straight_[i].c;
    const Gradients d = backward_unit<CellType, Functions>(kind_, saved.saved, saved.before, saved.after, &gradient);
    straight_[i] = gradient;
    Scalar* dgates = dir_.dgates + now.row * kGradientsOf<CellType> * hidden + unit0_ + unit(i);
    for (int k = 0; k < kGradientsOf<CellType>; ++k) dgates[k * hidden] = store_scalar<Scalar>(d.of[k]);
    if (CellType::kHasC && (now.marks & kTakesInitial) && dir_.dc0 != nullptr)
      dir_.dc0[at] = store_scalar<Scalar>(gradient.c);
    return d;
  }

 private:
  VARLSTM_DEVICE static unsigned index(int i) {
    return threadIdx.x + static_cast<unsigned>(i) * Tile::kBackwardThreads;
  }
  VARLSTM_DEVICE bool counts(int i) const { return unit0_ + unit(i) < layer_.hidden; }
  VARLSTM_DEVICE SlotStep look(int64_t step, int i) const {
    return owns(i) ? schedule_.at(step, slot(i)) : idle_step();
  }

  // now <- the entry of `step` and what forward saved for it; next <- the entry of the step before.
  VARLSTM_DEVICE void fetch(int64_t step, int i) {
    now_[i] = next_[i];
    next_[i] = look(step - 1, i);
    const SlotStep& now = now_[i];
    if (now.row < 0 || !counts(i)) return;
    const int64_t hidden = layer_.hidden, u = unit0_ + unit(i);
    const float* gates = dir_.gates + now.row * CellType::kSaved * hidden + u;
    SavedCell<CellType>& saved = saved_[i];
    for (int k = 0; k < CellType::kSaved; ++k) saved.saved.of[k] = gates[k * hidden];
    if constexpr (CellType::kHasC) saved.after.c = dir_.c[now.row * hidden + u];
    saved.dy = scalar_or_zero(dir_.dy, now.row * layer_.ldy + u);
    saved.before = {0, 0};
    if (now.marks & kTakesInitial) {
      const int64_t at = static_cast<int64_t>(now.sequence) * hidden + u;
      if constexpr (CellType::kReadsH) saved.before.h = scalar_or_zero(dir_.h0, at);
      if constexpr (CellType::kHasC) saved.before.c = scalar_or_zero(dir_.c0, at);
    } else if (!(now.marks & kFirstToken)) {
      const int64_t before = next_[i].row;
      if constexpr (CellType::kReadsH) saved.before.h = load_scalar(dir_.y[before * layer_.ldy + u]);
      if constexpr (CellType::kHasC) saved.before.c = dir_.c[before * hidden + u];
    }
  }

  const Cell kind_;
  const Layer& layer_;
  const Direction& dir_;
  const TeamSchedule& schedule_;
  const int64_t unit0_;
  SlotStep now_[kCells], next_[kCells], later_[kCells];
  SavedCell<CellType> saved_[kCells];
  UnitState<float> straight_[kCells];  // the gradient that goes straight to the step before
};

// Pushes the sums of row tiles of 16 units each. `row0` is the first unit of the first row tile.
template <class Exchange, int kSlotTiles, int kRows>
VARLSTM_DEVICE void push_parts(Exchange& exchange, int64_t turn, int row0,
                               const simt::f32x4 (&sums)[kSlotTiles][kRows]) {
#pragma unroll
  for (int n = 0; n < kSlotTiles; ++n) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int unit = row0 + r * 16 + lane_row(), slot = n * 8 + 2 * lane_column();
      exchange.push(turn, {unit, slot}, {{sums[n][r].r[0], sums[n][r].r[1]}});
      exchange.push(turn, {unit + 8, slot}, {{sums[n][r].r[2], sums[n][r].r[3]}});
    }
  }
}

template <class Tile, class Exchange>
VARLSTM_KERNEL void __launch_bounds__(Tile::kBackwardThreads, 1)
    resident_backward_kernel(Cell kind, LayerBackward<typename Tile::Scalar, float> layer, SlotSchedule schedule,
                             int64_t teams, const Fragment* arranged, GridBackwardArea<Tile>* areas) {
  using Cells = BackwardCells<Tile>;
  using Math = typename Tile::Math;
  auto& shared = *simt::shared_memory<BackwardShared<Tile, Exchange>>();
  const Team team = this_team<Tile>(teams);
  const DirectionBackward<typename Tile::Scalar, float>& dir = layer.direction[team.direction];
  const TeamSchedule team_schedule(schedule, team);
  Exchange exchange(shared.exchange, areas == nullptr ? nullptr : areas + team.direction * teams + team.index, team);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int unit0 = team.rank * Tile::kUnits;
  const int row0 = warp * Tile::kRowTiles * 16;  // the warp's first unit of the product

  // Phase 1: load the weights.
  typename Tile::BackwardWeights weights;
  weights.load(arranged_for<Tile, BackwardPlace<Tile>>(arranged, team.direction, team.rank, warp),
               shared.weights[warp]);
  exchange.begin();

  // Phase 2: the steps in reverse.
  const int64_t steps = team_schedule.steps();
  Cells cells(kind, layer, dir, team_schedule, unit0);
#pragma unroll 1
  for (int64_t turn = 0; turn < steps; ++turn) {
    if (turn > 0) exchange.wait(turn - 1);
#pragma unroll
    for (int i = 0; i < Cells::kCells; ++i) {
      if (!cells.owns(i)) break;
      const int unit = cells.unit(i), slot = cells.slot(i);
      float recurrent = 0;
      if (turn > 0) {
        recurrent = exchange.sum(turn - 1, unit, slot);
        cells.finish(i, recurrent);
      }
      const auto d = flowing_to_state<typename Tile::Cell>(cells.step(steps - 1 - turn, i, recurrent));
      for (int k = 0; k < Tile::Cell::kGates; ++k) shared.dstate[slot][k * Tile::kUnits + unit] = Math::round(d.of[k]);
    }
    simt::block_sync();  // S5
#pragma unroll
    for (int first = 0; first < Tile::kRowTiles; first += Tile::kRowTilesAtOnce) {
      simt::f32x4 sums[Tile::kSlotTiles][Tile::kRowTilesAtOnce] = {};
      weights.product(shared.dstate[0], Tile::kGatesPitch, sums, first);
      push_parts(exchange, turn, row0 + first * 16, sums);
    }
    exchange.publish(turn);
  }

  // Phase 3: dh0 of the sequences that began at step 0.
  if (steps > 0) {
    exchange.wait(steps - 1);
#pragma unroll
    for (int i = 0; i < Cells::kCells; ++i) {
      if (!cells.owns(i)) break;
      cells.finish(i, exchange.sum(steps - 1, cells.unit(i), cells.slot(i)));
    }
  }
  exchange.end();
}

}  // namespace varlstm::cuda
