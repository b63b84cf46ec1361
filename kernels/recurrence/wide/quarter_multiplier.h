// The product of a quarter by a warpgroup that only multiplies, where weights are streamed and the sums are those of
// policy grid. For kernel files only.
//
// Each stage is a chain of its own, whose parts are added while the next one is multiplied. The stages of a turn are
// runs of kRun, which alone are unrolled. A run has as many stages as go into the rings a whole number of times, and a
// turn an even number of runs: so stage i of a run has the same place in every run, and the thread computes none.
// Example: TF32, H = 1024. A quarter has 32 stages in 4 runs of 8, a sum each. Of a run the weights of stages 0 and 4
// are kept, and those of the other six fill their ring once; values fill theirs twice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/wide/quarter_product.h"

namespace varlstm::cuda {

template <class Tile>
class QuarterMultiplier {
  using Sums = float[Tile::kSlots / 2];
  using Values = typename Tile::Ring;
  using Weights = typename Tile::WeightRing;
  static constexpr unsigned kRun = Tile::kRun, kRunsOfSum = Tile::kSumStages / kRun, kEvery = Tile::kEvery;
  static constexpr unsigned kStreamedOfRun = kRun - kRun / kEvery;
  static_assert(Tile::kSumStages % kRun == 0 && kRun % 2 == 0 && kRun % kEvery == 0, "pairs, whole runs");
  static_assert(kRun % Values::kSlots == 0 && kStreamedOfRun % Weights::kSlots == 0 && kRun % Values::kSharers == 0 &&
                    Weights::kSharers == 1 && Tile::kStages / kRun % 2 == 0,
                "the same places in every run, the same phases in every turn");

 public:
  VARLSTM_DEVICE QuarterMultiplier(WideBackwardShared<Tile>& shared, const WideBackwardTeam<Tile>& team)
      : shared_(shared), team_(team), first_rank_(Values::first_rank()) {}

  // Multiplies the stages of a turn and pushes the sums.
  VARLSTM_DEVICE void run_turn() {
#pragma unroll 1
    for (unsigned k = 0; k < Tile::kSums; ++k) {
      Sums sums;
#pragma unroll
      for (float& sum : sums) sum = -0.0f;  // which changes no part that is added to it
#pragma unroll 1
      for (unsigned run = k * kRunsOfSum; run < (k + 1) * kRunsOfSum; ++run) add_run(run, sums);
      push_sums<Tile>(team_, quad_place<Tile>(), static_cast<int>(k), sums);
    }
  }

 private:
  // Without a branch: in a loop over pairs ptxas would wait for each product before it starts the next one.
  VARLSTM_DEVICE void add_run(unsigned run, Sums& sums) {
    Sums even, odd;
    start(run, 0, even);
#pragma unroll
    for (unsigned i = 0; i < kRun; i += 2) {
      start(run, i + 1, odd);
      take<1>(i, even, sums);
      if (i + 2 == kRun) break;
      start(run, i + 2, even);
      take<1>(i + 1, odd, sums);
    }
    take<0>(kRun - 1, odd, sums);
  }

  // Starts the products of stage i of a run, 32 bytes of k each.
  VARLSTM_DEVICE void start(unsigned run, unsigned i, Sums& parts) {
    const uint64_t weights = lines_descriptor(wait_for_weights(run, i));
    const uint64_t values =
        lines_descriptor(team_.ring.wait(i % Values::kSlots, phase<kRun, Values>(run, i), "a stage"));
    simt::wgmma_fence();
#pragma unroll
    for (unsigned step = 0; step < kLineBytes / 32; ++step)
      simt::wgmma<kMatrixOf<typename Tile::Math>>(parts, simt::advance_descriptor(weights, step * 32),
                                                  simt::advance_descriptor(values, step * 32), step > 0);
    simt::wgmma_commit();
  }
  // Waits for the parts of stage i, releases it and adds them; kUnderWay: stages that go on meanwhile.
  template <int kUnderWay>
  VARLSTM_DEVICE void take(unsigned i, Sums& parts, Sums& sums) {
    simt::wgmma_wait<kUnderWay>(parts);
    team_.ring.release(i % Values::kSlots, first_rank_, i % Values::kSharers);
    if (i % kEvery != 0) shared_.weight_ring.release(streamed(i) % Weights::kSlots, 0, 0);
    add_parts_of_grid(parts, false, sums);
  }

  VARLSTM_DEVICE static constexpr unsigned streamed(unsigned i) {
    return i - i / kEvery - 1;
  }
  // Of the barrier of a stage's place: the number of stages there before, modulo 2. number: in the run, of kOfRun.
  template <unsigned kOfRun, class Ring>
  VARLSTM_DEVICE static unsigned phase(unsigned run, unsigned number) {
    return (kOfRun / Ring::kSlots * run + number / Ring::kSlots) % 2;
  }
  VARLSTM_DEVICE const unsigned char* wait_for_weights(unsigned run, unsigned i) {
    if (i % kEvery == 0) return shared_.weights + (run * (kRun / kEvery) + i / kEvery) * kStreamedStageBytes;
    return shared_.weight_ring.wait(streamed(i) % Weights::kSlots, phase<kStreamedOfRun, Weights>(run, streamed(i)),
                                    "a stage of weights");
  }

  WideBackwardShared<Tile>& shared_;
  const WideBackwardTeam<Tile>& team_;
  const uint32_t first_rank_;
};

}  // namespace varlstm::cuda
