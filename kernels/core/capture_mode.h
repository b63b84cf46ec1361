// Frees memory while a stream is being captured. A free may wait for the device, so CUDA forbids it to the capturing
// thread and, in its default mode, to every other thread: the finaliser of a language that destroys a handle would make
// the capture invalid. The memory freed here is not part of a captured graph, so nothing has to be forbidden.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/status.h"

namespace varlstm::cuda {

// While it exists, this thread may make calls, such as cudaFree, that a capture in another mode would forbid.
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
