// 7. cuBLAS with the smallest workspaces: forward and backward at H = 5, I = 3, N = 2 in every dtype, with the products
// that cuBLAS takes by itself and with all that it can take, against the naive LSTM in double.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/rnn16_runner.h"
#include "support/rnn_reference.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

using Results = Rnn16Results;

RnnOptions tiny() {
  RnnOptions options;
  options.input = 3;
  options.hidden = 5;
  return options;
}

void expect_near(const char* name, const std::vector<double>& actual, const std::vector<double>& expected,
                 double tolerance) {
  double largest = 0, error = 0;
  ASSERT_EQ(actual.size(), expected.size()) << name;
  for (size_t k = 0; k < expected.size(); ++k) {
    const double difference = std::fabs(actual[k] - expected[k]);
    largest = std::max(largest, std::fabs(expected[k]));
    error = difference <= error ? error : difference;  // a NaN gets through
  }
  EXPECT_LE(error, tolerance * largest) << name << ", whose largest element is " << largest;
}

void expect_near(const Results& actual, const Results& expected, double tolerance) {
  expect_near("y", actual.out.y, expected.out.y, tolerance);
  expect_near("c_n", actual.out.c_n, expected.out.c_n, tolerance);
  expect_near("dx", actual.gradients.dx, expected.gradients.dx, tolerance);
  expect_near("dh0", actual.gradients.dh0, expected.gradients.dh0, tolerance);
  expect_near("dparams", actual.gradients.dparams, expected.gradients.dparams, tolerance);
}

Results naive(const RnnCase<double>& problem, const RnnUpstream<double>& upstream) {
  RnnReference<double> reference(problem);
  Results results;
  results.out = reference.forward();
  results.gradients = reference.backward(upstream);
  return results;
}

template <class T>
Results run(const RnnCase<double>& problem, const RnnUpstream<double>& upstream) {
  const Context ctx = make_context();
  RnnRunner<T> runner(ctx.get(), convert<T>(problem));
  const RnnOutputs<T> out = runner.forward();
  const RnnGradients<T> g = runner.backward(convert<T>(upstream));
  return {{convert<double>(out.y), convert<double>(out.h_n), convert<double>(out.c_n)},
          {convert<double>(g.dx), convert<double>(g.dh0), convert<double>(g.dc0), convert<double>(g.dparams)}};
}

void check_all_dtypes() {
  for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{2}, std::vector<int64_t>{1, 1}}) {
    SCOPED_TRACE(std::to_string(lengths.size()) + " sequences");
    Random random(9);
    RnnCase<double> problem = make_rnn_case<double>(tiny(), lengths, true, random);
    RnnUpstream<double> upstream = make_upstream(problem, random);
    // Eighths, which every dtype holds.
    for (auto* part :
         {&problem.params, &problem.x, &problem.h0, &problem.c0, &upstream.dy, &upstream.dh_n, &upstream.dc_n})
      for (double& value : *part) value = std::nearbyint(value * 8) / 8;
    const Results expected = naive(problem, upstream);
    {
      SCOPED_TRACE("f64");
      expect_near(run<double>(problem, upstream), expected, 1e-12);
    }
    {
      SCOPED_TRACE("f32");
      expect_near(run<float>(problem, upstream), expected, 1e-5);
    }
    for (const Format16& format : {kBf16, kF16}) {
      SCOPED_TRACE(format.dtype == VARLSTM_DTYPE_BF16 ? "bf16" : "f16");
      const Rnn16Results actual = run_rnn16(format, problem, upstream);
      expect_near(actual, expected, 8 * std::ldexp(1.0, -format.significant_bits));
    }
  }
}

TEST(SmallProducts, AreRightWithTheLibrarysChoice) {
  check_all_dtypes();
}

TEST(SmallProducts, AreRightInCublas) {
  ASSERT_EQ(setenv("VARLSTM_GEMM_POLICY", "cublas", 1), 0);
  check_all_dtypes();
  ASSERT_EQ(unsetenv("VARLSTM_GEMM_POLICY"), 0);
}

}  // namespace
}  // namespace varlstm_test
