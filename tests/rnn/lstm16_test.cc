// Every cell in BF16 and F16 against the same in double with the roundings of what the library says it stores: most
// elements are the same to the last bit, the rest a few units in the last place away. Without those roundings far fewer
// would be.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>

#include <algorithm>
#include <string>

#include "support/cell_options.h"
#include "support/cell_test.h"
#include "support/lengths.h"
#include "support/rnn16_runner.h"
#include "support/rnn_reference.h"

namespace varlstm_test {
namespace {

RnnCase<double> rounded(const Format16& format, RnnCase<double> problem) {
  for (auto* part : {&problem.params, &problem.x, &problem.h0, &problem.c0}) *part = format.round(*part);
  return problem;
}

// `rounding`: the reference rounds what is stored on the way, not only the results.
Rnn16Results run_reference(const Format16& format, const RnnCase<double>& problem, const RnnUpstream<double>& upstream,
                           bool rounding) {
  RnnReference<double> reference(problem, [&](double value) { return rounding ? format.round(value) : value; });
  Rnn16Results results;
  results.out = reference.forward();
  results.gradients = reference.backward(upstream);
  RnnGradients<double>& g = results.gradients;
  for (auto* part :
       {&results.out.y, &results.out.h_n, &results.out.c_n, &results.out.c, &g.dx, &g.dh0, &g.dc0, &g.dparams})
    *part = format.round(*part);
  return results;
}

// Elements that are the same in both, and the largest distance in units of the last place at the size of the largest
// element (gradients are sums whose terms are that large).
struct Agreement {
  int64_t same = 0, all = 0;
  double distance = 0;

  void add(const Format16& format, const std::vector<double>& a, const std::vector<double>& b) {
    ASSERT_EQ(a.size(), b.size());
    double largest = 0;
    for (const double value : b) largest = std::max(largest, std::fabs(value));
    for (size_t k = 0; k < a.size(); ++k) {
      ++all;
      same += a[k] == b[k] ? 1 : 0;
      ASSERT_TRUE(std::isfinite(a[k]));
      distance = std::max(distance, std::fabs(a[k] - b[k]) / format.ulp(largest));
    }
  }
  double share() const { return static_cast<double>(same) / static_cast<double>(all); }
};

void add_forward(const Format16& format, const Rnn16Results& a, const Rnn16Results& b, Agreement* agreement) {
  agreement->add(format, a.out.y, b.out.y);
  agreement->add(format, a.out.h_n, b.out.h_n);
  agreement->add(format, a.out.c_n, b.out.c_n);
  agreement->add(format, a.out.c, b.out.c);
}

void add_backward(const Format16& format, const Rnn16Results& a, const Rnn16Results& b, Agreement* agreement) {
  agreement->add(format, a.gradients.dx, b.gradients.dx);
  agreement->add(format, a.gradients.dh0, b.gradients.dh0);
  agreement->add(format, a.gradients.dc0, b.gradients.dc0);
  agreement->add(format, a.gradients.dparams, b.gradients.dparams);
}

class In16Bits : public CellTest {
 protected:
  void check_roundings(const Format16& format, bool with_options = false);
};

void In16Bits::check_roundings(const Format16& format, bool with_options) {
  Agreement forward, backward, forward_without, backward_without;
  Random random(23);
  const int64_t rounds = share(10, 6, 3);
  // RNN_RELU does not damp a difference: one element that was rounded the other way moves many after a few steps. So
  // does a GRU_RESET_BEFORE, which rounds twice in a step.
  const bool carries_on = cell().cell == VARLSTM_CELL_RNN_RELU || cell().cell == VARLSTM_CELL_GRU_RESET_BEFORE;
  const int64_t longest = carries_on ? 3 : 9;
  for (int64_t round = 0; round < rounds; ++round) {
    RnnOptions options = cell_options();
    options.input = random.integer(1, 20);
    options.hidden = random.integer(4, 40);
    options.layers = 1 + round % 2;
    options.bidirectional = round % 4 >= 2;
    options.bias = round % 3 != 0;
    options.cell_states = cell().has_c && round % 2 == 1;
    if (with_options && !set_all(options, static_cast<int32_t>(round % 3))) set_all(options, 0);
    const std::vector<int64_t> lengths = random_lengths(random.integer(2, 6), longest, random);
    RnnCase<double> problem = rounded(format, make_rnn_case<double>(options, lengths, true, random));
    if (with_options && round % 4 != 1) problem.seed = 99;
    RnnUpstream<double> upstream = make_upstream(problem, random);
    for (auto* part : {&upstream.dy, &upstream.dh_n, &upstream.dc_n, &upstream.dc}) *part = format.round(*part);
    SCOPED_TRACE(describe(problem));
    const Rnn16Results actual = run_rnn16(format, problem, upstream);
    const Rnn16Results expected = run_reference(format, problem, upstream, true);
    const Rnn16Results unrounded = run_reference(format, problem, upstream, false);
    add_forward(format, actual, expected, &forward);
    add_backward(format, actual, expected, &backward);
    add_forward(format, actual, unrounded, &forward_without);
    add_backward(format, actual, unrounded, &backward_without);
  }
  for (const Agreement& agreement : {forward, backward}) {
    // Zoneout carries on what one element was rounded the other way, and r * h or a normalisation takes it to all
    // units.
    const bool spreads = cell().cell == VARLSTM_CELL_GRU_RESET_BEFORE || cell_options().layer_norm;
    // The resident forward of an LSTM in BF16 uses tanh of the hardware (resident_math.h).
    const char* const policy = std::getenv("VARLSTM_RECURRENCE_POLICY");
    const bool is_resident = test_backend() == VARLSTM_BACKEND_CUDA &&
                             (policy == nullptr || std::string(policy) != "stepwise") && !with_options;
    const bool is_coarse = is_resident && cell().cell == VARLSTM_CELL_LSTM && !cell_options().layer_norm &&
                           cell_options().projection() == 0 && &format == &kBf16;
    EXPECT_GE(agreement.share(), is_coarse ? 0.94 : with_options || spreads ? 0.96 : 0.98);
    EXPECT_LE(agreement.distance, 2);
  }
  EXPECT_LE(forward_without.share(), 0.95) << "the reference's roundings make no difference";
  // Zoneout passes elements on as they are.
  EXPECT_LE(backward_without.share(), with_options ? 0.85 : 0.8) << "the reference's roundings make no difference";
  RecordProperty("forward_same", std::to_string(forward.share()));
  RecordProperty("backward_same", std::to_string(backward.share()));
}

using Bf16 = In16Bits;
COMBINED_CELL_TEST(Bf16, RoundsWhatItStoresAndNothingElse) {
  check_roundings(kBf16);
}

COMBINED_CELL_TEST(Bf16, RoundsWithOptionsOfTheCell) {
  check_roundings(kBf16, true);
}

using F16 = In16Bits;
COMBINED_CELL_TEST(F16, RoundsWhatItStoresAndNothingElse) {
  check_roundings(kF16);
}

COMBINED_CELL_TEST(F16, RoundsWithOptionsOfTheCell) {
  // On CUDA each type has kernels of its own.
  if (!every_case() && test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "Bf16 has the other cells";
  check_roundings(kF16, true);
}

}  // namespace
}  // namespace varlstm_test
