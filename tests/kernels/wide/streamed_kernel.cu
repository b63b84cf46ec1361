// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/wide/streamed_kernel.h"

#include <algorithm>

#include "kernels/recurrence/wide/launch_teams.h"
#include "kernels/recurrence/wide/wide_backward.h"
#include "kernels/recurrence/wide/wide_forward.h"

namespace varlstm_test {

using namespace varlstm;
using namespace varlstm::cuda;

constexpr int kHidden = static_cast<int>(kStreamedTestHidden);
// In the orders of policy grid, as at H = 2048: two stages of forward are a part of the depth.
using KeptForward = WideTeamTile<LstmCell, Bf16Math, kHidden, 128>;
using KeptBackward = WideBackwardTile<LstmCell, Bf16Math, kHidden, true>;

// What differs in a tile that streams. Half of the weights stay, as at H = 2048, and the rings have as many slots as
// backward has there.
constexpr int kSlotsOfWeights = 3;
struct StreamedForward : KeptForward {
  static constexpr bool kStreamed = true;
  static constexpr int kTeams = 1, kFillers = 2;
  static constexpr unsigned kReaderThreads = 128, kThreads = kReaderThreads + 32 * kFillers;
  static constexpr int kEvery = kept_every<Value>(kStreamedHidden16, kPartStages), kKeptStages = kStages / kEvery;
  using WeightRing = StageRing<kSlotsOfWeights, kWeightBytes, 1>;
};
struct StreamedBackward : KeptBackward {
  static constexpr bool kStreamed = true, kFewerSlots = true;
  static constexpr int kSharers = 1, kCluster = kQuarters;
  static constexpr int kEvery = kept_every<Value>(kStreamedHidden16, kStages), kKeptStages = kStages / kEvery;
  static constexpr int kWeightBytes = kKeptStages * kQuadUnits * kLineBytes;
  static constexpr int kRingSlots = kSlotsOfWeights;
  using Parts = PartBuffer<StreamedBackward, kQuarters * kSums>;
  using Ring = StageRing<kRingSlots, kStageBytes, kSharers, kQuarters>;
  using WeightRing = StageRing<kRingSlots, kQuadUnits * kLineBytes, 1>;
};
static_assert(StreamedForward::kEvery == 2 && StreamedBackward::kEvery == 2 &&
                  StreamedBackward::kSumStages % StreamedBackward::kEvery == 0,
              "every second stage is streamed");

template <class Tile>
constexpr int64_t kWeightsOfTile = int64_t{Tile::kBlocks} * Tile::kStages* kStreamedStageBytes;

StreamedBytes streamed_bytes() {
  return {static_cast<int64_t>(std::max(sizeof(KeptForward::Area), sizeof(KeptBackward::Area))),
          std::max(kWeightsOfTile<StreamedForward>, kWeightsOfTile<StreamedBackward>)};
}

template <class Tile, class Place, class Layer, auto kKernel, class Shared>
int32_t run_tile(Stream stream, const char* name, const WideRun& run, const Layer& layer) {
  if constexpr (Tile::kStreamed) {
    const int32_t status = arrange_stages<Tile, Place>(stream, layer, run.weights);
    if (status != 0) return status;
  }
  return launch_teams<kKernel, Tile, Shared>(stream, name, Cell::kLstm, run, layer);
}

template <class Tile>
int32_t run_pass(Stream stream, const WideRun& run, const LayerForward<Bf16, float>& layer) {
  return run_tile<Tile, ForwardStagePlace<Tile>, LayerForward<Bf16, float>, wide_forward_kernel<Tile>,
                  WideForwardShared<Tile>>(stream, "wide_forward", run, layer);
}
template <class Tile>
int32_t run_pass(Stream stream, const WideRun& run, const LayerBackward<Bf16, float>& layer) {
  return run_tile<Tile, BackwardStagePlace<Tile>, LayerBackward<Bf16, float>, wide_backward_kernel<Tile>,
                  WideBackwardShared<Tile>>(stream, "wide_backward", run, layer);
}

int32_t run_team(bool streamed, Stream stream, const SlotSchedule& schedule, void* area, unsigned char* weights,
                 const LayerForward<Bf16, float>& layer) {
  const WideRun run = {{1, 1, 1, 0, schedule.team_slots}, true, schedule, area, weights};
  return streamed ? run_pass<StreamedForward>(stream, run, layer) : run_pass<KeptForward>(stream, run, layer);
}
int32_t run_team(bool streamed, Stream stream, const SlotSchedule& schedule, void* area, unsigned char* weights,
                 const LayerBackward<Bf16, float>& layer) {
  const WideRun run = {{1, 1, 1, 0, schedule.team_slots}, true, schedule, area, weights};
  return streamed ? run_pass<StreamedBackward>(stream, run, layer) : run_pass<KeptBackward>(stream, run, layer);
}

}  // namespace varlstm_test
