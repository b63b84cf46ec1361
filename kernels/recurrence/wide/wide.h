// The launcher of forward by wide teams.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/schedule/slot_schedule.h"
#include "kernels/selection/wide_selection.h"

namespace varlstm::cuda {

// What forward takes besides the layer: the schedule of `choice.slots()` slots, and an area of wide_area_bytes for each
// of `choice.teams` teams of `choice.directions` directions.
struct WideRun {
  WideChoice choice;
  bool resident;  // the order of sums: that of the resident tiles, otherwise that of stepwise
  SlotSchedule schedule;
  void* area;
};

// Runs all steps of a layer of choice.directions directions, whose cell and H have wide teams. A kernel, after the area
// is filled with zeros. Instantiated for each cell and math in wide_<cell>_<math>.cu (made by CMake from wide.cu.in).
template <class CellType, class T>
int32_t wide_forward_of(Stream stream, Cell cell, const WideRun& run, const LayerForward<T, float>& layer);

struct LstmCell;
struct GruCell;
struct RnnCell;

template <class T>
int32_t wide_forward(Stream stream, Cell cell, const WideRun& run, const LayerForward<T, float>& layer) {
  if (cell == Cell::kLstm) return wide_forward_of<LstmCell>(stream, cell, run, layer);
  if (cell == Cell::kGru) return wide_forward_of<GruCell>(stream, cell, run, layer);
  return wide_forward_of<RnnCell>(stream, cell, run, layer);
}

}  // namespace varlstm::cuda
