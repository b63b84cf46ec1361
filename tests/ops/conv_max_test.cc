// Convolution with maximum: its definition, its gradients, and its corners (empty words, words shorter than the filter
// and longer than a tile, ties, NaN, rows of no word, room beside y).
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/compare.h"
#include "support/context.h"
#include "support/conv_max_case.h"
#include "support/gradcheck.h"
#include "support/scalar16.h"

namespace varlstm_test {
namespace {

template <class T>
class ConvMax : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ConvMax, Floats);

template <class T>
std::string describe(const ConvMaxCase<T>& c) {
  return "words " + std::to_string(c.words()) + ", rows " + std::to_string(c.rows) + ", in " + std::to_string(c.in) +
         ", filters " + std::to_string(c.filters) + ", width " + std::to_string(c.width) + ", activation " +
         std::to_string(c.activation);
}

// A case whose words are given, with one input feature.
template <class T>
ConvMaxCase<T> one_filter(std::vector<int64_t> offsets, std::vector<T> x, std::vector<T> weight) {
  ConvMaxCase<T> c;
  c.offsets = std::move(offsets);
  c.rows = static_cast<int64_t>(x.size());
  c.width = static_cast<int64_t>(weight.size());
  c.x = std::move(x);
  c.weight = std::move(weight);
  c.has_bias = false;
  c.bias = {0};
  c.dy.assign(c.outputs(), 1);
  return c;
}

// Whole numbers: every sum is exact, so the results are those of the definition to the last bit, ties included.
TYPED_TEST(ConvMax, IsItsDefinitionOnWholeNumbers) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(140);
  for (int round = 0; round < (emulated() ? 24 : 60); ++round) {
    const int64_t longest = round % 8 != 0 ? 9 : emulated() ? 40 : 300;
    ConvMaxCase<T> c = random_conv_max<T>(random, random.integer(0, emulated() ? 20 : 70), longest, true);
    if (c.activation == VARLSTM_ACTIVATION_TANH) c.activation = VARLSTM_ACTIVATION_RELU;
    SCOPED_TRACE(describe(c));
    const ConvMaxResult<T> expected = naive_conv_max(c, T(77)), actual = run_conv_max(context.get(), c);
    EXPECT_TRUE(bitwise_equal(actual.argmax, expected.argmax));
    EXPECT_TRUE(all_close(actual.y, expected.y, 0, 0));
    const ConvMaxGradients<T> sums = naive_conv_max_gradients(c, expected, T(3));
    const ConvMaxGradients<T> gradients = run_conv_max_backward(context.get(), c, actual, T(3));
    EXPECT_TRUE(all_close(gradients.dx, sums.dx, 0, 0));
    EXPECT_TRUE(all_close(gradients.dweight, sums.dweight, 0, 0));
    EXPECT_TRUE(all_close(gradients.dbias, sums.dbias, 0, 0));
  }
}

// Fractions, within the rounding of the longest chain; the maximum is at the position that argmax names.
TYPED_TEST(ConvMax, IsItsDefinitionOnFractions) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(141);
  const double eps = std::numeric_limits<T>::epsilon();
  for (int round = 0; round < (emulated() ? 20 : 100); ++round) {
    const ConvMaxCase<T> c = random_conv_max<T>(random, random.integer(1, 30), 12);
    SCOPED_TRACE(describe(c));
    const ConvMaxResult<T> actual = run_conv_max(context.get(), c), expected = naive_conv_max(c, T(77));
    const double slack = eps * static_cast<double>(c.in * c.width + 4) * 8;
    EXPECT_TRUE(all_close(actual.y, expected.y, 0, slack));
    for (int64_t w = 0; w < c.words(); ++w)
      for (int64_t f = 0; f < c.filters; ++f) {
        const int64_t at = actual.argmax[w * c.filters + f];
        if (c.offsets[w] == c.offsets[w + 1]) {
          EXPECT_EQ(at, -1);
          continue;
        }
        ASSERT_GE(at, c.offsets[w]);
        ASSERT_LT(at, c.offsets[w + 1]);
        EXPECT_NEAR(activated(c.activation, conv_at(c, w, at - c.offsets[w], f)), expected.y[w * c.ldy + f], slack);
      }
    const ConvMaxGradients<T> sums = naive_conv_max_gradients(c, actual, T(0.5));
    const ConvMaxGradients<T> gradients = run_conv_max_backward(context.get(), c, actual, T(0.5));
    EXPECT_TRUE(all_close(gradients.dx, sums.dx, 0, eps * 40 * 8));
    EXPECT_TRUE(all_close(gradients.dweight, sums.dweight, 0, eps * 40 * 8));
    EXPECT_TRUE(all_close(gradients.dbias, sums.dbias, 0, eps * 40 * 8));
  }
}

TYPED_TEST(ConvMax, TakesTheFirstOfEqualMaximaAndTheFirstNaN) {
  using T = TypeParam;
  const Context context = make_context();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const auto argmax = [&](std::vector<T> x, std::vector<T> weight) {
    const auto rows = static_cast<int64_t>(x.size());
    return run_conv_max(context.get(), one_filter<T>({0, rows}, std::move(x), std::move(weight))).argmax[0];
  };
  EXPECT_EQ(argmax({1, 5, 2, 5, 5}, {1}), 1);
  EXPECT_EQ(argmax({-0.0, 0.0, -0.0}, {1}), 0);
  EXPECT_EQ(argmax({-3, -2, -2}, {1}), 1);
  EXPECT_EQ(argmax({1, 9, nan, 99, nan}, {1}), 2);
  EXPECT_EQ(argmax({nan, 9}, {1}), 0);
  EXPECT_EQ(argmax({1, 2, nan, 3}, {0, 0, 1}), 1);  // row 2 is the right neighbour of row 1
  std::vector<T> far(1000, T(-1));
  far[777] = far[900] = 4;
  EXPECT_EQ(argmax(far, {1}), 777);  // in tiles far from the first
  far[500] = far[950] = nan;
  EXPECT_EQ(argmax(far, {1}), 500);
  for (const int32_t activation : {VARLSTM_ACTIVATION_NONE, VARLSTM_ACTIVATION_TANH, VARLSTM_ACTIVATION_RELU}) {
    ConvMaxCase<T> c = one_filter<T>({0, 2}, {1, nan}, {1});
    c.activation = activation;
    EXPECT_TRUE(std::isnan(run_conv_max(context.get(), c).y[0])) << activation;
  }
}

// Position 0 of the even width 2 sees itself and its right neighbour, as torch's padding "same" does.
TYPED_TEST(ConvMax, PadsEvenAndLargeWidthsAsTorchDoes) {
  using T = TypeParam;
  const Context context = make_context();
  const auto values = [&](std::vector<T> weight) {
    return run_conv_max(context.get(), one_filter<T>({0, 0, 2, 3}, {1, 2, 5}, std::move(weight))).y;
  };
  EXPECT_EQ(values({1, 10}), (std::vector<T>{0, 21, 5}));                     // 1 + 20 or 2
  EXPECT_EQ(values({1, 10, 100, 1000}), (std::vector<T>{0, 210, 50}));        // 10 + 200 or 1 + 20
  EXPECT_EQ(values({1, 10, 100, 3, 7, 8, 9}), (std::vector<T>{0, 106, 15}));  // 3 + 14 or 100 + 6
}

TYPED_TEST(ConvMax, AWordDoesNotDependOnTheOthers) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(142);
  for (const int64_t longest : {7, 400}) {
    if (longest > 7 && emulated()) continue;
    const ConvMaxCase<T> c = random_conv_max<T>(random, emulated() ? 30 : 150, longest);
    SCOPED_TRACE(describe(c));
    const ConvMaxResult<T> all = run_conv_max(context.get(), c);
    const std::vector<T> dx = run_conv_max_backward(context.get(), c, all, T(0)).dx;
    for (int64_t w = 0; w < c.words(); w += 7) {
      const int64_t begin = c.offsets[w], end = c.offsets[w + 1];
      ConvMaxCase<T> alone = c;
      alone.offsets = {0, end - begin};
      alone.rows = end - begin;
      alone.ldy = c.filters;
      alone.x.assign(c.x.begin() + begin * c.in, c.x.begin() + end * c.in);
      alone.dy.assign(c.dy.begin() + w * c.ldy, c.dy.begin() + w * c.ldy + c.filters);
      const ConvMaxResult<T> one = run_conv_max(context.get(), alone);
      EXPECT_TRUE(
          bitwise_equal(one.y, std::vector<T>(all.y.begin() + w * c.ldy, all.y.begin() + w * c.ldy + c.filters)));
      EXPECT_TRUE(bitwise_equal(run_conv_max_backward(context.get(), alone, one, T(0)).dx,
                                std::vector<T>(dx.begin() + begin * c.in, dx.begin() + end * c.in)));
    }
  }
}

TYPED_TEST(ConvMax, IsTheSameForAnyNumberOfThreadsAndAnyWorkspace) {
  using T = TypeParam;
  if (test_backend() != VARLSTM_BACKEND_HOST) return;  // which alone has threads
  Random random(143);
  const ConvMaxCase<T> c = random_conv_max<T>(random, 900, 9);
  const Context one = make_context(1);
  const ConvMaxResult<T> forward = run_conv_max(one.get(), c);
  const ConvMaxGradients<T> gradients = run_conv_max_backward(one.get(), c, forward, T(1));
  for (const int64_t threads : {2, 3, 7}) {
    SCOPED_TRACE(threads);
    const Context context = make_context(threads);
    const ConvMaxResult<T> again = run_conv_max(context.get(), c, Fill::kRandomBytes);
    EXPECT_TRUE(bitwise_equal(again.y, forward.y));
    EXPECT_TRUE(bitwise_equal(again.argmax, forward.argmax));
    const ConvMaxGradients<T> other =
        run_conv_max_backward(context.get(), c, forward, T(1), kWantConvAll, Fill::kRandomBytes);
    EXPECT_TRUE(bitwise_equal(other.dx, gradients.dx));
    EXPECT_TRUE(bitwise_equal(other.dweight, gradients.dweight));
    EXPECT_TRUE(bitwise_equal(other.dbias, gradients.dbias));
  }
}

// So many words that the gradients of weights are summed in several chunks, on the host and on a device.
TYPED_TEST(ConvMax, JoinsTheSumsOfManyWords) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(148);
  ConvMaxCase<T> c = random_conv_max<T>(random, 600, 2, true);
  c.activation = VARLSTM_ACTIVATION_NONE;
  const ConvMaxResult<T> forward = run_conv_max(context.get(), c);
  const ConvMaxGradients<T> expected = naive_conv_max_gradients(c, naive_conv_max(c, T(77)), T(3));
  const ConvMaxGradients<T> actual = run_conv_max_backward(context.get(), c, forward, T(3));
  EXPECT_TRUE(all_close(actual.dx, expected.dx, 0, 0));
  EXPECT_TRUE(all_close(actual.dweight, expected.dweight, 0, 0));
  EXPECT_TRUE(all_close(actual.dbias, expected.dbias, 0, 0));
}

TYPED_TEST(ConvMax, ComputesOnlyTheGradientsThatAreWanted) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(144);
  const ConvMaxCase<T> c = random_conv_max<T>(random, 20, 6);
  const ConvMaxResult<T> forward = run_conv_max(context.get(), c);
  const ConvMaxGradients<T> all = run_conv_max_backward(context.get(), c, forward, T(0.5));
  for (int want = 0; want < kWantConvAll; ++want) {
    SCOPED_TRACE(want);
    const ConvMaxGradients<T> some = run_conv_max_backward(context.get(), c, forward, T(0.5), want);
    if (want & kWantConvX) {
      EXPECT_TRUE(bitwise_equal(some.dx, all.dx));
    }
    const std::vector<T> weight(c.weight.size(), T(0.5)), bias(c.bias.size(), T(0.5));
    EXPECT_TRUE(bitwise_equal(some.dweight, want & kWantConvWeight ? all.dweight : weight));
    EXPECT_TRUE(bitwise_equal(some.dbias, want & kWantConvBias ? all.dbias : bias));
  }
}

// A caller may have kept argmax of other words: it reads nothing that is not the word's, and gives no gradient.
TYPED_TEST(ConvMax, AnArgmaxOutsideOfItsWordGivesNoGradient) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(145);
  const ConvMaxCase<T> c = random_conv_max<T>(random, 40, 5);
  ConvMaxResult<T> forward = run_conv_max(context.get(), c);
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min(), kHighest = std::numeric_limits<int64_t>::max();
  for (size_t k = 0; k < forward.argmax.size(); k += 3)
    forward.argmax[k] = std::vector<int64_t>{-1, c.rows, kLowest, kHighest, forward.argmax[k] + 2}[k % 5];
  const ConvMaxGradients<T> expected = naive_conv_max_gradients(c, forward, T(0));
  const ConvMaxGradients<T> actual = run_conv_max_backward(context.get(), c, forward, T(0));
  EXPECT_TRUE(all_close(actual.dx, expected.dx, 1e-4, 1e-4));
  EXPECT_TRUE(all_close(actual.dweight, expected.dweight, 1e-4, 1e-4));
  EXPECT_TRUE(all_close(actual.dbias, expected.dbias, 1e-4, 1e-4));
}

TEST(ConvMaxGradient, MatchesCentralDifferences) {
  const Context context = make_context();
  Random random(146);
  for (int round = 0; round < (emulated() ? 5 : 25); ++round) {
    ConvMaxCase<double> c = random_conv_max<double>(random, random.integer(0, 5), 4);
    c.has_bias = true;
    SCOPED_TRACE(describe(c));
    const ConvMaxGradients<double> gradients =
        run_conv_max_backward(context.get(), c, run_conv_max(context.get(), c), 0.0);
    const auto loss_with = [&](std::vector<double> ConvMaxCase<double>::*input) {
      return [&c, &context, input](const std::vector<double>& at) {
        ConvMaxCase<double> moved = c;
        moved.*input = at;
        const ConvMaxResult<double> result = run_conv_max(context.get(), moved);
        double sum = 0;
        for (int64_t w = 0; w < c.words(); ++w)
          for (int64_t f = 0; f < c.filters; ++f) sum += c.dy[w * c.ldy + f] * result.y[w * c.ldy + f];
        return sum;
      };
    };
    EXPECT_TRUE(gradient_matches(loss_with(&ConvMaxCase<double>::x), c.x, gradients.dx));
    EXPECT_TRUE(gradient_matches(loss_with(&ConvMaxCase<double>::weight), c.weight, gradients.dweight));
    EXPECT_TRUE(gradient_matches(loss_with(&ConvMaxCase<double>::bias), c.bias, gradients.dbias));
  }
}

TEST(ConvMaxOffsets, ABadOneIsNamedOnTheHost) {
  if (test_backend() != VARLSTM_BACKEND_HOST) return;
  const Context context = make_context();
  const std::vector<float> x = {1, 2, 3, 4}, weight = {1};
  const struct {
    std::vector<int64_t> offsets;
    const char* text;
  } cases[] = {{{-1, 2}, "offsets[0] = -1 is not in 0 ... rows = 4"},
               {{0, 3, 2}, "offsets[2] = 2 is smaller than offsets[1] = 3"},
               {{0, 2, 5}, "offsets[2] = 5 is not in 0 ... rows = 4"},
               {{5}, "offsets[0] = 5 is not in 0 ... rows = 4"}};
  for (const auto& one : cases) {
    const auto words = static_cast<int64_t>(one.offsets.size()) - 1;
    std::vector<float> y(words + 1, 7), dx(4, 7), dweight(1, 7);
    std::vector<int64_t> argmax(words + 1, 7);
    alignas(64) static char workspace[1 << 20];
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, one.text,
                 varlstm_conv_max_forward(context.get(), VARLSTM_DTYPE_F32, words, 4, 1, 1, 1, 0, one.offsets.data(),
                                          x.data(), weight.data(), nullptr, y.data(), 1, argmax.data(), workspace,
                                          sizeof workspace, nullptr));
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, one.text,
                 varlstm_conv_max_backward(context.get(), VARLSTM_DTYPE_F32, words, 4, 1, 1, 1, 0, one.offsets.data(),
                                           x.data(), weight.data(), y.data(), y.data(), 1, argmax.data(), dx.data(),
                                           dweight.data(), nullptr, workspace, sizeof workspace, nullptr));
    EXPECT_EQ(y, std::vector<float>(words + 1, 7));
    EXPECT_EQ(dx, std::vector<float>(4, 7));
    EXPECT_EQ(dweight[0], 7);
  }
}

// 128 positions of 2^53 features do not fit in 64 bits: that is forward's workspace alone, so that backward may run.
TEST(ConvMaxSize, NamesSizesThatCannotBeCounted) {
  if (test_backend() != VARLSTM_BACKEND_HOST) return;
  const Context context = make_context();
  constexpr int64_t kIn = int64_t{1} << 53;
  const char* const text =
      "words = 1, rows = 1, in = 9007199254740992, filters = 1 and width = 1 need more bytes of workspace for forward";
  int64_t forward = 7, backward = 7;
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, text,
               varlstm_conv_max_size(context.get(), VARLSTM_DTYPE_F64, 1, 1, kIn, 1, 1, &forward, &backward));
  EXPECT_EQ(forward, 7);
  EXPECT_EQ(backward, 7);
  const int64_t offsets[] = {0, 1}, argmax[] = {0};
  const double x = 1, weight = 1, dy = 1;
  double y = 1;
  alignas(64) char workspace[64];
  EXPECT_ERROR(
      VARLSTM_ERROR_INVALID_ARGUMENT, text,
      varlstm_conv_max_forward(context.get(), VARLSTM_DTYPE_F64, 1, 1, kIn, 1, 1, VARLSTM_ACTIVATION_NONE, offsets, &x,
                               &weight, nullptr, &y, 1, nullptr, workspace, sizeof workspace, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_BUFFER_TOO_SMALL, "workspace",
               varlstm_conv_max_backward(context.get(), VARLSTM_DTYPE_F64, 1, 1, kIn, 1, 1, VARLSTM_ACTIVATION_NONE,
                                         offsets, nullptr, nullptr, &y, &dy, 1, argmax, nullptr, nullptr, nullptr,
                                         workspace, sizeof workspace, nullptr));
}

// Words 1 and 3 have an offset outside of the rows, word 4 decreases: they count as words of no rows.
TEST(ConvMaxOffsets, BadOnesGiveWordsOfNoRowsOnADevice) {
  if (test_backend() == VARLSTM_BACKEND_HOST) return;
  const Context context = make_context();
  const std::vector<int64_t> offsets = {0, 2, 9, 3, 2, 4}, good = {0, 2, 2, 2, 2, 4};
  ConvMaxCase<float> c = one_filter<float>(offsets, {1, 2, 3, 4}, {1, 10});
  const ConvMaxResult<float> actual = run_conv_max(context.get(), c);
  int64_t bits = 0, index = 0;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &index, nullptr));
  EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_OFFSET);
  EXPECT_EQ(index, 1);
  const ConvMaxGradients<float> gradients = run_conv_max_backward(context.get(), c, actual, 0.f);
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &index, nullptr));
  EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_OFFSET);
  c.offsets = good;
  const ConvMaxResult<float> expected = naive_conv_max(c, 77.f);
  EXPECT_TRUE(bitwise_equal(actual.y, expected.y));
  EXPECT_TRUE(bitwise_equal(actual.argmax, expected.argmax));
  EXPECT_TRUE(bitwise_equal(gradients.dweight, naive_conv_max_gradients(c, expected, 0.f).dweight));
}

// The 16-bit dtypes are those of float over the same values, rounded once.
TEST(ConvMax16, IsFloatRoundedOnce) {
  const Context context = make_context();
  Random random(147);
  for (const Format16& format : {kBf16, kF16})
    for (int round = 0; round < (emulated() ? 4 : 10); ++round) {
      const ConvMaxCase<double> wide = random_conv_max<double>(random, emulated() ? 10 : 30, 6);
      ConvMaxCase<float> c;
      const auto rounded = [&](const std::vector<double>& values) {
        const std::vector<double> kept = format.round(values);
        return std::vector<float>(kept.begin(), kept.end());
      };
      c.rows = wide.rows, c.in = wide.in, c.filters = wide.filters, c.width = wide.width, c.ldy = wide.filters;
      c.activation = wide.activation, c.has_bias = wide.has_bias, c.offsets = wide.offsets;
      c.x = rounded(wide.x), c.weight = rounded(wide.weight), c.bias = rounded(wide.bias);
      c.dy = rounded(random.vector<double>(c.outputs()));
      SCOPED_TRACE(describe(c));
      const auto stored = [&](const std::vector<float>& values) {
        return Buffer<uint16_t>(context.get(), format.encode(std::vector<double>(values.begin(), values.end())));
      };
      const auto narrow = [&](const std::vector<float>& values) {
        return format.encode(std::vector<double>(values.begin(), values.end()));
      };
      ConvMaxResult<float> expected = run_conv_max(context.get(), c);
      const Buffer<int64_t> offsets(context.get(), c.offsets);
      const Buffer<uint16_t> x = stored(c.x), weight = stored(c.weight), bias = stored(c.bias), dy = stored(c.dy);
      Buffer<uint16_t> y(context.get(), c.outputs());
      Buffer<int64_t> argmax(context.get(), c.words() * c.filters);
      ByteBuffer forward = conv_max_workspace(context.get(), c, format.dtype, false, Fill::kNan);
      ASSERT_OK(varlstm_conv_max_forward(context.get(), format.dtype, c.words(), c.rows, c.in, c.filters, c.width,
                                         c.activation, offsets.data(), x.data(), weight.data(),
                                         c.has_bias ? bias.data() : nullptr, y.data(), c.ldy, argmax.data(),
                                         forward.data(), forward.bytes(), nullptr));
      EXPECT_TRUE(bitwise_equal(y.get(), narrow(expected.y)));
      EXPECT_TRUE(bitwise_equal(argmax.get(), expected.argmax));

      const std::vector<double> kept = format.decode(y.get());  // backward reads the rounded y
      expected.y.assign(kept.begin(), kept.end());
      const ConvMaxGradients<float> gradients = run_conv_max_backward(context.get(), c, expected, 0.5f);
      Buffer<uint16_t> dx(context.get(), c.rows * c.in), dweight = stored(std::vector<float>(c.weight.size(), 0.5f)),
                                                         dbias = stored(std::vector<float>(c.bias.size(), 0.5f));
      ByteBuffer backward = conv_max_workspace(context.get(), c, format.dtype, true, Fill::kNan);
      ASSERT_OK(varlstm_conv_max_backward(context.get(), format.dtype, c.words(), c.rows, c.in, c.filters, c.width,
                                          c.activation, offsets.data(), x.data(), weight.data(), y.data(), dy.data(),
                                          c.ldy, argmax.data(), dx.data(), dweight.data(), dbias.data(),
                                          backward.data(), backward.bytes(), nullptr));
      EXPECT_TRUE(bitwise_equal(dx.get(), narrow(gradients.dx)));
      EXPECT_TRUE(bitwise_equal(dweight.get(), narrow(gradients.dweight)));
      EXPECT_TRUE(bitwise_equal(dbias.get(), narrow(gradients.dbias)));
    }
}

}  // namespace
}  // namespace varlstm_test
