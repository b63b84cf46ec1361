// Layer normalisation of the rows of a step, forward and backward. Everything has internal linkage; row_kernel_impl.h
// says why.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "host/simd/cell_units.h"
#include "host/simd/row_kernel.h"
#include "host/simd/vector_math.h"

namespace varlstm::host {
namespace {

// v with zeros in the lanes from `valid` on, whatever they are.
template <class T, int Lanes>
inline Vec<T, Lanes> valid_lanes(Vec<T, Lanes> v, int64_t valid) {
  if (valid >= Lanes) return v;
  for (int k = 0; k < Lanes; ++k) v[k] = k < valid ? v[k] : T(0);
  return v;
}

template <class T, int Lanes>
inline T sum_of(Vec<T, Lanes> v) {
  T sum = 0;
  for (int k = 0; k < Lanes; ++k) sum += v[k];
  return sum;
}

template <class T>
inline T square_root(T x) {
  if constexpr (sizeof(T) == 4)
    return __builtin_sqrtf(x);
  else
    return __builtin_sqrt(x);
}

// The mean over the valid units of a row of body(group, unit), a vector of units.
template <class T, int Lanes, class Body>
inline T mean_of(int groups, int64_t units, const Body& body) {
  Vec<T, Lanes> sum = {};
  for (int g = 0; g < groups; ++g)
    for (int64_t u = 0; u < units; u += Lanes) sum += valid_lanes<T, Lanes>(body(g, u), units - u);
  return sum_of<T, Lanes>(sum) / static_cast<T>(groups * units);
}

template <class T, int Lanes>
void normalise(const NormRows<T>& p) {
  using V = Vec<T, Lanes>;
  for (int64_t r = 0; r < p.rows; ++r) {
    const int64_t at = row_at(p.hat_rows, r);
    T* const row = p.hat + at * p.hat_ld;
    T* const sums = p.sums == nullptr ? nullptr : p.sums + row_at(p.sum_rows, r) * p.sums_ld;
    const auto value = [&](int g, int64_t u) { return load<T, Lanes>(row + p.group[g].hat + u); };
    const T mean = mean_of<T, Lanes>(p.groups, p.units, value);
    const T variance = mean_of<T, Lanes>(p.groups, p.units, [&](int g, int64_t u) {
      const V deviation = value(g, u) - mean;
      return deviation * deviation;
    });
    const T rstd = 1 / square_root(variance + static_cast<T>(kNormEpsilon));
    if (p.rstd != nullptr) p.rstd[at] = rstd;
    for (int g = 0; g < p.groups; ++g) {
      const NormGroup<T>& group = p.group[g];
      for (int64_t u = 0; u < p.units; u += Lanes) {
        const int64_t valid = p.units - u;
        const V hat = valid_lanes<T, Lanes>((value(g, u) - mean) * rstd, valid);
        store<T, Lanes>(row + group.hat + u, hat);
        if (sums == nullptr) continue;
        V sum = group.adds ? valid_lanes<T, Lanes>(load<T, Lanes>(sums + group.sum + u), valid) : V{};
        if (group.bias != nullptr) sum += load_valid<T, Lanes>(group.bias + u, valid);
        if (group.bias2 != nullptr) sum += load_valid<T, Lanes>(group.bias2 + u, valid);
        store<T, Lanes>(sums + group.sum + u, sum + load_valid<T, Lanes>(group.gain + u, valid) * hat);
      }
    }
  }
}

template <class T, int Lanes>
void normalise_backward(const NormGradientRows<T>& p) {
  using V = Vec<T, Lanes>;
  for (int64_t r = 0; r < p.rows; ++r) {
    const int64_t at = row_at(p.now, r);
    const T* const hats = p.hat + at * p.hat_ld;
    const T* const gradients = p.gradients + at * p.gradients_ld;
    T* const out = p.out + row_at(p.out_rows, r) * p.out_ld;
    const auto hat = [&](int g, int64_t u) { return load<T, Lanes>(hats + p.group[g].hat + u); };
    const auto of_hat = [&](int g, int64_t u) {
      const V gradient = valid_lanes<T, Lanes>(load<T, Lanes>(gradients + p.group[g].gradient + u), p.units - u);
      return gradient * load_valid<T, Lanes>(p.group[g].gain + u, p.units - u);
    };
    const T mean = mean_of<T, Lanes>(p.groups, p.units, of_hat);
    const T along = mean_of<T, Lanes>(p.groups, p.units, [&](int g, int64_t u) { return of_hat(g, u) * hat(g, u); });
    for (int g = 0; g < p.groups; ++g)
      for (int64_t u = 0; u < p.units; u += Lanes) {
        const V gradient = (of_hat(g, u) - mean - hat(g, u) * along) * p.rstd[at];
        store<T, Lanes>(out + p.group[g].out + u, valid_lanes<T, Lanes>(gradient, p.units - u));
      }
  }
}

}  // namespace
}  // namespace varlstm::host
