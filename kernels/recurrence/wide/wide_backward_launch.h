// Launches backward by wide teams: goes from H and the order of sums to the instantiation of the kernel. It is included
// by files that instantiate one math each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/launch.h"
#include "kernels/recurrence/wide/wide_backward.h"
#include "kernels/recurrence/wide/wide_backward_run.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class CellType>
constexpr Cell cell_of_kernel() {
  if constexpr (kIsRnn<CellType>)
    return Cell::kRnnTanh;
  else
    return CellType::kKind;
}

template <class Tile>
int32_t launch_wide_backward(Stream stream, Cell cell, const WideBackwardRun& run,
                             const LayerBackward<typename Tile::Scalar, float>& layer) {
  using Area = typename Tile::Area;
  static_assert(Tile::kSlots == kWideBackwardSlots &&
                    Tile::kCluster == wide_backward_cluster(Tile::kHidden, Tile::kGridOrder) &&
                    Tile::kBlocks == wide_backward_blocks(Tile::kHidden) &&
                    Tile::kTeams == wide_backward_teams_of_block(Tile::kGridOrder) &&
                    sizeof(Area) == wide_backward_area_bytes(cell_of_kernel<typename Tile::Cell>(), Tile::kHidden),
                "what wide_backward_run.h says");
  static_assert(sizeof(WideBackwardShared<Tile>) <= Tile::kMostShared, "what a block of sm_90 has");
  const size_t bytes = static_cast<size_t>(run.teams * layer.directions) * sizeof(Area);
  VARLSTM_CUDA_TRY(check_runtime(cudaMemsetAsync(run.area, 0, bytes, stream.handle), "cudaMemsetAsync"));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(run.sets * layer.directions * Tile::kBlocks));
  shape.block = dim3(Tile::kThreads);
  shape.cluster = Tile::kCluster;
  shape.cooperative = true;
  shape.shared_bytes = sizeof(WideBackwardShared<Tile>);
  return launch<wide_backward_kernel<Tile>>(stream, "wide_backward", shape, cell, layer, run.schedule, run.teams,
                                            run.sets, static_cast<Area*>(run.area));
}

template <class CellType, class Math>
int32_t launch_wide_backward_of(Stream stream, Cell cell, const WideBackwardRun& run,
                                const LayerBackward<typename Math::Scalar, float>& layer) {
  const auto launch_for = [&](auto hidden) -> int32_t {
    constexpr int kHidden = decltype(hidden)::value;
    if constexpr (has_wide_backward(cell_of_kernel<CellType>(), kHidden, true)) {
      if (run.grid_order)
        return launch_wide_backward<WideBackwardTile<CellType, Math, kHidden, true>>(stream, cell, run, layer);
    }
    return launch_wide_backward<WideBackwardTile<CellType, Math, kHidden, false>>(stream, cell, run, layer);
  };
  if (has_wide_backward(cell, layer.hidden, run.grid_order)) {
    if (layer.hidden == 256) return launch_for(std::integral_constant<int, 256>());
    if (layer.hidden == 512) return launch_for(std::integral_constant<int, 512>());
    if (layer.hidden == 768) return launch_for(std::integral_constant<int, 768>());
    if (layer.hidden == 1024) return launch_for(std::integral_constant<int, 1024>());
  }
  return fail(VARLSTM_ERROR_INTERNAL, "backward of cell %d has no wide teams for H = %lld with the sums of %s",
              static_cast<int>(cell), static_cast<long long>(layer.hidden), run.grid_order ? "grid" : "stepwise");
}

#define VARLSTM_INSTANTIATE_WIDE_BACKWARD(CellType, Math)                                        \
  template <>                                                                                    \
  int32_t wide_backward_of<CellType>(Stream stream, Cell cell, const WideBackwardRun& run,       \
                                     const LayerBackward<typename Math::Scalar, float>& layer) { \
    return launch_wide_backward_of<CellType, Math>(stream, cell, run, layer);                    \
  }

}  // namespace varlstm::cuda
