// The inner loops of every instruction set that this machine runs, and of the widest vectors as the compiler lowers
// them for any machine.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "host/simd/row_kernel_impl.h"

namespace varlstm::host {

// 64-byte vectors without AVX-512: the code of row_kernel_avx512.cc on any machine.
static const RowKernels kLowered512 = make_row_kernels<64, 24>("lowered512");

static std::vector<const RowKernels*> runnable_kernels() {
  std::vector<const RowKernels*> kernels = {&kRowKernelsBaseline, &kLowered512};
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels.push_back(&kRowKernelsAvx2);
  if (__builtin_cpu_supports("avx512f")) kernels.push_back(&kRowKernelsAvx512);
#endif
  return kernels;
}

template <class T>
const RowKernel<T>& kernel_of(const RowKernels& kernels) {
  if constexpr (sizeof(T) == 4)
    return kernels.f32;
  else
    return kernels.f64;
}

}  // namespace varlstm::host
