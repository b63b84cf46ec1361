// Launching a resident recurrence: from a row of the tuning's table to the kernel's instantiation. Included by the
// files that instantiate one policy and math each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
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

// What the two passes of a tile differ in.
template <RecurrencePolicy kPolicy, class Tile>
struct ForwardPass {
  using Exchange = std::conditional_t<
      kPolicy == RecurrencePolicy::kGrid, GridForwardExchange<Tile>,
      std::conditional_t<Tile::kBlocks == 1, BlockForwardExchange<Tile>, ClusterForwardExchange<Tile>>>;
  using Shared = ForwardShared<Tile, Exchange>;
  using Area = GridForwardArea<Tile>;
  using Place = ForwardPlace<Tile>;
  static constexpr unsigned kThreads = Tile::kForwardThreads;
  static constexpr const char* kName = "resident_forward";
  static auto kernel() { return resident_forward_kernel<Tile, Exchange>; }
  static constexpr bool tuning_knows(MathKind math, const TileShape& tile) {
    return sizeof(Shared) == forward_shared_bytes(kPolicy, math, tile) &&
           sizeof(Area) == grid_forward_area_bytes(math, tile);
  }
};
template <RecurrencePolicy kPolicy, class Tile>
struct BackwardPass {
  using Exchange = std::conditional_t<
      kPolicy == RecurrencePolicy::kGrid, GridBackwardExchange<Tile>,
      std::conditional_t<Tile::kBlocks == 1, BlockBackwardExchange<Tile>, ClusterBackwardExchange<Tile>>>;
  using Shared = BackwardShared<Tile, Exchange>;
  using Area = GridBackwardArea<Tile>;
  using Place = BackwardPlace<Tile>;
  static constexpr unsigned kThreads = Tile::kBackwardThreads;
  static constexpr const char* kName = "resident_backward";
  static auto kernel() { return resident_backward_kernel<Tile, Exchange>; }
  static constexpr bool tuning_knows(MathKind math, const TileShape& tile) {
    return sizeof(Shared) == backward_shared_bytes(kPolicy, math, tile) &&
           sizeof(Area) == grid_backward_area_bytes(tile);
  }
};

template <RecurrencePolicy kPolicy, class Tile, class Layer>
using PassOf = std::conditional_t<std::is_same<Layer, LayerForward<typename Tile::Scalar, float>>::value,
                                  ForwardPass<kPolicy, Tile>, BackwardPass<kPolicy, Tile>>;

// run.weights <- W_hh of both directions, for this tile and pass.
template <class Tile, class Place, class Layer>
int32_t arrange_weights(Stream stream, const ResidentRun& run, const Layer& layer) {
  RecurrentWeights<typename Tile::Scalar> weights{{}, layer.hidden, layer.directions};
  for (int64_t d = 0; d < layer.directions; ++d) weights.w_hh[d] = layer.direction[d].w_hh;
  constexpr int64_t kFragments = ArrangedWeights<Tile, Place>::kFragments;
  static_assert(kFragments * sizeof(Fragment) == 4 * sizeof(typename Tile::Value) * Tile::kHidden * Tile::kHidden,
                "every weight once");
  return launch(stream, "arrange_weights", elementwise_shape(stream, kFragments * layer.directions),
                arrange_weights_kernel<Tile, Place>, weights, static_cast<Fragment*>(run.weights));
}

// Row kIndex of the policy's and math's table.
template <RecurrencePolicy kPolicy, MathKind kMath, size_t kIndex, class Layer>
int32_t launch_tile(Stream stream, const ResidentRun& run, const Layer& layer) {
  using Tile = typename TileOf<kPolicy, kMath, kIndex>::type;
  using Pass = PassOf<kPolicy, Tile, Layer>;
  using Area = typename Pass::Area;
  static_assert(Pass::tuning_knows(kMath, TileOf<kPolicy, kMath, kIndex>::kShape), "bytes of shared memory and area");
  VARLSTM_CUDA_TRY((arrange_weights<Tile, typename Pass::Place>(stream, run, layer)));
  const int64_t teams = run.choice.teams * layer.directions;
  // Flags of the area count from 0.
  if (run.area != nullptr) {
    VARLSTM_CUDA_TRY(check_runtime(
        cudaMemsetAsync(run.area, 0, static_cast<size_t>(teams) * sizeof(Area), stream.handle), "cudaMemsetAsync"));
  }
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(teams * Tile::kBlocks));
  shape.block = dim3(Pass::kThreads);
  shape.cluster = kPolicy == RecurrencePolicy::kCluster ? Tile::kBlocks : 1;
  shape.cooperative = kPolicy == RecurrencePolicy::kGrid;
  shape.shared_bytes = sizeof(typename Pass::Shared);
  return launch(stream, Pass::kName, shape, Pass::kernel(), layer, run.schedule, run.choice.teams,
                static_cast<const Fragment*>(run.weights), static_cast<Area*>(run.area));
}

template <RecurrencePolicy kPolicy, MathKind kMath, class Layer, size_t... kIndex>
int32_t launch_by_index(Stream stream, const ResidentRun& run, const Layer& layer, std::index_sequence<kIndex...>) {
  using Launch = int32_t (*)(Stream, const ResidentRun&, const Layer&);
  constexpr Launch kLaunches[] = {launch_tile<kPolicy, kMath, kIndex, Layer>...};
  return kLaunches[run.choice.index](stream, run, layer);
}

template <RecurrencePolicy kPolicy, MathKind kMath, class Layer>
int32_t run_resident_as(Stream stream, const ResidentRun& run, const Layer& layer) {
  return launch_by_index<kPolicy, kMath>(stream, run, layer,
                                         std::make_index_sequence<rows_of_table<kPolicy, kMath>().count>());
}

// Everything of one policy and math; a .cu file each, so that they compile side by side.
#define VARLSTM_INSTANTIATE_RESIDENT(policy, math, Scalar)                                                        \
  template int32_t run_resident_as<policy, math>(Stream, const ResidentRun&, const LayerForward<Scalar, float>&); \
  template int32_t run_resident_as<policy, math>(Stream, const ResidentRun&, const LayerBackward<Scalar, float>&)

}  // namespace varlstm::cuda
