// The facts about the device on which a choice of kernel depends. They are read once, when a context is made.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::cuda {

constexpr int kClusterSizes = 5;  // 1, 2, 4, 8, 16 blocks

struct DeviceFacts {
  int capability = 0;        // 10 * major + minor
  int resident_blocks = 0;   // of a cooperative launch, one on each multiprocessor; 0: no cooperative launches
  int64_t shared_bytes = 0;  // the most that a block can have
  int active_clusters[kClusterSizes] = {};  // clusters of 1 << k blocks, one on each multiprocessor, resident together
};

int32_t ask_device_facts(int device, DeviceFacts* facts);

}  // namespace varlstm::cuda
