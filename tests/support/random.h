// Random numbers that are the same on every machine (the standard library's distributions are not).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace varlstm_test {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t bits() { return engine_(); }

  // In [0, 1).
  double unit() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }
  double uniform(double low, double high) { return low + (high - low) * unit(); }

  // In [low, high], both included.
  int64_t integer(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  }
  bool coin() { return integer(0, 1) == 1; }

  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - unit()));
    return radius * std::cos(6.283185307179586 * unit());
  }

  template <class T>
  std::vector<T> vector(int64_t count, double low = -1.0, double high = 1.0) {
    std::vector<T> values(static_cast<size_t>(count));
    for (T& value : values) value = static_cast<T>(uniform(low, high));
    return values;
  }

  // Integers in [low, high].
  std::vector<int64_t> integers(int64_t count, int64_t low, int64_t high) {
    std::vector<int64_t> values(static_cast<size_t>(count));
    for (int64_t& value : values) value = integer(low, high);
    return values;
  }

  // A random order of 0 .. count-1.
  std::vector<int64_t> permutation(int64_t count) {
    std::vector<int64_t> order(static_cast<size_t>(count));
    for (int64_t k = 0; k < count; ++k) {
      order[k] = k;
      std::swap(order[k], order[integer(0, k)]);
    }
    return order;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace varlstm_test
