// A recurrent network whose rows lie sequence after sequence, against the same with packed rows: a sequence has the
// same bits, whichever way the recurrence runs. Gradients of the parameters are sums over the rows as they lie.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/cell_test.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/rnn16_runner.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

// Every way that a back end may run a cell's recurrence; the host has one. F64 has no resident one.
std::vector<int32_t> recurrences(const TestedCell& cell, int32_t dtype) {
  if (test_backend() == VARLSTM_BACKEND_HOST) return {VARLSTM_RECURRENCE_AUTO};
  if (dtype == VARLSTM_DTYPE_F64 || cell.on_cuda == OnCuda::kStepwise) return {VARLSTM_RECURRENCE_STEPWISE};
  return {VARLSTM_RECURRENCE_STEPWISE, VARLSTM_RECURRENCE_CLUSTER, VARLSTM_RECURRENCE_GRID};
}

// The emulated device runs them all; a GPU that cannot takes STEPWISE.
void expect_used(varlstm_ctx* context, const RnnOptions& options, int32_t dtype) {
#ifdef VARLSTM_EMULATED
  const Rnn rnn = make_rnn(context, options, dtype);
  int64_t used = -1;
  ASSERT_OK(varlstm_rnn_get_i64(rnn.get(), VARLSTM_KEY_RECURRENCE_USED, &used));
  EXPECT_EQ(used, options.recurrence);
#else
  (void)context, (void)options, (void)dtype;
#endif
}

// rtol, atol: of the parameters' gradients, the latter as a share of their largest.
template <class T>
void expect_same(const RnnOutputs<T>& out, const RnnGradients<T>& gradients, const RnnOutputs<T>& expected,
                 const RnnGradients<T>& expected_gradients, double rtol, double atol) {
  EXPECT_TRUE(all_finite(expected.y));
  EXPECT_TRUE(all_finite(expected_gradients.dparams));
  EXPECT_TRUE(bitwise_equal(out.y, expected.y));
  EXPECT_TRUE(bitwise_equal(out.h_n, expected.h_n));
  EXPECT_TRUE(bitwise_equal(out.c_n, expected.c_n));
  EXPECT_TRUE(bitwise_equal(gradients.dx, expected_gradients.dx));
  EXPECT_TRUE(bitwise_equal(gradients.dh0, expected_gradients.dh0));
  EXPECT_TRUE(bitwise_equal(gradients.dc0, expected_gradients.dc0));
  EXPECT_TRUE(
      all_close(gradients.dparams, expected_gradients.dparams, rtol, atol * largest(expected_gradients.dparams)));
}

template <class T>
void compare_orders(varlstm_ctx* context, RnnCase<T> problem, const RnnUpstream<T>& upstream) {
  SCOPED_TRACE(describe(problem));
  RnnRunner<T> packed(context, problem);
  problem.options.rows = VARLSTM_ROWS_RAGGED;
  RnnRunner<T> ragged(context, problem);
  const RnnOutputs<T> expected = packed.forward(), out = ragged.forward();
  const double atol = sizeof(T) == 8 ? 1e-13 : 1e-5;
  expect_same(out, ragged.backward(upstream), expected, packed.backward(upstream), 0, atol);
  EXPECT_TRUE(bitwise_equal(ragged.forward(VARLSTM_MODE_INFER).y, expected.y));
}

RnnOptions of_round(int round, RnnOptions options, Random& random) {
  options.input = random.integer(1, 9);
  options.hidden = random.integer(1, 37);
  options.layers = 1 + round % 2;
  options.bidirectional = round / 2 % 2 == 1;
  options.bias = round % 3 != 0;
  return options;
}

// Zeros at each end and in between, ties, no token at all, more sequences than a team has slots.
std::vector<std::vector<int64_t>> batches() {
  return {{0, 3, 0, 5, 1, 5, 0}, {2, 1, 2, 4, 0, 1, 3, 2, 1, 6, 1, 2}, {4}, {1, 7, 3}, {0, 0}, {}};
}

template <class>
using RaggedRows = CellTest;

CELL_SCALAR_TEST(RaggedRows, GiveTheBitsOfPackedRows) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(71);
  int round = 0;
  for (const std::vector<int64_t>& lengths : batches()) {
    RnnOptions options = of_round(round, this->cell_options(), random);
    for (const int32_t recurrence : recurrences(this->cell(), kDType<T>)) {
      options.recurrence = recurrence;
      expect_used(context.get(), options, kDType<T>);
      const auto problem = make_rnn_case<T>(options, lengths, round % 4 != 2, random);
      compare_orders(context.get(), problem, make_upstream(problem, random));
    }
    ++round;
  }
}

// The gradients of the parameters are rounded to 16 bits behind their sums: to neighbours at most.
using RaggedRows16 = CellTest;
CELL_TEST(RaggedRows16, GiveTheBitsOfPackedRows) {
  const Context context = make_context();
  Random random(72);
  int round = 0;
  for (const std::vector<int64_t>& lengths : {batches()[0], batches()[1]}) {
    RnnOptions options = of_round(++round, cell_options(), random);
    for (const int32_t recurrence : recurrences(cell(), VARLSTM_DTYPE_BF16)) {
      options.recurrence = recurrence;
      options.rows = VARLSTM_ROWS_PACKED;
      expect_used(context.get(), options, VARLSTM_DTYPE_BF16);
      auto problem = make_rnn_case<double>(options, lengths, true, random);
      const auto upstream = make_upstream(problem, random);
      SCOPED_TRACE(describe(problem));
      const Rnn16Results packed = run_rnn16(kBf16, problem, upstream);
      problem.options.rows = VARLSTM_ROWS_RAGGED;
      const Rnn16Results ragged = run_rnn16(kBf16, problem, upstream);
      expect_same(ragged.out, ragged.gradients, packed.out, packed.gradients, std::ldexp(1.0, -7), 1e-5);
    }
  }
}

// Shapes whose recurrence the host shares out by sequences and by hidden units.
using RaggedRowsThreads = CellTest;
CELL_TEST(RaggedRowsThreads, GiveTheBitsOfPackedRows) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "threads are the host's";
  Random random(73);
  for (const bool by_sequence : {true, false}) {
    RnnOptions options = cell_options();
    options.input = 40;
    options.hidden = by_sequence ? 70 : 257;
    options.bidirectional = by_sequence;
    const std::vector<int64_t> lengths = make_lengths(LengthKind::kUniform, by_sequence ? 24 : 9, 20, random);
    const auto problem = make_rnn_case<float>(options, lengths, true, random);
    const auto upstream = make_upstream(problem, random);
    for (const int64_t threads : {1, 2, 5}) {
      const Context context = make_context(threads);
      compare_orders(context.get(), problem, upstream);
    }
  }
}

// Layers of one unit, the upper one deaf but for its cell gate: its output is 0 where the lower one's was dropped.
TEST(RaggedRowsDropout, HasTheMaskOfTheRowAsItLies) {
  const Context context = make_context();
  Random random(74);
  RnnOptions options;
  options.layers = 2;
  options.dropout = 0.4;
  auto problem = make_rnn_case<double>(options, {3, 1, 0, 9, 4, 4, 30, 2}, false, random);
  std::fill(problem.params.begin(), problem.params.end(), 0.5);  // [4], [4], [4], [4] of each layer; i, f, g, o
  std::fill(problem.params.begin() + 16, problem.params.end(), 0.0);
  problem.params[16 + 2] = 1;    // of W_ig
  problem.params[24 + 1] = -50;  // of b_if: nothing is remembered
  const auto kept = [&](int32_t rows) {
    problem.options.rows = rows;
    RnnRunner<double> runner(context.get(), problem);
    const std::vector<double> y = rows_from_ragged(rows, problem.lengths, 1, runner.forward(VARLSTM_MODE_SAVE, 19).y);
    std::vector<int> mask;
    for (const double value : y) mask.push_back(std::fabs(value) > 1e-12 ? 1 : 0);
    return mask;
  };
  const std::vector<int> packed = kept(VARLSTM_ROWS_PACKED);
  const int64_t count = std::count(packed.begin(), packed.end(), 1);
  EXPECT_GT(count, 10);
  EXPECT_LT(count, problem.tokens() - 5);
  EXPECT_EQ(kept(VARLSTM_ROWS_RAGGED), packed);
}

}  // namespace
}  // namespace varlstm_test
