// Turns a failed call of the CUDA runtime, or of another library, into a varlstm_status with a text.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/runtime.h"

namespace varlstm::cuda {

// Returns VARLSTM_OK for cudaSuccess. Otherwise it returns the status that belongs to the error, with a text that gives
// `call`, the error and its meaning. A sticky error (one that the device gives for every later call) is DEAD_CONTEXT.
// The error is removed as the runtime's last error, because CUB would return it from a later call that has nothing to
// do with it.
int32_t check_runtime(cudaError_t error, const char* call);

// For a call whose failure changes nothing: here too the error is removed as the runtime's last error.
void ignore_failure(cudaError_t error);

// Sets this thread's text for a call that is about to fail, in the manner of printf, and returns `status`.
__attribute__((format(printf, 2, 3))) int32_t fail(int32_t status, const char* format, ...);

// Returns this thread's text of the last failure, and clears it.
const char* take_failure_text();

}  // namespace varlstm::cuda

// Returns from the function with the status of a call that failed.
#define VARLSTM_CUDA_TRY(expression)                \
  do {                                              \
    const int32_t status_of_call = (expression);    \
    if (status_of_call != 0) return status_of_call; \
  } while (false)
