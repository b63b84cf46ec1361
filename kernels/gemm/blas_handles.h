// Keeps the handles of the BLAS library for contexts. Closing a handle waits for the device, which CUDA forbids while a
// stream of the device is captured. So contexts pass handles on: a handle is kept for the next context of its device,
// until the process ends. It belongs to only one context at a time, and each product sets its stream and workspace
// first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/blas_library.h"

namespace varlstm::cuda {

// Returns a handle for a context of `device`, which must be the current device: one that was given back, or a new one.
// Null if there is no memory.
BlasHandle* take_blas(int device);

// Gives a handle back, from any thread and also while streams are captured. Null is ignored.
void give_back_blas(BlasHandle* blas);

}  // namespace varlstm::cuda
