// The API of the CUDA driver: the toolkit's, or in the emulated build the emulator's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(VARLSTM_EMULATED)
#include "kernels/simt/cuda_driver.h"
#else
#include <cuda.h>
#endif

namespace varlstm::cuda {

// The driver's functions that the back end calls; null: the driver is not there, or does not have it.
struct Driver {
  CUresult (*get_current)(CUcontext*) = nullptr;
  CUresult (*set_current)(CUcontext) = nullptr;
  decltype(&cuTensorMapEncodeTiled) encode_tensor_map = nullptr;  // from CUDA 12.0 on
};

const Driver& driver();

}  // namespace varlstm::cuda
