// How a failed call of the CUDA runtime or of a library beside it becomes a varlstm_status with a text.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/runtime.h"

namespace varlstm::cuda {

// VARLSTM_OK for cudaSuccess; else the status that belongs to the error, with a text that names `call`, the error and
// what it means. A sticky error (one after which the device answers every call with it) is DEAD_CONTEXT. The error is
// no longer the runtime's last one: CUB would return it from a later call that has nothing to do with it.
int32_t check_runtime(cudaError_t error, const char* call);

// For a call whose failure changes nothing: an error is not the runtime's last one either.
void ignore_failure(cudaError_t error);

// Sets this thread's text for a call that is about to fail, as printf would; returns `status`.
__attribute__((format(printf, 2, 3))) int32_t fail(int32_t status, const char* format, ...);

// This thread's text of the last failure; emptied by the call.
const char* take_failure_text();

}  // namespace varlstm::cuda

// Leaves the function with the status of a call that failed.
#define VARLSTM_CUDA_TRY(expression)                \
  do {                                              \
    const int32_t status_of_call = (expression);    \
    if (status_of_call != 0) return status_of_call; \
  } while (false)
