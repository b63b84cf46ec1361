// Forward of a cell over one layer by wide teams, resident (wide_tile.h). Not measured on a GPU.
//
//   s[slot, gate, u] = sum_k h[slot, k] * w_hh[gate * H + u, k]  (+ b_hh[gate * H + u]);  the saved values, c, h' from
//   the x-gates and s as in the cell's file of kernels/cells
//
// Shapes as in recurrence.h, the schedule as in slot_schedule.h, its teams of kSlots slots. Grid: kBlocks x sets x
// directions. Block: kTeams warpgroups and kFillers warps, one for each ring. Shared memory: WideForwardShared. The
// states of a step go through the team's area in global memory (team_exchange.h) and a ring (stage_ring.h), already in
// the layout of wgmma, whose rows are slots and whose columns are gates: column (8-unit tile * G + gate) * 8 + unit %
// 8, so that a thread has all gates of its units.
//   W1: after it the weights are in shared memory, fenced for wgmma, and the rings of the cluster are ready.
//   W2: no block ends before its peers have released their stages at its mbarriers.
//   T1 to T3, R1 to R3: of the exchange and the ring.
// A warpgroup releases a stage when its product is done, one stage later than it starts it. The last step is like the
// others: it passes states on, which no step reads.
// Where the weights are streamed (weight_stream.h) a team has schedule.team_slots slots: the rows of a product that are
// no slot's have sums that nobody reads. Bytes of a step: each block reads a state of kSlots H 2 for each team; from L2
// it comes once a cluster. Bound by shared memory: of a team's step wgmma reads (kSlots + G kUnits) H 2 and the copies
// write kSlots H 2. So two teams of an LSTM at H = 1024 take 6,144 clocks at 128 bytes a clock, in which each hides its
// exchange and its cells behind the other's product. In global memory as resident_forward.h. Sums are in f32, in the
// order of the tile, which depends on H alone; h is rounded to the dtype when it is passed on, c stays in f32. So
// results are bit-identical whatever else is in the batch, and those of the policy whose order it is. Mirrored by
// host/rnn.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>

#include "kernels/recurrence/wide/weight_stream.h"
#include "kernels/recurrence/wide/wide_cells.h"

namespace varlstm::cuda {

template <class Tile, bool = Tile::kStreamed>
struct WideForwardShared {
  alignas(1024) unsigned char weights[Tile::kStages][Tile::kWeightBytes];
  typename Tile::Ring ring[Tile::kTeams];
};
template <class Tile>
struct WideForwardShared<Tile, true> {
  alignas(1024) unsigned char weights[Tile::kKeptStages][Tile::kWeightBytes];
  typename Tile::Ring ring[Tile::kTeams];
  typename Tile::WeightRing weight_ring;
};

// The gate and unit of a line of the weights.
template <class Tile>
VARLSTM_DEVICE int64_t row_of_line(int rank, int line) {
  const int gate = line / 8 % Tile::Cell::kGates, unit = line / 8 / Tile::Cell::kGates * 8 + line % 8;
  return int64_t{gate} * Tile::kHidden + rank * Tile::kUnits + unit;
}
template <class Tile>
struct ForwardStagePlace {
  static constexpr bool kAlongK = true;
  VARLSTM_DEVICE static int64_t at(int block, int line, int k) {
    return row_of_line<Tile>(block, line) * Tile::kHidden + k;
  }
};

// weights <- the gates of the block's units, as wgmma reads B: a line is a gate of a unit.
template <class Tile>
VARLSTM_DEVICE void load_wide_weights(unsigned char (&weights)[Tile::kStages][Tile::kWeightBytes],
                                      const typename Tile::Scalar* w_hh, int rank) {
  using Value = typename Tile::Value;
  constexpr int kWord = 16 / sizeof(Value), kLineWords = Tile::kHidden / kWord;
  const bool aligned = reinterpret_cast<uintptr_t>(w_hh) % 16 == 0;
  for (int at = static_cast<int>(threadIdx.x); at < Tile::kColumns * kLineWords; at += Tile::kThreads) {
    const int line = at / kLineWords, k = at % kLineWords * kWord;
    const typename Tile::Scalar* from = w_hh + row_of_line<Tile>(rank, line) * Tile::kHidden + k;
    unsigned char* const to = weights[k / Tile::kDepthOfStage] + place_in_stage<Value>(line, k % Tile::kDepthOfStage);
    simt::b32x4 word;
    if (aligned)
      word = *reinterpret_cast<const simt::b32x4*>(from);
    else
      memcpy(&word, from, sizeof word);
    if constexpr (sizeof(Value) == 4)
      for (uint32_t& value : word.r) {
        float scalar;
        memcpy(&scalar, &value, sizeof scalar);
        value = Tile::Math::value_of(scalar);
      }
    *reinterpret_cast<simt::b32x4*>(to) = word;
  }
}

#if VARLSTM_HAS_WGMMA

// Weights that are all in shared memory.
template <class Tile>
struct KeptWeights {
  const unsigned char (&weights)[Tile::kStages][Tile::kWeightBytes];

  VARLSTM_DEVICE const unsigned char* wait(int first, int stage) const { return weights[first + stage]; }
  VARLSTM_DEVICE void release(int) const {}
};
template <class Tile>
VARLSTM_DEVICE auto weights_of(WideForwardShared<Tile>& shared) {
  if constexpr (Tile::kStreamed)
    return StreamedWeights<Tile>(shared.weights[0], shared.weight_ring);
  else
    return KeptWeights<Tile>{shared.weights};
}

// total <- the product of the next state in the ring, in the tile's order.
template <class Tile, class Weights>
VARLSTM_DEVICE void multiply_state(StageReader<typename Tile::Ring>& reader, Weights& weights,
                                   float (&total)[Tile::kColumns / 2]) {
  constexpr int kSums = Tile::kColumns / 2, kChains = Tile::kChains, kBlocksOfStage = kLineBytes / 32;
  constexpr auto kType = kMatrixOf<typename Tile::Math>;
  constexpr auto kSwizzle = simt::MatrixSwizzle::k128;
#pragma unroll
  for (int i = 0; i < kSums; ++i) total[i] = Tile::kAddsZeros ? 0.0f : -0.0f;  // -0 changes no sum it is added to
#pragma unroll 1
  for (int part = 0; part < Tile::kParts; ++part) {
    float sums[kChains][kSums];
#pragma unroll
    for (int stage = 0; stage < Tile::kPartStages; ++stage) {
      const uint64_t a = simt::matrix_descriptor(reader.wait(), kLineBytes, 8 * kLineBytes, kSwizzle);
      const uint64_t b =
          simt::matrix_descriptor(weights.wait(part * Tile::kPartStages, stage), kLineBytes, 8 * kLineBytes, kSwizzle);
      simt::wgmma_fence();
#pragma unroll
      for (int block = 0; block < kBlocksOfStage; ++block)
        simt::wgmma<kType>(sums[block % kChains], simt::advance_descriptor(a, block * 32),
                           simt::advance_descriptor(b, block * 32), stage > 0 || block >= kChains);
      simt::wgmma_commit();
      if (stage == 0) continue;
      simt::wgmma_wait<1>();
      reader.release();
      weights.release(stage - 1);
    }
#pragma unroll
    for (int chain = 0; chain < kChains; ++chain) simt::wgmma_wait<0>(sums[chain]);
    reader.release();
    weights.release(Tile::kPartStages - 1);
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      float sum = sums[0][i];
      if constexpr (kChains == 2) sum += sums[1][i];
      total[i] += sum;
    }
  }
}

// The warpgroup of a team with steps.
template <class Tile>
VARLSTM_DEVICE void advance_slots(Cell kind, const LayerForward<typename Tile::Scalar, float>& layer,
                                  const TeamSchedule& schedule, const WidePlace& place, typename Tile::Area* area,
                                  WideForwardShared<Tile>& shared) {
  const int warp = static_cast<int>(threadIdx.x) / 32 % 4;
  WideCells<Tile> cells(kind, layer, layer.direction[place.direction], schedule, warp * 16,
                        int64_t{place.rank} * Tile::kUnits);
  StageReader<typename Tile::Ring> reader(shared.ring[place.warpgroup]);
  auto weights = weights_of<Tile>(shared);
  TeamExchange<typename Tile::Area> exchange(area);
  const int part = place.rank / Tile::kStageBlocks;
  const int first = place.rank % Tile::kStageBlocks * Tile::kUnits + 2 * lane_column();  // value of k in the part
  const auto push_for = [&](uint32_t step) {
    unsigned char* const to = exchange.values(step, part);
    return [&cells, to, first](int s, int pair, typename Tile::Math::Pair word) {
      *reinterpret_cast<typename Tile::Math::Pair*>(
          to + place_in_stage<typename Tile::Value>(cells.slot(s), first + 8 * pair)) = word;
    };
  };
  const auto barrier = static_cast<unsigned>(1 + place.warpgroup);
  cells.begin(push_for(0));
  exchange.arrive(part, barrier);
  const auto steps = static_cast<uint32_t>(schedule.steps());
#pragma unroll 1
  for (uint32_t step = 0; step < steps; ++step) {
    cells.ask(step);
    float sums[Tile::kColumns / 2];
    multiply_state<Tile>(reader, weights, sums);
    cells.step(step, sums, push_for(step + 1));
    exchange.arrive(part, barrier);
  }
}

// The warp that fills the ring of a team with steps.
template <class Tile>
VARLSTM_DEVICE void fill_stages(const TeamSchedule& schedule, typename Tile::Area* area, typename Tile::Ring& ring) {
  StageFiller<typename Tile::Ring> filler(ring);
  const TeamExchange<typename Tile::Area> exchange(area);
  const unsigned bytes =
      Tile::kStreamed ? static_cast<unsigned>(schedule.team_slots()) * kLineBytes : Tile::kStageBytes;
  const auto steps = static_cast<uint32_t>(schedule.steps());
#pragma unroll 1
  for (uint32_t step = 0; step < steps; ++step) {
    exchange.wait(step);
    if (threadIdx.x % 32 == 0)
      for (int stage = 0; stage < Tile::kStages; ++stage) filler.fill(exchange.values(step, stage), bytes);
    simt::warp_sync();
  }
}

// The warp that fills the ring of the weights.
template <class Tile>
VARLSTM_DEVICE void fill_weights(const TeamSchedule& schedule, const unsigned char* stages,
                                 typename Tile::WeightRing& ring) {
  if (threadIdx.x % 32 == 0) {
    StageFiller<typename Tile::WeightRing> filler(ring);
    const auto steps = static_cast<uint32_t>(schedule.steps());
#pragma unroll 1
    for (uint32_t step = 0; step < steps; ++step) stream_stages<Tile>(stages, filler);
  }
  simt::warp_sync();  // the barrier of the cluster takes whole warps
}

#endif

// teams, sets: of each direction. arranged: the weights, if they are streamed.
template <class Tile>
VARLSTM_KERNEL void __launch_bounds__(Tile::kThreads, 1)
    wide_forward_kernel(Cell kind, LayerForward<typename Tile::Scalar, float> layer, SlotSchedule schedule,
                        int64_t teams, int64_t sets, typename Tile::Area* areas, const unsigned char* arranged) {
#if VARLSTM_HAS_WGMMA
  auto& shared = *simt::shared_memory<WideForwardShared<Tile>>();
  const WidePlace place = wide_place<Tile>(sets);
  if (threadIdx.x == 0)
    for (auto& ring : shared.ring) ring.begin();
  [[maybe_unused]] const unsigned char* const stages = stages_of_block<Tile>(arranged, place.direction, place.rank);
  if constexpr (Tile::kStreamed) {
    if (threadIdx.x == 0) shared.weight_ring.begin();
    load_kept<Tile>(stages, shared.weights[0]);
  } else {
    load_wide_weights<Tile>(shared.weights, layer.direction[place.direction].w_hh, place.rank);
  }
  simt::async_proxy_fence();
  simt::cluster_sync();  // W1
  if (place.team < teams) {
    const TeamSchedule team_schedule(schedule, {place.team, place.direction, place.rank});
    auto* const area = areas + place.direction * teams + place.team;
    if (team_schedule.steps() == 0) {
      // nothing to do
    } else if (place.reads) {
      advance_slots<Tile>(kind, layer, team_schedule, place, area, shared);
    } else {
      if constexpr (Tile::kStreamed)
        place.weights ? fill_weights<Tile>(team_schedule, stages, shared.weight_ring)
                      : fill_stages<Tile>(team_schedule, area, shared.ring[place.warpgroup]);
      else
        fill_stages<Tile>(team_schedule, area, shared.ring[place.warpgroup]);
    }
  }
  simt::cluster_sync();  // W2
#else
  (void)kind, (void)layer, (void)schedule, (void)teams, (void)sets, (void)areas, (void)arranged;
  __trap();  // runs_wgmma() is false where there is no code for sm_90a
#endif
}

}  // namespace varlstm::cuda
