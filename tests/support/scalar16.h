// The 16-bit floating-point formats from their definition: p significant bits, exponents from emin on, rounding to the
// nearest with ties to even. Written without a look at the library's own conversions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "varlstm.h"

namespace varlstm_test {

struct Format16 {
  int32_t dtype;
  int significant_bits;  // with the hidden one
  int smallest_exponent;
  int largest_exponent;

  int fraction_bits() const { return significant_bits - 1; }

  // The distance of neighbouring numbers at `value`.
  double ulp(double value) const {
    const int exponent = value == 0 ? smallest_exponent : std::max(std::ilogb(value), smallest_exponent);
    return std::ldexp(1.0, exponent - fraction_bits());
  }

  double round(double value) const {
    if (!std::isfinite(value)) return value;
    const double unit = ulp(value);
    const double rounded = std::nearbyint(value / unit) * unit;
    const bool too_large = std::fabs(rounded) >= std::ldexp(1.0, largest_exponent + 1);
    return too_large ? std::copysign(std::numeric_limits<double>::infinity(), value) : rounded;
  }

  uint16_t encode(double value) const {
    const int exponent_bits = 15 - fraction_bits();
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const auto infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << fraction_bits());
    if (std::isnan(value)) return 0x7fff;
    const double magnitude = std::fabs(round(value));
    if (std::isinf(magnitude)) return sign | infinity;
    if (magnitude < std::ldexp(1.0, smallest_exponent))  // subnormal
      return sign | static_cast<uint16_t>(magnitude / std::ldexp(1.0, smallest_exponent - fraction_bits()));
    const int exponent = std::ilogb(magnitude);
    const double fraction = std::ldexp(magnitude, fraction_bits() - exponent) - std::ldexp(1.0, fraction_bits());
    return sign |
           static_cast<uint16_t>(((exponent - smallest_exponent + 1) << fraction_bits()) + static_cast<int>(fraction));
  }

  double decode(uint16_t bits) const {
    const int exponent_bits = 15 - fraction_bits();
    const int exponent = (bits & 0x7fff) >> fraction_bits();
    const int fraction = bits & ((1 << fraction_bits()) - 1);
    double magnitude;
    if (exponent == (1 << exponent_bits) - 1)
      magnitude = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
    else if (exponent == 0)
      magnitude = std::ldexp(fraction, smallest_exponent - fraction_bits());
    else
      magnitude = std::ldexp(fraction + (1 << fraction_bits()), exponent - 1 + smallest_exponent - fraction_bits());
    return bits & 0x8000 ? -magnitude : magnitude;
  }

  std::vector<uint16_t> encode(const std::vector<double>& values) const {
    std::vector<uint16_t> bits;
    for (const double value : values) bits.push_back(encode(value));
    return bits;
  }
  std::vector<double> decode(const std::vector<uint16_t>& bits) const {
    std::vector<double> values;
    for (const uint16_t one : bits) values.push_back(decode(one));
    return values;
  }
  std::vector<double> round(std::vector<double> values) const {
    for (double& value : values) value = round(value);
    return values;
  }
};

constexpr Format16 kBf16 = {VARLSTM_DTYPE_BF16, 8, -126, 127};
constexpr Format16 kF16 = {VARLSTM_DTYPE_F16, 11, -14, 15};

}  // namespace varlstm_test
