// A kernel that does nothing for a while, to keep multiprocessors from others.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/runtime.h"

namespace varlstm_test {

// Enqueues `blocks` blocks of which each takes a multiprocessor's shared memory for so long. The emulated device's
// nanosecond is a reading of its clock.
cudaError_t occupy(cudaStream_t stream, unsigned blocks, int64_t shared_bytes, uint64_t ns);

}  // namespace varlstm_test
