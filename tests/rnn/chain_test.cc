// The whole chain embedding -> pack -> LSTM -> linear -> masked cross-entropy: its gradient in double against central
// differences, over hostile lengths, and its four ways to the same numbers.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/compare.h"
#include "support/gradcheck.h"
#include "support/tagger_chain.h"

namespace varlstm_test {
namespace {

using Params = ChainParams<double>;
constexpr std::vector<double> Params::*kParts[] = {&Params::table, &Params::rnn, &Params::weight, &Params::bias};

struct Problem {
  ChainShape shape;
  std::vector<int64_t> ids, targets;
  Params params;
};

int64_t tokens_of(const ChainShape& shape) {
  return exact_bounds(shape.lengths).max_tokens;
}

// A share of the targets is ignored; class 1 is the value that ignores, inside [0, C), in every second problem.
Problem random_problem(LengthKind kind, int variant, Random& random) {
  Problem p;
  p.shape.rnn.input = random.integer(1, 4);
  p.shape.rnn.hidden = random.integer(1, 5);
  p.shape.rnn.layers = random.integer(1, 2);
  p.shape.rnn.bidirectional = random.coin();
  p.shape.rnn.dropout = random.coin() ? 0.25 : 0.0;
  p.shape.vocab = random.integer(3, 7);
  p.shape.classes = random.integer(2, 5);
  p.shape.lengths = make_lengths(kind, random.integer(1, 5), 6, random);
  p.shape.embed_padded = (variant & 1) != 0;
  p.shape.fused = (variant & 2) != 0;
  p.shape.ignore_index = random.coin() ? 1 : -100;
  const int64_t tokens = tokens_of(p.shape);
  p.ids = random.integers(tokens, 0, p.shape.vocab - 1);
  p.targets = random.integers(tokens, 0, p.shape.classes - 1);
  for (int64_t& target : p.targets) target = random.integer(0, 3) == 0 ? p.shape.ignore_index : target;
  if (tokens > 0) p.targets[0] = 0;  // at least one is kept
  p.params = random_chain_params<double>(p.shape, random);
  return p;
}

TEST(Chain, GradientMatchesCentralDifferences) {
  const Context context = make_context(1);
  Random random(99);
  for (const LengthKind kind : kLengthKinds) {
    for (int variant = 0; variant < 4; ++variant) {
      const Problem p = random_problem(kind, variant, random);
      if (tokens_of(p.shape) == 0) continue;  // no token, no mean
      SCOPED_TRACE(std::string(length_kind_name(kind)) + " " + to_string(p.shape.lengths));
      TaggerChain<double> chain(context.get(), p.shape, p.ids, p.targets);
      const ChainResult<double> result = chain.run(p.params, 5);
      for (std::vector<double> Params::*part : kParts) {
        Params moved = p.params;
        const ScalarFunction loss = [&](const std::vector<double>& values) {
          moved.*part = values;
          return chain.run(moved, 5).loss[0];
        };
        std::vector<int64_t> at = random.permutation(static_cast<int64_t>((p.params.*part).size()));
        at.resize(std::min<size_t>(at.size(), emulated() ? 10 : 30));
        EXPECT_TRUE(gradient_matches(loss, p.params.*part, result.gradients.*part, at));
      }
    }
  }
}

// Packed ids or padded rows, fused or not: the same function. Sums over the rows of the table and the order of the
// loss's terms may differ, so the numbers agree to rounding.
TEST(Chain, EveryWayGivesTheSameNumbers) {
  const Context context = make_context();
  Random random(100);
  for (const LengthKind kind : kLengthKinds) {
    Problem p = random_problem(kind, 0, random);
    if (tokens_of(p.shape) == 0) continue;
    const ChainResult<double> first = TaggerChain<double>(context.get(), p.shape, p.ids, p.targets).run(p.params, 5);
    for (int variant = 1; variant < 4; ++variant) {
      p.shape.embed_padded = (variant & 1) != 0;
      p.shape.fused = (variant & 2) != 0;
      const ChainResult<double> other = TaggerChain<double>(context.get(), p.shape, p.ids, p.targets).run(p.params, 5);
      EXPECT_TRUE(all_close(other.loss, first.loss, 1e-13, 0.0));
      for (std::vector<double> Params::*part : kParts) {
        EXPECT_TRUE(all_close(other.gradients.*part, first.gradients.*part, 1e-12, 1e-14));
      }
    }
  }
}

// padding_idx takes the gradient of its own row away and nothing else.
TEST(Chain, PaddingIdxZeroesItsRowAlone) {
  const Context context = make_context();
  Random random(101);
  Problem p = random_problem(LengthKind::kUniform, 0, random);
  p.ids[0] = 2;
  const ChainResult<double> with = TaggerChain<double>(context.get(), p.shape, p.ids, p.targets).run(p.params);
  p.shape.padding_idx = 2;
  const ChainResult<double> without = TaggerChain<double>(context.get(), p.shape, p.ids, p.targets).run(p.params);
  std::vector<double> expected = with.gradients.table;
  const int64_t features = p.shape.rnn.input;
  EXPECT_NE(expected[2 * features], 0.0);
  std::fill_n(expected.begin() + 2 * features, features, 0.0);
  EXPECT_TRUE(bitwise_equal(without.gradients.table, expected));
  EXPECT_TRUE(bitwise_equal(without.gradients.rnn, with.gradients.rnn));
}

// Nothing to learn from: no token, or every target ignored. The mean is NaN, the gradients are 0.
TEST(Chain, WithoutAKeptTargetGradientsAreZero) {
  const Context context = make_context();
  Random random(102);
  for (const LengthKind kind : {LengthKind::kAllZero, LengthKind::kTies}) {
    for (int variant = 0; variant < 4; ++variant) {
      Problem p = random_problem(kind, variant, random);
      std::fill(p.targets.begin(), p.targets.end(), p.shape.ignore_index);
      const ChainResult<double> result = TaggerChain<double>(context.get(), p.shape, p.ids, p.targets).run(p.params, 5);
      EXPECT_TRUE(std::isnan(result.loss[0]));
      for (std::vector<double> Params::*part : kParts) {
        const std::vector<double>& gradient = result.gradients.*part;
        EXPECT_TRUE(all_close(gradient, std::vector<double>(gradient.size(), 0.0), 0.0, 0.0));
      }
    }
  }
}

}  // namespace
}  // namespace varlstm_test
