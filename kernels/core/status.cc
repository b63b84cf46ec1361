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

// Whether the device answers every later call of the process with the same error. Errors are listed by their numbers in
// driver_types.h, because older toolkits do not name all of them.
bool is_sticky(cudaError_t error) {
  switch (static_cast<int>(error)) {
    case 214:  // cudaErrorECCUncorrectable
    case 220:  // cudaErrorNvlinkUncorrectable
    case 226:  // cudaErrorContained: the GPU contained a failure of its hardware or of a peer access
    case 700:  // cudaErrorIllegalAddress
    case 702:  // cudaErrorLaunchTimeout
    case 709:  // cudaErrorContextIsDestroyed
    case 710:  // cudaErrorAssert
    case 714:  // cudaErrorHardwareStackError
    case 715:  // cudaErrorIllegalInstruction
    case 716:  // cudaErrorMisalignedAddress
    case 717:  // cudaErrorInvalidAddressSpace
    case 718:  // cudaErrorInvalidPc
    case 719:  // cudaErrorLaunchFailure
    case 721:  // cudaErrorTensorMemoryLeak: a kernel ended without freeing its tensor memory
    case 810:  // cudaErrorMpsClientTerminated: the MPS server ended this process's use of CUDA
      return true;
    default:
      return false;
  }
}

int32_t status_of(cudaError_t error) {
  if (error == cudaErrorMemoryAllocation) return VARLSTM_ERROR_OUT_OF_MEMORY;
  return is_sticky(error) ? VARLSTM_ERROR_DEAD_CONTEXT : VARLSTM_ERROR_BACKEND;
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
  (void)cudaGetLastError();
#if defined(VARLSTM_EMULATED)
  if (error == cudaErrorLaunchFailure)
    return fail(status_of(error), "%s failed with %s: %s", call, cudaGetErrorName(error), simt::last_report().c_str());
#endif
  return fail(status_of(error), "%s failed with %s: %s", call, cudaGetErrorName(error), cudaGetErrorString(error));
}

void ignore_failure(cudaError_t error) {
  if (error != cudaSuccess) (void)cudaGetLastError();
}

const char* take_failure_text() {
  memcpy(taken_text, failure_text, sizeof taken_text);
  failure_text[0] = 0;
  return taken_text;
}

}  // namespace varlstm::cuda
