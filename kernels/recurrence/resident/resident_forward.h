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
// reads it, in registers from step to step, and asks for their x-gates one step ahead (forward_cells.h). Shared memory:
// ForwardShared.
//   S0 to S3: of the exchange (forward_exchange.h).
//   S4: after it the sums of the other splits are in shared memory. They are not overwritten before the next wait,
//   which completes only after every warp that reads them has pushed. S4 also guards the exchange's buffer: the warps
//   that push nothing have read it before any other warp of the block pushes.
// In the chain from step to step are the wait, the product, the cells' functions and the push. All else of a step comes
// after the push: what is saved, and what the next steps ask for. The last step is like the others: it pushes states
// too, which no step reads, and for which a cluster waits before it ends.
// Bytes of a step and team: rows of gates G H 4 in (and S H 4 out if they are saved), c H 4 if saved, y H e, and
// kBlocks H kSlots e of states pushed. Bound by the latency of product and exchange, not by bytes. Sums are in f32: in
// each split a chain over the even tiles of the depth, plus one over the odd tiles (in F32Math one chain over k); then
// the splits in order, then b_hh, then the pre-activation. Two chains take half as long as one. Exchanged values are
// rounded to the math's type; the h that a unit reads of its own is rounded to the dtype, as in y; c stays in f32. The
// order depends only on the policy, the math and H, so results are bit-identical from run to run and whatever else is
// in the batch. The saved values overwrite the x-gates. Mirrored by host/rnn.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/arrange_weights.h"
#include "kernels/recurrence/resident/forward_cells.h"
#include "kernels/recurrence/resident/forward_exchange.h"
#include "kernels/recurrence/resident/grid_forward_exchange.h"

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

// Gives the sums of this split to the warps that own the slot tiles.
template <class Tile, class Exchange>
VARLSTM_DEVICE void share_sums(ForwardShared<Tile, Exchange>& shared, int group, int split,
                               const simt::f32x4 (&sums)[Tile::kSlotTiles][Tile::kGateTiles]) {
#pragma unroll
  for (int n = 0; n < Tile::kSlotTiles; ++n)
    for (int r = 0; r < Tile::kGateTiles; ++r) shared.splits.of[split][n][group][r][threadIdx.x % 32].sums = sums[n][r];
  simt::block_sync();  // S4
}

// sums <- those of a slot tile over all splits, in their order.
template <class Tile, class Exchange>
VARLSTM_DEVICE void add_splits(const ForwardShared<Tile, Exchange>& shared, int group, int slot_tile,
                               simt::f32x4 (&sums)[Tile::kGateTiles]) {
#pragma unroll
  for (int r = 0; r < Tile::kGateTiles; ++r) {
    sums[r] = shared.splits.of[0][slot_tile][group][r][threadIdx.x % 32].sums;
#pragma unroll
    for (int other = 1; other < Tile::kSplits; ++other) {
      const simt::f32x4 more = shared.splits.of[other][slot_tile][group][r][threadIdx.x % 32].sums;
      for (int k = 0; k < 4; ++k) sums[r].r[k] += more.r[k];
    }
  }
}

// Whether a warp does all of a step for one slot tile after the other. It must own them all, and read again what it has
// of its weights in shared memory, which is little if they are in registers. Fewer sums are then in registers together.
template <class Tile>
constexpr bool kTileAfterTile = Tile::kSplits == 1 && Tile::ForwardWeights::kMostInRegisters;

// The neighbours of a layer on its own: its x-gates are already in dir.gates, and no layer waits for its outputs.
// LayerNeighbours of resident_layers.h is the counterpart for a layer of a stack.
template <class Tile>
struct NoNeighbours {
  static constexpr bool kGives = false;  // outputs to a layer that waits for them
  VARLSTM_DEVICE void ask(const Step&) {}
  VARLSTM_DEVICE void take(const Step&, ForwardCells<Tile>&) {}
  VARLSTM_DEVICE void give(const Step&, const ForwardCells<Tile>&,
                           const StepResult<Tile> (&)[ForwardCells<Tile>::kTiles]) {}
};

// Runs all steps of a team, of which there must be at least one. Steps are counted in 32 bits: each has an entry of 16
// bytes for every slot, so there are fewer.
template <class Tile, class Exchange, class Neighbours>
VARLSTM_DEVICE void forward_steps(uint32_t steps, const typename Tile::ForwardWeights& weights, Exchange& exchange,
                                  ForwardShared<Tile, Exchange>& shared, ForwardCells<Tile>& cells,
                                  Neighbours& neighbours) {
  using Cells = ForwardCells<Tile>;
  // A thread saves right after its push, unless somebody waits for what else it does then.
  constexpr bool kSavesAtOnce = !Exchange::kPublishes && !Neighbours::kGives;
  const int warp = simt::shfl(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0), group = warp % Tile::kGroups,
            split = warp / Tile::kGroups;

  // The first states.
  neighbours.ask(Step{});
#pragma unroll
  for (int i = 0; i < Cells::kTiles; ++i) {
    if (!cells.owns(i)) break;
    const StatePair<Tile> state = cells.begin(i);
    exchange.push(Step{}, cells.slot_tile(i), state.rounded);
  }
  cells.look_ahead(1);
  exchange.publish(Step{});
  neighbours.take(Step{}, cells);

  // Two steps at a time, so that it is known of each which buffer is its own.
  bool ends = false;
#pragma unroll 1
  for (uint32_t pair = 0; !ends; ++pair) {
#pragma unroll
    for (int odd = 0; odd < 2; ++odd) {
      if (ends) break;
      const Step step{pair, odd};
      ends = step.number() + 1 == steps;
      cells.ask(step);
      neighbours.ask(step.next());
      const StateBuffer<Tile>& states = exchange.wait(step);
      simt::f32x4 sums[Tile::kSlotTiles][Tile::kGateTiles] = {};
      if constexpr (!kTileAfterTile<Tile>)
        weights.product_by_unit(states.h[0][split * Tile::kForwardDepth], StateBuffer<Tile>::kDistance, sums);
      if constexpr (Tile::kSplits > 1) share_sums<Tile, Exchange>(shared, group, split, sums);
      StepResult<Tile> results[Cells::kTiles];
#pragma unroll
      for (int i = 0; i < Cells::kTiles; ++i) {
        if (!cells.owns(i)) break;
        if constexpr (kTileAfterTile<Tile>) weights.product_by_unit(states.h[i][0], sums[i]);
        if constexpr (Tile::kSplits > 1) add_splits<Tile, Exchange>(shared, group, cells.slot_tile(i), sums[i]);
        if (i == 0) exchange.arm(step);
        results[i] = cells.template step<kSavesAtOnce>(step, i, sums[i], [&](const StatePair<Tile>& next) {
          exchange.push(step.next(), cells.slot_tile(i), next.rounded);
        });
      }
      exchange.publish(step.next());  // before the saves, which no block waits for
      neighbours.give(step, cells, results);
      if constexpr (!kSavesAtOnce) {
#pragma unroll
        for (int i = 0; i < Cells::kTiles; ++i) {
          if (!cells.owns(i)) break;
          cells.save(step, i, results[i]);
        }
      }
      neighbours.take(step.next(), cells);
    }
  }
  exchange.drain(steps);
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
  const int warp = simt::shfl(0xffffffffu, static_cast<int>(threadIdx.x / 32), 0), group = warp % Tile::kGroups,
            split = warp / Tile::kGroups;
  const int unit = team.rank * Tile::kUnits + group * 8 + lane_row();  // of this thread's cells

  // Phase 1: load the weights.
  typename Tile::ForwardWeights weights;
  weights.load(arranged_for<Tile, ForwardPlace<Tile>>(arranged, team.direction, team.rank, warp), shared.weights[warp]);
  exchange.begin(unit);

  // Phase 2: the steps. A team without tokens pushes nothing, because no block would wait for the push, and it could
  // arrive after a block has ended.
  const auto steps = simt::shfl(0xffffffffu, static_cast<uint32_t>(team_schedule.steps()), 0);
  if (steps > 0) {
    ForwardCells<Tile> cells(kind, layer, dir, team_schedule, split, unit, true);
    NoNeighbours<Tile> alone;
    forward_steps(steps, weights, exchange, shared, cells, alone);
  }
  exchange.end();
}

}  // namespace varlstm::cuda
