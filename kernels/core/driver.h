// The API of the CUDA driver: the toolkit's, or in the emulated build the emulator's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(VARLSTM_EMULATED)
#include "kernels/simt/cuda_driver.h"
#else
#include <cuda.h>
#endif
