// The errors of the emulated CUDA runtime: those that tests request, their names, and each thread's last one.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/runtime_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mutex>

#include "capi/contract/environment.h"
#include "kernels/simt/runtime_control.h"

namespace varlstm::simt {
namespace {

RuntimeFault fault_of_environment() {
  RuntimeFault fault;
  const char* text = getenv("VARLSTM_EMULATOR_FAIL");
  if (text == nullptr) return fault;
  char* rest = nullptr;
  fault.call = strtoll(text, &rest, 10);
  fault.for_good = strcmp(rest, ":sticky") == 0;
  if (fault.for_good) fault.error = cudaErrorIllegalAddress;
  if (fault.call > 0 && (fault.for_good || *rest == 0)) return fault;
  fprintf(stderr, "VARLSTM_EMULATOR_FAIL = %s is neither a call's number nor number:sticky\n", text);
  abort();
}

struct Faults {
  std::mutex mutex;
  RuntimeFault fault = fault_of_environment();
  int64_t calls = 0;
  const char* failed_call = "";
};

Faults& faults() {
  static Faults* const instance = new Faults;
  return *instance;
}

thread_local cudaError_t last_error = cudaSuccess;

// Returns the error of a device that died, or cudaSuccess if it did not.
cudaError_t error_for_good() {
  Faults& all = faults();
  const std::lock_guard<std::mutex> guard(all.mutex);
  const bool reached = all.fault.for_good && all.fault.call > 0 && all.calls >= all.fault.call;
  return reached ? all.fault.error : cudaSuccess;
}

}  // namespace

cudaError_t begin_runtime_call(const char* name) {
  Faults& all = faults();
  const std::lock_guard<std::mutex> guard(all.mutex);
  ++all.calls;
  const RuntimeFault& fault = all.fault;
  if (fault.call == 0 || all.calls < fault.call) return cudaSuccess;
  if (all.calls == fault.call) all.failed_call = name;
  return all.calls == fault.call || fault.for_good ? fault.error : cudaSuccess;
}

void set_runtime_fault(const RuntimeFault& fault) {
  Faults& all = faults();
  const std::lock_guard<std::mutex> guard(all.mutex);
  all.fault = fault;
  all.calls = 0;
  all.failed_call = "";
}

const char* failed_runtime_call() {
  Faults& all = faults();
  const std::lock_guard<std::mutex> guard(all.mutex);
  return all.failed_call;
}

const char* emulator_environment(const EnvironmentVariable& variable) {
  const char* value = getenv(variable.name);
  if (value == nullptr || *value == 0 || is_known(variable, value)) return environment(variable);
  fprintf(stderr, "%s = %s is none of: %s\n", variable.name, value, variable.values);
  abort();
}

cudaError_t remember_error(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

}  // namespace varlstm::simt

using namespace varlstm::simt;

const char* cudaGetErrorName(cudaError_t error) {
#define VARLSTM_NAME_ERROR(name) \
  case name:                     \
    return #name
  switch (error) {
    VARLSTM_NAME_ERROR(cudaSuccess);
    VARLSTM_NAME_ERROR(cudaErrorInvalidValue);
    VARLSTM_NAME_ERROR(cudaErrorMemoryAllocation);
    VARLSTM_NAME_ERROR(cudaErrorInitializationError);
    VARLSTM_NAME_ERROR(cudaErrorInvalidConfiguration);
    VARLSTM_NAME_ERROR(cudaErrorInsufficientDriver);
    VARLSTM_NAME_ERROR(cudaErrorNoDevice);
    VARLSTM_NAME_ERROR(cudaErrorInvalidDevice);
    VARLSTM_NAME_ERROR(cudaErrorECCUncorrectable);
    VARLSTM_NAME_ERROR(cudaErrorNvlinkUncorrectable);
    VARLSTM_NAME_ERROR(cudaErrorContained);
    VARLSTM_NAME_ERROR(cudaErrorInvalidResourceHandle);
    VARLSTM_NAME_ERROR(cudaErrorIllegalAddress);
    VARLSTM_NAME_ERROR(cudaErrorLaunchFailure);
    VARLSTM_NAME_ERROR(cudaErrorCooperativeLaunchTooLarge);
    VARLSTM_NAME_ERROR(cudaErrorTensorMemoryLeak);
    VARLSTM_NAME_ERROR(cudaErrorMpsClientTerminated);
    VARLSTM_NAME_ERROR(cudaErrorStreamCaptureUnsupported);
    VARLSTM_NAME_ERROR(cudaErrorStreamCaptureInvalidated);
    VARLSTM_NAME_ERROR(cudaErrorStreamCaptureImplicit);
    VARLSTM_NAME_ERROR(cudaErrorUnknown);
  }
#undef VARLSTM_NAME_ERROR
  return "cudaErrorUnknown";
}

const char* cudaGetErrorString(cudaError_t error) {
  return cudaGetErrorName(error);
}

cudaError_t cudaPeekAtLastError() {
  const cudaError_t for_good = error_for_good();
  return for_good != cudaSuccess ? for_good : last_error;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  last_error = cudaSuccess;
  return error;
}
