// Which tile of the recurrence's tables a batch runs with on the device that is here, by the library's own choice.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/device_facts.h"
#include "support/resident_tiles.h"
#include "varlstm.h"

namespace varlstm_test {

inline varlstm::cuda::DeviceFacts device_facts() {
  varlstm::cuda::DeviceFacts facts;
  EXPECT_EQ(varlstm::cuda::ask_device_facts(0, &facts), VARLSTM_OK);
  return facts;
}

// Whether the device runs a way's recurrence of that H.
inline bool runs(const RecurrenceWay& way, int64_t hidden, const varlstm::cuda::DeviceFacts& facts) {
  return varlstm::cuda::why_not(policy_of(way), shape_of(way, hidden, 1), facts) == nullptr;
}

// Null where that many sequences run through all layers in one launch; else why not.
inline const char* why_not_together(const RecurrenceWay& way, int64_t hidden, int64_t layers, int64_t batch) {
  const varlstm::cuda::DeviceFacts facts = device_facts();
  const varlstm::cuda::RecurrenceShape shape = shape_of(way, hidden, 1);
  const char* reason = varlstm::cuda::why_not_together(policy_of(way), shape, layers, facts);
  if (reason != nullptr) return reason;
  const auto choice = varlstm::cuda::choose_tile(policy_of(way), shape, batch, facts, layers);
  return batch <= varlstm::cuda::most_together(choice, layers) ? nullptr : "the batch is too large for one launch";
}

// The tile of H with so many slots, or -1.
inline int tile_of(const RecurrenceWay& way, int64_t hidden, int slots) {
  const varlstm::cuda::TileRows tiles = tiles_of(way);
  int64_t chosen = -1;  // the H of the first that holds it
  for (int k = 0; k < tiles.count; ++k) {
    if (tiles.rows[k].hidden < hidden || (chosen >= 0 && tiles.rows[k].hidden != chosen)) continue;
    chosen = tiles.rows[k].hidden;
    if (tiles.rows[k].slots() == slots) return k;
  }
  return -1;
}

}  // namespace varlstm_test
