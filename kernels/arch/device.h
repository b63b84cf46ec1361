// What a kernel may use beyond plain C++: VARLSTM_KERNEL, VARLSTM_DEVICE, threadIdx and its like, and varlstm::simt.
// Under nvcc these names are the GPU's instructions; elsewhere they are their emulation.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(VARLSTM_EMULATED)
#include "kernels/simt/device.h"
#else
#include "kernels/arch/device_cuda.h"
#endif
