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

// (f(x + eps e_k) - f(x - eps e_k)) / 2 eps for every k.
inline std::vector<double> central_differences(const ScalarFunction& f, std::vector<double> x) {
  std::vector<double> gradient(x.size());
  for (size_t k = 0; k < x.size(); ++k) {
    const double value = x[k];
    x[k] = value + kGradEps;
    const double above = f(x);
    x[k] = value - kGradEps;
    const double below = f(x);
    x[k] = value;
    gradient[k] = (above - below) / (2.0 * kGradEps);
  }
  return gradient;
}

// The analytic gradient of f at x agrees with central differences, element by element.
inline ::testing::AssertionResult gradient_matches(const ScalarFunction& f, const std::vector<double>& x,
                                                   const std::vector<double>& analytic) {
  return all_close(analytic, central_differences(f, x), kGradRtol, kGradAtol);
}

// sum_k weights[k] * values[k]: turns an output into a scalar whose gradient at the output is `weights`.
inline double dot(const std::vector<double>& weights, const std::vector<double>& values) {
  double sum = 0.0;
  for (size_t k = 0; k < values.size(); ++k) sum += weights[k] * values[k];
  return sum;
}

}  // namespace varlstm_test
