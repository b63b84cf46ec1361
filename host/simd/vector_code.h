// Vector code chosen at run time. The library is built for any x86-64 or aarch64. A loop that the compiler vectorises
// uses vectors of twice the width if the CPU has AVX2.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::host {

#if defined(__x86_64__)
// AVX2 without FMA: no multiplication is fused with an addition, so the results have the same bits as the baseline's.
template <class Body>
__attribute__((target("avx2"), flatten)) void run_avx2(const Body& body) {
  body();
}
#endif

// Calls body() once. `body` contains element-wise loops, and the functions that it calls must be inline.
template <class Body>
void run_vectorised(const Body& body) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx2) return run_avx2(body);
#endif
  body();
}

}  // namespace varlstm::host
