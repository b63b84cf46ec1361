// Layer normalisation of a vector: hat = (v - mean) / sqrt(var + 1e-5), the variance without Bessel's correction.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <vector>

namespace varlstm_test {

template <class T>
struct Normalised {
  std::vector<T> hat;
  T deviation = 1;  // sqrt(var + 1e-5)
};

template <class T>
T mean_of(const std::vector<T>& v) {
  T sum = 0;
  for (const T value : v) sum += value;
  return sum / static_cast<T>(v.size());
}

template <class T>
Normalised<T> normalised(const std::vector<T>& v) {
  const T mean = mean_of(v);
  std::vector<T> squares;
  for (const T value : v) squares.push_back((value - mean) * (value - mean));
  Normalised<T> result;
  result.deviation = std::sqrt(mean_of(squares) + T(1e-5));
  for (const T value : v) result.hat.push_back((value - mean) / result.deviation);
  return result;
}

// The gradient of v from that of hat: with m the mean, dv = (dhat - m(dhat) - hat m(dhat * hat)) / deviation.
template <class T>
std::vector<T> normalised_gradient(const Normalised<T>& n, const std::vector<T>& dhat) {
  std::vector<T> products, dv;
  for (size_t k = 0; k < dhat.size(); ++k) products.push_back(dhat[k] * n.hat[k]);
  const T mean = mean_of(dhat), along = mean_of(products);
  for (size_t k = 0; k < dhat.size(); ++k) dv.push_back((dhat[k] - mean - n.hat[k] * along) / n.deviation);
  return dv;
}

template <class T>
std::vector<T> times(const std::vector<T>& v, const T* factors) {
  std::vector<T> result(v);
  for (size_t k = 0; k < v.size(); ++k) result[k] *= factors[k];
  return result;
}

}  // namespace varlstm_test
