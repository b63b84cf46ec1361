// Launches a resident recurrence: goes from a row of the selection's table to the instantiation of the kernel. It is
// included by files that instantiate one policy and math each.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>
#include <utility>

#include "kernels/core/launch.h"
#include "kernels/recurrence/resident/resident.h"
#include "kernels/recurrence/resident/resident_backward.h"
#include "kernels/recurrence/resident/resident_forward.h"
#include "kernels/recurrence/stacked/resident_layers.h"
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

template <RecurrencePolicy kPolicy, MathKind kMath, class CellType, size_t kIndex>
struct TileOf {
  static constexpr TileShape kShape = TileTable<kPolicy, kMath>::kTiles[kIndex];
  using type = ResidentTile<CellType, typename MathOf<kMath>::type, kShape.hidden, kShape.units, kShape.slot_tiles,
                            kShape.splits, kShape.forward_register_tiles, kShape.backward_register_tiles>;
};

// Whether the selection knows the gates of the cells of a kernel.
template <class CellType>
constexpr bool selection_knows_gates() {
  if constexpr (kIsRnn<CellType>)
    return resident_gates(Cell::kRnnTanh) == 1 && resident_gates(Cell::kRnnRelu) == 1;
  else
    return resident_gates(CellType::kKind) == CellType::kGates;
}
// A kind of the cells of a kernel, all of which have the same sizes.
template <class CellType>
constexpr Cell kind_of() {
  if constexpr (kIsRnn<CellType>)
    return Cell::kRnnTanh;
  else
    return CellType::kKind;
}

// The differences between the passes of a tile: forward and backward of a layer, and forward of a stack of layers.
template <RecurrencePolicy kPolicy, class Tile>
struct ForwardPass {
  using Exchange = std::conditional_t<
      kPolicy == RecurrencePolicy::kGrid, GridForwardExchange<Tile>,
      std::conditional_t<Tile::kBlocks == 1, BlockForwardExchange<Tile>, ClusterForwardExchange<Tile>>>;
  using Shared = ForwardShared<Tile, Exchange>;
  using Area = GridForwardArea<Tile>;
  using Place = ForwardPlace<Tile>;
  static constexpr unsigned kThreads = Tile::kForwardThreads;
  static constexpr bool kCooperative = kPolicy == RecurrencePolicy::kGrid;
  static constexpr const char* kName = "resident_forward";
  static constexpr auto kKernel = resident_forward_kernel<Tile, Exchange>;
  static constexpr bool selection_knows(MathKind math, const TileShape& tile) {
    return sizeof(Shared) == forward_shared_bytes(kPolicy, math, kind_of<typename Tile::Cell>(), tile) &&
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
  static constexpr bool kCooperative = kPolicy == RecurrencePolicy::kGrid;
  static constexpr const char* kName = "resident_backward";
  static constexpr auto kKernel = resident_backward_kernel<Tile, Exchange>;
  static constexpr bool selection_knows(MathKind math, const TileShape& tile) {
    return sizeof(Shared) == backward_shared_bytes(kPolicy, math, kind_of<typename Tile::Cell>(), tile) &&
           sizeof(Area) == grid_backward_area_bytes(tile);
  }
};

template <RecurrencePolicy kPolicy, class Tile>
struct StackPass : ForwardPass<kPolicy, Tile> {
  using Exchange = typename ForwardPass<kPolicy, Tile>::Exchange;
  using Shared = LayersShared<Tile, Exchange>;
  static constexpr const char* kName = "resident_layers";
  static constexpr auto kKernel = resident_layers_kernel<Tile, Exchange>;
  static constexpr bool selection_knows(MathKind math, const TileShape& tile) {
    return sizeof(Shared) == layers_shared_bytes(kPolicy, math, tile) &&
           Handover<Tile>::kWords == handover_words(math, tile.hidden);
  }
};

// These functions depend on what is run: they give the pass, the matrices W_hh and W_ih, and the number of sets of
// teams.
template <RecurrencePolicy kPolicy, class Tile, class T>
ForwardPass<kPolicy, Tile> pass_of(const LayerForward<T, float>&);
template <RecurrencePolicy kPolicy, class Tile, class T>
BackwardPass<kPolicy, Tile> pass_of(const LayerBackward<T, float>&);
template <RecurrencePolicy kPolicy, class Tile, class T>
StackPass<kPolicy, Tile> pass_of(const StackForward<T>&);

template <class Layer>
GateMatrices<typename Layer::Scalar> matrices_of(const Layer& layer) {
  GateMatrices<typename Layer::Scalar> matrices{layer.hidden};
  for (int64_t d = 0; d < layer.directions; ++d) matrices.add(layer.direction[d].w_hh);
  return matrices;
}
template <class T>
GateMatrices<T> matrices_of(const StackForward<T>& stack) {
  GateMatrices<T> matrices{stack.layers[0].hidden};
  for (int64_t l = 0; l < stack.count; ++l) matrices.add(stack.layers[l].direction[0].w_hh);
  for (int64_t l = 1; l < stack.count; ++l) matrices.add(stack.inputs[l].w_ih);
  return matrices;
}

template <class Layer>
int64_t sets_of(const Layer& layer) {
  return layer.directions;
}
template <class T>
int64_t sets_of(const StackForward<T>& stack) {
  return stack.count;
}

// run.weights <- the matrices, arranged for this tile and pass.
template <class Tile, class Place>
int32_t arrange_weights(Stream stream, const ResidentRun& run, const GateMatrices<typename Tile::Scalar>& matrices) {
  constexpr int64_t kFragments = ArrangedWeights<Tile, Place>::kFragments;
  // Every weight once: 2 rows for each row tile of forward and unit, kGates of backward, of H weights each.
  constexpr int64_t kHidden = Tile::kHidden, kBytes = kFragments * static_cast<int64_t>(sizeof(Fragment));
  constexpr int kRows = std::is_same<Place, ForwardPlace<Tile>>::value ? 2 * Tile::kGateTiles : Tile::Cell::kGates;
  static_assert(kBytes == kRows * kHidden * kHidden * static_cast<int64_t>(sizeof(typename Tile::Value)),
                "every weight once");
  return launch<arrange_weights_kernel<Tile, Place>>(stream, "arrange_weights",
                                                     elementwise_shape(stream, kFragments * matrices.count), matrices,
                                                     static_cast<Fragment*>(run.weights), run.check);
}

// Every byte of memory [bytes] <- value. Does nothing if memory is null.
inline int32_t fill(Stream stream, void* memory, int value, size_t bytes) {
  if (memory == nullptr) return VARLSTM_OK;
  return check_runtime(cudaMemsetAsync(memory, value, bytes, stream.handle), "cudaMemsetAsync");
}

template <class Tile, class Layer>
int32_t clear_handover(Stream, const Layer&) {
  return VARLSTM_OK;
}
template <class Tile, class T>
int32_t clear_handover(Stream stream, const StackForward<T>& stack) {
  const int64_t words = (stack.count - 1) * stack.rows * Handover<Tile>::kWords + 1;
  return fill(stream, stack.handover, kNothingYetByte, static_cast<size_t>(words) * sizeof(simt::b32x2));
}

// Launches row kIndex of the table of the policy and math.
template <RecurrencePolicy kPolicy, MathKind kMath, class CellType, size_t kIndex, class Layer>
int32_t launch_tile(Stream stream, const ResidentRun& run, const Layer& layer) {
  using Tile = typename TileOf<kPolicy, kMath, CellType, kIndex>::type;
  using Pass = decltype(pass_of<kPolicy, Tile>(layer));
  using Area = typename Pass::Area;
  static_assert(Pass::selection_knows(kMath, TileOf<kPolicy, kMath, CellType, kIndex>::kShape),
                "bytes of shared memory and area");
  static_assert(selection_knows_gates<CellType>(), "gates");
  VARLSTM_CUDA_TRY((arrange_weights<Tile, typename Pass::Place>(stream, run, matrices_of(layer))));
  const int64_t teams = run.choice.teams * sets_of(layer);
  VARLSTM_CUDA_TRY(fill(stream, run.area, kNothingYetByte, static_cast<size_t>(teams) * sizeof(Area)));
  VARLSTM_CUDA_TRY(clear_handover<Tile>(stream, layer));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(teams * Tile::kBlocks));
  shape.block = dim3(Pass::kThreads);
  shape.cluster = kPolicy == RecurrencePolicy::kCluster ? Tile::kBlocks : 1;
  shape.cooperative = Pass::kCooperative;
  shape.shared_bytes = sizeof(typename Pass::Shared);
  return launch<Pass::kKernel>(stream, Pass::kName, shape, run.choice.cell, layer, run.schedule, run.choice.teams,
                               static_cast<const Fragment*>(run.weights), static_cast<Area*>(run.area));
}

template <class Layer>
int32_t no_such_tile(Stream, const ResidentRun& run, const Layer&) {
  return fail(VARLSTM_ERROR_INTERNAL, "tile %d has no kernel of cell %d, or none of stacked layers", run.choice.index,
              static_cast<int>(run.choice.cell));
}

template <RecurrencePolicy kPolicy, MathKind kMath, class CellType, size_t kIndex, class Layer>
constexpr auto launch_of_tile() {
  constexpr bool kStack = std::is_same<Layer, StackForward<typename Layer::Scalar>>::value;
  constexpr TileShape kShape = TileOf<kPolicy, kMath, CellType, kIndex>::kShape;
  constexpr bool kExists =
      kStack ? stacks_layers(kPolicy, kMath, kShape)
             : has_kernels(kind_of<CellType>(), rows_of_table<kPolicy, kMath>(), static_cast<int>(kIndex));
  if constexpr (kExists)
    return launch_tile<kPolicy, kMath, CellType, kIndex, Layer>;
  else
    return no_such_tile<Layer>;
}

template <RecurrencePolicy kPolicy, MathKind kMath, class CellType, class Layer, size_t... kIndex>
LaunchOf<Layer> launch_by_index(int index, std::index_sequence<kIndex...>) {
  constexpr LaunchOf<Layer> kLaunches[] = {launch_of_tile<kPolicy, kMath, CellType, kIndex, Layer>()...};
  return kLaunches[index];
}

template <RecurrencePolicy kPolicy, MathKind kMath, class CellType, class Layer>
LaunchOf<Layer> resident_launcher_of(int index) {
  return launch_by_index<kPolicy, kMath, CellType, Layer>(
      index, std::make_index_sequence<rows_of_table<kPolicy, kMath>().count>());
}

// Instantiates everything of one policy, math and cell. Each is in a .cu file of its own, so that they compile in
// parallel.
#define VARLSTM_INSTANTIATE_RESIDENT(policy, math, CellType, Scalar)              \
  template LaunchOf<LayerForward<Scalar, float>>                                  \
  resident_launcher_of<policy, math, CellType, LayerForward<Scalar, float>>(int); \
  template LaunchOf<LayerBackward<Scalar, float>>                                 \
  resident_launcher_of<policy, math, CellType, LayerBackward<Scalar, float>>(int)

// Instantiates stacks of layers in one math, for policies cluster and grid.
#define VARLSTM_INSTANTIATE_LAYERS(math, Scalar)                                               \
  template LaunchOf<StackForward<Scalar>>                                                      \
  resident_launcher_of<RecurrencePolicy::kCluster, math, LstmCell, StackForward<Scalar>>(int); \
  template LaunchOf<StackForward<Scalar>>                                                      \
  resident_launcher_of<RecurrencePolicy::kGrid, math, LstmCell, StackForward<Scalar>>(int)

}  // namespace varlstm::cuda
