// What every function of the emulated runtime does: fail where a test wants it, and keep its error for this thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/cuda_runtime.h"

namespace varlstm::simt {

// cudaSuccess, or the error that a test wants of the runtime's next call. Every function of the runtime that can fail
// starts with it.
cudaError_t begin_runtime_call(const char* name);

// Gives `error` back, and keeps it as this thread's last one; success leaves the one before.
cudaError_t remember_error(cudaError_t error);

// This thread's, for what needs no call of the runtime.
int current_device();

}  // namespace varlstm::simt
