// Contexts of the emulated CUDA driver.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/cuda_driver.h"

namespace varlstm::simt {

// cudaErrorInvalidDevice for what is no device's number.
cudaError_t check_device(int device);
int device_count();

// Chooses the device for this thread and makes its primary context current, as cudaSetDevice() does from CUDA 12 on.
void choose_device(int device);

// begin_runtime_call() for what needs a context: where this thread has none, the chosen device's primary one from now
// on.
cudaError_t begin_device_call(const char* name);

}  // namespace varlstm::simt
