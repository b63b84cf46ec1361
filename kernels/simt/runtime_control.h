// What tests ask of the emulated CUDA runtime: to fail at a call, to run work late, to tell what it was given.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "kernels/simt/cuda_driver.h"

namespace varlstm::simt {

// The call of the runtime that fails, launches among them, counted from 1 from set_runtime_fault() on.
struct RuntimeFault {
  int64_t call = 0;  // 0: none
  cudaError_t error = cudaErrorUnknown;
  bool for_good = false;  // every later call fails with the same error, as after a fault of a kernel on a GPU
};

// At first from the environment: VARLSTM_EMULATOR_FAIL=N fails the N-th call of the process with cudaErrorUnknown,
// N:sticky that call and all after it with cudaErrorIllegalAddress.
void set_runtime_fault(const RuntimeFault& fault);

// The function or kernel whose call was failed since then; "": the runtime was called less often.
const char* failed_runtime_call();

// When the work of a stream runs: as it is enqueued, or only when something waits for it. By then the host has gone on:
// what a call keeps of its caller's memory is gone, and streams that do not wait for each other run in another order.
// At first from the environment: VARLSTM_EMULATOR_STREAMS is eager or late.
enum class StreamOrder { kEager, kLate };
void set_stream_order(StreamOrder order);

// Whether kernels are loaded when they are first used, from here on; those that are loaded are forgotten, as in a fresh
// process. At first from the environment: CUDA_MODULE_LOADING is LAZY, as CUDA has it by default, or EAGER.
void set_lazy_loading(bool lazy);

// As in a fresh process: no device has a primary context, and this thread has chosen none.
void forget_contexts();

// A context of the device as a caller makes it by cuCtxCreate(): the same at each call, never destroyed.
CUcontext context_beside_the_primary(int device);

// One piece of work as it was enqueued: a kernel's name, "cudaMemcpyAsync" or "cudaMemsetAsync".
struct EnqueuedWork {
  std::string name;
  cudaStream_t stream;
};

// Forgets what was recorded, and records from here on or no longer.
void record_enqueued_work(bool on);
std::vector<EnqueuedWork> enqueued_work();

}  // namespace varlstm::simt
