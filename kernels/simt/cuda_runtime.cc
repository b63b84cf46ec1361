// The emulated CUDA runtime but for its streams: devices, memory, errors, and the calls that are told to fail.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/cuda_runtime.h"
#include "kernels/simt/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <mutex>
#include <vector>

#include "kernels/simt/memory.h"
#include "kernels/simt/runtime_control.h"
#include "kernels/simt/stream_queue.h"

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

int emulated_devices() {
  const char* text = getenv("VARLSTM_EMULATOR_DEVICES");
  return text == nullptr ? 1 : atoi(text);
}

bool is_device_side(const void* pointer, size_t bytes, bool on_device) {
  return !on_device || bytes == 0 || is_device_memory(pointer, bytes);
}

Work copy_work(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind) {
  if (kind != cudaMemcpyHostToDevice) {
    return [=] {
      if (bytes != 0) memmove(dst, src, bytes);
      return cudaSuccess;
    };
  }
  const auto* begin = static_cast<const char*>(src);
  const auto staged = std::make_shared<const std::vector<char>>(begin, begin + bytes);
  return [=] {
    if (bytes != 0) memcpy(dst, staged->data(), bytes);
    return cudaSuccess;
  };
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

}  // namespace varlstm::simt

using namespace varlstm::simt;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInitializationError:
      return "cudaErrorInitializationError";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver:
      return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureImplicit:
      return "cudaErrorStreamCaptureImplicit";
    case cudaErrorUnknown:
      break;
  }
  return "cudaErrorUnknown";
}

const char* cudaGetErrorString(cudaError_t error) {
  return cudaGetErrorName(error);
}

cudaError_t cudaGetDeviceCount(int* count) {
  const cudaError_t error = begin_runtime_call("cudaGetDeviceCount");
  if (error != cudaSuccess) return error;
  *count = emulated_devices();
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaSetDevice(int device) {
  const cudaError_t error = begin_runtime_call("cudaSetDevice");
  if (error != cudaSuccess) return error;
  return device >= 0 && device < emulated_devices() ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const cudaError_t error = begin_runtime_call("cudaDeviceGetAttribute");
  if (error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = static_cast<int>(options().multiprocessors);
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrCooperativeLaunch:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = 227 * 1024;
      return cudaSuccess;
  }
  return cudaErrorInvalidValue;
}

cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  cudaError_t error = begin_runtime_call("cudaMalloc");
  if (error == cudaSuccess) error = forbid_in_capture();
  if (error != cudaSuccess) return error;
  *pointer = device_allocate(bytes);
  return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  cudaError_t error = begin_runtime_call("cudaFree");
  if (error == cudaSuccess) error = forbid_in_capture();
  if (error == cudaSuccess) error = finish_all_streams();
  if (error != cudaSuccess) return error;
  device_free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool to_host = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost;
  const bool from_host = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost;
  if (!is_device_side(dst, bytes, !to_host) || !is_device_side(src, bytes, !from_host)) return cudaErrorInvalidValue;
  if (to_host || from_host) {
    // CUDA itself might capture a copy from pageable memory, and read that memory at each replay.
    const cudaError_t error = is_capturing(stream) ? forbid_in_capture() : cudaSuccess;
    if (error != cudaSuccess) return error;
  }
  const cudaError_t error = enqueue_work(stream, "cudaMemcpyAsync", copy_work(dst, src, bytes, kind));
  return error == cudaSuccess && to_host ? finish_stream(stream) : error;
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  if (!is_device_side(pointer, bytes, true)) return cudaErrorInvalidValue;
  return enqueue_work(stream, "cudaMemsetAsync", [=] {
    if (bytes != 0) memset(pointer, value, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  cudaError_t error = begin_runtime_call("cudaStreamSynchronize");
  if (error == cudaSuccess) error = forbid_in_capture();
  return error == cudaSuccess ? finish_stream(stream) : error;
}
