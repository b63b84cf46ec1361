// Launches backward by wide teams: goes from H and the order of sums to the instantiation of the kernel. It is included
// by files that instantiate one math each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/wide/launch_teams.h"
#include "kernels/recurrence/wide/wide_backward.h"

namespace varlstm::cuda {

template <class Tile>
int32_t launch_wide_backward(Stream stream, Cell cell, const WideRun& run,
                             const LayerBackward<typename Tile::Scalar, float>& layer) {
  using Shared = WideBackwardShared<Tile>;
  constexpr Cell kCell = cell_of_kernel<typename Tile::Cell>();
  static_assert(selection_knows<Tile, Shared>(WidePass::kBackward, Tile::kGridOrder, kCell));
  if constexpr (Tile::kStreamed)
    VARLSTM_CUDA_TRY((arrange_stages<Tile, BackwardStagePlace<Tile>>(stream, layer, run.weights)));
  return launch_teams<wide_backward_kernel<Tile>, Tile, Shared>(stream, "wide_backward", cell, run, layer);
}

template <class CellType, class Math>
int32_t launch_wide_backward_of(Stream stream, Cell cell, const WideRun& run,
                                const LayerBackward<typename Math::Scalar, float>& layer) {
  if constexpr (std::is_same_v<CellType, LstmCell> && sizeof(typename Math::Value) == 2) {
    using Tile = WideBackwardTile<CellType, Math, kStreamedHidden16, true>;
    if (layer.hidden == kStreamedHidden16) return launch_wide_backward<Tile>(stream, cell, run, layer);
  }
  if constexpr (sizeof(typename Math::Value) == 4) {
    using Tile = WideBackwardTile<CellType, Math, kGridHiddenTf32, true>;
    if (run.resident && layer.hidden == kGridHiddenTf32) return launch_wide_backward<Tile>(stream, cell, run, layer);
  }
  return with_wide_hidden<Math>(layer.hidden, [&](auto hidden) -> int32_t {
    constexpr int kHidden = decltype(hidden)::value;
    if (!run.resident)
      return launch_wide_backward<WideBackwardTile<CellType, Math, kHidden, false>>(stream, cell, run, layer);
    if constexpr (sizeof(typename Math::Value) == 2 && has_wide_grid_order(cell_of_kernel<CellType>(), kHidden))
      return launch_wide_backward<WideBackwardTile<CellType, Math, kHidden, true>>(stream, cell, run, layer);
    return fail(VARLSTM_ERROR_INTERNAL, "backward of cell %d has no wide teams for H = %d with the sums of policy grid",
                static_cast<int>(cell), kHidden);
  });
}

#define VARLSTM_INSTANTIATE_WIDE_BACKWARD(CellType, Math)                                        \
  template <>                                                                                    \
  int32_t wide_backward_of<CellType>(Stream stream, Cell cell, const WideRun& run,               \
                                     const LayerBackward<typename Math::Scalar, float>& layer) { \
    return launch_wide_backward_of<CellType, Math>(stream, cell, run, layer);                    \
  }

}  // namespace varlstm::cuda
