// VARLSTM_KEY_ADD_DPARAMS 0: backward writes the gradients of the parameters that it would else add to zeros, whatever
// was there, which here is NaN.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/cell_options.h"
#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn16_runner.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

constexpr uint64_t kSeed = 11;

// A -0 may stand where there is a 0, which == takes for the same.
template <class T>
void expect_written(const std::vector<T>& written, const std::vector<T>& added) {
  ASSERT_EQ(written.size(), added.size());
  for (size_t k = 0; k < added.size(); ++k) ASSERT_EQ(written[k], added[k]) << "element " << k;
}

template <class T>
void check(varlstm_ctx* context, RnnCase<T> problem, Random& random) {
  SCOPED_TRACE(describe(problem));
  const RnnUpstream<T> upstream = make_upstream(problem, random);
  RnnRunner<T> adding(context, problem);
  problem.options.add_dparams = false;
  RnnRunner<T> writing(context, problem);
  adding.forward(VARLSTM_MODE_SAVE, kSeed);
  writing.forward(VARLSTM_MODE_SAVE, kSeed);
  const RnnGradients<T> added = adding.backward(upstream), written = writing.backward(upstream);
  EXPECT_TRUE(bitwise_equal(written.dx, added.dx));
  expect_written(written.dparams, added.dparams);
  expect_written(writing.backward(upstream).dparams, added.dparams);
}

template <class T>
class WrittenGradients : public CellTest {};

// Every option of a cell, one layer and two, one direction and two, with and without biases.
CELL_SCALAR_TEST(WrittenGradients, AreThoseAddedToZeros) {
  using T = TypeParam;
  const Context context = make_context(2);
  Random random(41);
  for (const Option& option : kOptions) {
    RnnOptions options = this->cell_options();
    if (!option.set(options)) continue;
    SCOPED_TRACE(option.name);
    for (const bool second : {false, true}) {
      options.input = 5, options.hidden = emulated() ? 9 : 35;
      options.layers = second ? 2 : 1;
      options.bidirectional = options.bias = second;
      check(context.get(), make_rnn_case<T>(options, {3, 0, 4, 1}, second, random), random);
    }
  }
}

// As many units as have several blocks of rows, one token, and none.
CELL_SCALAR_TEST(WrittenGradients, OfManyUnitsAndOfNoToken) {
  using T = TypeParam;
  const Context context = make_context(2);
  Random random(42);
  RnnOptions options = this->cell_options();
  options.input = 7, options.hidden = emulated() ? 40 : 300;
  for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{1}, {0, 0}, {2, 1}})
    check(context.get(), make_rnn_case<T>(options, lengths, true, random), random);
}

TEST(WrittenSixteenBits, AreThoseAddedToZeros) {
  for (const Format16& format : {kBf16, kF16}) {
    Random random(43);
    RnnOptions options;
    options.input = 9, options.hidden = 33, options.layers = 2;
    RnnCase<double> problem = make_rnn_case<double>(options, {3, 0, 5, 1}, true, random);
    const RnnUpstream<double> upstream = make_upstream(problem, random);
    const Rnn16Results added = run_rnn16(format, problem, upstream);
    problem.options.add_dparams = false;
    expect_written(run_rnn16(format, problem, upstream).gradients.dparams, added.gradients.dparams);
  }
}

}  // namespace
}  // namespace varlstm_test
