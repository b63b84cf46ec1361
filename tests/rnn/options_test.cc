// The options of a cell: clips, recurrent dropout of three kinds and zoneout, against the naive network of
// support/rnn_reference.h, which draws the masks as varlstm.h documents them, and against central differences.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <bitset>

#include "support/cell_options.h"
#include "support/cell_test.h"
#include "support/compare.h"
#include "support/nvcc_kernels.h"
#include "support/rnn_gradcheck.h"
#include "support/rnn_reference.h"

namespace varlstm_test {
namespace {

constexpr uint64_t kSeed = 0x9e3779b97f4a7c15;

class Options : public CellTest {
 protected:
  // Problem `index` of an option: layers, directions, bias, states, row order, seed or none, resets, and whether c of
  // every token is wanted vary.
  template <class T>
  RnnCase<T> problem_of(RnnOptions options, int64_t index, int64_t most_units, Random& random) const {
    const std::bitset<4> bit(static_cast<uint64_t>(index));
    options.cell_states = cell().has_c && index % 3 == 1;
    options.input = random.integer(1, most_units);
    options.hidden = random.integer(1, most_units);
    options.layers = random.integer(1, 2);
    options.bidirectional = bit[0];
    options.bias = bit[1];
    options.rows = bit[2] ? VARLSTM_ROWS_RAGGED : VARLSTM_ROWS_PACKED;
    const LengthKind kind = kLengthKinds[index % static_cast<int64_t>(std::size(kLengthKinds))];
    auto problem = make_rnn_case<T>(options, make_lengths(kind, random.integer(1, 5), 6, random), bit[3], random);
    problem.seed = index % 5 == 4 ? 0 : kSeed + static_cast<uint64_t>(index);
    if (index % 3 == 2) add_resets(problem, 0.3, random);
    return problem;
  }
};

// 100 shapes for each option of each cell, emulated 6.
COMBINED_CELL_TEST(Options, GradientsMatchCentralDifferences) {
  const Context context = make_context(1);
  Random random(301);
  for (const Option& option : kOptions) {
    RnnOptions options = cell_options();
    if (!option.set(options)) continue;
    SCOPED_TRACE(option.name);
    for (int64_t index = 0; index < (emulated() ? 6 : 100); ++index)
      check_gradients(context.get(), problem_of<double>(options, index, 5, random), emulated() ? 1 : 5, random);
  }
}

// The masks are those that varlstm.h documents, and the formulas are its formulas. Every fifth problem, for nvcc's PTX,
// has each of its properties and is without it as well.
COMBINED_CELL_TEST(Options, MatchTheReference) {
  const Context context = make_context();
  Random random(302);
  const auto close = [](const std::vector<double>& actual, const std::vector<double>& expected, double scale = 0) {
    return all_close(actual, expected, 0, 1e-12 * std::max(scale, largest(expected)));
  };
  for (const Option& option : kOptions) {
    RnnOptions options = cell_options();
    if (!option.set(options)) continue;
    for (int64_t index = 0; index < (emulated() ? 12 : 33); index += kernels_are_nvccs() ? 5 : 1) {
      const auto problem = problem_of<double>(options, index, index % 8 == 7 && !emulated() ? 40 : 20, random);
      SCOPED_TRACE(option.name + (": " + describe(problem)));
      const RnnUpstream<double> upstream = make_upstream(problem, random);
      RnnReference<double> reference(problem);
      const RnnOutputs<double> expected = reference.forward();
      const RnnGradients<double> expected_gradients = reference.backward(upstream);
      const double scale = least_scale(options, expected_gradients);
      RnnRunner<double> runner(context.get(), problem);
      const RnnOutputs<double> out = runner.forward(VARLSTM_MODE_SAVE, problem.seed);
      EXPECT_TRUE(close(out.y, expected.y));
      EXPECT_TRUE(close(out.h_n, expected.h_n));
      EXPECT_TRUE(close(out.c_n, expected.c_n));
      EXPECT_TRUE(close(out.c, expected.c));
      const RnnGradients<double> gradients = runner.backward(upstream);
      EXPECT_TRUE(close(gradients.dx, expected_gradients.dx, scale));
      EXPECT_TRUE(close(gradients.dh0, expected_gradients.dh0, scale));
      EXPECT_TRUE(close(gradients.dc0, expected_gradients.dc0, scale));
      EXPECT_TRUE(close(gradients.dparams, expected_gradients.dparams, scale));
      const RnnOutputs<double> inferred = runner.forward(VARLSTM_MODE_INFER, problem.seed);
      EXPECT_TRUE(bitwise_equal(inferred.y, out.y));
      EXPECT_TRUE(bitwise_equal(inferred.h_n, out.h_n));
      EXPECT_TRUE(bitwise_equal(inferred.c_n, out.c_n));
      EXPECT_TRUE(bitwise_equal(inferred.c, out.c));
    }
  }
}

// The same in float, which resident kernels compute if only weights are dropped.
COMBINED_CELL_TEST(Options, MatchTheReferenceInFloat) {
  const Context context = make_context();
  Random random(307);
  const auto close = [](const std::vector<float>& actual, const std::vector<double>& expected) {
    return all_close(actual, expected, 0, 1e-5 * std::max(1.0, largest(expected)));
  };
  for (const Option& option : kOptions) {
    RnnOptions options = cell_options();
    if (!option.set(options)) continue;
    for (int64_t index = 0; index < 4; ++index) {
      const auto problem = problem_of<float>(options, index, 20, random);
      SCOPED_TRACE(option.name + (": " + describe(problem)));
      const RnnUpstream<float> upstream = make_upstream(problem, random);
      const RnnCase<double> exact = convert<double>(problem);
      RnnReference<double> reference(exact);
      const RnnOutputs<double> expected = reference.forward();
      const RnnGradients<double> expected_gradients = reference.backward(convert<double>(upstream));
      RnnRunner<float> runner(context.get(), problem);
      EXPECT_TRUE(close(runner.forward(VARLSTM_MODE_SAVE, problem.seed).y, expected.y));
      const RnnGradients<float> gradients = runner.backward(upstream);
      EXPECT_TRUE(close(gradients.dx, expected_gradients.dx));
      EXPECT_TRUE(close(gradients.dparams, expected_gradients.dparams));
    }
  }
}

// F32 has no 1e-50. As varlstm.h says it clips to 0 there, and is not taken for no clip; F64 has it.
template <class T>
void check_tiny_clip(bool projects, Random& random) {
  const Context context = make_context();
  RnnOptions options;
  options.input = 3, options.hidden = 6, options.projects = projects;
  (projects ? options.projection_clip : options.cell_clip) = 1e-50;
  const auto problem = make_rnn_case<T>(options, {3, 1}, true, random);
  const RnnUpstream<T> upstream = make_upstream(problem, random);
  RnnRunner<T> runner(context.get(), problem);
  const bool is_zero = std::is_same_v<T, float>;
  for (const T h : runner.forward(VARLSTM_MODE_SAVE, 0).y) {
    EXPECT_EQ(h == 0, is_zero);
    EXPECT_LE(std::abs(h), T(1.1e-50));
  }
  const std::vector<T> dx = runner.backward(upstream).dx;
  if (!projects) {
    EXPECT_LE(largest(dx), 1e-40);  // all of it comes through c
  }
}
TEST(TinyClip, IsRoundedToTheDtype) {
  Random random(309);
  for (const bool projects : {false, true}) {
    check_tiny_clip<float>(projects, random);
    check_tiny_clip<double>(projects, random);
  }
}

// Outputs, and gradients but for those of the parameters, whose sums are ordered by rows.
template <class T>
void expect_same_bits(RnnRunner<T>& one, RnnRunner<T>& other, uint64_t seed, const RnnUpstream<T>& upstream) {
  const RnnOutputs<T> a = one.forward(VARLSTM_MODE_SAVE, seed), b = other.forward(VARLSTM_MODE_SAVE, seed);
  EXPECT_TRUE(bitwise_equal(a.y, b.y));
  EXPECT_TRUE(bitwise_equal(a.h_n, b.h_n));
  EXPECT_TRUE(bitwise_equal(a.c_n, b.c_n));
  const RnnGradients<T> da = one.backward(upstream), db = other.backward(upstream);
  EXPECT_TRUE(bitwise_equal(da.dx, db.dx));
  EXPECT_TRUE(bitwise_equal(da.dh0, db.dh0));
  EXPECT_TRUE(bitwise_equal(da.dc0, db.dc0));
}

// Packed and ragged rows, and any number of threads.
CELL_TEST(Options, HaveTheSameBitsInEitherOrderOfRowsAndOnAnyThreads) {
  const bool on_host = test_backend() == VARLSTM_BACKEND_HOST;
  const Context single = make_context(1), many = make_context(on_host ? 3 : 1);
  Random random(303);
  for (const Option& option : kOptions) {
    RnnOptions options = cell_options();
    if (!option.set(options)) continue;
    SCOPED_TRACE(option.name);
    options.input = 11;
    options.hidden = on_host ? 70 : 18;  // enough work for three threads
    options.layers = on_host ? 2 : 1;
    options.bidirectional = true;
    RnnCase<float> packed = make_rnn_case<float>(
        options, make_lengths(LengthKind::kZerosAmong, on_host ? 40 : 5, on_host ? 12 : 4, random), true, random);
    RnnCase<float> ragged = packed;
    ragged.options.rows = VARLSTM_ROWS_RAGGED;
    const RnnUpstream<float> upstream = make_upstream(packed, random);
    for (const uint64_t seed : {uint64_t{0}, kSeed}) {
      RnnRunner<float> one(single.get(), packed), of_three(many.get(), packed), of_sequences(many.get(), ragged);
      if (on_host) expect_same_bits(one, of_three, seed, upstream);
      expect_same_bits(one, of_sequences, seed, upstream);
    }
  }
}

// A sequence's masks do not depend on what else is in the batch, if its index and its first row stay.
CELL_TEST(Options, DoNotDependOnLaterSequences) {
  const Context context = make_context();
  Random random(304);
  for (const Option& option : kOptions) {
    RnnOptions options = cell_options();
    if (!option.set(options)) continue;
    SCOPED_TRACE(option.name);
    options.input = 3;
    options.hidden = 9;
    RnnCase<double> alone = make_rnn_case<double>(options, {4, 6}, false, random), more = alone;
    more.lengths = {4, 6, 9, 0, 2};
    const std::vector<double> rest = random.vector<double>(11 * options.input);
    more.x.insert(more.x.end(), rest.begin(), rest.end());
    RnnRunner<double> two(context.get(), alone), five(context.get(), more);
    const std::vector<double> y = two.forward(VARLSTM_MODE_SAVE, kSeed).y;
    std::vector<double> of_five = five.forward(VARLSTM_MODE_SAVE, kSeed).y;
    of_five.resize(y.size());
    EXPECT_TRUE(bitwise_equal(of_five, y));
  }
}

// Without a seed there is no recurrent dropout, to the bit.
CELL_TEST(Options, DropNothingWithoutASeed) {
  const Context context = make_context();
  Random random(305);
  for (const int32_t kind :
       {VARLSTM_RECURRENT_DROPOUT_WEIGHTS, VARLSTM_RECURRENT_DROPOUT_STATE, VARLSTM_RECURRENT_DROPOUT_CANDIDATE}) {
    RnnOptions options = cell_options();
    options.input = 5;
    options.hidden = 21;
    options.bidirectional = true;
    options.recurrence =
        VARLSTM_RECURRENCE_STEPWISE;  // that of an option that acts; others have other bits in backward
    RnnCase<float> plain = make_rnn_case<float>(options, {3, 0, 7, 2}, true, random), dropped = plain;
    if (!set_dropout(dropped.options, kind)) continue;
    const RnnUpstream<float> upstream = make_upstream(plain, random);
    RnnRunner<float> one(context.get(), plain), other(context.get(), dropped);
    expect_same_bits(one, other, 0, upstream);
    EXPECT_TRUE(bitwise_equal(one.backward(upstream).dparams, other.backward(upstream).dparams));
    EXPECT_FALSE(bitwise_equal(one.forward(VARLSTM_MODE_SAVE, kSeed).y, other.forward(VARLSTM_MODE_SAVE, kSeed).y));
  }
}

// Those bytes, cut or followed by zeros.
std::vector<unsigned char> at_the_start_of(int64_t bytes, std::vector<unsigned char> first) {
  first.resize(static_cast<size_t>(bytes));
  return first;
}

// The gradients of a forward with other options would be wrong. The host refuses the call; CUDA's device raises a bit.
CELL_TEST(Options, ReserveOfOtherOptionsIsRefused) {
  const Context context = make_context();
  Random random(306);
  for (const Option& option : kOptions) {
    RnnOptions options = cell_options();
    options.input = 3;
    options.hidden = 4;
    const RnnCase<float> plain = make_rnn_case<float>(options, {2, 3}, false, random);
    if (!option.set(options)) continue;
    SCOPED_TRACE(option.name);
    RnnCase<float> changed = plain;
    changed.options = options;
    RnnRunner<float> one(context.get(), changed), other(context.get(), plain);
    one.forward(VARLSTM_MODE_SAVE, kSeed);
    other.forward(VARLSTM_MODE_SAVE, kSeed);
    one.reserve().set(at_the_start_of(one.reserve().bytes(), other.reserve().get()));
    const auto backward = [&] {
      return varlstm_rnn_backward(one.rnn(), one.batch(), one.params().data(), one.x().data(), nullptr, nullptr,
                                  one.y().data(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                  one.workspace().data(), one.workspace().bytes(), one.reserve().data(),
                                  one.reserve().bytes(), nullptr);
    };
    if (test_backend() == VARLSTM_BACKEND_HOST) {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "was not written by a forward", backward());
      continue;
    }
    ASSERT_OK(backward());
    int64_t bits = 0;
    ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, nullptr, nullptr));
    EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_RESERVE);
  }
}

// The share of drawn elements of each kind, which the other tests take from the same function.
TEST(OptionMask, IsDrawnWithItsProbability) {
  for (const MaskKind kind : {kWeightsMask, kStateMask, kCandidateMask, kZoneoutHMask, kZoneoutCMask}) {
    for (const double p : {0.1, 0.5, 0.9}) {
      int64_t drawn = 0;
      constexpr int64_t kCount = 20000;
      for (int64_t k = 0; k < kCount; ++k) drawn += is_drawn(kSeed, kind, 1, 1, k, p) ? 1 : 0;
      EXPECT_NEAR(static_cast<double>(drawn) / kCount, p, 5 * std::sqrt(p * (1 - p) / kCount)) << kind;
    }
  }
}

}  // namespace
}  // namespace varlstm_test
