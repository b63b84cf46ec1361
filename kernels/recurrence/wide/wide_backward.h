// Backward of a cell over one layer, resident, for teams of many slots: the same formulas, schedule and owners' work as
// in resident/resident_backward.h, with products of warpgroups. sm_90a. Not measured on a GPU.
//
//   dh[slot, u] = dy[row, u] + sum over k < GH of dstate[row after, k] * w_hh[k, u]
//
// In each turn of a team a block multiplies its quarter of the depth of its quad's 64 units, for all slots of the team
// (quarter_product.h). Weights [k, unit], which stay in shared memory, are A; stages of dstate [slot, k], which flow
// through a ring (stage_ring.h), are B. The sums of all quarters of a unit, its parts, meet in the block that finishes
// it, by st.async. There the owners of its cells (backward_cells.h) add them, and give dgates to memory, and dstate to
// the team through global memory (team_exchange.h), in stages as the ring takes them. All blocks read what all blocks
// wrote, those that share a stage once. If a block works for two teams, these share nothing but the weights and the
// tensor cores: while one multiplies, the other passes on its parts and its dstate. The first warpgroup of a team
// multiplies and owns cells, or a third one only multiplies (quarter_multiplier.h).
// Grid: kBlocks x sets x directions; block b of a set is quarter b % 4 of quad b / 4. Team t is in set t % sets.
//   W0: after it weights and mbarriers are ready in all blocks of the cluster, and visible to the async proxy.
//   W1: the parts of a turn are there: parts_full counts their bytes. There is one buffer. Nobody pushes into it for
//       the next turn before its readers are done: a push needs dstate of the next turn from all blocks (T2), and a
//       warpgroup arrives with its share (T1) when its threads have read their parts of this turn.
//   W2: a thread announces the bytes of the next turn after W1 of this one and before its T1, which the pushes need.
//   W3: no block ends before its peers have pushed to it and released the stages that it fills.
//   R1 to R3: of stage_ring.h. T1 to T3: of team_exchange.h. The values of a turn are there those of a step.
// Bytes from L2 of a step and team: H / 64 / kSharers * G H kSlots 2. Products of a step, team and block: G H / 4 * 64
// * kSlots, 2,048 a clock. They overlap with those of the other team; the way from the last product of a turn to the
// first of the next one does so only if there is another team.
// Sums are in f32, in the order that wide_backward_tile.h says, so the bits do not depend on slots and batch. dgates
// are rounded to the dtype when they are stored, and so multiplied; dc and what goes straight to the step before stay
// in f32. Mirrored by host/rnn.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/backward_cells.h"
#include "kernels/recurrence/wide/quarter_multiplier.h"

namespace varlstm::cuda {

// The parts as BackwardCells adds them.
template <class Tile>
struct PartsOfQuarters {
  const typename Tile::Parts& parts;

  // Adding 0 turns -0 into 0, as if the quarters were added to 0 in order.
  template <int kOwnSlots, int kWide>
  VARLSTM_DEVICE void sums(unsigned, int unit, int slot, float (&sums)[kOwnSlots][kWide]) const {
    parts.add(unit, slot, sums);
    if constexpr (!Tile::kGridOrder)
      for (int s = 0; s < kOwnSlots; ++s)
        for (int w = 0; w < kWide; ++w) sums[s][w] += 0.0f;
  }
};

// Starts the copies of the stages of a turn, when all blocks have written them; called by a warp.
template <class Tile>
VARLSTM_DEVICE void fill_ring(unsigned turn, int quarter, const TeamExchange<typename Tile::Area>& exchange,
                              StageFiller<typename Tile::Ring>& filler, int slots) {
  const unsigned bytes = Tile::kStreamed ? static_cast<unsigned>(slots) * kLineBytes : Tile::kStageBytes;
  exchange.wait(turn);
  if (threadIdx.x % 32 == 0) {
#pragma unroll 1
    for (int i = 0; i < Tile::kStages; ++i) filler.fill(stage_of_quarter<Tile>(exchange, turn, quarter, i), bytes);
  }
  simt::warp_sync();
}

// The bytes of the parts of a turn that come to a block.
template <class Tile>
VARLSTM_DEVICE unsigned part_bytes(int slots) {
  return Tile::kSlotPartBytes * static_cast<unsigned>(Tile::kStreamed ? slots : Tile::kSlots);
}

// Called by the warp that streams the weights. It is as far ahead as the ring allows when a turn ends, because then it
// takes part in what all warps do: in a turn it starts as many copies as the product releases, of which the last ones
// are for the next turn, and none after the last turn. Nothing of it is kept from turn to turn.
template <class Tile>
VARLSTM_DEVICE void stream_weights(unsigned turn, bool last, const unsigned char* stages,
                                   WideBackwardShared<Tile>& shared) {
  constexpr uint32_t kOfTurn = Tile::kStages - Tile::kKeptStages, kAhead = Tile::kWeightSlots,
                     kPeriod = Tile::kEvery - 1;
  if (threadIdx.x % 32 == 0) {
    uint32_t next = turn * kOfTurn + (turn > 0 ? kAhead : 0);
    const uint32_t end = (turn + 1) * kOfTurn + (last ? 0 : kAhead);
    StageFiller<typename Tile::WeightRing> filler(shared.weight_ring, next);
#pragma unroll 1
    for (; next < end; ++next) {
      const uint32_t streamed = next % kOfTurn, stage = streamed / kPeriod * Tile::kEvery + streamed % kPeriod + 1;
      filler.fill(stages + uint64_t{stage} * kStreamedStageBytes);
    }
  }
  simt::warp_sync();
}

// The product of threads that only own cells.
struct NoProduct {
  template <class Team>
  VARLSTM_DEVICE explicit NoProduct(const Team&) {}
  template <class Shared, class Team>
  VARLSTM_DEVICE void run(Shared&, const Team&, unsigned) {}
};

// All turns of a team, by the threads that own cells.
template <class Tile>
VARLSTM_DEVICE void run_turns(Cell kind, const LayerBackward<typename Tile::Scalar, float>& layer,
                              const DirectionBackward<typename Tile::Scalar, float>& dir, const TeamSchedule& schedule,
                              WideBackwardShared<Tile>& shared, const WideBackwardTeam<Tile>& team,
                              typename Tile::Area* area, [[maybe_unused]] const unsigned char* arranged) {
  using Cells = BackwardCells<Tile>;
  TeamExchange<typename Tile::Area> exchange(area);
  const QuadPlace place_of_block = quad_place<Tile>();
  Cells cells(kind, layer, dir, schedule,
              (place_of_block.quad * Tile::kQuarters + place_of_block.quarter) * Tile::kUnits);
  std::conditional_t<Tile::kMultiplier, NoProduct, QuarterProduct<Tile>> product(team);
  StageFiller<typename Tile::Ring> filler(team.ring);
  typename Cells::Recurrent recurrent = {};
  cells.template prepare<true>();
#pragma unroll 1
  for (unsigned turn = 0;; ++turn) {
    typename Cells::Stored stored;
    cells.template turn<true>(recurrent, &stored);
    unsigned thread = threadIdx.x;
    int place = cells.dstate_place();
    simt::keep(thread);  // what is computed from these takes no registers from turn to turn
    simt::keep(place);
    const QuadPlace at = quad_place<Tile>();
    write_values<Tile, Cells>(exchange.values(turn, at.quad), at, place, stored);
    exchange.arrive(at.quad, 1 + thread / 128);
    const bool last = cells.is_last();
    if (last) {
      cells.store(stored);
    } else {
      cells.go_on(stored);
      cells.template prepare<true>();
    }
    thread %= Tile::kBackwardThreads;
    if (thread < 128)
      product.run(shared, team, turn);
    else if (thread < 160)
      fill_ring<Tile>(turn, quad_place<Tile>().quarter, exchange, filler, team.slots);
    else if constexpr (Tile::kStreamed)
      if (thread < 192) {
        unsigned block = blockIdx.x;
        simt::keep(block);
        const auto* const stages = stages_of_block<Tile>(arranged, &dir - layer.direction, block % Tile::kBlocks);
        stream_weights<Tile>(turn, last, stages, shared);
      }
    simt::mbarrier_wait_bytes(team.parts_full(), turn % 2, "a turn's parts of the quad");       // W1
    if (thread == 0) simt::mbarrier_announce(team.parts_full(), part_bytes<Tile>(team.slots));  // W2
    cells.add_parts(PartsOfQuarters<Tile>{team.parts}, turn, &recurrent);
    if (last) break;
  }
  cells.finish_last(recurrent);
}

// The same by a warpgroup that only multiplies.
template <class Tile>
VARLSTM_DEVICE void multiply_turns(const TeamSchedule& schedule, WideBackwardShared<Tile>& shared,
                                   const WideBackwardTeam<Tile>& team) {
  QuarterMultiplier<Tile> product(shared, team);
  const auto steps = static_cast<unsigned>(schedule.steps());
#pragma unroll 1
  for (unsigned turns = steps + steps % 2; turns > 0; --turns) product.run_turn();  // as many as BackwardCells has
}

// teams, sets: of each direction. arranged: the weights, if they are streamed.
template <class Tile>
VARLSTM_KERNEL void __launch_bounds__(Tile::kThreads, 1)
    wide_backward_kernel(Cell kind, LayerBackward<typename Tile::Scalar, float> layer, SlotSchedule schedule,
                         int64_t teams, int64_t sets, typename Tile::Area* areas, const unsigned char* arranged) {
#if VARLSTM_HAS_WGMMA
  auto& shared = *simt::shared_memory<WideBackwardShared<Tile>>();
  const int64_t set = static_cast<int64_t>(blockIdx.x) / Tile::kBlocks;
  const QuadPlace at = quad_place<Tile>();
  const bool multiplies = Tile::kMultiplier && threadIdx.x >= Tile::kBackwardThreads;
  const int of_block = Tile::kMultiplier ? 0 : static_cast<int>(threadIdx.x / Tile::kBackwardThreads);
  const int64_t direction = set / sets, team = set % sets + sets * of_block;
  const DirectionBackward<typename Tile::Scalar, float>& dir = layer.direction[direction];
  const int slots = Tile::kStreamed ? static_cast<int>(schedule.team_slots) : Tile::kSlots;
  if (threadIdx.x == 0) {
    for (typename Tile::Ring& ring : shared.rings) {
      ring.begin();
      simt::mbarrier_init(&ring.beside, 1);
      simt::mbarrier_announce(&ring.beside, part_bytes<Tile>(slots));
    }
    if constexpr (Tile::kStreamed) shared.weight_ring.begin();
  }
  const unsigned char* const stages = stages_of_block<Tile>(arranged, direction, blockIdx.x % Tile::kBlocks);
  if constexpr (Tile::kStreamed) {
    load_kept<Tile>(stages, shared.weights);
    simt::async_proxy_fence();
  } else {
    load_quarter<Tile>(dir.w_hh, at, shared.weights);
  }
  simt::cluster_sync();  // W0
  if (team < teams) {
    const TeamSchedule of_team(schedule, {team, direction, 0});
    const WideBackwardTeam<Tile> in_block = {shared.rings[of_block], shared.parts[of_block], slots};
    if (of_team.steps() == 0) {
      // nothing to do
    } else if (multiplies) {
      if constexpr (Tile::kMultiplier) multiply_turns<Tile>(of_team, shared, in_block);
    } else {
      run_turns<Tile>(kind, layer, dir, of_team, shared, in_block, areas + direction * teams + team, arranged);
    }
  }
  simt::cluster_sync();  // W3
#else
  (void)kind, (void)layer, (void)schedule, (void)teams, (void)sets, (void)areas, (void)arranged;
  __trap();  // runs_wgmma() is false where there is no code for sm_90a
#endif
}

}  // namespace varlstm::cuda
