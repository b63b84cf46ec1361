// Gradients against central differences in double.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "support/compare.h"

namespace varlstm_test {

// Tolerances of RELIABILITY: step 1e-6, |error| <= 1e-5 + 1e-3 * |difference quotient|.
constexpr double kGradEps = 1e-6;
constexpr double kGradAtol = 1e-5;
constexpr double kGradRtol = 1e-3;

using ScalarFunction = std::function<double(const std::vector<double>&)>;

// (f(x + eps e_k) - f(x - eps e_k)) / 2 eps for each k in `at`.
inline std::vector<double> central_differences(const ScalarFunction& f, std::vector<double> x,
                                               const std::vector<int64_t>& at) {
  std::vector<double> quotients;
  for (const int64_t k : at) {
    const double value = x[k];
    x[k] = value + kGradEps;
    const double above = f(x);
    x[k] = value - kGradEps;
    const double below = f(x);
    x[k] = value;
    quotients.push_back((above - below) / (2.0 * kGradEps));
  }
  return quotients;
}

// The analytic gradient of f at x agrees with central differences at the elements `at`; the index that a failure names
// is a position in `at`.
inline ::testing::AssertionResult gradient_matches(const ScalarFunction& f, const std::vector<double>& x,
                                                   const std::vector<double>& analytic,
                                                   const std::vector<int64_t>& at) {
  if (analytic.size() != x.size()) {
    return ::testing::AssertionFailure() << analytic.size() << " derivatives of " << x.size() << " variables";
  }
  std::vector<double> chosen;
  for (const int64_t k : at) chosen.push_back(analytic[k]);
  return all_close(chosen, central_differences(f, x, at), kGradRtol, kGradAtol);
}

// The same at every element.
inline ::testing::AssertionResult gradient_matches(const ScalarFunction& f, const std::vector<double>& x,
                                                   const std::vector<double>& analytic) {
  std::vector<int64_t> all(x.size());
  for (size_t k = 0; k < all.size(); ++k) all[k] = static_cast<int64_t>(k);
  return gradient_matches(f, x, analytic, all);
}

// sum_k weights[k] * values[k]: turns an output into a scalar whose gradient at the output is `weights`.
inline double dot(const std::vector<double>& weights, const std::vector<double>& values) {
  double sum = 0.0;
  for (size_t k = 0; k < values.size(); ++k) sum += weights[k] * values[k];
  return sum;
}

}  // namespace varlstm_test
