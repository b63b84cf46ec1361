// Results that may not move by a bit: from run to run, with the number of threads, and with a sequence's batch-mates.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn_runner.h"
#include "support/sequence_slice.h"
#include "support/tagger_chain.h"

namespace varlstm_test {
namespace {

template <class T>
struct RnnResults {
  RnnOutputs<T> outputs;
  RnnGradients<T> gradients;
};

template <class T>
RnnResults<T> run(varlstm_ctx* context, const RnnCase<T>& problem, const RnnUpstream<T>& upstream,
                  uint64_t dropout_seed = 0) {
  RnnRunner<T> runner(context, problem);
  RnnResults<T> results;
  results.outputs = runner.forward(VARLSTM_MODE_SAVE, dropout_seed);
  results.gradients = runner.backward(upstream);
  return results;
}

template <class T>
void expect_same(const RnnOutputs<T>& actual, const RnnOutputs<T>& expected) {
  EXPECT_TRUE(bitwise_equal(actual.y, expected.y));
  EXPECT_TRUE(bitwise_equal(actual.h_n, expected.h_n));
  EXPECT_TRUE(bitwise_equal(actual.c_n, expected.c_n));
}

template <class T>
void expect_same(const RnnGradients<T>& actual, const RnnGradients<T>& expected) {
  EXPECT_TRUE(bitwise_equal(actual.dx, expected.dx));
  EXPECT_TRUE(bitwise_equal(actual.dh0, expected.dh0));
  EXPECT_TRUE(bitwise_equal(actual.dc0, expected.dc0));
  EXPECT_TRUE(bitwise_equal(actual.dparams, expected.dparams));
}

RnnOptions with_shape(RnnOptions options, int64_t input, int64_t hidden, int64_t layers, bool bidirectional) {
  options.input = input;
  options.hidden = hidden;
  options.layers = layers;
  options.bidirectional = bidirectional;
  options.dropout = layers > 1 ? 0.2 : 0.0;
  return options;
}

struct ThreadShape {
  RnnOptions options;
  LengthKind kind;
  int64_t batch;
  int64_t max_len;
};

// What does not depend on the cell.
template <class T>
class Invariance : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Invariance, Scalars);

template <class>
class CellInvariance : public CellTest {
 protected:
  RnnOptions make_options(int64_t input, int64_t hidden, int64_t layers, bool bidirectional) const {
    return with_shape(cell_options(), input, hidden, layers, bidirectional);
  }
  std::vector<ThreadShape> thread_shapes() const;
};

// Small shapes that stay on one thread, wide batches that are shared by sequences, single sequences and large layers
// that are shared by hidden units, two directions that run side by side.
template <class T>
std::vector<ThreadShape> CellInvariance<T>::thread_shapes() const {
  std::vector<ThreadShape> shapes;
  for (const bool both : {false, true}) {
    shapes.push_back({make_options(3, 5, 2, both), LengthKind::kZerosAmong, 6, 9});
    shapes.push_back({make_options(40, 70, 2, both), LengthKind::kLogNormal, 24, 30});
    shapes.push_back({make_options(100, 128, 1, both), LengthKind::kUniform, 32, 25});
    shapes.push_back({make_options(256, 256, 1, both), LengthKind::kSingle, 1, 40});
    shapes.push_back({make_options(256, 256, 1, both), LengthKind::kUniform, 64, 8});
    shapes.push_back({make_options(30, 129, 1, both), LengthKind::kOneGiant, 40, 30});
    shapes.push_back({make_options(17, 201, 1, both), LengthKind::kIncreasing, 9, 20});
  }
  return shapes;
}

CELL_SCALAR_TEST(CellInvariance, ThreadsDoNotMoveABit) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "only the host has threads to set";
  Random random(51);
  for (const ThreadShape& shape : this->thread_shapes()) {
    const std::vector<int64_t> lengths = make_lengths(shape.kind, shape.batch, shape.max_len, random);
    const auto problem = make_rnn_case<TypeParam>(shape.options, lengths, true, random);
    const auto upstream = make_upstream(problem, random);
    SCOPED_TRACE(describe(problem));
    const Context serial = make_context(1);
    const RnnResults<TypeParam> expected = run(serial.get(), problem, upstream, 3);
    ASSERT_TRUE(all_finite(expected.gradients.dparams));
    for (const int64_t threads : {2, 3, 5}) {
      if (!this->every_case() && threads != 3) continue;
      SCOPED_TRACE(threads);
      const Context context = make_context(threads);
      const RnnResults<TypeParam> actual = run(context.get(), problem, upstream, 3);
      expect_same(actual.outputs, expected.outputs);
      expect_same(actual.gradients, expected.gradients);
    }
  }
}

TYPED_TEST(Invariance, ThreadsDoNotMoveTheChain) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "only the host has threads to set";
  Random random(52);
  ChainShape shape;
  shape.rnn = with_shape({}, 60, 96, 1, true);
  shape.vocab = 500;
  shape.classes = 17;
  shape.lengths = make_lengths(LengthKind::kLogNormal, 48, 60, random);
  const int64_t tokens = exact_bounds(shape.lengths).max_tokens;
  const std::vector<int64_t> ids = random.integers(tokens, 0, 499), targets = random.integers(tokens, 0, 16);
  const auto params = random_chain_params<TypeParam>(shape, random);
  for (const bool padded : {false, true}) {
    for (const bool fused : {false, true}) {
      shape.embed_padded = padded;
      shape.fused = fused;
      const Context serial = make_context(1);
      const auto expected = TaggerChain<TypeParam>(serial.get(), shape, ids, targets).run(params);
      ASSERT_TRUE(all_finite(expected.loss));
      for (const int64_t threads : {2, 3, 5}) {
        const Context context = make_context(threads);
        const auto actual = TaggerChain<TypeParam>(context.get(), shape, ids, targets).run(params);
        EXPECT_TRUE(bitwise_equal(actual.loss, expected.loss));
        EXPECT_TRUE(bitwise_equal(actual.gradients.table, expected.gradients.table));
        EXPECT_TRUE(bitwise_equal(actual.gradients.rnn, expected.gradients.rnn));
        EXPECT_TRUE(bitwise_equal(actual.gradients.weight, expected.gradients.weight));
        EXPECT_TRUE(bitwise_equal(actual.gradients.bias, expected.gradients.bias));
      }
    }
  }
}

// Each sequence alone, in the batch, and in a batch of another order.
template <class T>
void check_batch_invariance(varlstm_ctx* context, const RnnCase<T>& problem, Random& random) {
  SCOPED_TRACE(describe(problem));
  const RnnUpstream<T> upstream = make_upstream(problem, random);
  const RnnResults<T> whole = run(context, problem, upstream);
  const auto check = [&](const std::vector<int64_t>& order) {
    SCOPED_TRACE(to_string(order));
    RnnResults<T> part = run(context, select(problem, order), select(problem, upstream, order));
    part.gradients.dparams.clear();
    expect_same(part.outputs, select(problem, whole.outputs, order));
    expect_same(part.gradients, select(problem, whole.gradients, order));
  };
  check(random.permutation(problem.batch()));
  for (int64_t b = 0; b < problem.batch(); ++b) check({b});
}

CELL_SCALAR_TEST(CellInvariance, BatchMatesDoNotMoveABit) {
  const Context context = make_context();
  Random random(53);
  // Layer normalisation runs row by row.
  const bool fewest = this->cell().layer_norm;
  const int64_t small_batches = emulated() ? this->share(12, 3) : this->share(190, fewest ? 10 : 30);
  const int64_t wide_batches = emulated() ? this->share(1, 0) : this->share(10, fewest ? 1 : 2);
  for (int64_t batch = 0; batch < small_batches; ++batch) {
    RnnOptions options =
        this->make_options(random.integer(1, 24), random.integer(1, 40), random.integer(1, 2), random.coin());
    options.bias = random.coin();
    const std::vector<int64_t> lengths = random_lengths(random.integer(1, 10), 14, random);
    check_batch_invariance(context.get(), make_rnn_case<TypeParam>(options, lengths, random.coin(), random), random);
  }
  for (int64_t batch = 0; batch < wide_batches; ++batch) {
    const RnnOptions options = this->make_options(random.integer(20, 130), random.integer(90, 150), 1, random.coin());
    const std::vector<int64_t> lengths = make_lengths(LengthKind::kLogNormal, random.integer(12, 40), 20, random);
    check_batch_invariance(context.get(), make_rnn_case<TypeParam>(options, lengths, true, random), random);
  }
}

// More segments than the host takes through their steps together.
CELL_SCALAR_TEST(CellInvariance, ManySegmentsDoNotMoveABit) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the other back ends take all segments together";
  const Context context = make_context();
  Random random(55);
  RnnOptions options = this->make_options(3, 19, 1, true);
  for (const int32_t rows : {VARLSTM_ROWS_PACKED, VARLSTM_ROWS_RAGGED}) {
    options.rows = rows;
    auto problem = make_rnn_case<TypeParam>(options, make_lengths(LengthKind::kUniform, 200, 9, random), true, random);
    add_resets(problem, 0.3, random);
    ASSERT_GT(problem.tokens(), 500);
    check_batch_invariance(context.get(), problem, random);
  }
}

CELL_SCALAR_TEST(CellInvariance, RunsRepeatBitwise) {
  const Context context = make_context();
  Random random(54);
  const RnnOptions options = this->make_options(64, this->share(150, 150, 40), 2, true);
  const std::vector<int64_t> lengths = make_lengths(LengthKind::kUniform, emulated() ? 8 : 40, 12, random);
  const auto problem = make_rnn_case<TypeParam>(options, lengths, true, random);
  const auto upstream = make_upstream(problem, random);
  const RnnResults<TypeParam> expected = run(context.get(), problem, upstream, 8);
  const int64_t runs = emulated() ? 1 : this->share(10, 2);
  for (int64_t again = 0; again < runs; ++again) {
    const RnnResults<TypeParam> actual = run(context.get(), problem, upstream, 8);
    expect_same(actual.outputs, expected.outputs);
    expect_same(actual.gradients, expected.gradients);
  }
}

}  // namespace
}  // namespace varlstm_test
