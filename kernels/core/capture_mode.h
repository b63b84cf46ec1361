// Freeing while a stream is captured. A free may wait for the device, so that CUDA forbids it to the thread that
// captures and, in its default mode, to every other: a handle that a language's finaliser destroys would make the
// capture invalid. What is freed here is no part of a captured graph, so that nothing has to be forbidden.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/status.h"

namespace varlstm::cuda {

// For its lifetime, captures forbid this thread nothing that they may allow.
class RelaxedCapture {
 public:
  RelaxedCapture() {
    const cudaError_t error = cudaThreadExchangeStreamCaptureMode(&mode_);
    is_relaxed_ = error == cudaSuccess;
    ignore_failure(error);
  }
  ~RelaxedCapture() {
    if (is_relaxed_) ignore_failure(cudaThreadExchangeStreamCaptureMode(&mode_));
  }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
  bool is_relaxed_;
};

}  // namespace varlstm::cuda
