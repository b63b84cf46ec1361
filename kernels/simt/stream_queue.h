// Work in stream order, for the emulated build.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "kernels/simt/cuda_runtime.h"

namespace varlstm::simt {

// Runs `work` on the host at its place in the stream: what stands for a library's kernels (cuBLAS, CUB).
inline cudaError_t enqueue_host_work(cudaStream_t, const char*, const std::function<void()>& work) {
  work();
  return cudaSuccess;
}

// Runs `work`, a launch, at its place in the stream.
inline cudaError_t enqueue_work(cudaStream_t, const std::function<cudaError_t()>& work) {
  return work();
}

}  // namespace varlstm::simt
