// Lets tests control the emulated CUDA runtime: fail at a call, run work late, and report the enqueued work.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <string>
#include <vector>

#include "kernels/simt/cuda_driver.h"

namespace varlstm::simt {

// The call of the runtime that fails. Launches are counted among the calls, which are numbered from 1 after
// set_runtime_fault().
struct RuntimeFault {
  int64_t call = 0;  // 0: none
  cudaError_t error = cudaErrorUnknown;
  bool for_good = false;  // every later call fails with the same error, as after a fault of a kernel on a GPU
};

// At first this comes from the environment: VARLSTM_EMULATOR_FAIL=N fails the N-th call of the process with
// cudaErrorUnknown, and N:sticky fails that call and all later ones with cudaErrorIllegalAddress.
void set_runtime_fault(const RuntimeFault& fault);

// Returns the function or kernel whose call has failed since then; "" if the runtime was called less often.
const char* failed_runtime_call();

// When the work of a stream runs: when it is enqueued, or only when something waits for it. By then the host has
// continued: memory of the caller that a call still uses may have changed, and streams that do not wait for each other
// run in another order. At first this comes from the environment: VARLSTM_EMULATOR_STREAMS is eager or late.
enum class StreamOrder { kEager, kLate };
void set_stream_order(StreamOrder order);

// Sets whether kernels are loaded when they are first used from now on. Loaded kernels are forgotten, as in a new
// process. At first this comes from the environment: CUDA_MODULE_LOADING is LAZY, which is CUDA's default, or EAGER.
void set_lazy_loading(bool lazy);

// Restores the state of a new process: no device has a primary context, and this thread has chosen no device.
void forget_contexts();

// Returns a context of the device, as a caller makes it by cuCtxCreate(). It is the same at each call, and is never
// destroyed.
CUcontext context_beside_the_primary(int device);

// One piece of work as it was enqueued: the name of a kernel, "cudaMemcpyAsync" or "cudaMemsetAsync".
struct EnqueuedWork {
  std::string name;
  cudaStream_t stream;
};

// Clears the record, and starts or stops recording.
void record_enqueued_work(bool on);
std::vector<EnqueuedWork> enqueued_work();

}  // namespace varlstm::simt
