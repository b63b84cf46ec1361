// Work in stream order, for the emulated build.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "kernels/simt/cuda_runtime.h"

namespace varlstm::simt {

using Work = std::function<cudaError_t()>;

// cudaSuccess, or the error that a test wants of the runtime's next call. Every function of the runtime that can fail
// starts with it.
cudaError_t begin_runtime_call(const char* name);

// Runs `work`, a launch or a copy, at its place in the stream, or records it in the stream's capture. An error of work
// that runs late is that of the call that waits for it.
cudaError_t enqueue_work(cudaStream_t stream, const char* name, Work work);

// The same for what stands for a library's kernels (CUB) and runs on the host.
inline cudaError_t enqueue_host_work(cudaStream_t stream, const char* name, const std::function<void()>& work) {
  return enqueue_work(stream, name, [work] {
    work();
    return cudaSuccess;
  });
}

// Runs what is left of the stream, and of the streams before which it may not go on.
cudaError_t finish_stream(cudaStream_t stream);

// Runs everything.
cudaError_t finish_all_streams();

// The error of a call that no capture allows, which it makes invalid; cudaSuccess where nothing captures.
cudaError_t forbid_in_capture();

// Whether this stream is being captured.
bool is_capturing(cudaStream_t stream);

}  // namespace varlstm::simt
