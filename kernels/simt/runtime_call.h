// What every function of the emulated runtime does: it fails if a test requests that, and keeps its error for this
// thread.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/cuda_runtime.h"

namespace varlstm {
struct EnvironmentVariable;  // of capi/contract/environment.h
}

namespace varlstm::simt {

// Returns cudaSuccess, or the error that a test requests from the runtime's next call. Every function of the runtime
// that can fail starts with it.
cudaError_t begin_runtime_call(const char* name);

// Returns `error`, and keeps it as this thread's last error. Success keeps the error before.
cudaError_t remember_error(cudaError_t error);

// This thread's device, for code that needs no call of the runtime.
int current_device();

// Returns the value of one of the emulator's environment variables; null if it is not set, or empty. An unknown value
// ends the program with a text that lists the known ones.
const char* emulator_environment(const EnvironmentVariable& variable);

}  // namespace varlstm::simt
