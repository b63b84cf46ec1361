// Comparing two vectors: bitwise, or within a tolerance; a failure names the worst element.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace varlstm_test {

template <class T>
::testing::AssertionResult bitwise_equal(const std::vector<T>& actual, const std::vector<T>& expected) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << actual.size() << " elements, expected " << expected.size();
  }
  size_t different = 0, first = 0;
  for (size_t k = actual.size(); k-- > 0;) {
    if (std::memcmp(&actual[k], &expected[k], sizeof(T)) == 0) continue;
    first = k;
    ++different;
  }
  if (different == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << different << " of " << actual.size() << " elements differ, the first at "
                                       << first << ": " << actual[first] << " is not " << expected[first];
}

// |actual - expected| <= atol + rtol * |expected| for each element; NaN and infinities must stand at the same places.
template <class T, class U>
::testing::AssertionResult all_close(const std::vector<T>& actual, const std::vector<U>& expected, double rtol,
                                     double atol) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << actual.size() << " elements, expected " << expected.size();
  }
  size_t worst = 0, outside = 0;
  double worst_excess = 0.0;
  for (size_t k = 0; k < actual.size(); ++k) {
    const double a = static_cast<double>(actual[k]), e = static_cast<double>(expected[k]);
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    const double allowed = atol + rtol * std::fabs(e);
    const double error = std::fabs(a - e);
    if (std::isfinite(e) && error <= allowed) continue;
    ++outside;
    const double excess = std::isfinite(error) ? error / allowed : std::numeric_limits<double>::infinity();
    if (outside > 1 && excess <= worst_excess) continue;
    worst = k;
    worst_excess = excess;
  }
  if (outside == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << outside << " of " << actual.size() << " elements are outside rtol " << rtol
                                       << ", atol " << atol << "; the worst at " << worst << ": " << actual[worst]
                                       << ", expected " << expected[worst] << " (" << worst_excess
                                       << " times what is allowed)";
}

template <class T>
bool all_finite(const std::vector<T>& values) {
  for (const T value : values) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

// The largest magnitude; 0 of no values.
template <class T>
double largest(const std::vector<T>& values) {
  double most = 0;
  for (const T value : values) most = std::max(most, std::fabs(static_cast<double>(value)));
  return most;
}

}  // namespace varlstm_test
