// Log-softmax: values, gradient, rows at the edge of the number range, in place.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
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

template <class T>
std::vector<T> run_forward(varlstm_ctx* context, int64_t classes, const std::vector<T>& values) {
  const Buffer<T> x(context, values);
  Buffer<T> y(context, x.count());
  REQUIRE_OK(
      varlstm_log_softmax_forward(context, kDType<T>, x.count() / classes, classes, x.data(), y.data(), nullptr));
  return y.get();
}

template <class T>
std::vector<T> run_backward(varlstm_ctx* context, int64_t classes, const std::vector<T>& output,
                            const std::vector<T>& gradient) {
  const Buffer<T> y(context, output), dy(context, gradient);
  Buffer<T> dx(context, y.count());
  REQUIRE_OK(varlstm_log_softmax_backward(context, kDType<T>, y.count() / classes, classes, y.data(), dy.data(),
                                          dx.data(), nullptr));
  return dx.get();
}

template <class T>
std::vector<double> naive_forward(int64_t classes, const std::vector<T>& x) {
  std::vector<double> y(x.size());
  for (size_t begin = 0; begin < x.size(); begin += classes) {
    const long double largest = *std::max_element(x.begin() + begin, x.begin() + begin + classes);
    long double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<long double>(x[begin + c]) - largest);
    for (int64_t c = 0; c < classes; ++c) {
      y[begin + c] = static_cast<double>(static_cast<long double>(x[begin + c]) - largest - std::log(sum));
    }
  }
  return y;
}

template <class T>
class LogSoftmax : public ::testing::Test {
 protected:
  static constexpr double kTolerance = std::is_same_v<T, float> ? 1e-6 : 1e-14;
};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LogSoftmax, Floats);

TYPED_TEST(LogSoftmax, EqualsTheNaiveLoops) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(41);
  const int64_t shapes[][2] = {{0, 3}, {1, 1}, {5, 1}, {1, 2}, {9, 17}, {40, 50}, {2, 10000}};
  for (const auto& [rows, classes] : shapes) {
    SCOPED_TRACE(::testing::Message() << "rows " << rows << ", classes " << classes);
    for (const double range : {1.0, 30.0, 1e4}) {
      const std::vector<T> x = random.vector<T>(rows * classes, -range, range);
      EXPECT_TRUE(all_close(run_forward(context.get(), classes, x), naive_forward(classes, x), this->kTolerance,
                            this->kTolerance));
    }
  }
}

TYPED_TEST(LogSoftmax, OfOneClassIsZero) {
  using T = TypeParam;
  const Context context = make_context();
  EXPECT_EQ(run_forward<T>(context.get(), 1, {3, -1e30f, 0}), (std::vector<T>{0, 0, 0}));
  EXPECT_EQ(run_backward<T>(context.get(), 1, {0, 0}, {5, -2}), (std::vector<T>{0, 0}));
}

TYPED_TEST(LogSoftmax, HoldsInfinitiesAndKeepsNanInItsRow) {
  using T = TypeParam;
  const Context context = make_context();
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const T half = std::log(T(0.5));
  const std::vector<T> x = {0, 0, -inf, nan, 0, 1, 0, nan, 1, -inf, -inf, -inf, 0, 1e30f, -1e30f};
  const std::vector<T> expected = {half, half, -inf, nan, nan, nan, nan, nan, nan, nan, nan, nan, -1e30f, 0, -2e30f};
  EXPECT_TRUE(all_close(run_forward(context.get(), 3, x), expected, 1e-6, 0));
}

// As inf - inf is: not 0 at the infinity and -inf beside it. Wherever it is, and however many threads have the row.
TYPED_TEST(LogSoftmax, APositiveInfinityMakesItsRowNan) {
  using T = TypeParam;
  const Context context = make_context();
  for (const int64_t classes : {1, 3, 40, 2500}) {
    for (const int64_t at : {int64_t{0}, classes / 2, classes - 1}) {
      SCOPED_TRACE(testing::Message() << classes << " classes, infinity at " << at);
      std::vector<T> x(2 * classes, T(1));
      x[at] = std::numeric_limits<T>::infinity();
      std::vector<T> expected(x.size(), static_cast<T>(-std::log(classes)));
      std::fill_n(expected.begin(), classes, std::numeric_limits<T>::quiet_NaN());
      EXPECT_TRUE(all_close(run_forward(context.get(), classes, x), expected, 1e-6, 0));
    }
  }
}

TYPED_TEST(LogSoftmax, WorksInPlace) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(42);
  const int64_t rows = 12, classes = 7;
  const std::vector<T> x = random.vector<T>(rows * classes), dy = random.vector<T>(rows * classes);
  const std::vector<T> y = run_forward(context.get(), classes, x);
  Buffer<T> in_place(context.get(), x);
  ASSERT_OK(
      varlstm_log_softmax_forward(context.get(), kDType<T>, rows, classes, in_place.data(), in_place.data(), nullptr));
  EXPECT_TRUE(bitwise_equal(in_place.get(), y));
  const Buffer<T> output(context.get(), y);
  in_place.set(dy);
  ASSERT_OK(varlstm_log_softmax_backward(context.get(), kDType<T>, rows, classes, output.data(), in_place.data(),
                                         in_place.data(), nullptr));
  EXPECT_TRUE(bitwise_equal(in_place.get(), run_backward(context.get(), classes, y, dy)));
}

TYPED_TEST(LogSoftmax, IsTheSameForAnyNumberOfThreads) {
  using T = TypeParam;
  Random random(43);
  const int64_t classes = 37;
  const std::vector<T> x = random.vector<T>(1001 * classes, -5, 5), dy = random.vector<T>(1001 * classes);
  const Context one = make_context(1);
  const std::vector<T> y = run_forward(one.get(), classes, x);
  const std::vector<T> dx = run_backward(one.get(), classes, y, dy);
  for (const int64_t threads : other_thread_counts()) {
    const Context context = make_context(threads);
    EXPECT_TRUE(bitwise_equal(run_forward(context.get(), classes, x), y)) << threads << " threads";
    EXPECT_TRUE(bitwise_equal(run_backward(context.get(), classes, y, dy), dx)) << threads << " threads";
  }
}

TEST(LogSoftmaxGradient, MatchesCentralDifferences) {
  const Context context = make_context();
  Random random(44);
  for (int round = 0; round < 100; ++round) {
    const int64_t rows = random.integer(0, 6), classes = random.integer(1, 8);
    SCOPED_TRACE(::testing::Message() << "rows " << rows << ", classes " << classes);
    const std::vector<double> x = random.vector<double>(rows * classes, -4, 4);
    const std::vector<double> dy = random.vector<double>(rows * classes);
    const std::vector<double> y = run_forward(context.get(), classes, x);
    EXPECT_TRUE(gradient_matches(
        [&](const std::vector<double>& at) { return dot(dy, run_forward(context.get(), classes, at)); }, x,
        run_backward(context.get(), classes, y, dy)));
  }
}

}  // namespace
}  // namespace varlstm_test
