// The functions that launch the resident recurrences. One kernel runs all steps of a layer, its directions together, or
// all steps of a stack of layers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/core/scalar_types.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/schedule/slot_schedule.h"
#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {

struct LstmCell;
struct GruCell;
struct RnnCell;

// What a kernel takes besides the layer or the stack of layers: the schedule of `choice.slots()` slots, room for the
// weights in the tile's order (arrange_weights.h), and for policy grid an area in global memory (null for policy
// cluster).
struct ResidentRun {
  RecurrenceChoice choice;
  SlotSchedule schedule;
  void* weights;
  void* area;
  HeaderToCheck check;  // by the launch that arranges the weights
};

// A function that runs all steps of a layer (a LayerForward or LayerBackward) or of the layers of a StackForward. There
// are two kernels, and the first arranges the weights. Before the second the area and the handover memory are filled
// with kNothingYet.
template <class Layer>
using LaunchOf = int32_t (*)(Stream stream, const ResidentRun& run, const Layer& layer);

// Returns the function for tile `index` of the table of that policy and math, in whose scalars the layer is. CellType
// is LstmCell, GruCell or RnnCell (resident_cell.h). Instantiated in <cell>_<policy>_<math>.cu (made by CMake from
// tiles.cu.in), and for stacks, which are LSTMs, in layers_<math>.cu (made from stacked/layers.cu.in).
template <RecurrencePolicy kPolicy, MathKind kMath, class CellType, class Layer>
LaunchOf<Layer> resident_launcher_of(int index);

// The same, with the policy, math and tile of the choice.
template <class CellType, class Layer>
LaunchOf<Layer> resident_launcher_of_cell(const RecurrenceChoice& choice) {
  constexpr RecurrencePolicy kCluster = RecurrencePolicy::kCluster, kGrid = RecurrencePolicy::kGrid;
  using T = typename Layer::Scalar;
  const bool cluster = choice.policy == kCluster;
  if constexpr (std::is_same<T, Bf16>::value) {
    return cluster ? resident_launcher_of<kCluster, MathKind::kBf16, CellType, Layer>(choice.index)
                   : resident_launcher_of<kGrid, MathKind::kBf16, CellType, Layer>(choice.index);
  } else if constexpr (std::is_same<T, F16>::value) {
    return cluster ? resident_launcher_of<kCluster, MathKind::kF16, CellType, Layer>(choice.index)
                   : resident_launcher_of<kGrid, MathKind::kF16, CellType, Layer>(choice.index);
  } else if (choice.math == MathKind::kTf32) {
    return cluster ? resident_launcher_of<kCluster, MathKind::kTf32, CellType, Layer>(choice.index)
                   : resident_launcher_of<kGrid, MathKind::kTf32, CellType, Layer>(choice.index);
  } else {
    return cluster ? resident_launcher_of<kCluster, MathKind::kF32, CellType, Layer>(choice.index)
                   : resident_launcher_of<kGrid, MathKind::kF32, CellType, Layer>(choice.index);
  }
}

// The same, with the cell of the choice, too.
template <class Layer>
LaunchOf<Layer> resident_launcher(const RecurrenceChoice& choice) {
  if constexpr (!std::is_same<Layer, StackForward<typename Layer::Scalar>>::value) {
    if (choice.cell == Cell::kGru) return resident_launcher_of_cell<GruCell, Layer>(choice);
    if (choice.cell != Cell::kLstm) return resident_launcher_of_cell<RnnCell, Layer>(choice);
  }
  return resident_launcher_of_cell<LstmCell, Layer>(choice);
}

}  // namespace varlstm::cuda
