// Launches forward by wide teams: goes from H and the order of sums to the instantiation of the kernel. It is included
// by files that instantiate one cell and math each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/wide/launch_teams.h"
#include "kernels/recurrence/wide/wide_forward.h"

namespace varlstm::cuda {

template <class Tile>
int32_t launch_wide(Stream stream, Cell cell, const WideRun& run,
                    const LayerForward<typename Tile::Scalar, float>& layer) {
  using Shared = WideForwardShared<Tile>;
  constexpr Cell kCell = cell_of_kernel<typename Tile::Cell>();
  static_assert(selection_knows<Tile, Shared>(WidePass::kForward, Tile::kResident, kCell));
  if constexpr (Tile::kStreamed)
    VARLSTM_CUDA_TRY((arrange_stages<Tile, ForwardStagePlace<Tile>>(stream, layer, run.weights)));
  return launch_teams<wide_forward_kernel<Tile>, Tile, Shared>(stream, "wide_forward", cell, run, layer);
}

template <class CellType, class Math>
int32_t launch_wide_of(Stream stream, Cell cell, const WideRun& run,
                       const LayerForward<typename Math::Scalar, float>& layer) {
  if constexpr (std::is_same_v<CellType, LstmCell> && sizeof(typename Math::Value) == 2) {
    constexpr SplitOrder kOrder = wide_order(kStreamedHidden16);
    using Tile = WideTeamTile<CellType, Math, kStreamedHidden16, kOrder.depth, kOrder.padded>;
    if (layer.hidden == kStreamedHidden16) return launch_wide<Tile>(stream, cell, run, layer);
  }
  if constexpr (sizeof(typename Math::Value) == 4) {
    static_assert(kTilesHiddenTf32[0] == 256 && kTilesHiddenTf32[1] == 1024 &&
                  sizeof kTilesHiddenTf32 == 2 * sizeof(int));
    using Small = WideTeamTile<CellType, Math, 256, wide_order(256, true).depth>;
    using Large = WideTeamTile<CellType, Math, 1024, wide_order(1024, true).depth>;
    if (run.resident && layer.hidden == 256) return launch_wide<Small>(stream, cell, run, layer);
    if (run.resident && layer.hidden == 1024) return launch_wide<Large>(stream, cell, run, layer);
  }
  return with_wide_hidden<Math>(layer.hidden, [&](auto hidden) -> int32_t {
    constexpr int kHidden = decltype(hidden)::value;
    if constexpr (sizeof(typename Math::Value) == 2) {
      constexpr SplitOrder kOrder = wide_order(kHidden);
      using Resident = WideTeamTile<CellType, Math, kHidden, kOrder.depth, kOrder.padded>;
      if (run.resident) return launch_wide<Resident>(stream, cell, run, layer);
    }
    return launch_wide<WideTeamTile<CellType, Math, kHidden>>(stream, cell, run, layer);
  });
}

#define VARLSTM_INSTANTIATE_WIDE(CellType, Math)                                               \
  template <>                                                                                  \
  int32_t wide_forward_of<CellType>(Stream stream, Cell cell, const WideRun& run,              \
                                    const LayerForward<typename Math::Scalar, float>& layer) { \
    return launch_wide_of<CellType, Math>(stream, cell, run, layer);                           \
  }

}  // namespace varlstm::cuda
