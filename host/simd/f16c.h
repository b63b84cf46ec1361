// Conversions of binary16 by the instructions of F16C, eight at a time: the same bits as f16_bits and f16_value give.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace varlstm::host {

#ifdef __x86_64__
inline bool has_f16c() {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  return has;
}

// The nearest value, ties to even; a NaN becomes 0x7fff.
__attribute__((target("avx2,f16c"))) inline __m128i narrow_f16c(__m256 values) {
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
  const __m128i mask = _mm_packs_epi32(_mm256_castsi256_si128(is_nan), _mm256_extracti128_si256(is_nan, 1));
  return _mm_blendv_epi8(_mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT), _mm_set1_epi16(0x7fff), mask);
}

// These three convert the first elements, up to the last whole eight, and return how many.
__attribute__((target("avx2,f16c"))) inline int64_t widen_f16c(int64_t count, const uint16_t* bits, float* values) {
  int64_t k = 0;
  for (; k + 8 <= count; k += 8)
    _mm256_storeu_ps(values + k, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bits + k))));
  return k;
}
__attribute__((target("avx2,f16c"))) inline int64_t narrow_f16c(int64_t count, const float* values, uint16_t* bits) {
  int64_t k = 0;
  for (; k + 8 <= count; k += 8)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(bits + k), narrow_f16c(_mm256_loadu_ps(values + k)));
  return k;
}
__attribute__((target("avx2,f16c"))) inline int64_t round_f16c(int64_t count, float* values) {
  int64_t k = 0;
  for (; k + 8 <= count; k += 8)
    _mm256_storeu_ps(values + k, _mm256_cvtph_ps(narrow_f16c(_mm256_loadu_ps(values + k))));
  return k;
}
#else
inline bool has_f16c() {
  return false;
}
inline int64_t widen_f16c(int64_t, const uint16_t*, float*) {
  return 0;
}
inline int64_t narrow_f16c(int64_t, const float*, uint16_t*) {
  return 0;
}
inline int64_t round_f16c(int64_t, float*) {
  return 0;
}
#endif

}  // namespace varlstm::host
