// What a choice of kernel looks at of the device; asked for once, when a context is made.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::cuda {

constexpr int kClusterSizes = 5;  // 1, 2, 4, 8, 16 blocks

struct DeviceFacts {
  int capability = 0;        // 10 * major + minor
  int resident_blocks = 0;   // of a cooperative launch, one to a multiprocessor; 0: the device has no such launches
  int64_t shared_bytes = 0;  // of a block, at most
  int active_clusters[kClusterSizes] = {};  // of 1 << k blocks, one to a multiprocessor, resident at a time
};

int32_t ask_device_facts(int device, DeviceFacts* facts);

}  // namespace varlstm::cuda
