// Dropout: the documented generator word by word, the threshold, the scale, and independence of threads.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/gradcheck.h"
#include "support/random.h"
#include "support/thread_counts.h"

namespace varlstm_test {
namespace {

// Word k % 4 of Philox4x32-10 with key `seed` and counter k / 4, as in Salmon et al. 2011.
uint32_t philox_word(uint64_t seed, uint64_t k) {
  uint64_t counter[4] = {(k / 4) & 0xffffffff, (k / 4) >> 32, 0, 0};
  uint64_t key[2] = {seed & 0xffffffff, seed >> 32};
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = 0xD2511F53u * counter[0], second = 0xCD9E8D57u * counter[2];
    const uint64_t next[4] = {(second >> 32) ^ counter[1] ^ key[0], second & 0xffffffff,
                              (first >> 32) ^ counter[3] ^ key[1], first & 0xffffffff};
    std::copy(next, next + 4, counter);
    key[0] = (key[0] + 0x9E3779B9u) & 0xffffffff;
    key[1] = (key[1] + 0xBB67AE85u) & 0xffffffff;
  }
  return static_cast<uint32_t>(counter[k % 4]);
}

template <class T>
std::vector<T> run_dropout(varlstm_ctx* context, double p, uint64_t seed, const std::vector<T>& values) {
  const Buffer<T> x(context, values);
  Buffer<T> y(context, x.count());
  REQUIRE_OK(varlstm_dropout_forward(context, kDType<T>, x.count(), p, seed, x.data(), y.data(), nullptr));
  return y.get();
}

template <class T>
std::vector<T> run_backward(varlstm_ctx* context, double p, uint64_t seed, const std::vector<T>& gradient) {
  const Buffer<T> dy(context, gradient);
  Buffer<T> dx(context, dy.count());
  REQUIRE_OK(varlstm_dropout_backward(context, kDType<T>, dy.count(), p, seed, dy.data(), dx.data(), nullptr));
  return dx.get();
}

template <class T>
class Dropout : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Dropout, Floats);

TYPED_TEST(Dropout, KeepsWhatTheDocumentedGeneratorKeeps) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(61);
  for (const int64_t count : {0, 1, 3, 4, 63, 64, 65, 1000, 70001}) {
    for (const double p : {0.0, 0.1, 0.5, 0.97}) {
      const uint64_t seed = random.bits();
      const std::vector<T> x = random.vector<T>(count, 1, 2);
      std::vector<T> expected(x.size());
      for (size_t k = 0; k < x.size(); ++k) {
        expected[k] = philox_word(seed, k) * 0x1p-32 >= p ? static_cast<T>(x[k] / (1 - p)) : T(0);
      }
      const double rounding = 4 * std::numeric_limits<T>::epsilon();
      EXPECT_TRUE(all_close(run_dropout(context.get(), p, seed, x), expected, rounding, 0)) << count << ", p " << p;
      EXPECT_TRUE(all_close(run_backward(context.get(), p, seed, x), expected, rounding, 0)) << count << ", p " << p;
    }
  }
}

// p = word * 2^-32 keeps an element, the next double drops it: this reads the words out of the mask, bit for bit.
TYPED_TEST(Dropout, ComparesTheWordsExactly) {
  using T = TypeParam;
  const Context context = make_context();
  const uint32_t of_seed_zero[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};  // Random123's known answer
  const std::vector<T> ones(4, T(1));
  for (int k = 0; k < 4; ++k) {
    const double word = of_seed_zero[k] * 0x1p-32;
    EXPECT_NE(run_dropout(context.get(), word, 0, ones)[k], 0);
    EXPECT_EQ(run_dropout(context.get(), std::nextafter(word, 1), 0, ones)[k], 0);
  }
  EXPECT_EQ(run_dropout(context.get(), std::nextafter(1.0, 0), 0, ones), std::vector<T>(4, T(0)));
}

TYPED_TEST(Dropout, WithoutProbabilityIsTheIdentityBitForBit) {
  using T = TypeParam;
  const Context context = make_context();
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  const std::vector<T> x = {1, T(-0.0), nan, inf, -inf, std::numeric_limits<T>::denorm_min(), 3};
  EXPECT_TRUE(bitwise_equal(run_dropout(context.get(), 0, 5, x), x));
}

TYPED_TEST(Dropout, ADroppedElementIsZeroWhateverItHeld) {
  using T = TypeParam;
  const Context context = make_context();
  const std::vector<T> x(400, std::numeric_limits<T>::quiet_NaN());
  const std::vector<T> y = run_dropout(context.get(), 0.5, 9, x);
  for (size_t k = 0; k < x.size(); ++k) {
    if (philox_word(9, k) * 0x1p-32 >= 0.5) {
      EXPECT_TRUE(std::isnan(y[k])) << k;
    } else {
      EXPECT_EQ(y[k], 0) << k;
    }
  }
}

TYPED_TEST(Dropout, WorksInPlaceAndForAnyNumberOfThreads) {
  using T = TypeParam;
  Random random(62);
  const std::vector<T> x = random.vector<T>(100003);
  const std::vector<T> expected = run_dropout(make_context(1).get(), 0.3, 77, x);
  for (const int64_t threads : other_thread_counts()) {
    const Context context = make_context(threads);
    Buffer<T> data(context.get(), x);
    ASSERT_OK(
        varlstm_dropout_forward(context.get(), kDType<T>, data.count(), 0.3, 77, data.data(), data.data(), nullptr));
    EXPECT_TRUE(bitwise_equal(data.get(), expected)) << threads << " threads";
    data.set(x);
    ASSERT_OK(
        varlstm_dropout_backward(context.get(), kDType<T>, data.count(), 0.3, 77, data.data(), data.data(), nullptr));
    EXPECT_TRUE(bitwise_equal(data.get(), expected)) << threads << " threads";
  }
}

TEST(DropoutMask, DependsOnTheSeedAndKeepsTheFraction) {
  const Context context = make_context();
  const std::vector<float> ones(100000, 1.0f);
  std::vector<std::vector<float>> masks;
  for (const uint64_t seed : {uint64_t{1}, uint64_t{2}, uint64_t{1} << 32}) {
    const std::vector<float> y = run_dropout(context.get(), 0.25, seed, ones);
    int64_t kept = 0;
    for (const float value : y) kept += value != 0;
    EXPECT_NEAR(kept, 75000, 700);  // five standard deviations
    for (const std::vector<float>& other : masks) EXPECT_FALSE(bitwise_equal(y, other));
    masks.push_back(y);
  }
}

TEST(DropoutGradient, MatchesCentralDifferences) {
  const Context context = make_context();
  Random random(63);
  for (int round = 0; round < 100; ++round) {
    const std::vector<double> x = random.vector<double>(random.integer(0, 30));
    const std::vector<double> dy = random.vector<double>(static_cast<int64_t>(x.size()));
    const double p = random.uniform(0, 0.9);
    const uint64_t seed = random.bits();
    EXPECT_TRUE(gradient_matches(
        [&](const std::vector<double>& at) { return dot(dy, run_dropout(context.get(), p, seed, at)); }, x,
        run_backward(context.get(), p, seed, dy)));
  }
}

}  // namespace
}  // namespace varlstm_test
