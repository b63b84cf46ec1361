// Gradients of every cell in double against central differences: every differentiable input, through y, h_n and c_n.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "support/cell_test.h"
#include "support/rnn_gradcheck.h"

namespace varlstm_test {
namespace {

constexpr uint64_t kDropoutSeed = 77;

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
      auto problem = make_rnn_case<double>(options, lengths, (variant & 4) != 0, random);
      if (options.dropout > 0) problem.seed = kDropoutSeed;
      check_gradients(context.get(), problem, checked_elements(), random);
      ++shapes;
    }
  }
  EXPECT_EQ(shapes, share(160, 110, 20));
}

// The same with resets inside the sequences; 160 shapes a cell, emulated 20.
CELL_TEST(Gradient, MatchesCentralDifferencesWithResets) {
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
      if (options.dropout > 0) problem.seed = kDropoutSeed;
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
