// The test tools themselves: a tool that never fails would make every test that uses it worthless.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/gradcheck.h"
#include "support/lengths.h"

namespace varlstm_test {
namespace {

::testing::AssertionResult close(const std::vector<double>& actual, const std::vector<double>& expected, double rtol,
                                 double atol) {
  return all_close(actual, expected, rtol, atol);
}

TEST(Compare, BitwiseTellsMinusZeroFromZero) {
  EXPECT_TRUE(bitwise_equal<double>({1.0, NAN}, {1.0, NAN}));
  EXPECT_FALSE(bitwise_equal<double>({0.0}, {-0.0}));
  EXPECT_FALSE(bitwise_equal<double>({0.0}, {}));
}

TEST(Compare, CloseRefusesNanAndInfinityWhereTheyAreNotExpected) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(close({1.0 + 1e-9, infinity, NAN}, {1.0, infinity, NAN}, 1e-8, 0.0));
  EXPECT_FALSE(close({1.0 + 1e-7}, {1.0}, 1e-8, 0.0));
  EXPECT_FALSE(close({NAN}, {1.0}, 1.0, 1.0));
  EXPECT_FALSE(close({1.0}, {NAN}, 1.0, 1.0));
  EXPECT_FALSE(close({1.0}, {infinity}, 1.0, 1.0));
  EXPECT_FALSE(close({infinity}, {1.0}, 1.0, 1.0));
  EXPECT_FALSE(close({1.0}, {1.0, 1.0}, 1.0, 1.0));
}

TEST(Gradcheck, AcceptsTheGradientAndRefusesAWrongOne) {
  const ScalarFunction f = [](const std::vector<double>& x) { return std::sin(x[0]) * x[1]; };
  const std::vector<double> x = {0.3, -1.7};
  EXPECT_TRUE(gradient_matches(f, x, {std::cos(0.3) * -1.7, std::sin(0.3)}));
  EXPECT_FALSE(gradient_matches(f, x, {std::cos(0.3) * -1.7, std::sin(0.3) * 1.01}));
  EXPECT_FALSE(gradient_matches(f, x, {0.0, std::sin(0.3)}));
}

TEST(Lengths, EveryKindKeepsItsBounds) {
  Random random(1);
  for (const LengthKind kind : kLengthKinds) {
    for (const int64_t batch : {1, 2, 7, 64}) {
      const std::vector<int64_t> lengths = make_lengths(kind, batch, 9, random);
      EXPECT_EQ(static_cast<int64_t>(lengths.size()), kind == LengthKind::kSingle ? 1 : batch);
      for (const int64_t length : lengths) {
        EXPECT_GE(length, 0) << length_kind_name(kind);
        EXPECT_LE(length, 9) << length_kind_name(kind);
      }
    }
  }
}

TEST(Buffer, KeepsValuesAndStartsAsNan) {
  const Context context = make_context();
  Buffer<float> buffer(context.get(), 3);
  for (const float value : buffer.get()) EXPECT_TRUE(std::isnan(value));
  buffer.set({1.0f, 2.0f, 3.0f});
  EXPECT_TRUE(bitwise_equal<float>(buffer.get(), {1.0f, 2.0f, 3.0f}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
  EXPECT_TRUE(buffer.canaries_intact());
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(Buffer, FindsAByteWrittenBesideIt) {
  const Context context = make_context();
  const std::vector<float> one = {1.0f};
  for (const int64_t offset : {-64, -1, 3, 66}) {
    EXPECT_NONFATAL_FAILURE(
        {
          Buffer<float> buffer(context.get(), 3);
          REQUIRE_OK(
              varlstm_copy(context.get(), buffer.data() + offset, one.data(), 4, VARLSTM_COPY_TO_BACKEND, nullptr));
        },
        "was written");
  }
}
#endif

}  // namespace
}  // namespace varlstm_test
