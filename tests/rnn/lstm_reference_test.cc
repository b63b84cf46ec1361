// Every cell of the library against the naive network of support/rnn_reference.h: outputs and gradients, in double and
// float.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <bitset>
#include <limits>

#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn_reference.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

template <class T>
double largest_error(const std::vector<T>& actual, const std::vector<double>& expected) {
  double largest = 0.0;
  for (size_t k = 0; k < expected.size(); ++k) {
    const double error = std::fabs(static_cast<double>(actual[k]) - expected[k]);
    largest = error <= largest ? largest : error;  // a NaN gets through
  }
  return largest;
}

// One tensor in float: its error may be `times` that of the naive reference in float, both against double, plus a floor
// of a few roundings of the largest element, because in a short chain the reference may be exact by luck.
::testing::AssertionResult float_close(const std::vector<float>& actual, const std::vector<float>& naive,
                                       const std::vector<double>& expected, double scale = 0, double times = 2.0) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure() << actual.size() << " elements, expected " << expected.size();
  }
  const double floor = 8.0 * std::numeric_limits<float>::epsilon() * std::max(scale, largest(expected));
  const double allowed = times * largest_error(naive, expected) + floor;
  const double error = largest_error(actual, expected);
  if (error <= allowed) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "error " << error << ", allowed " << allowed << " (naive "
                                       << largest_error(naive, expected) << ", floor " << floor << ")";
}

// Relative to the tensor's largest element: an element that cancels to almost nothing keeps its terms' rounding.
::testing::AssertionResult double_close(const std::vector<double>& actual, const std::vector<double>& expected,
                                        double scale = 0) {
  return all_close(actual, expected, 0.0, 1e-12 * std::max(scale, largest(expected)));
}

struct Shape {
  RnnOptions options;
  std::vector<int64_t> lengths;
  bool states;
};

class Reference : public CellTest {
 protected:
  std::vector<Shape> shapes(Random& random) const;
};

// Small ones with every kind of lengths, and some that reach the fast paths' full tiles and their remainders. Cells
// beside the LSTM take those of the small ones that have each pair of options, emulated one of them for each kind of
// lengths.
std::vector<Shape> Reference::shapes(Random& random) const {
  std::vector<Shape> list;
  for (const LengthKind kind : kLengthKinds) {
    for (int variant = 0; variant < 8; ++variant) {
      const bool even = std::bitset<3>(variant).count() % 2 == 0;
      if (!every_case() && (!even || (few_cases() && variant / 2 != static_cast<int>(kind) % 4))) continue;
      RnnOptions options = cell_options();
      options.input = random.integer(1, 20);
      options.hidden = random.integer(1, 24);
      options.layers = random.integer(1, 3);
      options.bidirectional = (variant & 1) != 0;
      options.bias = (variant & 2) != 0;
      list.push_back({options, make_lengths(kind, random.integer(1, 9), 12, random), (variant & 4) != 0});
    }
  }
  for (const int64_t hidden : {31, 64, 100, 129}) {
    const bool taken = every_case() || hidden == 64 || (hidden == 129 && !few_cases());
    if (!taken) continue;
    for (const bool bidirectional : {false, true}) {
      if (!every_case() && bidirectional != (hidden % 2 == 0)) continue;
      RnnOptions options = cell_options();
      options.input = hidden / 2 + 5;
      options.hidden = hidden;
      options.layers = bidirectional ? 1 : 2;
      options.bidirectional = bidirectional;
      list.push_back({options, make_lengths(LengthKind::kLogNormal, 19, 30, random), true});
    }
  }
  return list;
}

CELL_TEST(Reference, DoubleMatchesOutputsAndGradients) {
  const Context context = make_context();
  Random random(11);
  for (const Shape& shape : shapes(random)) {
    const RnnCase<double> problem = make_rnn_case<double>(shape.options, shape.lengths, shape.states, random);
    SCOPED_TRACE(describe(problem));
    const RnnUpstream<double> upstream = make_upstream(problem, random);
    RnnReference<double> reference(problem);
    const RnnOutputs<double> expected = reference.forward();
    const RnnGradients<double> expected_gradients = reference.backward(upstream);
    const double scale = least_scale(shape.options, expected_gradients);

    RnnRunner<double> runner(context.get(), problem);
    const RnnOutputs<double> actual = runner.forward();
    EXPECT_TRUE(double_close(actual.y, expected.y));
    EXPECT_TRUE(double_close(actual.h_n, expected.h_n));
    EXPECT_TRUE(double_close(actual.c_n, expected.c_n));
    const RnnGradients<double> gradients = runner.backward(upstream);
    EXPECT_TRUE(double_close(gradients.dx, expected_gradients.dx, scale));
    EXPECT_TRUE(double_close(gradients.dh0, expected_gradients.dh0, scale));
    EXPECT_TRUE(double_close(gradients.dc0, expected_gradients.dc0, scale));
    EXPECT_TRUE(double_close(gradients.dparams, expected_gradients.dparams, scale));
  }
}

// More hidden units than the host sums gradients of weights for in one piece.
CELL_TEST(Reference, DoubleMatchesGradientsOfManyUnits) {
  if (emulated()) GTEST_SKIP() << "the tests of resident and stepwise recurrences have wide layers";
  const Context context = make_context();
  Random random(13);
  RnnOptions options = cell_options();
  options.input = 3;
  options.hidden = 300;
  options.bidirectional = true;
  const RnnCase<double> problem = make_rnn_case<double>(options, {2, 1}, true, random);
  const RnnUpstream<double> upstream = make_upstream(problem, random);
  RnnReference<double> reference(problem);
  reference.forward();
  const RnnGradients<double> expected = reference.backward(upstream);
  const double scale = least_scale(options, expected);
  RnnRunner<double> runner(context.get(), problem);
  runner.forward();
  const RnnGradients<double> gradients = runner.backward(upstream);
  EXPECT_TRUE(double_close(gradients.dparams, expected.dparams, scale));
  EXPECT_TRUE(double_close(gradients.dx, expected.dx, scale));
}

// The c' of one or two units is normalised to 0 or to 1 and -1, whatever it is: the gradient is rounding alone. Of
// three units little more is left, and chance decides between the roundings of two ways: 3.3 times has been seen.
CELL_TEST(Reference, FloatIsAsAccurateAsTheNaiveOne) {
  const Context context = make_context();
  Random random(12);
  for (const Shape& shape : shapes(random)) {
    if (shape.options.layer_norm && shape.options.hidden < 3) continue;
    const RnnCase<float> problem = make_rnn_case<float>(shape.options, shape.lengths, shape.states, random);
    SCOPED_TRACE(describe(problem));
    const RnnUpstream<float> upstream = make_upstream(problem, random);
    const RnnCase<double> exact = convert<double>(problem);
    RnnReference<double> reference(exact);
    const RnnOutputs<double> expected = reference.forward();
    const RnnGradients<double> expected_gradients = reference.backward(convert<double>(upstream));
    const double scale = least_scale(shape.options, expected_gradients);
    const double times = shape.options.layer_norm && shape.options.hidden == 3 ? 4.0 : 2.0;
    RnnReference<float> naive(problem);
    const RnnOutputs<float> rounded = naive.forward();
    const RnnGradients<float> rounded_gradients = naive.backward(upstream);

    RnnRunner<float> runner(context.get(), problem);
    const RnnOutputs<float> actual = runner.forward();
    EXPECT_TRUE(float_close(actual.y, rounded.y, expected.y));
    EXPECT_TRUE(float_close(actual.h_n, rounded.h_n, expected.h_n));
    EXPECT_TRUE(float_close(actual.c_n, rounded.c_n, expected.c_n));
    const RnnGradients<float> gradients = runner.backward(upstream);
    EXPECT_TRUE(float_close(gradients.dx, rounded_gradients.dx, expected_gradients.dx, scale, times));
    EXPECT_TRUE(float_close(gradients.dh0, rounded_gradients.dh0, expected_gradients.dh0, scale, times));
    EXPECT_TRUE(float_close(gradients.dc0, rounded_gradients.dc0, expected_gradients.dc0, scale, times));
    EXPECT_TRUE(float_close(gradients.dparams, rounded_gradients.dparams, expected_gradients.dparams, scale, times));
  }
}

// A long chain: errors of the recurrence may not build up faster than the naive one's.
CELL_TEST(Reference, LongSequencesInFloat) {
  const Context context = make_context();
  Random random(13);
  RnnOptions options = cell_options();
  options.input = 8;
  options.hidden = 24;
  options.bidirectional = true;
  const std::vector<int64_t> lengths = {emulated() ? 150 : 1500, 3, 0, emulated() ? 90 : 700};
  const RnnCase<float> problem = make_rnn_case<float>(options, lengths, true, random);
  const RnnUpstream<float> upstream = make_upstream(problem, random);
  const RnnCase<double> exact = convert<double>(problem);
  RnnReference<double> reference(exact);
  RnnReference<float> naive(problem);
  RnnRunner<float> runner(context.get(), problem);
  const RnnOutputs<double> expected = reference.forward();
  const RnnOutputs<float> rounded = naive.forward(), actual = runner.forward();
  EXPECT_TRUE(float_close(actual.y, rounded.y, expected.y));
  EXPECT_TRUE(float_close(actual.c_n, rounded.c_n, expected.c_n));
  const RnnGradients<double> expected_gradients = reference.backward(convert<double>(upstream));
  const double scale = least_scale(options, expected_gradients);
  const RnnGradients<float> rounded_gradients = naive.backward(upstream), gradients = runner.backward(upstream);
  EXPECT_TRUE(float_close(gradients.dx, rounded_gradients.dx, expected_gradients.dx, scale));
  EXPECT_TRUE(float_close(gradients.dparams, rounded_gradients.dparams, expected_gradients.dparams, scale));
}

// Gates far in saturation: sigmoid and tanh may not overflow to NaN or leave their range.
CELL_TEST(Reference, SaturatedGates) {
  const Context context = make_context();
  Random random(14);
  RnnOptions options = cell_options();
  options.input = 3;
  options.hidden = 7;
  RnnCase<double> problem = make_rnn_case<double>(options, {5, 2, 4}, true, random);
  for (double& value : problem.x) value *= 1e4;
  RnnRunner<double> runner(context.get(), problem);
  const RnnOutputs<double> expected = RnnReference<double>(problem).forward(), actual = runner.forward();
  EXPECT_TRUE(double_close(actual.y, expected.y));
  EXPECT_TRUE(double_close(actual.c_n, expected.c_n));

  RnnRunner<float> float_runner(context.get(), convert<float>(problem));
  const RnnOutputs<float> single = float_runner.forward();
  EXPECT_TRUE(all_close(single.y, expected.y, 1e-3, 1e-3));
  EXPECT_TRUE(all_finite(float_runner.backward(convert<float>(make_upstream(problem, random))).dx));
}

}  // namespace
}  // namespace varlstm_test
