// The CUDA runtime's API: the toolkit's, or the emulated build's own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(VARLSTM_EMULATED)
#include "kernels/simt/cuda_runtime.h"
#else
#include <cuda_runtime.h>
#endif
