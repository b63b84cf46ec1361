// The conversions of the 16-bit formats against their definition: every number of 16 bits, and floats at, beside and
// between all of them, alone and in vector code.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "host/simd/rounding.h"
#include "host/simd/scalar16.h"
#include "support/scalar16.h"

namespace varlstm::host {
namespace {

using varlstm_test::Format16;

// Numbers, the middle of each pair of neighbours, and the floats beside these.
std::vector<float> floats_of(const Format16& format) {
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const double number = format.decode(static_cast<uint16_t>(bits));
    if (!std::isfinite(number)) {
      values.push_back(static_cast<float>(number));
      continue;
    }
    const auto middle = static_cast<float>(number + std::copysign(format.ulp(number) / 2, number));
    for (const float value : {static_cast<float>(number), middle}) {
      values.push_back(value);
      for (const float limit : {-std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()})
        values.push_back(std::nextafter(value, limit));
    }
  }
  for (const float value : {0.0f, -0.0f, 1e-45f, -1e-45f, 3e38f, -3e38f, -std::nanf("")}) values.push_back(value);
  return values;
}

template <class T>
void check(const Format16& format) {
  std::vector<uint16_t> bits(0x10000);
  for (size_t k = 0; k < bits.size(); ++k) bits[k] = static_cast<uint16_t>(k);
  std::vector<T> narrow(bits.size());
  memcpy(static_cast<void*>(narrow.data()), bits.data(), bits.size() * sizeof(uint16_t));
  std::vector<float> wide(bits.size());
  convert(static_cast<int64_t>(bits.size()), narrow.data(), wide.data());
  for (size_t k = 0; k < bits.size(); ++k) {
    const double expected = format.decode(bits[k]);
    ASSERT_TRUE(wide[k] == expected || (std::isnan(wide[k]) && std::isnan(expected))) << "bits " << k;
    ASSERT_EQ(std::signbit(wide[k]), (k & 0x8000) != 0) << "bits " << k;
  }

  const std::vector<float> values = floats_of(format);
  const auto count = static_cast<int64_t>(values.size());
  std::vector<T> stored(values.size());
  convert(count, values.data(), stored.data());
  std::vector<float> rounded = values;
  round_to<T>(1, count, rounded.data(), count);
  for (size_t k = 0; k < values.size(); ++k) {
    uint16_t actual;
    memcpy(&actual, &stored[k], sizeof actual);
    ASSERT_EQ(actual, format.encode(values[k])) << values[k];
    const T alone(values[k]);
    ASSERT_EQ(memcmp(&alone, &actual, sizeof actual), 0) << values[k];
    const float again = alone;
    ASSERT_EQ(memcmp(&rounded[k], &again, sizeof again), 0) << values[k];
  }
}

TEST(Scalar16ConversionTest, Bf16IsRoundedToTheNearestEven) {
  check<Bf16>(varlstm_test::kBf16);
}

TEST(Scalar16ConversionTest, F16IsRoundedToTheNearestEven) {
  check<F16>(varlstm_test::kF16);
}

}  // namespace
}  // namespace varlstm::host
