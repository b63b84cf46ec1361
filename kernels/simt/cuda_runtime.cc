// The emulated CUDA runtime without its streams, errors and contexts: devices and memory.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/cuda_runtime.h"

#include <stdlib.h>
#include <string.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/simt/context.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/options.h"
#include "kernels/simt/runtime_call.h"
#include "kernels/simt/stream_queue.h"

namespace varlstm::simt {
namespace {

bool is_device_side(const void* pointer, size_t bytes, bool on_device) {
  return !on_device || bytes == 0 || is_device_memory(pointer, bytes);
}

// Page-locked memory: its first byte and its number of bytes.
struct PageLocked {
  std::mutex mutex;
  std::map<uintptr_t, size_t> blocks;
};

PageLocked& page_locked() {
  static PageLocked* const instance = new PageLocked;
  return *instance;
}

bool is_page_locked(const void* pointer, size_t bytes) {
  PageLocked& all = page_locked();
  const std::lock_guard<std::mutex> guard(all.mutex);
  const auto begin = reinterpret_cast<uintptr_t>(pointer);
  auto after = all.blocks.upper_bound(begin);
  if (after == all.blocks.begin()) return false;
  --after;
  return begin + bytes <= after->first + after->second;
}

// `staged`: the source is read now.
Work copy_work(void* dst, const void* src, size_t bytes, bool staged) {
  if (!staged) {
    return [=] {
      if (bytes != 0) memmove(dst, src, bytes);
      return cudaSuccess;
    };
  }
  const auto* begin = static_cast<const char*>(src);
  const auto taken = std::make_shared<const std::vector<char>>(begin, begin + bytes);
  return [=] {
    if (bytes != 0) memcpy(dst, taken->data(), bytes);
    return cudaSuccess;
  };
}

cudaError_t copy(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool to_host = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost;
  const bool from_host = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost;
  if (!is_device_side(dst, bytes, !to_host) || !is_device_side(src, bytes, !from_host)) return cudaErrorInvalidValue;
  const bool to_pageable = to_host && !is_page_locked(dst, bytes);
  const bool from_pageable = from_host && !is_page_locked(src, bytes);
  if ((to_pageable || from_pageable) && is_capturing(stream)) return invalidate_capture(stream);
  const cudaError_t error = enqueue_work(stream, "cudaMemcpyAsync", copy_work(dst, src, bytes, from_pageable));
  return error == cudaSuccess && to_pageable ? finish_stream(stream) : error;
}

}  // namespace

}  // namespace varlstm::simt

using namespace varlstm::simt;

cudaError_t cudaGetDeviceCount(int* count) {
  const cudaError_t error = begin_runtime_call("cudaGetDeviceCount");
  if (error != cudaSuccess) return remember_error(error);
  *count = device_count();
  return *count > 0 ? cudaSuccess : remember_error(cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* device) {
  const cudaError_t error = begin_runtime_call("cudaGetDevice");
  if (error == cudaSuccess) *device = current_device();
  return remember_error(error);
}

cudaError_t cudaSetDevice(int device) {
  cudaError_t error = begin_runtime_call("cudaSetDevice");
  if (error == cudaSuccess) error = check_device(device);
  if (error == cudaSuccess) choose_device(device);
  return remember_error(error);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaError_t error = begin_runtime_call("cudaDeviceGetAttribute");
  if (error == cudaSuccess) error = check_device(device);
  if (error != cudaSuccess) return remember_error(error);
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = static_cast<int>(multiprocessors(options()));
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
  return remember_error(cudaErrorInvalidValue);
}

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  cudaError_t error = begin_device_call("cudaMalloc");
  if (error == cudaSuccess) error = forbid_in_capture();
  if (error != cudaSuccess) return remember_error(error);
  *pointer = device_allocate(bytes, current_device());
  return remember_error(*pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaFree(void* pointer) {
  cudaError_t error = begin_device_call("cudaFree");
  if (error == cudaSuccess) error = forbid_in_capture();
  if (error == cudaSuccess) error = finish_all_streams();
  if (error == cudaSuccess) device_free(pointer);
  return remember_error(error);
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  cudaError_t error = begin_device_call("cudaMallocHost");
  if (error == cudaSuccess) error = forbid_in_capture();
  if (error != cudaSuccess) return remember_error(error);
  *pointer = malloc(bytes);
  if (*pointer == nullptr) return remember_error(cudaErrorMemoryAllocation);
  const std::lock_guard<std::mutex> guard(page_locked().mutex);
  page_locked().blocks[reinterpret_cast<uintptr_t>(*pointer)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  cudaError_t error = begin_device_call("cudaFreeHost");
  if (error == cudaSuccess) error = forbid_in_capture();
  if (error == cudaSuccess) error = finish_all_streams();
  if (error != cudaSuccess) return remember_error(error);
  const std::lock_guard<std::mutex> guard(page_locked().mutex);
  page_locked().blocks.erase(reinterpret_cast<uintptr_t>(pointer));
  free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return remember_error(copy(dst, src, bytes, kind, stream));
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  if (!is_device_side(pointer, bytes, true)) return remember_error(cudaErrorInvalidValue);
  return enqueue_work(stream, "cudaMemsetAsync", [=] {
    if (bytes != 0) memset(pointer, value, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  cudaError_t error = begin_device_call("cudaStreamSynchronize");
  if (error == cudaSuccess) error = is_capturing(stream) ? invalidate_capture(stream) : forbid_in_capture();
  return remember_error(error == cudaSuccess ? finish_stream(stream) : error);
}
