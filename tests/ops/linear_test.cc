// The linear layer: values, gradients, accumulation, outputs that are not wanted, and rows that do not see each other.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/gradcheck.h"
#include "support/op_workspace.h"
#include "support/random.h"
#include "support/thread_counts.h"

namespace varlstm_test {
namespace {

template <class T>
struct LinearCase {
  int64_t rows, in, out;
  bool has_bias;
  std::vector<T> x, weight, bias, dy;
};

template <class T>
LinearCase<T> random_case(Random& random, int64_t rows, int64_t in, int64_t out) {
  return {rows,
          in,
          out,
          random.coin(),
          random.vector<T>(rows * in),
          random.vector<T>(out * in),
          random.vector<T>(out),
          random.vector<T>(rows * out)};
}

template <class T>
std::vector<T> run_forward(varlstm_ctx* context, const LinearCase<T>& c, Fill fill = Fill::kNan) {
  const Buffer<T> x(context, c.x), weight(context, c.weight), bias(context, c.bias);
  Buffer<T> y(context, c.rows * c.out);
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_LINEAR_FORWARD, c.rows, c.in, c.out, fill);
  REQUIRE_OK(varlstm_linear_forward(context, kDType<T>, c.rows, c.in, c.out, x.data(), weight.data(),
                                    c.has_bias ? bias.data() : nullptr, y.data(), workspace.data(), workspace.bytes(),
                                    nullptr));
  return y.get();
}

template <class T>
struct LinearGradients {
  std::vector<T> dx, dweight, dbias;
};

constexpr int kWantX = 1, kWantWeight = 2, kWantBias = 4, kWantAll = 7;

// dweight and dbias start as `before` everywhere; what is not wanted stays so.
template <class T>
LinearGradients<T> run_backward(varlstm_ctx* context, const LinearCase<T>& c, T before, int want = kWantAll) {
  const Buffer<T> x(context, c.x), weight(context, c.weight), dy(context, c.dy);
  Buffer<T> dx(context, c.rows * c.in);
  Buffer<T> dweight(context, std::vector<T>(static_cast<size_t>(c.out * c.in), before));
  Buffer<T> dbias(context, std::vector<T>(static_cast<size_t>(c.out), before));
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_LINEAR_BACKWARD, c.rows, c.in, c.out);
  const bool want_x = want & kWantX, want_weight = want & kWantWeight, want_bias = want & kWantBias;
  REQUIRE_OK(varlstm_linear_backward(context, kDType<T>, c.rows, c.in, c.out, want_weight ? x.data() : nullptr,
                                     want_x ? weight.data() : nullptr, dy.data(), want_x ? dx.data() : nullptr,
                                     want_weight ? dweight.data() : nullptr, want_bias ? dbias.data() : nullptr,
                                     workspace.data(), workspace.bytes(), nullptr));
  return {dx.get(), dweight.get(), dbias.get()};
}

template <class T>
std::vector<double> naive_forward(const LinearCase<T>& c) {
  std::vector<double> y(static_cast<size_t>(c.rows * c.out));
  for (int64_t n = 0; n < c.rows; ++n) {
    for (int64_t o = 0; o < c.out; ++o) {
      double sum = c.has_bias ? c.bias[o] : 0.0;
      for (int64_t i = 0; i < c.in; ++i) sum += static_cast<double>(c.x[n * c.in + i]) * c.weight[o * c.in + i];
      y[n * c.out + o] = sum;
    }
  }
  return y;
}

template <class T>
LinearGradients<double> naive_backward(const LinearCase<T>& c, double before) {
  LinearGradients<double> g;
  g.dx.assign(c.rows * c.in, 0.0);
  g.dweight.assign(c.out * c.in, before);
  g.dbias.assign(c.out, before);
  for (int64_t n = 0; n < c.rows; ++n) {
    for (int64_t o = 0; o < c.out; ++o) {
      const double dy = c.dy[n * c.out + o];
      g.dbias[o] += dy;
      for (int64_t i = 0; i < c.in; ++i) {
        g.dx[n * c.in + i] += dy * c.weight[o * c.in + i];
        g.dweight[o * c.in + i] += dy * c.x[n * c.in + i];
      }
    }
  }
  return g;
}

template <class T>
class Linear : public ::testing::Test {
 protected:
  // Sums of up to 600 terms of magnitude 1.
  static constexpr double kTolerance = std::is_same_v<T, float> ? 1e-4 : 1e-12;
};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Linear, Floats);

TYPED_TEST(Linear, EqualsTheNaiveLoops) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(31);
  const int64_t shapes[][3] = {{0, 3, 2},     {1, 1, 1},      {7, 5, 3},    {33, 17, 9},
                               {64, 256, 17}, {600, 40, 130}, {5, 129, 257}};
  for (const auto& [rows, in, out] : shapes) {
    SCOPED_TRACE(::testing::Message() << "rows " << rows << ", in " << in << ", out " << out);
    const LinearCase<T> c = random_case<T>(random, rows, in, out);
    const double tolerance = this->kTolerance;
    EXPECT_TRUE(all_close(run_forward(context.get(), c), naive_forward(c), tolerance, tolerance));
    const LinearGradients<T> actual = run_backward(context.get(), c, T(1.5));
    const LinearGradients<double> expected = naive_backward(c, 1.5);
    EXPECT_TRUE(all_close(actual.dx, expected.dx, tolerance, tolerance));
    EXPECT_TRUE(all_close(actual.dweight, expected.dweight, tolerance, tolerance));
    EXPECT_TRUE(all_close(actual.dbias, expected.dbias, tolerance, tolerance));
  }
}

TYPED_TEST(Linear, EachGradientIsTheSameAloneAndWithTheOthers) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(32);
  const LinearCase<T> c = random_case<T>(random, 20, 11, 6);
  const LinearGradients<T> all = run_backward(context.get(), c, T(0.5));
  for (int want = 0; want < kWantAll; ++want) {
    SCOPED_TRACE(want);
    const LinearGradients<T> some = run_backward(context.get(), c, T(0.5), want);
    if (want & kWantX) {
      EXPECT_TRUE(bitwise_equal(some.dx, all.dx));
    }
    const std::vector<T> untouched(c.out * c.in, T(0.5));
    EXPECT_TRUE(bitwise_equal(some.dweight, want & kWantWeight ? all.dweight : untouched));
    EXPECT_TRUE(bitwise_equal(some.dbias, want & kWantBias ? all.dbias : std::vector<T>(c.out, T(0.5))));
  }
}

TYPED_TEST(Linear, ARowDoesNotDependOnTheOthers) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(33);
  const LinearCase<T> c = random_case<T>(random, 37, 50, 21);
  const std::vector<T> y = run_forward(context.get(), c);
  const std::vector<T> dx = run_backward(context.get(), c, T(0)).dx;
  for (const int64_t n : {0, 1, 17, 36}) {
    LinearCase<T> alone = c;
    alone.rows = 1;
    alone.x.assign(c.x.begin() + n * c.in, c.x.begin() + (n + 1) * c.in);
    alone.dy.assign(c.dy.begin() + n * c.out, c.dy.begin() + (n + 1) * c.out);
    const std::vector<T> y_row(y.begin() + n * c.out, y.begin() + (n + 1) * c.out);
    const std::vector<T> dx_row(dx.begin() + n * c.in, dx.begin() + (n + 1) * c.in);
    EXPECT_TRUE(bitwise_equal(run_forward(context.get(), alone), y_row));
    EXPECT_TRUE(bitwise_equal(run_backward(context.get(), alone, T(0)).dx, dx_row));
  }
}

TYPED_TEST(Linear, IsTheSameForAnyNumberOfThreadsAndAnyWorkspace) {
  using T = TypeParam;
  Random random(34);
  const LinearCase<T> c = random_case<T>(random, 700, 150, 200);
  const Context one = make_context(1);
  const std::vector<T> y = run_forward(one.get(), c);
  const LinearGradients<T> gradients = run_backward(one.get(), c, T(1));
  for (const int64_t threads : other_thread_counts()) {
    SCOPED_TRACE(threads);
    const Context context = make_context(threads);
    EXPECT_TRUE(bitwise_equal(run_forward(context.get(), c, Fill::kRandomBytes), y));
    const LinearGradients<T> again = run_backward(context.get(), c, T(1));
    EXPECT_TRUE(bitwise_equal(again.dx, gradients.dx));
    EXPECT_TRUE(bitwise_equal(again.dweight, gradients.dweight));
    EXPECT_TRUE(bitwise_equal(again.dbias, gradients.dbias));
  }
}

// 1 + 2^-12 has two bits of mantissa more than TF32, and is a float: on tensor cores it becomes 1.
TEST(LinearMath, Tf32RoundsOperandsOnCudaAlone) {
  const Context context = make_context();
  const float value = 1 + 0x1p-12f;
  const LinearCase<float> c{1, 1, 1, false, {value}, {1}, {0}, {value}};
  EXPECT_EQ(run_forward(context.get(), c)[0], value);
  ASSERT_OK(varlstm_ctx_set_i64(context.get(), VARLSTM_KEY_MATH, VARLSTM_MATH_TF32));
  const float rounded = test_backend() == VARLSTM_BACKEND_CUDA ? 1 : value;
  EXPECT_EQ(run_forward(context.get(), c)[0], rounded);
  const LinearGradients<float> gradients = run_backward(context.get(), c, 0.f);
  EXPECT_EQ(gradients.dx[0], rounded);
  EXPECT_EQ(gradients.dweight[0], test_backend() == VARLSTM_BACKEND_CUDA ? 1 : value * value);
  const LinearCase<double> wide{1, 1, 1, false, {value}, {1}, {0}, {value}};
  EXPECT_EQ(run_forward(context.get(), wide)[0], static_cast<double>(value));
}

TEST(LinearGradient, MatchesCentralDifferences) {
  const Context context = make_context();
  Random random(35);
  for (int round = 0; round < 100; ++round) {
    LinearCase<double> c =
        random_case<double>(random, random.integer(0, 6), random.integer(1, 6), random.integer(1, 5));
    SCOPED_TRACE(::testing::Message() << "rows " << c.rows << ", in " << c.in << ", out " << c.out);
    const LinearGradients<double> gradients = run_backward(context.get(), c, 0.0);
    const auto loss_with = [&](std::vector<double> LinearCase<double>::*input) {
      return [&c, &context, input](const std::vector<double>& at) {
        LinearCase<double> moved = c;
        moved.*input = at;
        return dot(c.dy, run_forward(context.get(), moved));
      };
    };
    EXPECT_TRUE(gradient_matches(loss_with(&LinearCase<double>::x), c.x, gradients.dx));
    EXPECT_TRUE(gradient_matches(loss_with(&LinearCase<double>::weight), c.weight, gradients.dweight));
    c.has_bias = true;
    EXPECT_TRUE(gradient_matches(loss_with(&LinearCase<double>::bias), c.bias, gradients.dbias));
  }
}

}  // namespace
}  // namespace varlstm_test
