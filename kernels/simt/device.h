// The vocabulary of kernels in the emulated build: the names of arch/device_cuda.h, implemented by the emulator.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/arch/fragments.h"
#include "kernels/arch/launch_shape.h"
#include "kernels/simt/async_copy.h"
#include "kernels/simt/atomic.h"
#include "kernels/simt/barrier.h"
#include "kernels/simt/bulk_copy.h"
#include "kernels/simt/clock.h"
#include "kernels/simt/collective.h"
#include "kernels/simt/convert.h"
#include "kernels/simt/coordinates.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/matrix.h"
#include "kernels/simt/mbarrier.h"
#include "kernels/simt/spin.h"
#include "kernels/simt/tensor_copy.h"
#include "kernels/simt/wgmma.h"

namespace varlstm::simt {

// On a GPU the value stays in a register afterwards (arch/device_cuda.h).
template <class T>
inline void keep(T& value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a register or two");
  (void)value;
}
template <class T>
inline void keep_global(T*&) {}
inline uint64_t multiply_wide(uint32_t a, uint32_t b) {
  return uint64_t{a} * b;
}

}  // namespace varlstm::simt

#define VARLSTM_KERNEL
#define VARLSTM_DEVICE inline
#define VARLSTM_HOST_DEVICE inline
#define VARLSTM_HAS_WGMMA 1
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict
