// What the launchers of both passes by wide teams share: the launch of a tile's kernel, and the way from H to the tile.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/launch.h"
#include "kernels/recurrence/resident/resident_cell.h"
#include "kernels/recurrence/wide/weight_stream.h"
#include "kernels/recurrence/wide/wide.h"
#include "varlstm.h"

namespace varlstm::cuda {

// Fills the areas of the teams with zeros and launches the kernel.
template <auto kKernel, class Tile, class Shared, class Layer>
int32_t launch_teams(Stream stream, const char* name, Cell cell, const WideRun& run, const Layer& layer) {
  using Area = typename Tile::Area;
  const auto bytes = static_cast<size_t>(run.choice.teams * layer.directions) * sizeof(Area);
  VARLSTM_CUDA_TRY(check_runtime(cudaMemsetAsync(run.area, 0, bytes, stream.handle), "cudaMemsetAsync"));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(run.choice.sets * layer.directions * Tile::kBlocks));
  shape.block = dim3(Tile::kThreads);
  shape.cluster = Tile::kCluster;
  shape.cooperative = true;
  shape.shared_bytes = sizeof(Shared);
  return launch<kKernel>(stream, name, shape, cell, layer, run.schedule, run.choice.teams, run.choice.sets,
                         static_cast<Area*>(run.area), run.weights);
}

// Whether wide_selection.h knows a tile's sizes.
template <class Tile, class Shared>
constexpr bool selection_knows(WidePass pass, bool resident, Cell cell) {
  const WideSizes sizes = wide_sizes(pass, resident, cell, Tile::kHidden, sizeof(typename Tile::Value));
  return Tile::kSlots == kWideTeamSlots && Tile::kBlocks == sizes.blocks && Tile::kCluster == sizes.cluster &&
         Tile::kTeams == sizes.teams_of_block && sizeof(Shared) <= sizes.shared_bytes &&
         sizeof(typename Tile::Area) == sizes.area_bytes &&
         (Tile::kStreamed ? int64_t{Tile::kBlocks} * Tile::kStages * kStreamedStageBytes : 0) == sizes.weight_bytes;
}

// A cell whose kernel it is.
template <class CellType>
constexpr Cell cell_of_kernel() {
  if constexpr (kIsRnn<CellType>)
    return Cell::kRnnTanh;
  else
    return CellType::kKind;
}

template <class Launch>
int32_t with_hidden_of_16_bits(int64_t hidden, const Launch& launch) {
  static_assert(kWideTeamHidden[0] == 256 && kWideTeamHidden[3] == 1024 && sizeof kWideTeamHidden == 4 * sizeof(int));
  if (hidden == 256) return launch(std::integral_constant<int, 256>());
  if (hidden == 512) return launch(std::integral_constant<int, 512>());
  if (hidden == 768) return launch(std::integral_constant<int, 768>());
  if (hidden == 1024) return launch(std::integral_constant<int, 1024>());
  return fail(VARLSTM_ERROR_INTERNAL, "there are no wide teams for H = %lld", static_cast<long long>(hidden));
}

// Calls launch(H) with the layer's H as a constant. In TF32: those in the order of stepwise.
template <class Math, class Launch>
int32_t with_wide_hidden(int64_t hidden, const Launch& launch) {
  if constexpr (sizeof(typename Math::Value) == 4) {
    static_assert(kStreamedHidden[0] == 256 && kStreamedHidden[1] == 2048 && sizeof kStreamedHidden == 2 * sizeof(int));
    if (hidden == 256) return launch(std::integral_constant<int, 256>());
    if (hidden == 2048) return launch(std::integral_constant<int, 2048>());
    return fail(VARLSTM_ERROR_INTERNAL, "there are no wide teams of TF32 for H = %lld", static_cast<long long>(hidden));
  } else {
    return with_hidden_of_16_bits(hidden, launch);
  }
}

}  // namespace varlstm::cuda
