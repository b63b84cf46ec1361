// Gradients of every cell in double against central differences: every differentiable input, through y, h_n and c_n.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/cell_test.h"
#include "support/gradcheck.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

constexpr uint64_t kDropoutSeed = 77;

// The variables of a case in one vector: params, x, h0, c0.
std::vector<double> variables_of(const RnnCase<double>& problem) {
  std::vector<double> all;
  for (const auto* part : {&problem.params, &problem.x, &problem.h0, &problem.c0}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

RnnCase<double> with_variables(RnnCase<double> problem, const std::vector<double>& all) {
  auto next = all.begin();
  for (auto* part : {&problem.params, &problem.x, &problem.h0, &problem.c0}) {
    std::copy_n(next, part->size(), part->begin());
    next += static_cast<int64_t>(part->size());
  }
  return problem;
}

// At most `most` elements of each part, in random places.
std::vector<int64_t> some_of_each_part(const RnnCase<double>& problem, int64_t most, Random& random) {
  std::vector<int64_t> at;
  int64_t start = 0;
  for (const auto* part : {&problem.params, &problem.x, &problem.h0, &problem.c0}) {
    const int64_t count = static_cast<int64_t>(part->size());
    const std::vector<int64_t> order = random.permutation(count);
    for (int64_t k = 0; k < std::min(count, most); ++k) at.push_back(start + order[k]);
    start += count;
  }
  return at;
}

// `elements` of each part are moved.
void check_gradients(varlstm_ctx* context, const RnnCase<double>& problem, int64_t elements, Random& random) {
  SCOPED_TRACE(describe(problem));
  const RnnUpstream<double> upstream = make_upstream(problem, random);
  const uint64_t seed = problem.options.dropout > 0.0 ? kDropoutSeed : 0;
  RnnRunner<double> runner(context, problem);
  runner.forward(VARLSTM_MODE_SAVE, seed);
  const RnnGradients<double> gradients = runner.backward(upstream);

  std::vector<double> analytic;
  for (const auto* part : {&gradients.dparams, &gradients.dx}) {
    analytic.insert(analytic.end(), part->begin(), part->end());
  }
  if (!problem.h0.empty()) {
    for (const auto* part : {&gradients.dh0, &gradients.dc0}) {
      analytic.insert(analytic.end(), part->begin(), part->end());
    }
  }
  const ScalarFunction f = [&](const std::vector<double>& variables) {
    runner.set(with_variables(problem, variables));
    const RnnOutputs<double> out = runner.forward(VARLSTM_MODE_INFER, seed);
    return dot(upstream.dy, out.y) + dot(upstream.dh_n, out.h_n) + dot(upstream.dc_n, out.c_n);
  };
  EXPECT_TRUE(gradient_matches(f, variables_of(problem), analytic, some_of_each_part(problem, elements, random)));
}

class Gradient : public CellTest {
 protected:
  // A forward pass takes milliseconds if each of a kernel's threads is emulated.
  int64_t checked_elements() const { return test_backend() == VARLSTM_BACKEND_HOST ? share(40, 10) : share(2, 1); }
  bool takes(LengthKind kind, int variant) const {
    if (every_case()) return true;
    return few_cases() ? variant % 8 == static_cast<int>(kind) % 8 : variant % 3 != 2;
  }
};

// 160 shapes: 1-3 layers x directions x bias x state x (no) dropout x 10 kinds of lengths, sizes at random, every other
// one with ragged rows. Cells beside the LSTM: 110 of them; emulated 20.
CELL_TEST(Gradient, MatchesCentralDifferences) {
  const Context context = make_context(1);
  Random random(2024);
  int64_t shapes = 0;
  for (const LengthKind kind : kLengthKinds) {
    for (int variant = 0; variant < 16; ++variant) {
      if (!takes(kind, variant)) continue;
      RnnOptions options = cell_options();
      options.input = random.integer(1, 4);
      options.hidden = random.integer(1, 5);
      options.layers = random.integer(1, 3);
      options.bidirectional = (variant & 1) != 0;
      options.bias = (variant & 2) != 0;
      options.dropout = (variant & 8) != 0 ? 0.4 : 0.0;
      options.rows = shapes / 16 % 2 == variant % 2 ? VARLSTM_ROWS_PACKED : VARLSTM_ROWS_RAGGED;
      const std::vector<int64_t> lengths = make_lengths(kind, random.integer(1, 5), 6, random);
      check_gradients(context.get(), make_rnn_case<double>(options, lengths, (variant & 4) != 0, random),
                      checked_elements(), random);
      ++shapes;
    }
  }
  EXPECT_EQ(shapes, share(160, 110, 20));
}

// The same with resets inside the sequences; 160 shapes a cell, emulated 20.
CELL_TEST(Gradient, MatchesCentralDifferencesWithResets) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the CUDA back end has no resets yet";
  const Context context = make_context(1);
  Random random(2025);
  int64_t shapes = 0, resets = 0;
  for (const LengthKind kind : kLengthKinds) {
    for (int variant = 0; variant < 16; ++variant) {
      if (test_backend() != VARLSTM_BACKEND_HOST && variant % 8 != static_cast<int>(kind) % 8) continue;
      RnnOptions options = cell_options();
      options.input = random.integer(1, 3);
      options.hidden = random.integer(1, 4);
      options.layers = random.integer(1, 2);
      options.bidirectional = (variant & 1) != 0;
      options.bias = (variant & 2) != 0;
      options.dropout = (variant & 8) != 0 ? 0.4 : 0.0;
      options.rows = shapes / 16 % 2 == variant % 2 ? VARLSTM_ROWS_PACKED : VARLSTM_ROWS_RAGGED;
      const std::vector<int64_t> lengths = make_lengths(kind, random.integer(1, 5), 6, random);
      auto problem = make_rnn_case<double>(options, lengths, (variant & 4) != 0, random);
      add_resets(problem, 0.3, random);
      for (const uint8_t reset : problem.resets) resets += reset;
      check_gradients(context.get(), problem, std::min<int64_t>(checked_elements(), 12), random);
      ++shapes;
    }
  }
  EXPECT_EQ(shapes, test_backend() == VARLSTM_BACKEND_HOST ? 160 : 20);
  EXPECT_GT(resets, shapes);
}

// Sizes beyond a vector register and a panel of the fast paths, and off their multiples.
CELL_TEST(Gradient, MatchesCentralDifferencesAtLargerSizes) {
  const Context context = make_context(1);
  Random random(7);
  for (const int64_t hidden : {16, 33}) {
    for (const bool bidirectional : {false, true}) {
      if (!every_case() && (bidirectional != (hidden == 33) || (few_cases() && hidden == 33))) continue;
      RnnOptions options = cell_options();
      options.input = 19;
      options.hidden = hidden;
      options.layers = 2;
      options.bidirectional = bidirectional;
      const std::vector<int64_t> lengths = make_lengths(LengthKind::kZerosAmong, 9, 12, random);
      check_gradients(context.get(), make_rnn_case<double>(options, lengths, true, random), checked_elements(), random);
    }
  }
}

}  // namespace
}  // namespace varlstm_test
