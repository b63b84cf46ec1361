// Launching a resident recurrence: from a row of the tuning's table to the kernel's instantiation. Included by the
// files that instantiate one policy and math each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "kernels/core/launch.h"
#include "kernels/recurrence/resident.h"
#include "kernels/recurrence/resident_backward.h"
#include "kernels/recurrence/resident_forward.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <MathKind kMath>
struct MathOf {
  using type = F32Math;
};
template <>
struct MathOf<MathKind::kBf16> {
  using type = Bf16Math;
};
template <>
struct MathOf<MathKind::kF16> {
  using type = F16Math;
};
template <>
struct MathOf<MathKind::kTf32> {
  using type = Tf32Math;
};

template <RecurrencePolicy kPolicy, MathKind kMath, size_t kIndex>
struct TileOf {
  static constexpr TileShape kShape = TileTable<kPolicy, kMath>::kTiles[kIndex];
  using type = ResidentTile<typename MathOf<kMath>::type, kShape.hidden, kShape.units, kShape.slot_tiles, kShape.splits,
                            kShape.forward_register_tiles, kShape.backward_register_tiles>;
};

template <RecurrencePolicy kPolicy, class Tile>
LaunchShape resident_shape(const ResidentRun& run, int64_t directions, unsigned threads, size_t shared_bytes) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(run.choice.teams * directions * Tile::kBlocks));
  shape.block = dim3(threads);
  shape.cluster = kPolicy == RecurrencePolicy::kCluster ? Tile::kBlocks : 1;
  shape.cooperative = kPolicy == RecurrencePolicy::kGrid;
  shape.shared_bytes = shared_bytes;
  return shape;
}

// run.weights <- W_hh of both directions, for this tile.
template <class Tile, template <class> class Place, class Layer>
int32_t arrange_weights(Stream stream, const ResidentRun& run, const Layer& layer) {
  RecurrentWeights<typename Tile::Scalar> weights{{}, layer.hidden, layer.directions};
  for (int64_t d = 0; d < layer.directions; ++d) weights.w_hh[d] = layer.direction[d].w_hh;
  constexpr int64_t kFragments = ArrangedWeights<Tile, Place>::kFragments;
  static_assert(kFragments * sizeof(Fragment) == 4 * sizeof(typename Tile::Value) * Tile::kHidden * Tile::kHidden,
                "every weight once");
  return launch(stream, "arrange_weights", elementwise_shape(stream, kFragments * layer.directions),
                arrange_weights_kernel<Tile, Place>, weights, static_cast<Fragment*>(run.weights));
}

// Flags of the area count from 0.
template <class Area>
int32_t clear_areas(Stream stream, void* area, int64_t teams) {
  if (area == nullptr) return VARLSTM_OK;
  return check_runtime(cudaMemsetAsync(area, 0, static_cast<size_t>(teams) * sizeof(Area), stream.handle),
                       "cudaMemsetAsync");
}

template <RecurrencePolicy kPolicy, MathKind kMath, size_t kIndex, template <class> class Exchange>
int32_t launch_resident(Stream stream, const ResidentRun& run,
                        const LayerForward<typename ScalarOfMath<kMath>::type, float>& layer) {
  using Tile = typename TileOf<kPolicy, kMath, kIndex>::type;
  using Shared = ForwardShared<Tile, Exchange<Tile>>;
  static_assert(sizeof(Shared) == forward_shared_bytes(kPolicy, kMath, TileOf<kPolicy, kMath, kIndex>::kShape),
                "the tuning knows the bytes");
  using Area = GridForwardArea<Tile>;
  static_assert(sizeof(Area) == grid_forward_area_bytes(kMath, TileOf<kPolicy, kMath, kIndex>::kShape), "likewise");
  VARLSTM_CUDA_TRY((arrange_weights<Tile, ForwardPlace>(stream, run, layer)));
  VARLSTM_CUDA_TRY(clear_areas<Area>(stream, run.area, run.choice.teams * layer.directions));
  return launch(stream, "resident_forward",
                resident_shape<kPolicy, Tile>(run, layer.directions, Tile::kForwardThreads, sizeof(Shared)),
                resident_forward_kernel<Tile, Exchange>, layer, run.schedule, run.choice.teams,
                static_cast<const Fragment*>(run.weights), static_cast<Area*>(run.area));
}

template <RecurrencePolicy kPolicy, MathKind kMath, size_t kIndex, template <class> class Exchange>
int32_t launch_resident(Stream stream, const ResidentRun& run,
                        const LayerBackward<typename ScalarOfMath<kMath>::type, float>& layer) {
  using Tile = typename TileOf<kPolicy, kMath, kIndex>::type;
  using Shared = BackwardShared<Tile, Exchange<Tile>>;
  static_assert(sizeof(Shared) == backward_shared_bytes(kPolicy, kMath, TileOf<kPolicy, kMath, kIndex>::kShape),
                "the tuning knows the bytes");
  using Area = GridBackwardArea<Tile>;
  static_assert(sizeof(Area) == grid_backward_area_bytes(TileOf<kPolicy, kMath, kIndex>::kShape), "likewise");
  VARLSTM_CUDA_TRY((arrange_weights<Tile, BackwardPlace>(stream, run, layer)));
  VARLSTM_CUDA_TRY(clear_areas<Area>(stream, run.area, run.choice.teams * layer.directions));
  return launch(stream, "resident_backward",
                resident_shape<kPolicy, Tile>(run, layer.directions, Tile::kBackwardThreads, sizeof(Shared)),
                resident_backward_kernel<Tile, Exchange>, layer, run.schedule, run.choice.teams,
                static_cast<const Fragment*>(run.weights), static_cast<Area*>(run.area));
}

// Which exchange a tile of that policy takes.
template <RecurrencePolicy kPolicy, MathKind kMath, size_t kIndex>
int32_t launch_forward_tile(Stream stream, const ResidentRun& run,
                            const LayerForward<typename ScalarOfMath<kMath>::type, float>& layer) {
  if constexpr (kPolicy == RecurrencePolicy::kGrid) {
    return launch_resident<kPolicy, kMath, kIndex, GridForwardExchange>(stream, run, layer);
  } else if constexpr (TileOf<kPolicy, kMath, kIndex>::kShape.blocks() == 1) {
    return launch_resident<kPolicy, kMath, kIndex, BlockForwardExchange>(stream, run, layer);
  } else {
    return launch_resident<kPolicy, kMath, kIndex, ClusterForwardExchange>(stream, run, layer);
  }
}
template <RecurrencePolicy kPolicy, MathKind kMath, size_t kIndex>
int32_t launch_backward_tile(Stream stream, const ResidentRun& run,
                             const LayerBackward<typename ScalarOfMath<kMath>::type, float>& layer) {
  if constexpr (kPolicy == RecurrencePolicy::kGrid) {
    return launch_resident<kPolicy, kMath, kIndex, GridBackwardExchange>(stream, run, layer);
  } else if constexpr (TileOf<kPolicy, kMath, kIndex>::kShape.blocks() == 1) {
    return launch_resident<kPolicy, kMath, kIndex, BlockBackwardExchange>(stream, run, layer);
  } else {
    return launch_resident<kPolicy, kMath, kIndex, ClusterBackwardExchange>(stream, run, layer);
  }
}

template <RecurrencePolicy kPolicy, MathKind kMath, size_t... kIndex>
int32_t forward_by_index(Stream stream, const ResidentRun& run,
                         const LayerForward<typename ScalarOfMath<kMath>::type, float>& layer,
                         std::index_sequence<kIndex...>) {
  using Launch = decltype(&launch_forward_tile<kPolicy, kMath, 0>);
  constexpr Launch kLaunches[] = {launch_forward_tile<kPolicy, kMath, kIndex>...};
  return kLaunches[run.choice.index](stream, run, layer);
}
template <RecurrencePolicy kPolicy, MathKind kMath, size_t... kIndex>
int32_t backward_by_index(Stream stream, const ResidentRun& run,
                          const LayerBackward<typename ScalarOfMath<kMath>::type, float>& layer,
                          std::index_sequence<kIndex...>) {
  using Launch = decltype(&launch_backward_tile<kPolicy, kMath, 0>);
  constexpr Launch kLaunches[] = {launch_backward_tile<kPolicy, kMath, kIndex>...};
  return kLaunches[run.choice.index](stream, run, layer);
}

template <RecurrencePolicy kPolicy, MathKind kMath>
int32_t resident_forward(Stream stream, const ResidentRun& run,
                         const LayerForward<typename ScalarOfMath<kMath>::type, float>& layer) {
  return forward_by_index<kPolicy, kMath>(stream, run, layer,
                                          std::make_index_sequence<rows_of_table<kPolicy, kMath>().count>());
}
template <RecurrencePolicy kPolicy, MathKind kMath>
int32_t resident_backward(Stream stream, const ResidentRun& run,
                          const LayerBackward<typename ScalarOfMath<kMath>::type, float>& layer) {
  return backward_by_index<kPolicy, kMath>(stream, run, layer,
                                           std::make_index_sequence<rows_of_table<kPolicy, kMath>().count>());
}

// Everything of one policy and math; a .cu file each, so that they compile side by side.
#define VARLSTM_INSTANTIATE_RESIDENT(policy, math)                                                       \
  template int32_t resident_forward<policy, math>(Stream, const ResidentRun&,                            \
                                                  const LayerForward<ScalarOfMath<math>::type, float>&); \
  template int32_t resident_backward<policy, math>(Stream, const ResidentRun&,                           \
                                                   const LayerBackward<ScalarOfMath<math>::type, float>&)

}  // namespace varlstm::cuda
