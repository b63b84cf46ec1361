// Chooses the instruction set that this process uses.
// SPDX-License-Identifier: Apache-2.0
#include "host/simd/row_kernel.h"

#include <string.h>

#include "capi/contract/environment.h"

namespace varlstm::host {
namespace {

const RowKernels& choose() {
#ifdef __x86_64__
  const char* forced = environment(kHostIsaVariable);
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f");
  const auto allowed = [&](const RowKernels& kernels) { return !forced || strcmp(forced, kernels.name) == 0; };
  if (forced && strcmp(forced, kRowKernelsBaseline.name) == 0) return kRowKernelsBaseline;
  if (has_avx512 && allowed(kRowKernelsAvx512)) return kRowKernelsAvx512;
  if (has_avx2) return kRowKernelsAvx2;
#endif
  return kRowKernelsBaseline;
}

}  // namespace

const RowKernels& row_kernels() {
  static const RowKernels& chosen = choose();
  return chosen;
}

}  // namespace varlstm::host
