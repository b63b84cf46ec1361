// Loads kernels to a device. As CUDA does by default (CUDA_MODULE_LOADING=LAZY), a kernel is loaded when a launch or a
// query first needs it. This may wait for the device, so a capture forbids it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/cuda_runtime.h"

namespace varlstm::simt {

// Loads the kernel to the current device, unless it is already loaded. If a capture forbids it, this is an error, and
// the text on stderr names the kernel.
cudaError_t load_kernel(const void* kernel, const char* name);

}  // namespace varlstm::simt
