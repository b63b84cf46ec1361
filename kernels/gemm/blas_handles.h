// Which context has which handle of the BLAS library. To close one waits for the device, which CUDA forbids while any
// stream of it is captured, so that contexts pass them on: a handle stays for the next context of its device, until the
// process ends. At a time it belongs to one context alone, and each product gives it a stream and a workspace first.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/blas_library.h"

namespace varlstm::cuda {

// A handle for a context of `device`, which is the current one: one that was given back, or a new one. Null without
// memory.
BlasHandle* take_blas(int device);

// Gives it back, from any thread and while streams are captured; null is passed over.
void give_back_blas(BlasHandle* blas);

}  // namespace varlstm::cuda
