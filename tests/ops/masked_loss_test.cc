// Masked negative log-likelihood and cross-entropy: values, gradients, and every way for a row not to count.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support/compare.h"
#include "support/gradcheck.h"
#include "support/lengths.h"
#include "support/loss_case.h"
#include "support/thread_counts.h"

namespace varlstm_test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> naive_log_softmax(int64_t classes, const std::vector<double>& x) {
  std::vector<double> p(x.size());
  for (size_t begin = 0; begin < x.size(); begin += classes) {
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[begin + c]);
    for (int64_t c = 0; c < classes; ++c) p[begin + c] = x[begin + c] - std::log(sum);
  }
  return p;
}

std::string describe(const LossCase& c) {
  return "classes " + std::to_string(c.classes) + ", targets " + to_string(c.targets) + ", ignore_index " +
         std::to_string(c.ignore_index) + ", reduction " + std::to_string(c.reduction) + ", smoothing " +
         std::to_string(c.smoothing) + (c.class_weights.empty() ? "" : ", weighted");
}

// An incoming gradient shaped as the output.
std::vector<double> random_dout(const LossCase& c, Random& random) {
  return random.vector<double>(c.outputs());
}

bool is_zero_row(const std::vector<double>& values, int64_t classes, int64_t row) {
  return std::all_of(values.begin() + row * classes, values.begin() + (row + 1) * classes,
                     [](double value) { return value == 0; });
}

template <class T>
class MaskedLoss : public ::testing::Test {
 protected:
  static constexpr double kTolerance = std::is_same_v<T, float> ? 2e-6 : 1e-13;
};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(MaskedLoss, Floats);

TYPED_TEST(MaskedLoss, EqualsTheDefinition) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(51);
  for (int round = 0; round < 200; ++round) {
    LossCase c = random_loss_case(random, random.integer(0, 90));
    for (double& w : c.class_weights) w = static_cast<T>(w);
    SCOPED_TRACE(describe(c));
    const std::vector<T> x = random.vector<T>(c.rows() * c.classes, -3, 3);
    const std::vector<double> p = naive_log_softmax(c.classes, std::vector<double>(x.begin(), x.end()));
    const LossResult<double> expected = naive_nll(c, p);
    const double tolerance = this->kTolerance;
    for (const Fill fill : {Fill::kNan, Fill::kRandomBytes}) {
      const LossResult<T> nll = run_nll(context.get(), c, std::vector<T>(p.begin(), p.end()), fill);
      EXPECT_TRUE(all_close(nll.out, expected.out, tolerance, tolerance));
      EXPECT_NEAR(nll.weight_sum, expected.weight_sum, tolerance * 100);
    }
    const LossResult<T> fused = run_cross_entropy(context.get(), c, x);
    EXPECT_TRUE(all_close(fused.out, expected.out, tolerance, tolerance));
    EXPECT_NEAR(fused.weight_sum, expected.weight_sum, tolerance * 100);
  }
}

TYPED_TEST(MaskedLoss, OfOneClassIsZero) {
  using T = TypeParam;
  const Context context = make_context();
  LossCase c;
  c.targets = {0, 0, 0};
  c.smoothing = 0.25;
  const LossResult<T> fused = run_cross_entropy<T>(context.get(), c, {4, -1, 1000});
  EXPECT_EQ(fused.out, std::vector<T>{0});
  EXPECT_EQ(fused.gradient, (std::vector<T>{0, 0, 0}));
  EXPECT_EQ(fused.weight_sum, 3);
}

TYPED_TEST(MaskedLoss, SurvivesLargeLogits) {
  using T = TypeParam;
  const Context context = make_context();
  LossCase c;
  c.classes = 3;
  c.targets = {0, 1};
  c.reduction = VARLSTM_REDUCTION_NONE;
  const LossResult<T> fused = run_cross_entropy<T>(context.get(), c, {1e4f, 0, -1e4f, 1e4f, 0, -1e4f});
  EXPECT_EQ(fused.out, (std::vector<T>{0, 1e4f}));
  EXPECT_EQ(fused.gradient, (std::vector<T>{0, 0, 0, 1, -1, 0}));
}

TYPED_TEST(MaskedLoss, ABadLabelIsNotCountedAndRaisesABit) {
  using T = TypeParam;
  const Context context = make_context();
  LossCase c;
  c.classes = 2;
  c.targets = {0, -100, 2, 1, -1, INT64_MAX, INT64_MIN};
  const std::vector<T> x(static_cast<size_t>(c.rows() * c.classes), T(0.5));
  LossCase good = c;
  for (int64_t& target : good.targets) target = target == 0 || target == 1 ? target : -100;
  const auto expect_bit = [&](int64_t bit, int64_t index) {
    int64_t bits = -1, first = -2;
    ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &first, nullptr));
    EXPECT_EQ(bits, bit);
    EXPECT_EQ(first, index);
  };
  const LossResult<T> expected = run_cross_entropy<T>(context.get(), good, x);
  const std::vector<T> p = {-1, -2, -3, -4, -5, -6, -7, -8, -9, -1, -2, -3, -4, -5};
  const LossResult<T> expected_nll = run_nll(context.get(), good, p);
  expect_bit(0, -1);

  const LossResult<T> fused = run_cross_entropy<T>(context.get(), c, x);
  expect_bit(VARLSTM_DEVICE_STATUS_LABEL, 2);
  EXPECT_TRUE(bitwise_equal(fused.out, expected.out));
  EXPECT_TRUE(bitwise_equal(fused.gradient, expected.gradient));
  EXPECT_EQ(fused.weight_sum, 2);
  EXPECT_TRUE(bitwise_equal(run_nll(context.get(), c, p).out, expected_nll.out));
  expect_bit(VARLSTM_DEVICE_STATUS_LABEL, 2);
  EXPECT_TRUE(bitwise_equal(run_nll_backward<T>(context.get(), c, {}), run_nll_backward<T>(context.get(), good, {})));
  expect_bit(VARLSTM_DEVICE_STATUS_LABEL, 2);
}

TYPED_TEST(MaskedLoss, CountsTheBatchsRowsAlone) {
  using T = TypeParam;
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {1, 0, 2});
  LossCase c;
  c.classes = 2;
  c.targets = {0, 1, 1, 0, 77};  // three count; behind them a bad label raises nothing
  c.batch = batch.get();
  const T nan = static_cast<T>(kNan);
  for (const int32_t reduction : {VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_MEAN, VARLSTM_REDUCTION_SUM}) {
    c.reduction = reduction;
    LossCase three = c;
    three.batch = nullptr;
    three.targets.resize(3);
    const LossResult<T> expected = run_cross_entropy<T>(context.get(), three, {1, 2, 3, 5, 2, 2});
    LossResult<T> fused = run_cross_entropy<T>(context.get(), c, {1, 2, 3, 5, 2, 2, nan, nan, nan, nan});
    LossResult<T> nll = run_nll<T>(context.get(), c, {-1, -2, -3, -5, -2, -2, nan, nan, nan, nan});
    if (reduction == VARLSTM_REDUCTION_NONE) {
      for (LossResult<T>* result : {&fused, &nll}) {
        ASSERT_EQ(result->out.size(), 5u);
        EXPECT_EQ(result->out[3], 0);
        EXPECT_EQ(result->out[4], 0);
        result->out.resize(3);
      }
    }
    EXPECT_TRUE(bitwise_equal(fused.out, expected.out));
    EXPECT_TRUE(bitwise_equal(nll.out, run_nll<T>(context.get(), three, {-1, -2, -3, -5, -2, -2}).out));
    std::vector<T> padded = expected.gradient;
    padded.resize(10, T(0));
    EXPECT_TRUE(bitwise_equal(fused.gradient, padded));
    std::vector<T> nll_gradient = run_nll_backward<T>(context.get(), three, {});
    nll_gradient.resize(10, T(0));
    EXPECT_TRUE(bitwise_equal(run_nll_backward<T>(context.get(), c, {}), nll_gradient));
  }
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 0, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

TYPED_TEST(MaskedLoss, WorksInPlaceAndWithoutGradient) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(52);
  for (int round = 0; round < 40; ++round) {
    const LossCase c = random_loss_case(random, random.integer(0, 20));
    SCOPED_TRACE(describe(c));
    const std::vector<T> x = random.vector<T>(c.rows() * c.classes, -3, 3);
    const LossResult<T> separate = run_cross_entropy(context.get(), c, x);
    const LossResult<T> in_place = run_cross_entropy(context.get(), c, x, WantGradient::kInPlace);
    const LossResult<T> none = run_cross_entropy(context.get(), c, x, WantGradient::kNo);
    EXPECT_TRUE(bitwise_equal(in_place.gradient, separate.gradient));
    EXPECT_TRUE(all_close(in_place.out, separate.out, 0, 0));
    EXPECT_TRUE(all_close(none.out, separate.out, 0, 0));
  }
}

// And from run to run, which is all there is to see where no threads can be set.
TYPED_TEST(MaskedLoss, IsTheSameForAnyNumberOfThreads) {
  using T = TypeParam;
  Random random(53);
  const int rounds = emulated() ? 3 : 12;
  const std::vector<int64_t> others = other_thread_counts();
  for (int round = 0; round < rounds; ++round) {
    LossCase c = random_loss_case(random, 3001);
    c.classes = 23;
    if (!c.class_weights.empty()) c.class_weights = random.vector<double>(c.classes, 0, 2);
    c.targets = random.integers(c.rows(), -1, c.classes - 1);
    SCOPED_TRACE("round " + std::to_string(round));
    const std::vector<T> x = random.vector<T>(c.rows() * c.classes, -3, 3);
    const std::vector<double> dout = random_dout(c, random);
    const auto run_all = [&](int64_t threads) {
      const Context context = make_context(threads);
      std::vector<std::vector<T>> all;
      const LossResult<T> fused = run_cross_entropy(context.get(), c, x);
      all.push_back(fused.out);
      all.push_back({fused.weight_sum});
      all.push_back(fused.gradient);
      all.push_back(run_cross_entropy_backward(context.get(), c, fused.gradient, dout));
      all.push_back(run_nll(context.get(), c, x).out);
      all.push_back(run_nll_backward<T>(context.get(), c, dout));
      return all;
    };
    const std::vector<std::vector<T>> one = run_all(1);
    for (const int64_t threads : others) {
      const std::vector<std::vector<T>> several = run_all(threads);
      for (size_t k = 0; k < one.size(); ++k) EXPECT_TRUE(bitwise_equal(several[k], one[k])) << "result " << k;
    }
  }
}

TEST(MaskedLossGradient, OfNllMatchesCentralDifferences) {
  const Context context = make_context();
  Random random(54);
  for (int round = 0; round < (emulated() ? 30 : 120); ++round) {
    const LossCase c = random_loss_case(random, random.integer(0, 8));
    SCOPED_TRACE(describe(c));
    const std::vector<double> p = random.vector<double>(c.rows() * c.classes, -3, 0);
    const std::vector<double> dout = random_dout(c, random);
    const std::vector<double> gradient = run_nll_backward<double>(context.get(), c, dout);
    const LossResult<double> at_p = run_nll(context.get(), c, p);
    if (c.reduction == VARLSTM_REDUCTION_MEAN && at_p.weight_sum == 0) {  // an empty mean has no differences
      EXPECT_EQ(gradient, std::vector<double>(p.size(), 0.0));
      continue;
    }
    EXPECT_TRUE(gradient_matches(
        [&](const std::vector<double>& at) { return dot(dout, run_nll(context.get(), c, at).out); }, p, gradient));
  }
}

TEST(MaskedLossGradient, OfCrossEntropyMatchesCentralDifferences) {
  const Context context = make_context();
  Random random(55);
  for (int round = 0; round < (emulated() ? 30 : 120); ++round) {
    LossCase c = random_loss_case(random, 0);
    const std::vector<int64_t> lengths = random_lengths(random.integer(0, 3), 3, random);
    const Batch batch = make_batch(context.get(), lengths);
    c.targets = random.integers(exact_bounds(lengths).max_tokens + random.integer(0, 2), 0, c.classes - 1);
    c.batch = batch.get();
    SCOPED_TRACE(describe(c) + ", lengths " + to_string(lengths));
    const std::vector<double> x = random.vector<double>(c.rows() * c.classes, -3, 3);
    const std::vector<double> dout = random_dout(c, random);
    const LossResult<double> at_x = run_cross_entropy(context.get(), c, x);
    const std::vector<double> gradient = run_cross_entropy_backward(context.get(), c, at_x.gradient, dout);
    if (c.reduction == VARLSTM_REDUCTION_MEAN && at_x.weight_sum == 0) {
      EXPECT_EQ(gradient, std::vector<double>(x.size(), 0.0));
      continue;
    }
    EXPECT_TRUE(gradient_matches(
        [&](const std::vector<double>& at) {
          return dot(dout, run_cross_entropy(context.get(), c, at, WantGradient::kNo).out);
        },
        x, gradient));
  }
}

TEST(MaskedLossGradient, WithoutDoutIsThatOfOnes) {
  const Context context = make_context();
  Random random(56);
  for (int round = 0; round < 30; ++round) {
    const LossCase c = random_loss_case(random, 6);
    const std::vector<double> ones(static_cast<size_t>(c.outputs()), 1.0);
    EXPECT_TRUE(bitwise_equal(run_nll_backward<double>(context.get(), c, {}),
                              run_nll_backward<double>(context.get(), c, ones)));
    const std::vector<double> x = random.vector<double>(c.rows() * c.classes);
    const std::vector<double> gradient = run_cross_entropy(context.get(), c, x).gradient;
    EXPECT_TRUE(bitwise_equal(run_cross_entropy_backward(context.get(), c, gradient, {}), gradient));
    EXPECT_TRUE(bitwise_equal(run_cross_entropy_backward(context.get(), c, gradient, ones), gradient));
  }
}

TEST(MaskedLossMask, IgnoreIndexMayBeAClass) {
  const Context context = make_context();
  LossCase c;
  c.classes = 3;
  c.ignore_index = 1;
  c.targets = {0, 1, 2, 1};
  const std::vector<double> p = {-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12};
  const LossResult<double> nll = run_nll(context.get(), c, p);
  EXPECT_EQ(nll.out, std::vector<double>{(1 + 9) / 2.0});
  EXPECT_EQ(nll.weight_sum, 2);
  EXPECT_EQ(run_nll_backward<double>(context.get(), c, {}),
            (std::vector<double>{-0.5, 0, 0, 0, 0, 0, 0, 0, -0.5, 0, 0, 0}));
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 0, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

TEST(MaskedLossMask, IgnoreIndexOutsideTheClassesRaisesNothing) {
  const Context context = make_context();
  LossCase c;
  c.classes = 2;
  c.ignore_index = 5;
  c.targets = {5, 1};
  EXPECT_EQ(run_nll<double>(context.get(), c, {-1, -2, -3, -4}).out, std::vector<double>{4});
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 0, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

TEST(MaskedLossMask, AnEmptyMeanIsWhatTheCallerChose) {
  const Context context = make_context();
  LossCase all_ignored;
  all_ignored.classes = 2;
  all_ignored.targets = {-100, -100};
  LossCase no_rows = all_ignored;
  no_rows.targets = {};
  LossCase weightless = all_ignored;
  weightless.targets = {0, -100};
  weightless.class_weights = {0, 3};
  for (LossCase c : {all_ignored, no_rows, weightless}) {
    for (const double smoothing : {0.0, 0.3}) {
      c.smoothing = smoothing;
      SCOPED_TRACE(describe(c));
      std::vector<double> x = {1, 2, kNan, kNan};
      x.resize(c.rows() * c.classes);
      const std::vector<double> zeros(x.size(), 0.0);
      c.empty_mean = VARLSTM_EMPTY_MEAN_ZERO;
      EXPECT_EQ(run_nll(context.get(), c, x).out, std::vector<double>{0});
      EXPECT_EQ(run_cross_entropy(context.get(), c, x).out, std::vector<double>{0});
      c.empty_mean = VARLSTM_EMPTY_MEAN_NAN;
      EXPECT_TRUE(std::isnan(run_nll(context.get(), c, x).out[0]));
      const LossResult<double> fused = run_cross_entropy(context.get(), c, x);
      EXPECT_TRUE(std::isnan(fused.out[0]));
      EXPECT_EQ(fused.weight_sum, 0);
      EXPECT_EQ(fused.gradient, zeros);
      EXPECT_EQ(run_cross_entropy_backward(context.get(), c, fused.gradient, {kNan}), zeros);
      EXPECT_EQ(run_nll_backward<double>(context.get(), c, {kNan}), zeros);
      c.reduction = VARLSTM_REDUCTION_SUM;
      EXPECT_TRUE(std::isfinite(run_nll(context.get(), c, x).out[0]));
      EXPECT_TRUE(std::isfinite(run_cross_entropy(context.get(), c, x).out[0]));
      c.reduction = VARLSTM_REDUCTION_MEAN;
    }
  }
}

TEST(MaskedLossMask, AnEmptyMeanOfWeightlessRowsDoesNotReadThem) {
  const Context context = make_context();
  LossCase c;
  c.classes = 2;
  c.targets = {0, 0};
  c.class_weights = {0, 3};
  c.empty_mean = VARLSTM_EMPTY_MEAN_ZERO;
  const LossResult<double> fused = run_cross_entropy<double>(context.get(), c, {kNan, kNan, 1, kNan});
  EXPECT_EQ(fused.out, std::vector<double>{0});
  EXPECT_EQ(fused.gradient, (std::vector<double>{0, 0, 0, 0}));
}

TEST(MaskedLossMask, AMaskedRowAddsExactlyZeroEvenIfItIsNan) {
  const Context context = make_context();
  Random random(57);
  for (int round = 0; round < 100; ++round) {
    LossCase c = random_loss_case(random, 12);
    SCOPED_TRACE(describe(c));
    const std::vector<double> x = random.vector<double>(c.rows() * c.classes, -3, 0);
    std::vector<double> poisoned = x;
    std::vector<double> dout = random_dout(c, random), poisoned_dout = dout;
    for (int64_t n = 0; n < c.rows(); ++n) {
      if (c.is_kept(n)) continue;
      std::fill_n(poisoned.begin() + n * c.classes, c.classes, kNan);
      if (c.reduction == VARLSTM_REDUCTION_NONE) poisoned_dout[n] = kNan;
    }
    const LossResult<double> clean = run_cross_entropy(context.get(), c, x);
    const LossResult<double> fused = run_cross_entropy(context.get(), c, poisoned);
    EXPECT_TRUE(all_close(fused.out, clean.out, 0, 0));
    EXPECT_TRUE(bitwise_equal(fused.gradient, clean.gradient));
    EXPECT_TRUE(all_close(run_nll(context.get(), c, poisoned).out, run_nll(context.get(), c, x).out, 0, 0));
    const std::vector<double> backward = run_cross_entropy_backward(context.get(), c, fused.gradient, poisoned_dout);
    EXPECT_TRUE(all_close(backward, run_cross_entropy_backward(context.get(), c, clean.gradient, dout), 0, 0));
    const std::vector<double> nll_backward = run_nll_backward<double>(context.get(), c, poisoned_dout);
    EXPECT_TRUE(all_close(nll_backward, run_nll_backward<double>(context.get(), c, dout), 0, 0));
    for (int64_t n = 0; n < c.rows(); ++n) {
      if (c.is_kept(n)) continue;
      EXPECT_TRUE(is_zero_row(fused.gradient, c.classes, n)) << "row " << n;
      EXPECT_TRUE(is_zero_row(nll_backward, c.classes, n)) << "row " << n;
      if (c.reduction == VARLSTM_REDUCTION_NONE) {
        EXPECT_EQ(fused.out[n], 0) << "row " << n;
      }
    }
  }
}

TEST(MaskedLossMask, ANanStaysInItsRow) {
  const Context context = make_context();
  LossCase c;
  c.classes = 2;
  c.targets = {0, 1, 0};
  c.reduction = VARLSTM_REDUCTION_NONE;
  const LossResult<double> fused = run_cross_entropy<double>(context.get(), c, {0, 0, kNan, 0, 0, 0});
  const double half = std::log(2.0);
  EXPECT_TRUE(all_close(fused.out, std::vector<double>{half, kNan, half}, 1e-15, 0));
  EXPECT_TRUE(all_close(fused.gradient, std::vector<double>{-0.5, 0.5, kNan, kNan, -0.5, 0.5}, 1e-15, 0));
}

TEST(MaskedLossMask, ARowsTermDoesNotDependOnTheOthers) {
  const Context context = make_context();
  Random random(58);
  LossCase c;
  c.classes = 9;
  c.smoothing = 0.1;
  c.reduction = VARLSTM_REDUCTION_NONE;
  c.targets = random.integers(200, 0, 8);
  const std::vector<double> x = random.vector<double>(c.rows() * c.classes);
  const std::vector<double> all = run_cross_entropy(context.get(), c, x).out;
  for (const int64_t n : {0, 63, 64, 199}) {
    LossCase alone = c;
    alone.targets = {c.targets[n]};
    const std::vector<double> row(x.begin() + n * c.classes, x.begin() + (n + 1) * c.classes);
    EXPECT_EQ(run_cross_entropy(context.get(), alone, row).out[0], all[n]) << "row " << n;
  }
}

TEST(MaskedLossSum, OfManyEqualTermsIsExactInFloat) {
  const Context context = make_context();
  LossCase c;
  c.classes = 1;
  c.reduction = VARLSTM_REDUCTION_SUM;
  c.targets.assign(1 << 20, 0);
  std::vector<float> p(c.targets.size(), -0.1f);
  EXPECT_EQ(run_nll(context.get(), c, p).out[0], static_cast<float>(0.1f * static_cast<double>(p.size())));
}

}  // namespace
}  // namespace varlstm_test
