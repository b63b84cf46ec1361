// Vector code chosen at run time: the library is built for any x86-64 or aarch64, and a loop that the compiler turns
// into vector code runs in twice as wide vectors where the CPU has AVX2.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::host {

#if defined(__x86_64__)
// AVX2 without FMA: no multiplication and addition is fused, so the results are those of the baseline, bit for bit.
template <class Body>
__attribute__((target("avx2"), flatten)) void run_avx2(const Body& body) {
  body();
}
#endif

// Calls body() once. `body` holds elementwise loops; what it calls must be inline.
template <class Body>
void run_vectorised(const Body& body) {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  if (has_avx2) return run_avx2(body);
#endif
  body();
}

}  // namespace varlstm::host
