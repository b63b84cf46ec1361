// Work in stream order, for the emulated build.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "kernels/simt/cuda_runtime.h"

namespace varlstm::simt {

using Work = std::function<cudaError_t()>;

// Runs `work`, a copy or a fill, at its place in the stream, or records it in the stream's capture. An error of work
// that runs late is that of the call that waits for it.
cudaError_t enqueue_work(cudaStream_t stream, const char* name, Work work);

// The same for a kernel, which has to be loaded to the current device and whose stream has to belong to it.
cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, const char* name, Work work);

// The same for what stands for a library's kernels and runs on the host; the library loads them itself.
cudaError_t enqueue_host_work(cudaStream_t stream, const char* name, const std::function<void()>& work);

// The same as CUB does it: its kernels are loaded when they are first used, known by `kernel`, and behind a launch it
// returns whatever error this thread has not read yet.
cudaError_t enqueue_cub_work(cudaStream_t stream, const void* kernel, const char* name,
                             const std::function<void()>& work);

// Runs what is left of the stream, and of the streams before which it may not go on.
cudaError_t finish_stream(cudaStream_t stream);

// Runs everything.
cudaError_t finish_all_streams();

// The error of a call that a capture may forbid to this thread, and whether one does; see cudaStreamBeginCapture().
cudaError_t forbid_in_capture();

// Whether this stream is being captured.
bool is_capturing(cudaStream_t stream);

// The error of a call that a capture of `stream` never allows, after it has made that capture invalid.
cudaError_t invalidate_capture(cudaStream_t stream);

}  // namespace varlstm::simt
