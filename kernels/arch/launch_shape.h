// Grid, block, cluster and shared memory of a launch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "kernels/core/runtime.h"

namespace varlstm {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  unsigned cluster = 1;      // blocks in a cluster, along x
  size_t shared_bytes = 0;   // dynamic shared memory
  bool cooperative = false;  // every block is resident at once: grid_sync is allowed
};

}  // namespace varlstm
