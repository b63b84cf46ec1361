// The launcher of backward by wide teams, and which layers have one. Not measured on a GPU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/schedule/slot_schedule.h"

namespace varlstm::cuda {

struct LstmCell;
struct GruCell;
struct RnnCell;

constexpr int64_t kWideBackwardSlots = 64;  // of a team
constexpr int kWideBackwardHidden[] = {256, 512, 768, 1024};

// Whether backward of a layer in 16 bits has wide teams with the sums of policy grid (grid_order) or of stepwise.
constexpr bool has_wide_backward(Cell cell, int64_t hidden, bool grid_order) {
  if (resident_gates(cell) == 0) return false;
  if (grid_order) return cell == Cell::kLstm && (hidden == 512 || hidden == 1024);
  for (const int wide : kWideBackwardHidden)
    if (wide == hidden) return true;
  return false;
}

// Blocks of a set, and of a cluster.
constexpr int64_t wide_backward_blocks(int64_t hidden) {
  return hidden / 16;
}
constexpr int64_t wide_backward_cluster(int64_t hidden, bool grid_order) {
  return grid_order && hidden > 768 ? 4 : 8;
}
constexpr int64_t wide_backward_teams_of_block(bool grid_order) {
  return grid_order ? 1 : 2;
}
// The global memory of a team.
constexpr int64_t wide_backward_area_bytes(Cell cell, int64_t hidden) {
  return 2 * resident_gates(cell) * hidden * kWideBackwardSlots * 2 + 128;
}

// What it takes besides the layer: sets of blocks of each direction, all of which must be resident together; teams of
// each direction, up to wide_backward_teams_of_block() for each set; the schedule of their slots; and an area for each
// team of each direction.
struct WideBackwardRun {
  int64_t teams, sets;
  bool grid_order;
  SlotSchedule schedule;
  void* area;
};

// Runs all steps of a layer that has_wide_backward: a kernel, after the area is filled with zeros. Instantiated in
// wide_backward_<math>.cu (made by CMake from wide_backward.cu.in).
template <class CellType, class T>
int32_t wide_backward_of(Stream stream, Cell cell, const WideBackwardRun& run, const LayerBackward<T, float>& layer);

template <class T>
int32_t wide_backward(Stream stream, Cell cell, const WideBackwardRun& run, const LayerBackward<T, float>& layer) {
  if (cell == Cell::kLstm) return wide_backward_of<LstmCell>(stream, cell, run, layer);
  if (cell == Cell::kGru) return wide_backward_of<GruCell>(stream, cell, run, layer);
  return wide_backward_of<RnnCell>(stream, cell, run, layer);
}

}  // namespace varlstm::cuda
