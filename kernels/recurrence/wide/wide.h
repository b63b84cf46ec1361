// The launchers of both passes by wide teams.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/schedule/slot_schedule.h"
#include "kernels/selection/wide_selection.h"

namespace varlstm::cuda {

// What a pass takes besides the layer: the schedule of `choice.slots()` slots, and an area of wide_sizes().area_bytes
// for each of `choice.teams` teams of `choice.directions` directions.
struct WideRun {
  WideChoice choice;
  bool resident;  // the order of sums: that of the resident tiles, in backward of policy grid; otherwise of stepwise
  SlotSchedule schedule;
  void* area;
  unsigned char* weights = nullptr;  // wide_sizes().weight_bytes for each of those directions
};

// T is float for TF32, which has an LSTM alone. Each runs all steps of a layer of choice.directions directions for
// which why_not_wide() says nothing: a kernel, after the area is filled with zeros. Instantiated for each cell and math
// in files that CMake makes: wide_<cell>_<math>.cu from wide.cu.in, wide_backward_<math>.cu from wide_backward.cu.in,
// and both passes of TF32 from streamed.cu.in.
template <class CellType, class T>
int32_t wide_forward_of(Stream stream, Cell cell, const WideRun& run, const LayerForward<T, float>& layer);
template <class CellType, class T>
int32_t wide_backward_of(Stream stream, Cell cell, const WideRun& run, const LayerBackward<T, float>& layer);

struct LstmCell;
struct GruCell;
struct RnnCell;

template <class T>
int32_t wide_forward(Stream stream, Cell cell, const WideRun& run, const LayerForward<T, float>& layer) {
  if constexpr (sizeof(T) == 2) {
    if (cell == Cell::kGru) return wide_forward_of<GruCell>(stream, cell, run, layer);
    if (cell != Cell::kLstm) return wide_forward_of<RnnCell>(stream, cell, run, layer);
  }
  return wide_forward_of<LstmCell>(stream, cell, run, layer);
}
template <class T>
int32_t wide_backward(Stream stream, Cell cell, const WideRun& run, const LayerBackward<T, float>& layer) {
  if constexpr (sizeof(T) == 2) {
    if (cell == Cell::kGru) return wide_backward_of<GruCell>(stream, cell, run, layer);
    if (cell != Cell::kLstm) return wide_backward_of<RnnCell>(stream, cell, run, layer);
  }
  return wide_backward_of<LstmCell>(stream, cell, run, layer);
}

}  // namespace varlstm::cuda
