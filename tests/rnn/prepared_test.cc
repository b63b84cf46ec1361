// Prepared weights: the bits of the rnn that they are of, in every call, and errors for what they are not for.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/cell_options.h"
#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn16_runner.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

template <class>
class Prepared : public CellTest {
 protected:
  RnnOptions options(int64_t input, int64_t hidden, int64_t layers, bool bidirectional) const {
    RnnOptions options = cell_options();
    options.input = input;
    options.hidden = hidden;
    options.layers = layers;
    options.bidirectional = bidirectional;
    return options;
  }

  // Forward in both modes and backward with the weights prepared for `mode`, against the same rnn without.
  template <class T>
  void compare(const RnnOptions& options, const std::vector<int64_t>& lengths, int32_t mode, int64_t threads,
               bool states, uint64_t dropout_seed = 0) {
    SCOPED_TRACE("H = " + std::to_string(options.hidden) + ", mode " + std::to_string(mode) + ", " +
                 std::to_string(threads) + " threads, " + std::to_string(lengths.size()) + " sequences");
    const Context context = make_context(threads);
    Random random(29);
    const RnnCase<T> problem = make_rnn_case<T>(options, lengths, states, random);
    const RnnUpstream<T> upstream = make_upstream(problem, random);
    RnnRunner<T> plain(context.get(), problem), prepared(context.get(), problem);
    prepared.prepare(mode);
    for (const int32_t call : {VARLSTM_MODE_INFER, VARLSTM_MODE_SAVE}) {
      const RnnOutputs<T> expected = plain.forward(call, dropout_seed), actual = prepared.forward(call, dropout_seed);
      EXPECT_TRUE(bitwise_equal(actual.y, expected.y));
      EXPECT_TRUE(bitwise_equal(actual.h_n, expected.h_n));
      EXPECT_TRUE(bitwise_equal(actual.c_n, expected.c_n));
    }
    const RnnGradients<T> expected = plain.backward(upstream), actual = prepared.backward(upstream);
    EXPECT_TRUE(bitwise_equal(actual.dx, expected.dx));
    EXPECT_TRUE(bitwise_equal(actual.dh0, expected.dh0));
    EXPECT_TRUE(bitwise_equal(actual.dc0, expected.dc0));
    EXPECT_TRUE(bitwise_equal(actual.dparams, expected.dparams));
  }
};

// One token, few rows, many rows, and teams of the host's threads whose shares cut panels.
CELL_SCALAR_TEST(Prepared, HasTheBitsOfItsRnn) {
  for (const int32_t mode : {VARLSTM_MODE_INFER, VARLSTM_MODE_SAVE}) {
    for (const int64_t threads : {1, 3}) {
      if (threads > 1 && test_backend() != VARLSTM_BACKEND_HOST) continue;
      this->template compare<TypeParam>(this->options(5, 7, 2, true), {1}, mode, threads, true);
      this->template compare<TypeParam>(this->options(20, 19, 1, false), {4, 3, 1}, mode, threads, false);
      this->template compare<TypeParam>(this->options(9, 33, 2, true), {3, 0, 5, 1, 2, 3}, mode, threads, true);
      if (emulated()) continue;
      this->template compare<TypeParam>(this->options(70, 144, 1, false), {5}, mode, threads, true);
      this->template compare<TypeParam>(this->options(33, 400, 1, false), {3, 2}, mode, threads, true);
    }
  }
}

// A mask of weight_hh is of one call: such a call packs what is left of the weights.
CELL_SCALAR_TEST(Prepared, TakesMasksOfItsWeights) {
  RnnOptions options = this->options(9, 20, 2, false);
  set_all(options, VARLSTM_RECURRENT_DROPOUT_WEIGHTS);
  for (const uint64_t seed : {0, 7})
    this->template compare<TypeParam>(options, {3, 5}, VARLSTM_MODE_SAVE, 1, true, seed);
}

TEST(PreparedRnn, HasTheBitsOfItsRnnInSixteenBits) {
  for (const Format16& format : {kBf16, kF16}) {
    Random random(31);
    RnnOptions options;
    options.input = 9;
    options.hidden = 33;
    options.layers = 2;
    const RnnCase<double> problem = make_rnn_case<double>(options, {3, 0, 5, 1}, true, random);
    const RnnUpstream<double> upstream = make_upstream(problem, random);
    const Rnn16Results expected = run_rnn16(format, problem, upstream);
    for (const int32_t mode : {VARLSTM_MODE_INFER, VARLSTM_MODE_SAVE}) {
      const Rnn16Results actual = run_rnn16(format, problem, upstream, mode);
      EXPECT_TRUE(bitwise_equal(actual.out.y, expected.out.y));
      EXPECT_TRUE(bitwise_equal(actual.out.h_n, expected.out.h_n));
      EXPECT_TRUE(bitwise_equal(actual.gradients.dx, expected.gradients.dx));
      EXPECT_TRUE(bitwise_equal(actual.gradients.dparams, expected.gradients.dparams));
    }
  }
}

TEST(PreparedRnn, TakesItsOwnParametersAlone) {
  const Context context = make_context();
  Random random(3);
  RnnOptions options;
  options.input = 3;
  options.hidden = 4;
  RnnCase<float> problem = make_rnn_case<float>(options, {2, 1}, false, random);
  RnnRunner<float> runner(context.get(), problem);
  Buffer<float> others(context.get(), problem.params);
  runner.prepare(VARLSTM_MODE_SAVE);
  const auto forward = [&](const float* params) {
    return varlstm_rnn_forward(runner.rnn(), runner.batch(), VARLSTM_MODE_SAVE, 0, params, runner.x().data(), nullptr,
                               nullptr, runner.y().data(), nullptr, nullptr, runner.workspace().data(),
                               runner.workspace().count(), runner.reserve().data(), runner.reserve().count(), nullptr);
  };
  EXPECT_OK(forward(runner.params().data()));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "with which rnn = 0x", forward(others.data()));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "with which rnn = 0x",
               varlstm_rnn_backward(runner.rnn(), runner.batch(), others.data(), runner.x().data(), nullptr, nullptr,
                                    runner.y().data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                    runner.workspace().data(), runner.workspace().count(), runner.reserve().data(),
                                    runner.reserve().count(), nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "is prepared",
               varlstm_rnn_import(runner.rnn(), VARLSTM_FORMAT_PYTORCH, 0, 0, others.data(), others.data(), nullptr,
                                  nullptr, runner.params().data(), nullptr));
  varlstm_rnn* const prepared = const_cast<varlstm_rnn*>(runner.rnn());
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "cannot change any more",
               varlstm_rnn_set_i64(prepared, VARLSTM_KEY_BIAS, 0));
}

}  // namespace
}  // namespace varlstm_test
