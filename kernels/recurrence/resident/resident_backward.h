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
// Block: kBackwardWarps warps, each with kRowTiles row tiles of 16 units. A thread owns cells (backward_cells.h), and
// keeps their dc and what goes straight to the step before in registers.
//   S0 to S3: of the exchange (backward_exchange.h).
//   S5: after it the turn's dstate are in shared memory, and no thread reads the parts of the turn before any more.
//   dstate have two buffers, which turns use by turns: those of turn + 2 are written by threads that have passed S5 of
//   turn + 1, which every warp reaches after its product of turn. The exchange's wait alone would not be enough for one
//   buffer: a warp whose units belong to other blocks pushes nothing to its own block.
// The row tiles of the product are computed kRowTilesAtOnce at a time, because the sums of all would not fit in
// registers together with the weights.
// Bytes of a step and team: rows of gates S H 4, c H 4, y H e if the cell reads h, and dy H e in; dgates G' H e out;
// and H kSlots kBlocks 4 of parts. Bound by latency: a turn waits for the sum, the cell, a barrier, the product and the
// exchange. While the parts are under way, dgates are stored, the next turn is prepared, and the loads of a later one
// are asked for.
// Sums are in f32: kBackwardChains chains over the block's gates in the order of state_place(), the first two tiles of
// the depth beginning one each; then the chains in order; then the blocks in order (grid: in groups,
// grid_backward_exchange.h); then the element of dy, and at last what went straight to this step. Results are
// bit-identical from run to run and whatever else is in the batch; another kBlocks gives other bits. dgates are rounded
// to the dtype when they are stored, and to the math's type when they are multiplied; dc and what goes straight to the
// step before stay in f32. Mirrored by host/rnn.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/arrange_weights.h"
#include "kernels/recurrence/resident/backward_cells.h"
#include "kernels/recurrence/resident/backward_exchange.h"
#include "kernels/recurrence/resident/grid_backward_exchange.h"

namespace varlstm::cuda {

template <class Tile, class Exchange>
struct BackwardShared {
  typename Exchange::Shared exchange;
  alignas(16) typename Tile::Value dstate[2][Tile::kSlots][Tile::kGatesPitch];
  alignas(16) unsigned char weights[Tile::kBackwardWarps]
                                   [Tile::BackwardWeights::kSharedBytes > 0 ? Tile::BackwardWeights::kSharedBytes : 16];
};

// Pushes the sums of row tiles, of which the first is row tile `first` of the warp.
template <class Exchange, int kSlotTiles, int kRows>
VARLSTM_DEVICE void push_parts(Exchange& exchange, unsigned turn, int first,
                               const simt::f32x4 (&sums)[kSlotTiles][kRows]) {
#pragma unroll
  for (int n = 0; n < kSlotTiles; ++n) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) exchange.push(turn, first + r, n * 8, sums[n][r]);
  }
}

template <class Tile, class Exchange>
VARLSTM_KERNEL void __launch_bounds__(Tile::kBackwardThreads, 1)
    resident_backward_kernel(Cell kind, LayerBackward<typename Tile::Scalar, float> layer, SlotSchedule schedule,
                             int64_t teams, const Fragment* arranged, GridBackwardArea<Tile>* areas) {
  using Cells = BackwardCells<Tile>;
  auto& shared = *simt::shared_memory<BackwardShared<Tile, Exchange>>();
  const Team team = this_team<Tile>(teams);
  const DirectionBackward<typename Tile::Scalar, float>& dir = layer.direction[team.direction];
  const TeamSchedule team_schedule(schedule, team);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int row0 = warp * Tile::kRowTiles * 16;  // the warp's first unit of the product
  Exchange exchange(shared.exchange, areas == nullptr ? nullptr : areas + team.direction * teams + team.index, team,
                    row0);

  // Phase 1: load the weights.
  typename Tile::BackwardWeights weights;
  weights.load(arranged_for<Tile, BackwardPlace<Tile>>(arranged, team.direction, team.rank, warp),
               shared.weights[warp]);
  exchange.begin();

  // Phase 2: the steps in reverse. The two turns of a round use the two buffers of the exchange.
  if (team_schedule.steps() > 0) {
    Cells cells(kind, layer, dir, team_schedule, team.rank * Tile::kUnits);
    typename Cells::Recurrent recurrent = {};
    int place = Tile::BackwardWeights::place_of_lane(Tile::kGatesPitch);  // the same in every turn
    simt::keep(place);
    const auto give = [&](unsigned turn) {
      typename Cells::Stored stored;
      cells.turn(recurrent, &stored);
      cells.write_dstate(shared.dstate[turn % 2][0], stored);
      simt::block_sync();  // S5
#pragma unroll
      for (int first = 0; first < Tile::kRowTiles; first += Tile::kRowTilesAtOnce) {
        simt::f32x4 sums[Tile::kSlotTiles][Tile::kRowTilesAtOnce] = {};
        weights.template product_from<Tile::kBackwardChains>(shared.dstate[turn % 2][0] + place, Tile::kGatesPitch,
                                                             sums, first);
        push_parts(exchange, turn, first, sums);
      }
      exchange.publish(turn);  // before the stores, which no block waits for
      return stored;
    };
    const auto take = [&](unsigned turn, unsigned phase) {
      exchange.wait(turn, phase);
      cells.add_parts(exchange, turn, &recurrent);
      exchange.renew(turn);
    };
    // Two turns a round, because turns use two buffers by turns, and one branch that leaves the loop. If the number of
    // steps is odd, the first turn has no tokens.
#pragma unroll 1
    for (unsigned round = 0;; ++round) {
      unsigned phase = round % 2;
      simt::keep(phase);
      cells.go_on(give(2 * round));
      take(2 * round, phase);
      const auto stored = give(2 * round + 1);
      if (cells.is_last()) {
        // Phase 3: dh0 and dc0 of the sequences that began at step 0.
        cells.store(stored);
        take(2 * round + 1, phase);
        cells.finish_last(recurrent);
        break;
      }
      cells.go_on(stored);
      take(2 * round + 1, phase);
    }
  }
  exchange.end();
}

}  // namespace varlstm::cuda
