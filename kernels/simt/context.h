// The contexts of the emulated CUDA driver.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/cuda_driver.h"

namespace varlstm::simt {

// Returns cudaErrorInvalidDevice if `device` is not the number of a device.
cudaError_t check_device(int device);
int device_count();

// Chooses the device for this thread and makes its primary context current, as cudaSetDevice() does from CUDA 12 on.
void choose_device(int device);

// begin_runtime_call() for a call that needs a context. If this thread has none, the primary context of the chosen
// device becomes current.
cudaError_t begin_device_call(const char* name);

}  // namespace varlstm::simt
