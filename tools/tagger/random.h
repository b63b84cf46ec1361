// Random numbers that are the same on every machine: the standard fixes the engine, but not its distributions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace tagger {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  uint64_t bits() { return engine_(); }
  // In [0, 1), of 53 bits.
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }
  // Below `bound` > 0. The bias of the remainder is under 2^-32 for every bound below 2^32.
  uint64_t below(uint64_t bound) { return engine_() % bound; }
  // Mean 0, variance 1 (Box and Muller 1958).
  double normal() {
    constexpr double kTwoPi = 6.283185307179586;
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(kTwoPi * uniform());
  }
  template <typename T>
  void shuffle(std::vector<T>* items) {
    for (size_t k = items->size(); k > 1; --k) std::swap((*items)[k - 1], (*items)[below(k)]);
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tagger
