// The CUDA driver's API: the toolkit's, or the emulated build's own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(VARLSTM_EMULATED)
#include "kernels/simt/cuda_driver.h"
#else
#include <cuda.h>
#endif
