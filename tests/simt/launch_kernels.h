// Kernels of launch_test.cc, behind launchers: the test itself does not see the device vocabulary.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/launch_shape.h"

namespace varlstm::test {

// words[global thread] += value.
cudaError_t launch_add(const LaunchShape& shape, uint32_t* words, uint32_t value, cudaStream_t stream = nullptr);

// One thread reads *source, which may lie anywhere.
cudaError_t launch_read(const uint32_t* source, uint32_t* words);

// `rounds` block barriers with an exchange through shared memory between them.
cudaError_t launch_barriers(const LaunchShape& shape, uint32_t* words, unsigned rounds);

// Every thread needs `depth` frames of 1 KiB of stack.
cudaError_t launch_recursion(unsigned depth, uint32_t* words);

// All shared memory must be NaN at first, in every wave of blocks.
cudaError_t launch_shared_scan(const LaunchShape& shape, uint32_t* words);

}  // namespace varlstm::test
