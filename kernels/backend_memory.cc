// Contexts, memory and the status word of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include <new>

#include "kernels/backend_ops.h"
#include "kernels/core/capture_mode.h"
#include "kernels/core/current_context.h"
#include "kernels/core/device_status.h"
#include "kernels/core/kernel_registry.h"
#include "kernels/core/status.h"
#include "kernels/gemm/blas_handles.h"
#include "kernels/sort/sort.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

State* cuda_state(BackendState* state) {
  return static_cast<State*>(state);
}

cudaStream_t stream_of(void* stream) {
  return static_cast<cudaStream_t>(stream);
}

int32_t device_count(int32_t* count) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  const bool none = error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver;
  ignore_failure(error);
  if (error != cudaSuccess && !none) return check_runtime(error, "cudaGetDeviceCount");
  *count = none ? 0 : devices;
  return VARLSTM_OK;
}

int32_t clear_status(State* state, cudaStream_t stream) {
  return check_runtime(cudaMemsetAsync(state->status, 0xff, sizeof(DeviceStatus), stream), "cudaMemsetAsync");
}

void close(BackendState* base) {
  const RelaxedCapture relaxed;
  State* state = cuda_state(base);
  give_back_blas(state->blas);
  ignore_failure(cudaFree(state->status));  // the text of an earlier failure is kept
  delete state;
}

// Prepares all that a context ever needs. Nothing is allocated, queried or loaded later, so that its first call may be
// captured.
int32_t prepare(State* state) {
  VARLSTM_CUDA_TRY(
      check_runtime(cudaDeviceGetAttribute(&state->multiprocessors, cudaDevAttrMultiProcessorCount, state->device),
                    "cudaDeviceGetAttribute"));
  VARLSTM_CUDA_TRY(ask_device_facts(state->device, &state->facts));
  VARLSTM_CUDA_TRY(
      check_runtime(cudaMalloc(reinterpret_cast<void**>(&state->status), sizeof(DeviceStatus)), "cudaMalloc"));
  VARLSTM_CUDA_TRY(clear_status(state, nullptr));
  VARLSTM_CUDA_TRY(load_kernels(state->facts.shared_bytes, state->facts.capability >= 90));
  VARLSTM_CUDA_TRY(load_sort({state, nullptr}));
  state->blas = take_blas(state->device);
  if (state->blas == nullptr) return fail(VARLSTM_ERROR_OUT_OF_MEMORY, "no memory for a handle of cuBLAS");
  // The caller's streams need not wait for the default stream, so its work must be done before the caller gets the
  // handle.
  return check_runtime(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

int32_t open(int32_t device, BackendState** out) {
  State* state = new (std::nothrow) State;
  if (state == nullptr) return VARLSTM_ERROR_OUT_OF_MEMORY;
  state->device = device;
  int32_t status = prepare(state);
  if (status != VARLSTM_OK) {
    close(state);
    return status;
  }
  *out = state;
  return VARLSTM_OK;
}

int32_t set_i64(BackendState* base, int32_t key, int64_t value) {
  switch (key) {
    case VARLSTM_KEY_BATCH_INVARIANT:
      cuda_state(base)->batch_invariant = value;
      return VARLSTM_OK;
    case VARLSTM_KEY_MATH:
      cuda_state(base)->math = value;
      return VARLSTM_OK;
    default:
      return VARLSTM_ERROR_UNSUPPORTED;
  }
}

int32_t get_i64(const BackendState* base, int32_t key, int64_t* value) {
  const State* state = static_cast<const State*>(base);
  switch (key) {
    case VARLSTM_KEY_BATCH_INVARIANT:
      *value = state->batch_invariant;
      return VARLSTM_OK;
    case VARLSTM_KEY_MATH:
      *value = state->math;
      return VARLSTM_OK;
    default:
      return VARLSTM_ERROR_UNSUPPORTED;
  }
}

int32_t device_status(BackendState* base, bool reset, int64_t* bits, int64_t* first_index, void* stream) {
  State* state = cuda_state(base);
  DeviceStatus seen;
  VARLSTM_CUDA_TRY(
      check_runtime(cudaMemcpyAsync(&seen, state->status, sizeof seen, cudaMemcpyDeviceToHost, stream_of(stream)),
                    "cudaMemcpyAsync"));
  VARLSTM_CUDA_TRY(check_runtime(cudaStreamSynchronize(stream_of(stream)), "cudaStreamSynchronize"));
  *bits = 0;
  *first_index = -1;
  for (int k = DeviceStatus::kBits - 1; k >= 0; --k) {
    if (seen.first_bad[k] == DeviceStatus::kNothingBad) continue;
    *bits |= 1 << k;
    *first_index = static_cast<int64_t>(seen.first_bad[k]);
  }
  return reset ? clear_status(state, stream_of(stream)) : VARLSTM_OK;
}

int32_t allocate(BackendState*, int64_t bytes, void** ptr) {
  *ptr = nullptr;
  if (bytes == 0) return VARLSTM_OK;
  return check_runtime(cudaMalloc(ptr, static_cast<size_t>(bytes)), "cudaMalloc");
}

int32_t release(BackendState*, void* ptr) {
  const RelaxedCapture relaxed;
  return check_runtime(cudaFree(ptr), "cudaFree");
}

int32_t copy(BackendState*, void* dst, const void* src, int64_t bytes, int32_t kind, void* stream) {
  constexpr cudaMemcpyKind kKinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice};
  VARLSTM_CUDA_TRY(check_runtime(cudaMemcpyAsync(dst, src, static_cast<size_t>(bytes), kKinds[kind], stream_of(stream)),
                                 "cudaMemcpyAsync"));
  if (kind != VARLSTM_COPY_TO_HOST) return VARLSTM_OK;
  return check_runtime(cudaStreamSynchronize(stream_of(stream)), "cudaStreamSynchronize");
}

int32_t zero(BackendState*, void* ptr, int64_t bytes, void* stream) {
  return check_runtime(cudaMemsetAsync(ptr, 0, static_cast<size_t>(bytes), stream_of(stream)), "cudaMemsetAsync");
}

int32_t sync(BackendState*, void* stream) {
  return check_runtime(cudaStreamSynchronize(stream_of(stream)), "cudaStreamSynchronize");
}

}  // namespace

void set_memory_operations(Backend& table) {
  table.device_count = device_count;
  table.open = open;
  table.close = close;
  table.enter_device = enter_device;
  table.leave_device = leave_device;
  table.set_i64 = set_i64;
  table.get_i64 = get_i64;
  table.device_status = device_status;
  table.alloc = allocate;
  table.free = release;
  table.copy = copy;
  table.zero = zero;
  table.sync = sync;
}

}  // namespace varlstm::cuda
