// Devices that are not here, as tables of facts, and the shapes of recurrences for the tests of the selection. What
// each should choose is worked out in the tests from the devices' limits, not with the library's formulas.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "kernels/selection/recurrence_selection.h"

namespace varlstm::cuda {

using Policy = RecurrencePolicy;

struct Device {
  const char* name;
  DeviceFacts facts;
};

// Multiprocessors, shared memory of a block at most, and clusters of 1, 2, 4, 8 and 16 blocks that are resident.
inline const Device kH100 = {"sm_90", {90, 132, 227 * 1024, {132, 66, 32, 16, 8}}};
inline const Device kA100 = {"sm_80", {80, 108, 163 * 1024, {108, 0, 0, 0, 0}}};
inline const Device kA10 = {"sm_86", {86, 84, 99 * 1024, {84, 0, 0, 0, 0}}};
inline const Device kT4 = {"sm_75", {75, 40, 64 * 1024, {40, 0, 0, 0, 0}}};
inline const Device kRtx5090 = {"sm_120", {120, 170, 99 * 1024, {170, 85, 42, 21, 0}}};
inline const Device kDevices[] = {kH100, kA100, kA10, kT4, kRtx5090};

struct Kind {
  const char* name;
  DType dtype;
  bool tf32;
  MathKind math;
};
inline const Kind kKinds[] = {{"f32", DType::kF32, false, MathKind::kF32},
                              {"tf32", DType::kF32, true, MathKind::kTf32},
                              {"bf16", DType::kBF16, false, MathKind::kBf16},
                              {"bf16 with the key of TF32", DType::kBF16, true, MathKind::kBf16},
                              {"f16", DType::kF16, false, MathKind::kF16}};

inline RecurrenceShape shape_of(const Kind& kind, int64_t hidden, int64_t directions, Cell cell = Cell::kLstm) {
  return {cell, kind.dtype, kind.tf32, hidden, directions};
}

// One for each number of gates. The two RNNs have the same sizes.
inline constexpr Cell kCells[] = {Cell::kLstm, Cell::kGru, Cell::kRnnTanh};

// The index of the first row that holds H and has kernels of the cell, or -1.
inline int row_of(Policy policy, MathKind math, int64_t hidden, Cell cell) {
  const TileRows table = tile_rows(policy, math);
  for (int k = 0; k < table.count; ++k)
    if (table.rows[k].hidden >= hidden && has_kernels(cell, table, k)) return k;
  return -1;
}

// Every device, kind, H around the tables' limits, number of directions and cell.
template <class Body>
void for_each_shape(const Body& body) {
  for (const Device& device : kDevices) {
    for (const Kind& kind : kKinds) {
      for (const int64_t hidden :
           {1, 31, 32, 33, 64, 65, 128, 129, 256, 257, 384, 385, 512, 640, 768, 896, 1024, 1025, 2048, 2049}) {
        for (const int64_t directions : {1, 2}) {
          for (const Cell cell : kCells) {
            SCOPED_TRACE(std::string(device.name) + " " + kind.name + " H=" + std::to_string(hidden) +
                         " D=" + std::to_string(directions) + " cell " + std::to_string(static_cast<int>(cell)));
            body(device, kind, shape_of(kind, hidden, directions, cell));
          }
        }
      }
    }
  }
}

}  // namespace varlstm::cuda
