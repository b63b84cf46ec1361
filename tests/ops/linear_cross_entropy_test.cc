// Linear layer and cross-entropy in one: the definition, its three parts, gradients, chunks, what may not leak.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "support/compare.h"
#include "support/gradcheck.h"
#include "support/linear_loss_case.h"

namespace varlstm_test {
namespace {

constexpr int32_t kReductions[] = {VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_MEAN, VARLSTM_REDUCTION_SUM};

template <class T>
class LinearCrossEntropy : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LinearCrossEntropy, Scalars);

template <class T>
void expect_same_bits(const LinearLossResult<T>& actual, const LinearLossResult<T>& expected) {
  EXPECT_TRUE(bitwise_equal(actual.out, expected.out)) << "out";
  EXPECT_TRUE(bitwise_equal(actual.lse, expected.lse)) << "lse";
  EXPECT_TRUE(bitwise_equal(actual.dx, expected.dx)) << "dx";
  EXPECT_TRUE(bitwise_equal(actual.dweight, expected.dweight)) << "dweight";
  EXPECT_TRUE(bitwise_equal(actual.dbias, expected.dbias)) << "dbias";
  EXPECT_EQ(actual.weight_sum, expected.weight_sum);
}

// Within rtol of each element, and of the tensor's largest or one row's share of the loss, as terms that cancel need.
template <class T, class U>
void expect_close(const LinearLossResult<T>& actual, const LinearLossResult<U>& expected, double rtol) {
  const double share = expected.weight_sum > 1 ? 1 / static_cast<double>(expected.weight_sum) : 1;
  const auto near = [&](const std::vector<T>& a, const std::vector<U>& e) {
    double largest = share;
    for (const U value : e) largest = std::fmax(largest, std::fabs(static_cast<double>(value)));
    return all_close(a, e, rtol, rtol * largest);
  };
  EXPECT_TRUE(near(actual.out, expected.out)) << "out";
  EXPECT_TRUE(near(actual.dx, expected.dx)) << "dx";
  EXPECT_TRUE(near(actual.dweight, expected.dweight)) << "dweight";
  EXPECT_TRUE(near(actual.dbias, expected.dbias)) << "dbias";
}

std::vector<double> naive_logits(const LinearLossCase<double>& c) {
  std::vector<double> logits;
  for (int64_t n = 0; n < c.loss.rows(); ++n) {
    for (int64_t k = 0; k < c.loss.classes; ++k) {
      double sum = c.bias.empty() ? 0 : c.bias[k];
      for (int64_t i = 0; i < c.in; ++i) sum += c.x[n * c.in + i] * c.weight[k * c.in + i];
      logits.push_back(sum);
    }
  }
  return logits;
}

std::vector<double> naive_lse(const LinearLossCase<double>& c, const std::vector<double>& logits) {
  std::vector<double> lse;
  for (int64_t n = 0; n < c.loss.rows(); ++n) {
    double sum = 0;
    for (int64_t k = 0; k < c.loss.classes; ++k) sum += std::exp(logits[n * c.loss.classes + k]);
    lse.push_back(std::log(sum));
  }
  return lse;
}

template <class T>
std::vector<T> narrowed(const std::vector<double>& values) {
  return {values.begin(), values.end()};
}

template <class T>
LinearLossCase<T> narrowed(const LinearLossCase<double>& c) {
  return {c.loss, c.in, narrowed<T>(c.x), narrowed<T>(c.weight), narrowed<T>(c.bias), c.dout};
}

TEST(LinearCrossEntropyValues, AreTheDefinition) {
  const Context context = make_context();
  Random random(1);
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    const auto c =
        random_linear_loss_case<double>(random, random_loss_case(random, random.integer(0, 9)), random.integer(1, 6));
    const ForcedChunk chunk(random.integer(1, 5));
    const LinearLossResult<double> result = run_linear_cross_entropy(context.get(), c);
    const std::vector<double> logits = naive_logits(c), lse = naive_lse(c, logits);
    std::vector<double> log_probs = logits, kept_lse = lse;
    for (int64_t n = 0; n < c.loss.rows(); ++n) {
      for (int64_t k = 0; k < c.loss.classes; ++k) log_probs[n * c.loss.classes + k] -= lse[n];
      if (!c.loss.is_kept(n)) kept_lse[n] = 0;
    }
    const LossResult<double> expected = naive_nll(c.loss, log_probs);
    EXPECT_TRUE(all_close(result.out, expected.out, 1e-12, 1e-12));
    EXPECT_TRUE(all_close(result.lse, kept_lse, 1e-12, 1e-12));
    EXPECT_NEAR(result.weight_sum, expected.weight_sum, 1e-12);
  }
}

// Against its parts in double: double to the order of sums, float to what float loses.
TYPED_TEST(LinearCrossEntropy, EqualsItsParts) {
  const Context context = make_context();
  Random random(2);
  const double rtol = std::is_same_v<TypeParam, float> ? 2e-5 : 1e-12;
  for (int round = 0; round < (emulated() ? 25 : 100); ++round) {
    SCOPED_TRACE(round);
    auto c = random_linear_loss_case<TypeParam>(random, random_loss_case(random, random.integer(0, 40)),
                                                random.integer(1, 20));
    LinearLossCase<double> wide{
        c.loss, c.in, {c.x.begin(), c.x.end()}, {c.weight.begin(), c.weight.end()}, {c.bias.begin(), c.bias.end()},
        c.dout};
    const ForcedChunk chunk(random.integer(1, 50));
    expect_close(run_linear_cross_entropy(context.get(), c), run_in_parts(context.get(), wide), rtol);
  }
}

TYPED_TEST(LinearCrossEntropy, TakesAnyNumberOfClasses) {
  const Context context = make_context();
  Random random(3);
  const double rtol = std::is_same_v<TypeParam, float> ? 2e-5 : 1e-12;
  for (const int64_t classes : {1, 2, 16, 17, 33, 2048, 2049, 5000}) {
    SCOPED_TRACE(classes);
    LossCase loss;
    loss.classes = classes;
    loss.targets = random.integers(9, 0, classes - 1);
    loss.targets[4] = loss.ignore_index;
    loss.class_weights = random.vector<double>(classes, 0.5, 2);
    loss.smoothing = 0.1;
    const auto wide = random_linear_loss_case<double>(random, loss, 3);
    const ForcedChunk chunk(4);
    expect_close(run_linear_cross_entropy(context.get(), narrowed<TypeParam>(wide)), run_in_parts(context.get(), wide),
                 rtol);
  }
}

TEST(LinearCrossEntropyGradient, MatchesDifferences) {
  const Context context = make_context();
  Random random(4);
  const ForcedChunk chunk(3);
  for (int round = 0; round < (emulated() ? 4 : 25); ++round) {
    SCOPED_TRACE(round);
    LossCase loss = random_loss_case(random, random.integer(1, 5));
    loss.empty_mean = VARLSTM_EMPTY_MEAN_ZERO;
    auto c = random_linear_loss_case<double>(random, loss, random.integer(1, 3));
    if (c.bias.empty()) c.bias.assign(loss.classes, 0.25);
    const std::vector<double> dout = c.dout.empty() ? std::vector<double>(loss.outputs(), 1) : c.dout;
    const auto value_with = [&](std::vector<double> LinearLossCase<double>::*member) {
      return [&, member](const std::vector<double>& at) {
        LinearLossCase<double> moved = c;
        moved.*member = at;
        return dot(dout, run_linear_cross_entropy(context.get(), moved, 0).out);
      };
    };
    const LinearLossResult<double> result = run_linear_cross_entropy(context.get(), c);
    EXPECT_TRUE(gradient_matches(value_with(&LinearLossCase<double>::x), c.x, result.dx));
    EXPECT_TRUE(gradient_matches(value_with(&LinearLossCase<double>::weight), c.weight, result.dweight));
    EXPECT_TRUE(gradient_matches(value_with(&LinearLossCase<double>::bias), c.bias, result.dbias));
  }
}

// Rows around a chunk's border: what belongs to a row keeps its bits, what is summed over rows moves by its order.
TYPED_TEST(LinearCrossEntropy, ChunksDoNotMoveARow) {
  const Context context = make_context();
  Random random(5);
  const double rtol = std::is_same_v<TypeParam, float> ? 1e-5 : 1e-13;
  for (const int64_t rows : {4, 5, 6, 9, 10, 11}) {
    for (const int32_t reduction : kReductions) {
      SCOPED_TRACE(rows);
      LossCase loss = random_loss_case(random, rows);
      loss.reduction = reduction;
      const auto c = random_linear_loss_case<TypeParam>(random, loss, 7);
      const LinearLossResult<TypeParam> whole = run_linear_cross_entropy(context.get(), c);
      const ForcedChunk chunk(5);
      const LinearLossResult<TypeParam> cut = run_linear_cross_entropy(context.get(), c);
      if (reduction == VARLSTM_REDUCTION_NONE) {
        EXPECT_TRUE(bitwise_equal(cut.out, whole.out));
      }
      EXPECT_TRUE(bitwise_equal(cut.lse, whole.lse));
      EXPECT_TRUE(bitwise_equal(cut.dx, whole.dx));
      expect_close(cut, whole, rtol);
    }
  }
}

// Rows around the border of the chunks that the library chooses itself: the most rows, and the fewest.
TEST(LinearCrossEntropyChunk, OfTheLibrarysChoice) {
  const Context context = make_context();
  Random random(6);
  std::vector<std::pair<int64_t, int64_t>> shapes = {{8191, 2}, {8192, 2}, {8193, 2}};  // rows, classes
  if (!emulated()) shapes.insert(shapes.end(), {{63, 1 << 18}, {64, 1 << 18}, {65, 1 << 18}});
  for (const auto& [rows, classes] : shapes) {
    SCOPED_TRACE(rows);
    LossCase loss;
    loss.classes = classes;
    loss.reduction = VARLSTM_REDUCTION_NONE;
    loss.targets = random.integers(rows, 0, classes - 1);
    auto c = random_linear_loss_case<float>(random, loss, 1);
    c.dout.clear();
    const LinearLossResult<float> all = run_linear_cross_entropy(context.get(), c);
    c.loss.targets.erase(c.loss.targets.begin(), c.loss.targets.end() - 2);
    c.x.erase(c.x.begin(), c.x.end() - 2);
    const LinearLossResult<float> last = run_linear_cross_entropy(context.get(), c);
    EXPECT_TRUE(bitwise_equal(last.out, {all.out.end() - 2, all.out.end()}));
    EXPECT_TRUE(bitwise_equal(last.lse, {all.lse.end() - 2, all.lse.end()}));
    EXPECT_TRUE(bitwise_equal(last.dx, {all.dx.end() - 2, all.dx.end()}));
  }
}

TYPED_TEST(LinearCrossEntropy, RowsDoNotSeeTheirBatchMates) {
  const Context context = make_context();
  Random random(7);
  LossCase loss = random_loss_case(random, 37);
  loss.classes = 19;
  loss.class_weights.clear();
  loss.targets = random.integers(37, 0, 18);
  loss.reduction = VARLSTM_REDUCTION_NONE;
  auto c = random_linear_loss_case<TypeParam>(random, loss, 11);
  c.dout.clear();
  const ForcedChunk chunk(8);
  const LinearLossResult<TypeParam> all = run_linear_cross_entropy(context.get(), c);
  for (int64_t n = 0; n < 37; ++n) {
    auto alone = c;
    alone.loss.targets = {loss.targets[n]};
    alone.x.assign(c.x.begin() + n * 11, c.x.begin() + (n + 1) * 11);
    const LinearLossResult<TypeParam> one = run_linear_cross_entropy(context.get(), alone);
    EXPECT_EQ(one.out[0], all.out[n]);
    EXPECT_EQ(one.lse[0], all.lse[n]);
    EXPECT_TRUE(bitwise_equal(one.dx, {all.dx.begin() + n * 11, all.dx.begin() + (n + 1) * 11}));
  }
}

// NaN in the rows that are not kept, in their dout, and a label outside the range: nothing of it shows.
TYPED_TEST(LinearCrossEntropy, RowsThatAreNotKeptDoNotLeak) {
  const Context context = make_context();
  Random random(8);
  constexpr TypeParam kNan = std::numeric_limits<TypeParam>::quiet_NaN();
  for (const int32_t reduction : kReductions) {
    LossCase loss;
    loss.classes = 6;
    loss.targets = {2, -100, 5, -100, -100, 0, 3};
    loss.smoothing = 0.2;
    loss.reduction = reduction;
    auto clean = random_linear_loss_case<TypeParam>(random, loss, 5);
    clean.dout = random.vector<double>(loss.outputs(), 0.5, 2);
    auto dirty = clean;
    dirty.loss.targets[1] = 6;
    dirty.loss.targets[3] = -1;
    for (const int64_t n : {1, 3, 4}) {
      std::fill_n(dirty.x.begin() + n * 5, 5, kNan);
      if (reduction == VARLSTM_REDUCTION_NONE) dirty.dout[n] = kNan;
    }
    for (const int64_t rows : {2, 64}) {
      const ForcedChunk chunk(rows);
      const LinearLossResult<TypeParam> expected = run_linear_cross_entropy(context.get(), clean);
      for (const Fill old : {Fill::kNan, Fill::kRandomBytes})  // neither is taken for the number of a kept row
        expect_same_bits(run_linear_cross_entropy(context.get(), dirty, kWantAll, TypeParam(0), old), expected);
      for (const int64_t n : {1, 3, 4}) {
        EXPECT_EQ(expected.lse[n], 0);
        for (int64_t i = 0; i < 5; ++i) EXPECT_EQ(expected.dx[n * 5 + i], 0);
      }
    }
    int64_t bits = 0, index = -1;
    ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &index, nullptr));
    EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_LABEL);
    EXPECT_EQ(index, 1);
  }
}

// Ignored rows add nothing to a sum over rows, not even another order of it, inside one chunk.
TYPED_TEST(LinearCrossEntropy, IgnoredRowsChangeNoBitOfASum) {
  const Context context = make_context();
  Random random(9);
  LossCase loss;
  loss.classes = 4;
  loss.targets = {0, 3, 1, 2, 1};
  auto c = random_linear_loss_case<TypeParam>(random, loss, 3);
  const LinearLossResult<TypeParam> expected = run_linear_cross_entropy(context.get(), c);
  for (const int64_t at : {0, 2, 5}) {
    auto longer = c;
    longer.loss.targets.insert(longer.loss.targets.begin() + at, 2, loss.ignore_index);
    longer.x.insert(longer.x.begin() + at * 3, 6, TypeParam(7));
    const LinearLossResult<TypeParam> result = run_linear_cross_entropy(context.get(), longer);
    EXPECT_TRUE(bitwise_equal(result.dweight, expected.dweight));
    EXPECT_TRUE(bitwise_equal(result.dbias, expected.dbias));
    EXPECT_TRUE(bitwise_equal(result.out, expected.out));
  }
}

// The bits of a batch whose N the host knows, with garbage in the rows behind it.
TYPED_TEST(LinearCrossEntropy, LengthsThatOnlyTheDeviceKnows) {
  const Context context = make_context();
  Random random(10);
  const std::vector<int64_t> lengths = {3, 0, 5, 1};
  const int64_t tokens = 9, rows = 17;
  const Bounds bounds{4, 6, rows};
  const Batch batch = make_batch(context.get(), lengths, bounds);
  const Buffer<int64_t> on_device(context.get(), lengths);
  ASSERT_OK(varlstm_batch_set_lengths(batch.get(), on_device.data(), 4, VARLSTM_SPACE_BACKEND, nullptr));
  for (const int32_t reduction : kReductions) {
    LossCase loss;
    loss.classes = 5;
    loss.reduction = reduction;
    loss.targets = random.integers(tokens, 0, 4);
    loss.targets[2] = loss.ignore_index;
    auto known = random_linear_loss_case<TypeParam>(random, loss, 3);
    known.dout.clear();
    auto padded = known;
    padded.loss.batch = batch.get();
    padded.loss.targets.resize(rows, 77);
    padded.x.resize(rows * 3, std::numeric_limits<TypeParam>::quiet_NaN());
    const ForcedChunk chunk(4);
    LinearLossResult<TypeParam> expected = run_linear_cross_entropy(context.get(), known);
    if (reduction == VARLSTM_REDUCTION_NONE) expected.out.resize(rows, 0);
    expected.lse.resize(rows, 0);
    expected.dx.resize(rows * 3, 0);
    expect_same_bits(run_linear_cross_entropy(context.get(), padded), expected);
  }
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

TEST(LinearCrossEntropyEmpty, MeanIsWhatTheCallerChoseAndGradientsAreZero) {
  const Context context = make_context();
  Random random(11);
  for (const int64_t rows : {0, 3}) {
    for (const bool weightless : {false, true}) {
      LossCase loss;
      loss.classes = 2;
      loss.targets.assign(rows, weightless ? 1 : loss.ignore_index);
      if (weightless) loss.class_weights = {1, 0};
      auto c = random_linear_loss_case<double>(random, loss, 2);
      std::fill(c.x.begin(), c.x.end(), std::numeric_limits<double>::quiet_NaN());
      c.loss.empty_mean = VARLSTM_EMPTY_MEAN_NAN;
      EXPECT_TRUE(std::isnan(run_linear_cross_entropy(context.get(), c).out[0]));
      c.loss.empty_mean = VARLSTM_EMPTY_MEAN_ZERO;
      const LinearLossResult<double> result = run_linear_cross_entropy(context.get(), c, kWantAll, 3.0);
      EXPECT_EQ(result.out[0], 0);
      EXPECT_EQ(result.weight_sum, 0);
      EXPECT_EQ(result.dx, std::vector<double>(rows * 2, 0));
      EXPECT_EQ(result.dweight, std::vector<double>(4, 3));
      EXPECT_EQ(result.dbias, std::vector<double>(2, 3));
    }
  }
}

TYPED_TEST(LinearCrossEntropy, WantedOutputsOldMemoryAndThreadsChangeNoBit) {
  const Context context = make_context(1);
  Random random(12);
  LossCase loss = random_loss_case(random, 70);
  loss.targets = random.integers(70, 0, loss.classes - 1);
  loss.empty_mean = VARLSTM_EMPTY_MEAN_ZERO;
  const auto c = random_linear_loss_case<TypeParam>(random, loss, 4);
  const ForcedChunk chunk(33);
  const LinearLossResult<TypeParam> all = run_linear_cross_entropy(context.get(), c);
  expect_same_bits(run_linear_cross_entropy(context.get(), c, kWantAll, TypeParam(0), Fill::kRandomBytes), all);
  for (int want = 0; want < kWantAll; ++want) {
    LinearLossResult<TypeParam> some = run_linear_cross_entropy(context.get(), c, want);
    if (!(want & kWantX)) some.dx = all.dx;
    if (!(want & kWantWeight)) some.dweight = all.dweight;
    if (!(want & kWantBias)) some.dbias = all.dbias;
    expect_same_bits(some, all);
  }
  const Context threads = make_context(3);
  expect_same_bits(run_linear_cross_entropy(threads.get(), c), all);
}

TYPED_TEST(LinearCrossEntropy, ParametersGradientsAreAddedTo) {
  const Context context = make_context();
  Random random(13);
  const auto c = random_linear_loss_case<TypeParam>(random, random_loss_case(random, 12), 4);
  const ForcedChunk chunk(5);
  const LinearLossResult<TypeParam> from_zero = run_linear_cross_entropy(context.get(), c);
  LinearLossResult<TypeParam> added = run_linear_cross_entropy(context.get(), c, kWantAll, TypeParam(2));
  for (TypeParam& value : added.dweight) value -= 2;
  for (TypeParam& value : added.dbias) value -= 2;
  const double slack = 64 * static_cast<double>(std::numeric_limits<TypeParam>::epsilon());
  EXPECT_TRUE(all_close(added.dweight, from_zero.dweight, 0, slack));
  EXPECT_TRUE(all_close(added.dbias, from_zero.dbias, 0, slack));
}

// Forward alone: the same loss, with nothing kept for backward.
TYPED_TEST(LinearCrossEntropy, LseAndWeightSumNeedNotBeWanted) {
  const Context context = make_context();
  Random random(14);
  const auto c = random_linear_loss_case<TypeParam>(random, random_loss_case(random, 12), 4);
  const Loss loss = make_loss(context.get(), c.loss);
  const Buffer<TypeParam> x(context.get(), c.x), weight(context.get(), c.weight), bias(context.get(), c.bias);
  const Buffer<int64_t> targets(context.get(), c.loss.targets);
  const auto weights = optional_buffer<TypeParam>(context.get(), c.loss.class_weights);
  Buffer<TypeParam> out(context.get(), c.loss.outputs());
  ByteBuffer work =
      op_workspace<TypeParam>(context.get(), VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, 12, 4, c.loss.classes);
  ASSERT_OK(varlstm_linear_cross_entropy_forward(loss.get(), nullptr, kDType<TypeParam>, 12, 4, x.data(), weight.data(),
                                                 c.bias.empty() ? nullptr : bias.data(), targets.data(),
                                                 weights ? weights->data() : nullptr, out.data(), nullptr, nullptr,
                                                 work.data(), work.bytes(), nullptr));
  EXPECT_TRUE(bitwise_equal(out.get(), run_linear_cross_entropy(context.get(), c).out));
}

TEST(LinearCrossEntropyWorkspace, DoesNotGrowBeyondAChunk) {
  const Context context = make_context();
  const int64_t in = 512, classes = 32768;
  for (const int32_t op : {VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD}) {
    for (const int32_t dtype : {VARLSTM_DTYPE_F32, VARLSTM_DTYPE_F64, VARLSTM_DTYPE_BF16, VARLSTM_DTYPE_F16}) {
      const auto bytes_of = [&](int64_t rows) {
        int64_t bytes = -1;
        EXPECT_OK(varlstm_op_workspace(context.get(), op, dtype, rows, in, classes, &bytes));
        return bytes;
      };
      EXPECT_EQ(bytes_of(8192), bytes_of(int64_t{1} << 40));
      EXPECT_LE(bytes_of(1), bytes_of(100));
      EXPECT_LE(bytes_of(100), bytes_of(8192));
      EXPECT_LT(bytes_of(8192), int64_t{512} << 20);
    }
  }
}

}  // namespace
}  // namespace varlstm_test
