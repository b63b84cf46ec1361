// c of every token and its gradient, for an LSTM with and without a projection: against the naive network and against
// central differences; as bits, what c_n and the plain calls give. options_test has them with the options of a cell,
// resets_test with resets, lstm16_test in 16 bits, device_lengths_test with lengths that only the device knows.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bitset>

#include "support/cell_test.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/rnn_gradcheck.h"
#include "support/rnn_reference.h"

namespace varlstm_test {
namespace {

class CellStates : public CellTest {
 protected:
  void SetUp() override {
    CellTest::SetUp();
    if (!cell().has_c) GTEST_SKIP() << "the cell has no cell state";
  }

  // Layers, directions, bias, states, order of rows and resets vary.
  template <class T>
  RnnCase<T> problem_of(int64_t index, int64_t most_units, Random& random) const {
    const std::bitset<6> bit(static_cast<uint64_t>(index));
    RnnOptions options = cell_options();
    options.cell_states = true;
    options.input = random.integer(1, most_units);
    options.hidden = random.integer(1, most_units);
    options.layers = 1 + (bit[0] ? random.integer(1, 2) : 0);
    options.bidirectional = bit[1];
    options.bias = bit[2];
    options.rows = bit[3] ? VARLSTM_ROWS_RAGGED : VARLSTM_ROWS_PACKED;
    const LengthKind kind = kLengthKinds[index % static_cast<int64_t>(std::size(kLengthKinds))];
    auto problem = make_rnn_case<T>(options, make_lengths(kind, random.integer(1, 5), 6, random), bit[4], random);
    if (bit[5]) add_resets(problem, 0.3, random);
    return problem;
  }
};

CELL_TEST(CellStates, GradientsMatchCentralDifferences) {
  const Context context = make_context(1);
  Random random(901);
  for (int64_t index = 0; index < (emulated() ? 8 : 120); ++index)
    check_gradients(context.get(), problem_of<double>(index, 6, random), emulated() ? 1 : 8, random);
}

CELL_TEST(CellStates, MatchTheReference) {
  const Context context = make_context();
  Random random(902);
  const auto close = [](const std::vector<double>& actual, const std::vector<double>& expected, double scale = 0) {
    return all_close(actual, expected, 0, 1e-12 * std::max(scale, largest(expected)));
  };
  for (int64_t index = 0; index < (emulated() ? 8 : 120); ++index) {
    const auto problem = problem_of<double>(index, index % 8 == 7 ? 40 : 20, random);
    SCOPED_TRACE(describe(problem));
    RnnUpstream<double> upstream = make_upstream(problem, random);
    if (index % 5 == 2) upstream.dy.clear(), upstream.dh_n.clear(), upstream.dc_n.clear();  // dc alone
    RnnReference<double> reference(problem);
    const RnnOutputs<double> expected = reference.forward();
    const RnnGradients<double> expected_gradients = reference.backward(upstream);
    const double scale = least_scale(problem.options, expected_gradients);
    RnnRunner<double> runner(context.get(), problem);
    EXPECT_TRUE(close(runner.forward().c, expected.c));
    const RnnGradients<double> gradients = runner.backward(upstream);
    EXPECT_TRUE(close(gradients.dx, expected_gradients.dx, scale));
    EXPECT_TRUE(close(gradients.dh0, expected_gradients.dh0, scale));
    EXPECT_TRUE(close(gradients.dc0, expected_gradients.dc0, scale));
    EXPECT_TRUE(close(gradients.dparams, expected_gradients.dparams, scale));
  }
}

// The row of c of the last token that each direction of the last layer visits is c_n.
template <class T>
void expect_last_is_c_n(const RnnCase<T>& problem, const RnnOutputs<T>& out) {
  const int64_t hidden = problem.options.hidden, directions = problem.options.directions();
  int64_t begin = 0;
  for (int64_t b = 0; b < problem.batch(); begin += problem.lengths[b++]) {
    if (problem.lengths[b] == 0) continue;
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t row = d == 0 ? begin + problem.lengths[b] - 1 : begin;
      const int64_t entry = (problem.options.layers - 1) * directions + d;
      const auto of = [&](const std::vector<T>& states, int64_t at) {
        return std::vector<T>(states.begin() + at * hidden, states.begin() + (at + 1) * hidden);
      };
      EXPECT_TRUE(bitwise_equal(of(out.c, row * directions + d), of(out.c_n, entry * problem.batch() + b)));
    }
  }
}

template <class T>
void expect_same_bits(const RnnOutputs<T>& a, const RnnOutputs<T>& b) {
  EXPECT_TRUE(bitwise_equal(a.y, b.y));
  EXPECT_TRUE(bitwise_equal(a.h_n, b.h_n));
  EXPECT_TRUE(bitwise_equal(a.c_n, b.c_n));
}
template <class T>
void expect_same_bits(const RnnGradients<T>& a, const RnnGradients<T>& b) {
  EXPECT_TRUE(bitwise_equal(a.dx, b.dx));
  EXPECT_TRUE(bitwise_equal(a.dh0, b.dh0));
  EXPECT_TRUE(bitwise_equal(a.dc0, b.dc0));
}

// The key changes no other result, dc of zeros is none, and packed and ragged rows have the same bits.
template <class T>
void check_bits(varlstm_ctx* context, const RnnCase<T>& problem, Random& random) {
  SCOPED_TRACE(describe(problem));
  RnnCase<T> plain = problem, other_rows = problem;
  plain.options.cell_states = false;
  plain.options.recurrence = VARLSTM_RECURRENCE_STEPWISE;
  const bool ragged = problem.options.rows == VARLSTM_ROWS_RAGGED;
  other_rows.options.rows = ragged ? VARLSTM_ROWS_PACKED : VARLSTM_ROWS_RAGGED;
  RnnUpstream<T> upstream = make_upstream(problem, random);
  RnnRunner<T> runner(context, problem), of_plain(context, plain), reordered(context, other_rows);
  const RnnOutputs<T> out = runner.forward(), inferred = runner.forward(VARLSTM_MODE_INFER);
  EXPECT_TRUE(all_finite(out.c));
  expect_last_is_c_n(problem, out);
  expect_same_bits(out, of_plain.forward());
  expect_same_bits(out, inferred);
  EXPECT_TRUE(bitwise_equal(out.c, inferred.c));
  const RnnOutputs<T> other = reordered.forward();
  expect_same_bits(out, other);
  EXPECT_TRUE(bitwise_equal(out.c, other.c));
  runner.forward();
  const RnnGradients<T> gradients = runner.backward(upstream);
  expect_same_bits(gradients, reordered.backward(upstream));
  upstream.dc.clear();
  const RnnGradients<T> without = runner.backward(upstream), expected = of_plain.backward(upstream);
  expect_same_bits(without, expected);
  EXPECT_TRUE(bitwise_equal(without.dparams, expected.dparams));
  if (problem.tokens() > 0) {
    EXPECT_FALSE(bitwise_equal(without.dx, gradients.dx));
  }
}

CELL_TEST(CellStates, AreTheBitsOfTheFinalStates) {
  const Context context = make_context();
  Random random(903);
  for (int64_t index = 0; index < (emulated() ? 3 : 32); ++index) {
    check_bits(context.get(), problem_of<float>(2 * index + index % 2, 20, random), random);
    if (!emulated()) check_bits(context.get(), problem_of<double>(2 * index + index % 2, 20, random), random);
  }
}

// Shapes whose recurrence the host shares out by segments and by hidden units, and whose c several threads copy.
CELL_TEST(CellStates, HaveTheSameBitsOnAnyThreads) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "threads are the host's";
  const Context one = make_context(1), five = make_context(5);
  Random random(904);
  for (const bool by_segment : {true, false}) {
    RnnOptions options = cell_options();
    options.cell_states = true;
    options.input = 40;
    options.hidden = by_segment ? 70 : 257;
    options.bidirectional = by_segment;
    const std::vector<int64_t> lengths = make_lengths(LengthKind::kUniform, by_segment ? 60 : 30, 20, random);
    const auto problem = make_rnn_case<float>(options, lengths, true, random);
    const auto upstream = make_upstream(problem, random);
    RnnRunner<float> single(one.get(), problem), many(five.get(), problem);
    const RnnOutputs<float> out = single.forward(), of_many = many.forward();
    expect_same_bits(out, of_many);
    EXPECT_TRUE(bitwise_equal(out.c, of_many.c));
    expect_same_bits(single.backward(upstream), many.backward(upstream));
  }
}

// On CUDA a resident recurrence, which has no output of c, is not chosen.
CELL_TEST(CellStates, RunStepwiseOnCuda) {
  if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way";
  const Context context = make_context();
  for (const int32_t way : {VARLSTM_RECURRENCE_AUTO, VARLSTM_RECURRENCE_CLUSTER, VARLSTM_RECURRENCE_GRID}) {
    RnnOptions options = cell_options();
    options.hidden = 32;
    options.recurrence = way;
    options.cell_states = true;
    const Rnn rnn = make_rnn(context.get(), options, VARLSTM_DTYPE_F32);
    int64_t used = -1;
    ASSERT_OK(varlstm_rnn_get_i64(rnn.get(), VARLSTM_KEY_RECURRENCE_USED, &used));
    EXPECT_EQ(used, VARLSTM_RECURRENCE_STEPWISE);
  }
}

}  // namespace
}  // namespace varlstm_test
