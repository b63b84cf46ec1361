// What may not leak: what padding, workspaces and reserves held before, a NaN of one sequence into another, a NaN of a
// masked token into the loss.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "support/cell_test.h"
#include "support/compare.h"
#include "support/rnn_runner.h"
#include "support/sequence_slice.h"
#include "support/tagger_chain.h"

namespace varlstm_test {
namespace {

template <class T, class Base>
class IsolationOf : public Base {
 protected:
  Context context_ = make_context();
  Random random_{61};

  static T nan() { return std::numeric_limits<T>::quiet_NaN(); }
};

// What does not depend on the cell.
template <class T>
using Isolation = IsolationOf<T, ::testing::Test>;
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Isolation, Scalars);

template <class T>
using CellIsolation = IsolationOf<T, CellTest>;

RnnOptions with_shape(RnnOptions options, int64_t input, int64_t hidden, int64_t layers, bool bidirectional) {
  options.input = input;
  options.hidden = hidden;
  options.layers = layers;
  options.bidirectional = bidirectional;
  return options;
}

// Workspaces and reserves full of NaN or of random bytes, at exact and at loose bounds.
CELL_SCALAR_TEST(CellIsolation, MemoryBeforeTheCallDoesNotMatter) {
  for (const LengthKind kind : kLengthKinds) {
    if (this->few_cases() && kind != LengthKind::kZerosAmong) continue;
    for (const bool both : {false, true}) {
      RnnOptions options = with_shape(this->cell_options(), 7, 19, 3, both);
      options.dropout = 0.3;
      const auto problem =
          make_rnn_case<TypeParam>(options, make_lengths(kind, 7, 9, this->random_), both, this->random_);
      SCOPED_TRACE(describe(problem));
      const auto upstream = make_upstream(problem, this->random_);
      const Bounds exact = exact_bounds(problem.lengths);
      RnnRunner<TypeParam> first(this->context_.get(), problem, exact, Fill::kNan);
      const auto outputs = first.forward(VARLSTM_MODE_SAVE, 4);
      const auto gradients = first.backward(upstream);
      EXPECT_TRUE(all_finite(gradients.dparams));
      struct {
        Bounds bounds;
        uint64_t seed;
      } const others[] = {{exact, 1}, {Bounds{9, 30, 100}, 2}};
      for (const auto& [bounds, seed] : others) {
        RnnRunner<TypeParam> other(this->context_.get(), problem, bounds, Fill::kRandomBytes, seed);
        const auto other_outputs = other.forward(VARLSTM_MODE_SAVE, 4);
        const auto other_gradients = other.backward(upstream);
        EXPECT_TRUE(bitwise_equal(other_outputs.y, outputs.y));
        EXPECT_TRUE(bitwise_equal(other_outputs.h_n, outputs.h_n));
        EXPECT_TRUE(bitwise_equal(other_outputs.c_n, outputs.c_n));
        EXPECT_TRUE(bitwise_equal(other_gradients.dx, gradients.dx));
        EXPECT_TRUE(bitwise_equal(other_gradients.dh0, gradients.dh0));
        EXPECT_TRUE(bitwise_equal(other_gradients.dc0, gradients.dc0));
        EXPECT_TRUE(bitwise_equal(other_gradients.dparams, gradients.dparams));
      }
    }
  }
}

TYPED_TEST(Isolation, MemoryBeforeTheChainDoesNotMatter) {
  ChainShape shape;
  shape.rnn = with_shape({}, 5, 9, 2, true);
  shape.vocab = 11;
  shape.classes = 4;
  for (const LengthKind kind : kLengthKinds) {
    if (kind == LengthKind::kAllZero) continue;
    shape.lengths = make_lengths(kind, 6, 8, this->random_);
    const int64_t tokens = exact_bounds(shape.lengths).max_tokens;
    const std::vector<int64_t> ids = this->random_.integers(tokens, 0, 10);
    const std::vector<int64_t> targets = this->random_.integers(tokens, 0, 3);
    const auto params = random_chain_params<TypeParam>(shape, this->random_);
    for (const bool padded : {false, true}) {
      shape.embed_padded = shape.fused = padded;
      const auto run = [&](Fill fill) {
        return TaggerChain<TypeParam>(this->context_.get(), shape, ids, targets, {}, {}, fill).run(params);
      };
      const auto expected = run(Fill::kNan), actual = run(Fill::kRandomBytes);
      EXPECT_TRUE(all_finite(expected.loss));
      EXPECT_TRUE(bitwise_equal(actual.loss, expected.loss));
      EXPECT_TRUE(bitwise_equal(actual.gradients.table, expected.gradients.table));
      EXPECT_TRUE(bitwise_equal(actual.gradients.rnn, expected.gradients.rnn));
      EXPECT_TRUE(bitwise_equal(actual.gradients.weight, expected.gradients.weight));
      EXPECT_TRUE(bitwise_equal(actual.gradients.bias, expected.gradients.bias));
    }
  }
}

// Padding full of NaN on the way in, gradients of padding full of NaN on the way back: never read.
TYPED_TEST(Isolation, PaddingIsNeverRead) {
  const int64_t features = 3;
  for (const LengthKind kind : kLengthKinds) {
    const std::vector<int64_t> lengths = make_lengths(kind, 6, 8, this->random_);
    const Batch batch = make_batch(this->context_.get(), lengths);
    const Bounds bounds = exact_bounds(lengths);
    const int64_t padded_len = bounds.max_len + 2;
    const auto ragged = this->random_.template vector<TypeParam>(bounds.max_tokens * features);
    const auto expected = ragged_to_packed(lengths, features, ragged);
    for (const bool time_major : {false, true}) {
      std::vector<TypeParam> padded(lengths.size() * padded_len * features, this->nan());
      for (size_t b = 0, row = 0; b < lengths.size(); ++b) {
        for (int64_t t = 0; t < lengths[b]; ++t, ++row) {
          const size_t at = time_major ? t * lengths.size() + b : b * padded_len + t;
          std::copy_n(ragged.begin() + row * features, features, padded.begin() + at * features);
        }
      }
      const int32_t layout = time_major ? VARLSTM_LAYOUT_TIME_MAJOR : VARLSTM_LAYOUT_BATCH_FIRST;
      const Buffer<TypeParam> source(this->context_.get(), padded);
      Buffer<TypeParam> packed(this->context_.get(), expected.size()), back(this->context_.get(), padded.size());
      ASSERT_OK(varlstm_pack(batch.get(), kDType<TypeParam>, layout, padded_len, features, source.data(), packed.data(),
                             nullptr));
      EXPECT_TRUE(bitwise_equal(packed.get(), expected));
      ASSERT_OK(varlstm_unpack(batch.get(), kDType<TypeParam>, layout, padded_len, features, this->nan(), packed.data(),
                               back.data(), nullptr));
      EXPECT_TRUE(all_close(back.get(), padded, 0.0, 0.0));
      packed.fill_random_bytes(8);
      ASSERT_OK(varlstm_unpack_backward(batch.get(), kDType<TypeParam>, layout, padded_len, features, source.data(),
                                        packed.data(), nullptr));
      EXPECT_TRUE(bitwise_equal(packed.get(), expected));
      ASSERT_OK(varlstm_pack_backward(batch.get(), kDType<TypeParam>, layout, padded_len, features, packed.data(),
                                      back.data(), nullptr));
      for (TypeParam& value : padded) value = std::isnan(value) ? TypeParam(0) : value;
      EXPECT_TRUE(bitwise_equal(back.get(), padded));
    }
  }
}

// NaN or infinity at one input of one sequence: every other sequence keeps its bits, forward and backward. Emulated,
// NaN goes in both directions and infinity in one.
CELL_SCALAR_TEST(CellIsolation, NanStaysInItsSequence) {
  const TypeParam poisons[] = {this->nan(), std::numeric_limits<TypeParam>::infinity()};
  for (const bool both : {false, true}) {
    if (this->few_cases() && !both) continue;
    const std::vector<int64_t> lengths = {4, 0, 6, 1, 6, 3, 2, 5, 1};
    const auto clean =
        make_rnn_case<TypeParam>(with_shape(this->cell_options(), 3, 21, 2, both), lengths, true, this->random_);
    const auto upstream = make_upstream(clean, this->random_);
    RnnRunner<TypeParam> runner(this->context_.get(), clean);
    const auto outputs = runner.forward();
    const auto gradients = runner.backward(upstream);
    int64_t row = 0;
    for (int64_t b = 0; b < clean.batch(); row += lengths[b], ++b) {
      std::vector<int64_t> others = this->random_.permutation(clean.batch());
      others.erase(std::find(others.begin(), others.end(), b));
      for (int where = 0; where < (clean.has_c() ? 3 : 2); ++where) {
        for (const TypeParam poison : poisons) {
          if (emulated() && std::isnan(poison) != both) continue;
          auto poisoned = clean;
          if (where == 0 && lengths[b] == 0) continue;
          if (where == 0) poisoned.x[(row + lengths[b] / 2) * clean.options.input] = poison;
          if (where == 1) poisoned.h0[b * clean.options.state()] = poison;
          if (where == 2) poisoned.c0[b * clean.options.hidden + 20] = poison;
          SCOPED_TRACE("sequence " + std::to_string(b) + ", input " + std::to_string(where));
          runner.set(poisoned);
          const auto actual = select(clean, runner.forward(), others);
          const auto expected = select(clean, outputs, others);
          EXPECT_TRUE(bitwise_equal(actual.y, expected.y));
          EXPECT_TRUE(bitwise_equal(actual.h_n, expected.h_n));
          EXPECT_TRUE(bitwise_equal(actual.c_n, expected.c_n));
          const auto actual_gradients = select(clean, runner.backward(upstream), others);
          const auto expected_gradients = select(clean, gradients, others);
          EXPECT_TRUE(bitwise_equal(actual_gradients.dx, expected_gradients.dx));
          EXPECT_TRUE(bitwise_equal(actual_gradients.dh0, expected_gradients.dh0));
          EXPECT_TRUE(bitwise_equal(actual_gradients.dc0, expected_gradients.dc0));
        }
      }
    }
  }
}

// A NaN is not swallowed either: from the poisoned token on, the sequence's own outputs are NaN; before it they keep
// their bits (one direction).
CELL_SCALAR_TEST(CellIsolation, NanReachesItsOwnSequence) {
  const std::vector<int64_t> lengths = {2, 5, 3};
  const auto clean =
      make_rnn_case<TypeParam>(with_shape(this->cell_options(), 3, 21, 1, false), lengths, false, this->random_);
  RnnRunner<TypeParam> runner(this->context_.get(), clean);
  const auto outputs = runner.forward();
  auto poisoned = clean;
  poisoned.x[(2 + 3) * 3 + 1] = this->nan();  // step 3 of the second sequence
  runner.set(poisoned);
  const auto actual = select(clean, runner.forward(), {1});
  auto expected = select(clean, outputs, {1});
  std::fill(expected.y.begin() + 3 * clean.output_features(), expected.y.end(), this->nan());
  std::fill(expected.h_n.begin(), expected.h_n.end(), this->nan());
  std::fill(expected.c_n.begin(), expected.c_n.end(), this->nan());
  EXPECT_TRUE(all_close(actual.y, expected.y, 0.0, 0.0));
  EXPECT_TRUE(all_close(actual.h_n, expected.h_n, 0.0, 0.0));
  EXPECT_TRUE(all_close(actual.c_n, expected.c_n, 0.0, 0.0));
}

// A sequence whose tokens are all ignored adds exactly 0, even where its logits are NaN; its gradient is 0.
TYPED_TEST(Isolation, MaskedNanAddsNothing) {
  const int64_t classes = 4, rows = 6;
  const std::vector<int64_t> targets = {0, -100, 3, 2, -100, 1};
  auto logits = this->random_.template vector<TypeParam>(rows * classes);
  auto poisoned = logits;
  for (const int64_t row : {1, 4}) std::fill_n(poisoned.begin() + row * classes, classes, this->nan());
  const Buffer<int64_t> labels(this->context_.get(), targets);
  const Loss loss = make_loss(this->context_.get(), classes);
  ASSERT_OK(varlstm_loss_set_f64(loss.get(), VARLSTM_KEY_LABEL_SMOOTHING, 0.1));
  for (const int32_t reduction : {VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_MEAN, VARLSTM_REDUCTION_SUM}) {
    ASSERT_OK(varlstm_loss_set_i64(loss.get(), VARLSTM_KEY_REDUCTION, reduction));
    std::vector<std::vector<TypeParam>> out, gradient;
    for (const auto& values : {logits, poisoned}) {
      Buffer<TypeParam> input(this->context_.get(), values), dlogits(this->context_.get(), rows * classes);
      Buffer<TypeParam> result(this->context_.get(), reduction == VARLSTM_REDUCTION_NONE ? rows : 1);
      int64_t bytes = 0;
      ASSERT_OK(varlstm_op_workspace(this->context_.get(), VARLSTM_OP_CROSS_ENTROPY, kDType<TypeParam>, rows, classes,
                                     0, &bytes));
      ByteBuffer work(this->context_.get(), bytes);
      ASSERT_OK(varlstm_cross_entropy_forward(loss.get(), nullptr, kDType<TypeParam>, rows, input.data(), labels.data(),
                                              nullptr, result.data(), nullptr, dlogits.data(), work.data(), bytes,
                                              nullptr));
      out.push_back(result.get());
      gradient.push_back(dlogits.get());
    }
    EXPECT_TRUE(all_finite(out[0]));
    EXPECT_TRUE(bitwise_equal(out[1], out[0]));
    EXPECT_TRUE(bitwise_equal(gradient[1], gradient[0]));
    EXPECT_EQ(gradient[0][classes], TypeParam(0));
  }
}

}  // namespace
}  // namespace varlstm_test
