// What varlstm.h says of rnn_forward and rnn_backward beside the numbers: modes, reserves, what may be NULL, what is
// added to, lengths of zero, empty batches, dropout between layers.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

template <class T>
class Test : public CellTest {
 protected:
  Context context_ = make_context();
  Random random_{31};

  // Whether a test of subsets takes this one of {0 .. all}, where bit 4 is of c: a cell without c has those without
  // that bit, and an emulated cell beside the LSTM the single ones, none and all.
  bool takes(const RnnCase<T>& problem, unsigned subset, unsigned all) const {
    if (!problem.has_c()) all &= ~4u;
    const bool single = (subset & (subset - 1)) == 0;
    return (subset & ~all) == 0 && (!few_cases() || single || subset == all);
  }

  RnnOptions options(int64_t layers = 2, bool bidirectional = true) {
    RnnOptions options = cell_options();
    options.input = 5;
    options.hidden = 9;
    options.layers = layers;
    options.bidirectional = bidirectional;
    options.dropout = layers > 1 ? 0.3 : 0.0;
    return options;
  }
  RnnCase<T> problem() { return make_rnn_case<T>(options(), {3, 0, 6, 1, 6}, true, random_); }
};

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

CELL_SCALAR_TEST(Test, InferEqualsSave) {
  for (const uint64_t seed : {0, 9}) {
    RnnRunner<TypeParam> runner(this->context_.get(), this->problem());
    const RnnOutputs<TypeParam> saved = runner.forward(VARLSTM_MODE_SAVE, seed);
    ASSERT_TRUE(all_finite(saved.y));
    expect_same(runner.forward(VARLSTM_MODE_INFER, seed), saved);
  }
}

CELL_SCALAR_TEST(Test, InferRunsInItsOwnWorkspace) {
  const RnnCase<TypeParam> problem = this->problem();
  RnnRunner<TypeParam> runner(this->context_.get(), problem);
  const RnnOutputs<TypeParam> saved = runner.forward();
  const Bounds bounds = exact_bounds(problem.lengths);
  int64_t workspace_bytes = -1, reserve_bytes = -1;
  ASSERT_OK(varlstm_rnn_sizes(runner.rnn(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_INFER,
                              &workspace_bytes, &reserve_bytes));
  EXPECT_EQ(reserve_bytes, 0);
  EXPECT_LE(workspace_bytes, runner.workspace().bytes());
  ByteBuffer workspace(this->context_.get(), workspace_bytes, Fill::kRandomBytes);
  ASSERT_OK(varlstm_rnn_forward(runner.rnn(), runner.batch(), VARLSTM_MODE_INFER, 0, runner.params().data(),
                                runner.x().data(), runner.h0(), runner.c0(), runner.y().data(), nullptr, nullptr,
                                workspace.data(), workspace_bytes, nullptr, 0, nullptr));
  EXPECT_TRUE(bitwise_equal(packed_to_ragged(problem.lengths, problem.output_features(), runner.y().get()), saved.y));
}

CELL_SCALAR_TEST(Test, BackwardRunsTwiceFromOneReserve) {
  const RnnCase<TypeParam> problem = this->problem();
  const RnnUpstream<TypeParam> upstream = make_upstream(problem, this->random_);
  RnnRunner<TypeParam> runner(this->context_.get(), problem);
  runner.forward(VARLSTM_MODE_SAVE, 9);
  const RnnGradients<TypeParam> first = runner.backward(upstream);
  EXPECT_TRUE(all_finite(first.dparams));
  expect_same(runner.backward(upstream), first);
}

CELL_SCALAR_TEST(Test, ParameterGradientsAreAddedTo) {
  const RnnCase<TypeParam> problem = this->problem();
  const RnnUpstream<TypeParam> upstream = make_upstream(problem, this->random_);
  RnnRunner<TypeParam> runner(this->context_.get(), problem);
  runner.forward();
  const RnnGradients<TypeParam> alone = runner.backward(upstream);
  const std::vector<TypeParam> before = this->random_.template vector<TypeParam>(problem.params.size());
  const RnnGradients<TypeParam> added = runner.backward(upstream, before);
  std::vector<double> expected;
  for (size_t k = 0; k < before.size(); ++k) {
    expected.push_back(static_cast<double>(before[k]) + static_cast<double>(alone.dparams[k]));
  }
  const double eps = std::numeric_limits<TypeParam>::epsilon();
  EXPECT_TRUE(all_close(added.dparams, expected, 64 * eps, 64 * eps));
  EXPECT_TRUE(bitwise_equal(added.dx, alone.dx));
}

// Each of dy, dh_n, dc_n as NULL gives what a buffer of zeros gives.
CELL_SCALAR_TEST(Test, MissingIncomingGradientsAreZeros) {
  const RnnCase<TypeParam> problem = this->problem();
  RnnRunner<TypeParam> runner(this->context_.get(), problem);
  runner.forward();
  const RnnUpstream<TypeParam> full = make_upstream(problem, this->random_);
  for (unsigned missing = 1; missing < 8; ++missing) {
    if (!this->takes(problem, missing, 7)) continue;
    RnnUpstream<TypeParam> null = full, zeros = full;
    const auto drop = [](std::vector<TypeParam>& a, std::vector<TypeParam>& b) {
      a.clear();
      std::fill(b.begin(), b.end(), TypeParam(0));
    };
    if (missing & 1) drop(null.dy, zeros.dy);
    if (missing & 2) drop(null.dh_n, zeros.dh_n);
    if (missing & 4) drop(null.dc_n, zeros.dc_n);
    const RnnGradients<TypeParam> actual = runner.backward(null), expected = runner.backward(zeros);
    EXPECT_TRUE(all_close(actual.dx, expected.dx, 0.0, 0.0));
    EXPECT_TRUE(all_close(actual.dh0, expected.dh0, 0.0, 0.0));
    EXPECT_TRUE(all_close(actual.dc0, expected.dc0, 0.0, 0.0));
    EXPECT_TRUE(all_close(actual.dparams, expected.dparams, 0.0, 0.0));
  }
}

// Each output that is not wanted may be NULL and changes none of the others.
CELL_SCALAR_TEST(Test, UnwantedGradientsMayBeNull) {
  const RnnCase<TypeParam> problem = this->problem();
  const RnnUpstream<TypeParam> upstream = make_upstream(problem, this->random_);
  varlstm_ctx* const context = this->context_.get();
  RnnRunner<TypeParam> runner(context, problem);
  runner.forward(VARLSTM_MODE_SAVE, 9);
  const RnnGradients<TypeParam> full = runner.backward(upstream);
  const Buffer<TypeParam> dy(context, ragged_to_packed(problem.lengths, problem.output_features(), upstream.dy));
  const Buffer<TypeParam> dh_n(context, upstream.dh_n), dc_n(context, upstream.dc_n);
  for (unsigned wanted = 0; wanted < 16; ++wanted) {
    if (!this->takes(problem, wanted, 15)) continue;
    Buffer<TypeParam> dx(context, full.dx.size()), dh0(context, full.dh0.size()), dc0(context, full.dc0.size());
    Buffer<TypeParam> dparams(context, std::vector<TypeParam>(full.dparams.size(), TypeParam(0)));
    ASSERT_OK(varlstm_rnn_backward(runner.rnn(), runner.batch(), runner.params().data(), runner.x().data(), runner.h0(),
                                   runner.c0(), runner.y().data(), dy.data(), dh_n.data(), runner.of_c(dc_n),
                                   wanted & 1 ? dx.data() : nullptr, wanted & 2 ? dh0.data() : nullptr,
                                   wanted & 4 ? runner.of_c(dc0) : nullptr, wanted & 8 ? dparams.data() : nullptr,
                                   runner.workspace().data(), runner.workspace().bytes(), runner.reserve().data(),
                                   runner.reserve().bytes(), nullptr));
    if (wanted & 1) {
      EXPECT_TRUE(bitwise_equal(packed_to_ragged(problem.lengths, problem.options.input, dx.get()), full.dx));
    }
    if (wanted & 2) {
      EXPECT_TRUE(bitwise_equal(dh0.get(), full.dh0));
    }
    if (wanted & 4) {
      EXPECT_TRUE(bitwise_equal(dc0.get(), full.dc0));
    }
    if (wanted & 8) {
      EXPECT_TRUE(bitwise_equal(dparams.get(), full.dparams));
    }
  }
}

// "c0, c_n, dc_n and dc0 must be NULL" if the cell has no cell state.
CELL_SCALAR_TEST(Test, CellStatesAreTakenIfTheCellHasThem) {
  const RnnCase<TypeParam> problem = this->problem();
  varlstm_ctx* const context = this->context_.get();
  RnnRunner<TypeParam> runner(context, problem);
  runner.forward();
  const int64_t elements = problem.state_count() * problem.options.hidden;  // enough for c, if there were one
  Buffer<TypeParam> state(context, std::vector<TypeParam>(elements, TypeParam(0)));
  Buffer<TypeParam> dparams(context, std::vector<TypeParam>(problem.params.size(), TypeParam(0)));
  const auto expect = [&](const char* name, int32_t status) {
    if (problem.has_c())
      EXPECT_OK(status);
    else
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, std::string(name) + " = 0x", status);
  };
  const auto forward = [&](const TypeParam* c0, TypeParam* c_n) {
    return varlstm_rnn_forward(runner.rnn(), runner.batch(), VARLSTM_MODE_INFER, 0, runner.params().data(),
                               runner.x().data(), runner.h0(), c0, runner.y().data(), nullptr, c_n,
                               runner.workspace().data(), runner.workspace().bytes(), nullptr, 0, nullptr);
  };
  const auto backward = [&](const TypeParam* c0, const TypeParam* dc_n, TypeParam* dc0) {
    return varlstm_rnn_backward(runner.rnn(), runner.batch(), runner.params().data(), runner.x().data(), runner.h0(),
                                c0, runner.y().data(), nullptr, nullptr, dc_n, nullptr, nullptr, dc0, dparams.data(),
                                runner.workspace().data(), runner.workspace().bytes(), runner.reserve().data(),
                                runner.reserve().bytes(), nullptr);
  };
  expect("c0", forward(state.data(), nullptr));
  expect("c_n", forward(nullptr, state.data()));
  expect("c0", backward(state.data(), nullptr, nullptr));
  expect("dc_n", backward(nullptr, state.data(), nullptr));
  expect("dc0", backward(nullptr, nullptr, state.data()));
}

// Backward may have another batch of the same lengths, whose bounds are larger.
CELL_SCALAR_TEST(Test, BackwardMayHaveABatchOfLargerBounds) {
  const RnnCase<TypeParam> problem = this->problem();
  varlstm_ctx* const context = this->context_.get();
  const RnnUpstream<TypeParam> upstream = make_upstream(problem, this->random_);
  RnnRunner<TypeParam> exact(context, problem);
  exact.forward();
  const RnnGradients<TypeParam> expected = exact.backward(upstream);

  const Bounds fit = exact_bounds(problem.lengths);
  RnnRunner<TypeParam> larger(context, problem, {fit.max_batch + 9, fit.max_len + 5, fit.max_tokens + 21});
  ASSERT_OK(varlstm_rnn_forward(larger.rnn(), exact.batch(), VARLSTM_MODE_SAVE, 0, larger.params().data(),
                                larger.x().data(), larger.h0(), larger.c0(), larger.y().data(), nullptr, nullptr,
                                larger.workspace().data(), larger.workspace().bytes(), larger.reserve().data(),
                                larger.reserve().bytes(), nullptr));
  const RnnGradients<TypeParam> gradients = larger.backward(upstream);
  EXPECT_TRUE(bitwise_equal(gradients.dx, expected.dx));
  EXPECT_TRUE(bitwise_equal(gradients.dh0, expected.dh0));
  EXPECT_TRUE(bitwise_equal(gradients.dc0, expected.dc0));
  EXPECT_TRUE(bitwise_equal(gradients.dparams, expected.dparams));
  int64_t bits = 0;
  ASSERT_OK(varlstm_ctx_device_status(context, 1, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

// If only the device knows the lengths, the reserve is laid out by the bounds, so those must be the same.
CELL_SCALAR_TEST(Test, ReserveOfOtherBoundsIsRefusedIfOnlyTheDeviceKnowsTheLengths) {
  if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host always knows the lengths";
  const RnnCase<TypeParam> problem = this->problem();
  varlstm_ctx* const context = this->context_.get();
  const Bounds fit = exact_bounds(problem.lengths);
  const Bounds wide = {fit.max_batch + 1, fit.max_len + 2, fit.max_tokens + 4};
  RnnRunner<TypeParam> runner(context, problem, wide);
  const Buffer<int64_t> lengths(context, problem.lengths);
  const auto device_batch = [&](const Bounds& bounds) {
    Batch batch = make_batch(context, {}, bounds);
    REQUIRE_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), problem.batch(), VARLSTM_SPACE_BACKEND, nullptr));
    return batch;
  };
  const Batch of_wide = device_batch(wide), of_fit = device_batch(fit);
  // Rows beyond N are part of x, y and their gradients.
  const int64_t inputs = wide.max_tokens * problem.options.input;
  const Buffer<TypeParam> x(context, std::vector<TypeParam>(static_cast<size_t>(inputs), TypeParam(0.5)));
  Buffer<TypeParam> y(context, wide.max_tokens * problem.output_features());
  Buffer<TypeParam> dparams(context, std::vector<TypeParam>(problem.params.size(), TypeParam(0)));
  const auto bits_of = [&](const varlstm_batch* forward, const varlstm_batch* backward) {
    REQUIRE_OK(varlstm_rnn_forward(runner.rnn(), forward, VARLSTM_MODE_SAVE, 0, runner.params().data(), x.data(),
                                   nullptr, nullptr, y.data(), nullptr, nullptr, runner.workspace().data(),
                                   runner.workspace().bytes(), runner.reserve().data(), runner.reserve().bytes(),
                                   nullptr));
    REQUIRE_OK(varlstm_rnn_backward(runner.rnn(), backward, runner.params().data(), x.data(), nullptr, nullptr,
                                    y.data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, dparams.data(),
                                    runner.workspace().data(), runner.workspace().bytes(), runner.reserve().data(),
                                    runner.reserve().bytes(), nullptr));
    int64_t bits = 0;
    REQUIRE_OK(varlstm_ctx_device_status(context, 1, &bits, nullptr, nullptr));
    return bits;
  };
  EXPECT_EQ(bits_of(of_wide.get(), of_wide.get()), 0);
  EXPECT_EQ(bits_of(of_fit.get(), of_fit.get()), 0);
  EXPECT_EQ(bits_of(of_wide.get(), of_fit.get()), VARLSTM_DEVICE_STATUS_RESERVE);
  EXPECT_EQ(bits_of(of_fit.get(), of_wide.get()), VARLSTM_DEVICE_STATUS_RESERVE);
  EXPECT_EQ(bits_of(runner.batch(), of_wide.get()), VARLSTM_DEVICE_STATUS_RESERVE) << "the host knows N";
}

// A reserve that no forward of this shape wrote is refused, and nothing is written then.
CELL_SCALAR_TEST(Test, ForeignReserveIsRefused) {
  const RnnCase<TypeParam> problem = this->problem();
  varlstm_ctx* const context = this->context_.get();
  RnnRunner<TypeParam> runner(context, problem);
  runner.forward();
  const std::vector<TypeParam> untouched = this->random_.template vector<TypeParam>(problem.params.size());
  Buffer<TypeParam> dparams(context, untouched);
  const auto backward = [&] {
    return varlstm_rnn_backward(runner.rnn(), runner.batch(), runner.params().data(), runner.x().data(), runner.h0(),
                                runner.c0(), runner.y().data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                dparams.data(), runner.workspace().data(), runner.workspace().bytes(),
                                runner.reserve().data(), runner.reserve().bytes(), nullptr);
  };
  // The host refuses the call; CUDA's device raises a bit.
  const bool on_host = test_backend() == VARLSTM_BACKEND_HOST;
  const auto expect_refused = [&] {
    if (on_host) {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "reserve", backward());
      return;
    }
    ASSERT_OK(backward());
    int64_t bits = 0;
    ASSERT_OK(varlstm_ctx_device_status(context, 1, &bits, nullptr, nullptr));
    EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_RESERVE);
  };
  const std::vector<unsigned char> good = runner.reserve().get();
  ASSERT_OK(backward());
  dparams.set(untouched);

  runner.reserve().fill_nan();
  expect_refused();
  runner.reserve().fill_random_bytes(3);
  expect_refused();
  runner.reserve().set(std::vector<unsigned char>(good.size(), 0));
  expect_refused();

  // Another shape's reserve, at the start of this one: hidden + 1, other lengths with the same N, other options.
  const auto reserve_of = [&](const RnnCase<TypeParam>& other) {
    RnnRunner<TypeParam> writer(context, other);
    writer.forward();
    std::vector<unsigned char> bytes = writer.reserve().get();
    bytes.resize(good.size(), 0);
    return bytes;
  };
  RnnOptions other = problem.options;
  other.hidden += 1;
  runner.reserve().set(reserve_of(make_rnn_case<TypeParam>(other, problem.lengths, true, this->random_)));
  expect_refused();
  if (problem.options.projection() > 0) {
    other = problem.options;
    other.projects = false;
    other.recurrence = VARLSTM_RECURRENCE_STEPWISE;  // as with a projection, so that nothing else differs
    runner.reserve().set(reserve_of(make_rnn_case<TypeParam>(other, problem.lengths, true, this->random_)));
    expect_refused();
  }
  other = problem.options;
  other.bias = false;
  runner.reserve().set(reserve_of(make_rnn_case<TypeParam>(other, problem.lengths, true, this->random_)));
  expect_refused();
  runner.reserve().set(reserve_of(make_rnn_case<TypeParam>(problem.options, {4, 0, 5, 1, 6}, true, this->random_)));
  expect_refused();

  if (on_host) {
    EXPECT_TRUE(bitwise_equal(dparams.get(), untouched));
  }
  runner.reserve().set(good);
  EXPECT_OK(backward());
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context, 0, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

// A sequence of length 0 hands its state through, forward and backward.
CELL_SCALAR_TEST(Test, ZeroLengthHandsTheStateThrough) {
  for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{2, 0, 3, 0}, std::vector<int64_t>{0, 0}}) {
    const RnnCase<TypeParam> problem = make_rnn_case<TypeParam>(this->options(3), lengths, true, this->random_);
    const RnnUpstream<TypeParam> upstream = make_upstream(problem, this->random_);
    RnnRunner<TypeParam> runner(this->context_.get(), problem);
    const RnnOutputs<TypeParam> out = runner.forward();
    const RnnGradients<TypeParam> gradients = runner.backward(upstream);
    const auto is_empty = [&](int64_t at, int64_t width) { return lengths[at / width % problem.batch()] == 0; };
    for (int64_t at = 0; at < problem.state_count(); ++at) {
      if (!is_empty(at, problem.options.state())) continue;
      EXPECT_EQ(out.h_n[at], problem.h0[at]);
      EXPECT_EQ(gradients.dh0[at], upstream.dh_n[at]);
    }
    for (int64_t at = 0; at < problem.cell_state_count(); ++at) {
      if (!is_empty(at, problem.options.hidden)) continue;
      EXPECT_EQ(out.c_n[at], problem.c0[at]);
      EXPECT_EQ(gradients.dc0[at], upstream.dc_n[at]);
    }
  }
}

CELL_SCALAR_TEST(Test, ZeroLengthWithoutStateGivesZeros) {
  const RnnCase<TypeParam> problem = make_rnn_case<TypeParam>(this->options(), {0, 1}, false, this->random_);
  RnnRunner<TypeParam> runner(this->context_.get(), problem);
  const RnnOutputs<TypeParam> out = runner.forward();
  bool other_sequence_moved = false;
  for (int64_t at = 0; at < problem.state_count(); ++at) {
    if (at / problem.options.state() % 2 == 0) {
      EXPECT_EQ(out.h_n[at], TypeParam(0));
    } else {
      other_sequence_moved |= out.h_n[at] != TypeParam(0);
    }
  }
  for (int64_t at = 0; at < problem.cell_state_count(); ++at) {
    if (at / problem.options.hidden % 2 == 0) {
      EXPECT_EQ(out.c_n[at], TypeParam(0));
    }
  }
  EXPECT_TRUE(other_sequence_moved);
}

// No token at all, and no sequence at all: nothing to compute, nothing to fail.
CELL_SCALAR_TEST(Test, EmptyBatches) {
  for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{}, std::vector<int64_t>{0, 0, 0}}) {
    for (const bool states : {false, true}) {
      const RnnCase<TypeParam> problem = make_rnn_case<TypeParam>(this->options(), lengths, states, this->random_);
      SCOPED_TRACE(describe(problem));
      for (const Bounds& bounds : {exact_bounds(lengths), Bounds{4, 5, 9}}) {
        RnnRunner<TypeParam> runner(this->context_.get(), problem, bounds);
        const RnnOutputs<TypeParam> out = runner.forward(VARLSTM_MODE_SAVE, 9);
        EXPECT_EQ(out.y.size(), 0u);
        EXPECT_TRUE(all_finite(out.h_n));
        const std::vector<TypeParam> before = this->random_.template vector<TypeParam>(problem.params.size());
        const RnnGradients<TypeParam> gradients = runner.backward(make_upstream(problem, this->random_), before);
        EXPECT_TRUE(bitwise_equal(gradients.dparams, before));
        EXPECT_TRUE(all_finite(gradients.dh0));
      }
    }
  }
}

// One batch handle serves mini-batch after mini-batch within its bounds.
CELL_SCALAR_TEST(Test, LooseBoundsGiveTheSameResults) {
  const RnnCase<TypeParam> problem = this->problem();
  const RnnUpstream<TypeParam> upstream = make_upstream(problem, this->random_);
  RnnRunner<TypeParam> exact(this->context_.get(), problem);
  RnnRunner<TypeParam> loose(this->context_.get(), problem, Bounds{11, 40, 300}, Fill::kRandomBytes, 5);
  expect_same(loose.forward(VARLSTM_MODE_SAVE, 9), exact.forward(VARLSTM_MODE_SAVE, 9));
  expect_same(loose.backward(upstream), exact.backward(upstream));
}

CELL_SCALAR_TEST(Test, DropoutFollowsItsSeed) {
  const RnnCase<TypeParam> problem = this->problem();
  RnnRunner<TypeParam> runner(this->context_.get(), problem);
  const RnnOutputs<TypeParam> seven = runner.forward(VARLSTM_MODE_SAVE, 7);
  EXPECT_FALSE(bitwise_equal(runner.forward(VARLSTM_MODE_SAVE, 8).y, seven.y));
  EXPECT_FALSE(bitwise_equal(runner.forward(VARLSTM_MODE_SAVE, 0).y, seven.y));
  expect_same(runner.forward(VARLSTM_MODE_SAVE, 7), seven);

  RnnCase<TypeParam> without = problem;
  without.options.dropout = 0.0;
  RnnRunner<TypeParam> plain(this->context_.get(), without);
  expect_same(plain.forward(VARLSTM_MODE_SAVE, 7), runner.forward(VARLSTM_MODE_SAVE, 0));
}

// "Of every layer but the last": with one layer there is nothing to drop.
CELL_SCALAR_TEST(Test, DropoutLeavesTheLastLayerAlone) {
  RnnOptions options = this->options(1);
  options.dropout = 0.5;
  const RnnCase<TypeParam> problem = make_rnn_case<TypeParam>(options, {4, 2}, true, this->random_);
  RnnRunner<TypeParam> runner(this->context_.get(), problem);
  expect_same(runner.forward(VARLSTM_MODE_SAVE, 7), runner.forward(VARLSTM_MODE_SAVE, 0));
}

// Two layers of one unit; the upper one hears the lower through its cell gate alone and almost linearly, so the ratio
// of its output with and without dropout is the mask: 0 or 1 / (1 - p), and 0 in a share p of the elements.
TEST(LstmDropout, DropsTheShareAndScalesTheRest) {
  const Context context = make_context();
  Random random(41);
  const int64_t sequences = 4000;
  RnnOptions options;
  options.layers = 2;
  options.bias = false;
  options.dropout = 0.3;
  RnnCase<double> problem = make_rnn_case<double>(options, std::vector<int64_t>(sequences, 1), false, random);
  const double upper_w_ih[4] = {0.0, 0.0, 1e-4, 0.0};
  std::fill(problem.params.begin(), problem.params.end(), 0.5);
  std::copy_n(upper_w_ih, 4, problem.params.begin() + 8);
  std::fill(problem.params.begin() + 12, problem.params.end(), 0.0);
  RnnRunner<double> runner(context.get(), problem);
  const std::vector<double> plain = runner.forward(VARLSTM_MODE_INFER, 0).y;
  const std::vector<double> masked = runner.forward(VARLSTM_MODE_INFER, 123).y;
  int64_t dropped = 0;
  for (int64_t b = 0; b < sequences; ++b) {
    if (masked[b] == 0.0) {
      ++dropped;
    } else {
      EXPECT_NEAR(masked[b] / plain[b], 1.0 / 0.7, 1e-6);
    }
  }
  const double sigma = std::sqrt(0.3 * 0.7 * static_cast<double>(sequences));
  EXPECT_NEAR(static_cast<double>(dropped), 0.3 * static_cast<double>(sequences), 5.0 * sigma);
}

}  // namespace
}  // namespace varlstm_test
