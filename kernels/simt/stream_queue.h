// Work in stream order, for the emulated build.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "kernels/simt/cuda_runtime.h"

namespace varlstm::simt {

using Work = std::function<cudaError_t()>;

// Runs `work`, a copy or a fill, at its place in the stream, or records it in the stream's capture. The error of work
// that runs late is returned by the call that waits for it.
cudaError_t enqueue_work(cudaStream_t stream, const char* name, Work work);

// The same for a kernel, which must be loaded to the current device and whose stream must belong to that device.
cudaError_t enqueue_kernel(cudaStream_t stream, const void* kernel, const char* name, Work work);

// The same for code that replaces a library's kernels and runs on the host. The library loads its kernels itself.
cudaError_t enqueue_host_work(cudaStream_t stream, const char* name, const std::function<void()>& work);

// The same in the manner of CUB: its kernels are loaded when they are first used, and are identified by `kernel`. After
// a launch it returns any error that this thread has not read yet.
cudaError_t enqueue_cub_work(cudaStream_t stream, const void* kernel, const char* name,
                             const std::function<void()>& work);

// Runs the remaining work of the stream, and of the streams that must run before it.
cudaError_t finish_stream(cudaStream_t stream);

// Runs the remaining work of all streams.
cudaError_t finish_all_streams();

// Returns the error of a call that a capture may forbid to this thread, if one does; see cudaStreamBeginCapture().
cudaError_t forbid_in_capture();

// Returns whether this stream is being captured.
bool is_capturing(cudaStream_t stream);

// Makes the capture of `stream` invalid, and returns the error of a call that a capture never allows.
cudaError_t invalidate_capture(cudaStream_t stream);

}  // namespace varlstm::simt
