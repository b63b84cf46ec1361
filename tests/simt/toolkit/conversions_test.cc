// Conversions to and from 16-bit floats, against their definition.
// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <string.h>

#include "tests/simt/toolkit/toolkit_test.h"

namespace varlstm::test {
namespace {

const PtxModule& module() {
  static const PtxModule loaded = toolkit_module("conversions");
  return loaded;
}

// The value of a 16-bit float whose fraction has `digits` bits, by its definition; infinite and NaN like a float's.
double value_of(unsigned bits, int digits) {
  const int exponents = 15 - digits, bias = (1 << (exponents - 1)) - 1;
  const int exponent = static_cast<int>(bits >> digits) & ((1 << exponents) - 1);
  const double fraction = bits & ((1u << digits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponents) - 1) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * ldexp(fraction, 1 - bias - digits);
  return sign * ldexp(fraction + (1 << digits), exponent - bias - digits);
}

enum class Rounding { kNearest, kZero, kUp, kDown };

// The bits of the number that rounding chooses: of the two neighbours, found by bisection among magnitudes.
unsigned rounded(double value, int digits, Rounding rounding) {
  const unsigned sign = signbit(value) ? 0x8000 : 0, infinite = ((1u << (15 - digits)) - 1) << digits;
  const double size = fabs(value);
  unsigned low = 0, high = infinite;  // magnitudes: low is at most the size, high above it
  if (size == INFINITY) return sign | infinite;
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    (value_of(middle, digits) <= size ? low : high) = middle;
  }
  const double below = value_of(low, digits);
  if (below == size) return sign | low;
  const bool outwards = (rounding == Rounding::kUp && sign == 0) || (rounding == Rounding::kDown && sign != 0);
  if (rounding != Rounding::kNearest) return sign | (outwards ? high : low);
  // As if the format went on behind its largest number.
  const double above = high == infinite ? 2 * ldexp(1, (1 << (14 - digits)) - 1) : value_of(high, digits);
  const double half = (below + above) / 2;
  return sign | (size > half || (size == half && low % 2 == 1) ? high : low);
}

std::vector<float> interesting_numbers() {
  std::vector<float> made = {0.f,     -0.f,     INFINITY, -INFINITY, 65504.f, 65519.99f,     65520.f,
                             65536.f, 5.96e-8f, 2.98e-8f, 2.99e-8f,  1e-45f,  3.3895314e38f, -3.4e38f};
  const std::vector<int> words = numbers(3000, 1u << 24);
  for (size_t k = 0; k + 1 < words.size(); k += 2) {
    // Exponents about those of binary16; every other fraction lies at a tie.
    const unsigned exponent = 95 + static_cast<unsigned>(words[k]) % 52;
    const unsigned fraction = static_cast<unsigned>(words[k + 1]) & (k % 4 == 0   ? 0x7fffff
                                                                     : k % 8 == 2 ? 0x7ff000
                                                                                  : 0x7f8000);
    const unsigned bits = (static_cast<unsigned>(words[k]) & 0x800000) << 8 | exponent << 23 | fraction;
    float number;
    memcpy(&number, &bits, sizeof number);
    made.push_back(number);
  }
  return made;
}

TEST(Conversions, NumbersAreNarrowedAsTheRoundingSays) {
  const std::vector<float> in = interesting_numbers();
  const int count = static_cast<int>(in.size());
  const DeviceVector<float> source(in);
  const DeviceVector<unsigned> result(in.size() * 8);
  Place place;
  place.threads = 128;
  place.blocks = (static_cast<unsigned>(count) + 127) / 128;
  ASSERT_EQ(module().run("narrow", place, source.data(), result.data(), count), "");
  const std::vector<unsigned> got = result.values();
  for (int i = 0; i < count; ++i) {
    const double value = in[i], next = in[(i + 1) % count];
    const auto pair = [&](int digits) {
      return rounded(value, digits, Rounding::kNearest) | rounded(next, digits, Rounding::kNearest) << 16;
    };
    const unsigned expected[] = {rounded(value, 10, Rounding::kNearest),
                                 rounded(value, 10, Rounding::kZero),
                                 rounded(value, 10, Rounding::kUp),
                                 rounded(value, 10, Rounding::kDown),
                                 rounded(value, 7, Rounding::kNearest),
                                 pair(10),
                                 pair(7),
                                 rounded(i * 37 - 9000, 10, Rounding::kNearest)};
    for (int word = 0; word < 8; ++word)
      ASSERT_EQ(got[i * 8 + word], expected[word]) << "word " << word << " of " << value << ", next " << next;
  }
}

TEST(Conversions, EverySixteenBitNumberIsWidenedExactly) {
  constexpr size_t kCount = 1 << 16;
  const DeviceVector<float> from_half(kCount), from_bfloat16(kCount);
  Place place;
  place.threads = 256;
  place.blocks = kCount / 256;
  ASSERT_EQ(module().run("widen", place, from_half.data(), from_bfloat16.data()), "");
  const std::vector<float> halves = from_half.values(), bfloats = from_bfloat16.values();
  for (unsigned bits = 0; bits < kCount; ++bits) {
    const double half = value_of(bits, 10), bfloat = value_of(bits, 7);
    ASSERT_TRUE(isnan(half) ? isnan(halves[bits]) : halves[bits] == half) << "binary16 " << bits;
    ASSERT_TRUE(isnan(bfloat) ? isnan(bfloats[bits]) : bfloats[bits] == bfloat) << "bfloat16 " << bits;
    ASSERT_TRUE(isnan(half) || (signbit(halves[bits]) != 0) == (signbit(half) != 0)) << "sign of binary16 " << bits;
  }
}

}  // namespace
}  // namespace varlstm::test
