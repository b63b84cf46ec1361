// Vectors of the compiler's extension, and the two activations on them: a polynomial for float, the C library for
// double. Everything has internal linkage; row_kernel_impl.h says why.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>
#include <stdint.h>

namespace varlstm::host {
namespace {

template <class T, int Lanes>
struct VecOf {
  typedef T type __attribute__((vector_size(Lanes * sizeof(T))));
};
template <class T, int Lanes>
using Vec = typename VecOf<T, Lanes>::type;

template <class T, int Lanes>
inline Vec<T, Lanes> load(const T* p) {
  Vec<T, Lanes> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

template <class T, int Lanes>
inline void store(T* p, Vec<T, Lanes> v) {
  __builtin_memcpy(p, &v, sizeof v);
}

// The first `lanes` elements alone are in memory.
template <class T, int Lanes>
inline void store_lanes(T* p, Vec<T, Lanes> v, int64_t lanes) {
  if (lanes == Lanes) return store<T, Lanes>(p, v);
  T part[Lanes];
  store<T, Lanes>(part, v);
  for (int64_t k = 0; k < lanes; ++k) p[k] = part[k];
}

template <class T, int Lanes>
inline Vec<T, Lanes> load_lanes(const T* p, int64_t lanes) {
  if (lanes == Lanes) return load<T, Lanes>(p);
  T part[Lanes] = {};
  for (int64_t k = 0; k < lanes; ++k) part[k] = p[k];
  return load<T, Lanes>(part);
}

template <class T, int Lanes>
inline Vec<T, Lanes> broadcast(T x) {
  return x - Vec<T, Lanes>{};
}

// e^x - 1 = 2^n (e^r - 1) + (2^n - 1) with x = n ln 2 + r, |r| <= ln 2 / 2, and the Taylor series of e^r - 1 up to
// r^8 (remainder under 3e-9 relative). x in [-87, 87]; NaN stays NaN. `scale` returns 2^n and `fraction` e^r - 1.
template <int Lanes>
inline void reduced_expm1(Vec<float, Lanes> x, Vec<float, Lanes>* scale, Vec<float, Lanes>* fraction) {
  using V = Vec<float, Lanes>;
  using I = Vec<int32_t, Lanes>;
  const float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const V n = (x * 1.44269504f + round) - round;
  const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  V p = broadcast<float, Lanes>(1.0f / 40320);
  p = p * r + 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  *fraction = (p * r) * r + r;
  // A NaN cannot be converted to an integer: n becomes 0, and the NaN stays in `fraction`.
  const V finite = n == n ? n : V{};
  const I bits = (__builtin_convertvector(finite, I) + 127) << 23;
  __builtin_memcpy(scale, &bits, sizeof bits);
}

template <class T, int Lanes>
inline Vec<T, Lanes> sigmoid(Vec<T, Lanes> x) {
  using V = Vec<T, Lanes>;
  if constexpr (sizeof(T) == 4) {
    V z = -x;
    z = z > 87.0f ? broadcast<T, Lanes>(87.0f) : z;
    z = z < -87.0f ? broadcast<T, Lanes>(-87.0f) : z;
    V scale, fraction;
    reduced_expm1<Lanes>(z, &scale, &fraction);
    return 1.0f / (1.0f + (scale + scale * fraction));
  } else {
    V y;
    for (int k = 0; k < Lanes; ++k) y[k] = 1 / (1 + ::exp(-x[k]));
    return y;
  }
}

// tanh(x) = e / (e + 2) with e = e^(2|x|) - 1, and the sign of x. This has no cancellation near 0.
template <class T, int Lanes>
inline Vec<T, Lanes> tanh_of(Vec<T, Lanes> x) {
  using V = Vec<T, Lanes>;
  if constexpr (sizeof(T) == 4) {
    V z = (x < 0.0f ? -x : x) * 2.0f;
    z = z > 20.0f ? broadcast<T, Lanes>(20.0f) : z;
    V scale, fraction;
    reduced_expm1<Lanes>(z, &scale, &fraction);
    const V e = scale * fraction + (scale - 1.0f);
    const V y = e / (e + 2.0f);
    return x < 0.0f ? -y : y;
  } else {
    V y;
    for (int k = 0; k < Lanes; ++k) y[k] = ::tanh(x[k]);
    return y;
  }
}

}  // namespace
}  // namespace varlstm::host
