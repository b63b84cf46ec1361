// Launches forward by wide teams: goes from H and the order of sums to the instantiation of the kernel. It is included
// by files that instantiate one cell and math each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/launch.h"
#include "kernels/recurrence/wide/wide.h"
#include "kernels/recurrence/wide/wide_forward.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class Tile>
int32_t launch_wide(Stream stream, Cell cell, const WideRun& run,
                    const LayerForward<typename Tile::Scalar, float>& layer) {
  using Area = typename Tile::Area;
  static_assert(Tile::kSlots == kWideTeamSlots && Tile::kTeams == kWideTeamsOfBlock && Tile::kUnits == kWideTeamUnits &&
                    Tile::kCluster == kWideTeamCluster && sizeof(Area) == wide_area_bytes(Tile::kHidden),
                "what wide_selection.h says");
  const int64_t teams = run.choice.teams * layer.directions;
  VARLSTM_CUDA_TRY(check_runtime(cudaMemsetAsync(run.area, 0, static_cast<size_t>(teams) * sizeof(Area), stream.handle),
                                 "cudaMemsetAsync"));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(run.choice.sets * layer.directions * Tile::kBlocks));
  shape.block = dim3(Tile::kThreads);
  shape.cluster = Tile::kCluster;
  shape.cooperative = true;
  shape.shared_bytes = sizeof(WideForwardShared<Tile>);
  return launch<wide_forward_kernel<Tile>>(stream, "wide_forward", shape, cell, layer, run.schedule, run.choice.teams,
                                           run.choice.sets, static_cast<Area*>(run.area));
}

template <class CellType, class Math>
int32_t launch_wide_of(Stream stream, Cell cell, const WideRun& run,
                       const LayerForward<typename Math::Scalar, float>& layer) {
  const auto launch_in_order = [&](auto hidden) -> int32_t {
    constexpr int kHidden = decltype(hidden)::value;
    constexpr SplitOrder kOrder = wide_order(kHidden);
    using Resident = WideTeamTile<CellType, Math, kHidden, kOrder.depth, kOrder.padded>;
    return run.resident ? launch_wide<Resident>(stream, cell, run, layer)
                        : launch_wide<WideTeamTile<CellType, Math, kHidden>>(stream, cell, run, layer);
  };
  switch (layer.hidden) {
    case 256:
      return launch_in_order(std::integral_constant<int, 256>());
    case 512:
      return launch_in_order(std::integral_constant<int, 512>());
    case 768:
      return launch_in_order(std::integral_constant<int, 768>());
    case 1024:
      return launch_in_order(std::integral_constant<int, 1024>());
    default:
      return fail(VARLSTM_ERROR_INTERNAL, "there are no wide teams for H = %lld", static_cast<long long>(layer.hidden));
  }
}

#define VARLSTM_INSTANTIATE_WIDE(CellType, Math)                                               \
  template <>                                                                                  \
  int32_t wide_forward_of<CellType>(Stream stream, Cell cell, const WideRun& run,              \
                                    const LayerForward<typename Math::Scalar, float>& layer) { \
    return launch_wide_of<CellType, Math>(stream, cell, run, layer);                           \
  }

}  // namespace varlstm::cuda
