// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "varlstm.h"
#if defined(VARLSTM_EMULATED)
#include "kernels/simt/options.h"
#endif

namespace varlstm::cuda {
namespace {

thread_local char failure_text[1024];
thread_local char taken_text[1024];

int32_t status_of(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return VARLSTM_ERROR_OUT_OF_MEMORY;
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
      return VARLSTM_ERROR_DEAD_CONTEXT;
    default:
      return VARLSTM_ERROR_BACKEND;
  }
}

}  // namespace

int32_t fail(int32_t status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure_text, sizeof failure_text, format, arguments);
  va_end(arguments);
  return status;
}

int32_t check_runtime(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return VARLSTM_OK;
#if defined(VARLSTM_EMULATED)
  if (error == cudaErrorLaunchFailure)
    return fail(status_of(error), "%s failed with %s: %s", call, cudaGetErrorName(error), simt::last_report().c_str());
#endif
  return fail(status_of(error), "%s failed with %s: %s", call, cudaGetErrorName(error), cudaGetErrorString(error));
}

const char* take_failure_text() {
  memcpy(taken_text, failure_text, sizeof taken_text);
  failure_text[0] = 0;
  return taken_text;
}

}  // namespace varlstm::cuda
