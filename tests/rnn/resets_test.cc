// A batch with resets, against the pieces of its sequences as sequences of their own: the same bits, but for the
// gradients of the parameters, which are summed in another order. And what varlstm_batch_set_resets refuses.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "support/cell_test.h"
#include "support/check_status.h"
#include "support/compare.h"
#include "support/lengths.h"
#include "support/rnn16_runner.h"
#include "support/rnn_runner.h"

namespace varlstm_test {
namespace {

struct Piece {
  int64_t sequence;
  int64_t length;
  bool first, last;  // of its sequence
  bool reset;        // there is one at its first token
};

// The pieces of all sequences, in the order of their rows.
template <class T>
std::vector<Piece> pieces_of(const RnnCase<T>& problem) {
  std::vector<Piece> pieces;
  int64_t row = 0;
  for (int64_t b = 0; b < problem.batch(); ++b) {
    const int64_t length = problem.lengths[b];
    if (length == 0) pieces.push_back({b, 0, true, true, false});
    for (int64_t t = 0; t < length; ++t) {
      if (t == 0 || problem.resets[row + t] == 1) pieces.push_back({b, 0, t == 0, false, problem.resets[row + t] == 1});
      ++pieces.back().length;
      pieces.back().last = t + 1 == length;
    }
    row += length;
  }
  return pieces;
}

// Whether a direction starts the piece from its sequence's initial state, and whether it ends with the final one.
bool takes_initial(const Piece& piece, bool reverse) {
  return reverse ? piece.last : piece.first && !piece.reset;
}
bool gives_final(const Piece& piece, bool reverse) {
  return reverse ? piece.first : piece.last;
}

// States [L*D, pieces, width] from states [L*D, B, width]: those of the pieces that `takes`, and zeros for the others.
template <class T, class Takes>
std::vector<T> to_pieces(const RnnOptions& options, int64_t batch, const std::vector<Piece>& pieces,
                         const std::vector<T>& states, const Takes& takes) {
  const int64_t entries = options.layers * options.directions(), count = static_cast<int64_t>(pieces.size());
  if (states.empty()) return {};
  const int64_t width = static_cast<int64_t>(states.size()) / (entries * batch);
  std::vector<T> result(entries * count * width, T(0));
  for (int64_t e = 0; e < entries; ++e)
    for (int64_t k = 0; k < count; ++k)
      if (takes(pieces[k], e % options.directions() == 1))
        std::copy_n(states.begin() + (e * batch + pieces[k].sequence) * width, width,
                    result.begin() + (e * count + k) * width);
  return result;
}

// The way back; what no piece gives is zeros.
template <class T, class Gives>
std::vector<T> from_pieces(const RnnOptions& options, int64_t batch, const std::vector<Piece>& pieces,
                           const std::vector<T>& states, const Gives& gives) {
  const int64_t entries = options.layers * options.directions(), count = static_cast<int64_t>(pieces.size());
  if (states.empty()) return {};
  const int64_t width = static_cast<int64_t>(states.size()) / (entries * count);
  std::vector<T> result(entries * batch * width, T(0));
  for (int64_t e = 0; e < entries; ++e)
    for (int64_t k = 0; k < count; ++k)
      if (gives(pieces[k], e % options.directions() == 1))
        std::copy_n(states.begin() + (e * count + k) * width, width,
                    result.begin() + (e * batch + pieces[k].sequence) * width);
  return result;
}

// The same problem with the pieces as sequences.
template <class T>
RnnCase<T> as_pieces(const RnnCase<T>& problem, const std::vector<Piece>& pieces) {
  RnnCase<T> result = problem;
  result.options.resets = false;
  result.resets.clear();
  result.lengths.clear();
  for (const Piece& piece : pieces) result.lengths.push_back(piece.length);
  result.h0 = to_pieces(problem.options, problem.batch(), pieces, problem.h0, takes_initial);
  result.c0 = to_pieces(problem.options, problem.batch(), pieces, problem.c0, takes_initial);
  return result;
}

// What a batch gave, and its pieces.
template <class T>
void expect_bits_of_pieces(const RnnCase<T>& problem, const std::vector<Piece>& pieces, const RnnOutputs<T>& out,
                           const RnnGradients<T>& gradients, const RnnOutputs<T>& expected,
                           const RnnGradients<T>& of_pieces, double tolerance) {
  const auto back = [&](const std::vector<T>& states, const auto& gives) {
    return from_pieces(problem.options, problem.batch(), pieces, states, gives);
  };
  EXPECT_TRUE(all_finite(out.y));
  EXPECT_TRUE(bitwise_equal(out.y, expected.y));
  EXPECT_TRUE(bitwise_equal(out.h_n, back(expected.h_n, gives_final)));
  EXPECT_TRUE(bitwise_equal(out.c_n, back(expected.c_n, gives_final)));
  EXPECT_TRUE(bitwise_equal(out.c, expected.c));
  EXPECT_TRUE(bitwise_equal(gradients.dx, of_pieces.dx));
  EXPECT_TRUE(bitwise_equal(gradients.dh0, back(of_pieces.dh0, takes_initial)));
  EXPECT_TRUE(bitwise_equal(gradients.dc0, back(of_pieces.dc0, takes_initial)));
  EXPECT_TRUE(all_close(gradients.dparams, of_pieces.dparams, 0, tolerance * largest(of_pieces.dparams)));
}

// The gradients of a batch's results as those of its pieces.
template <class T>
RnnUpstream<T> as_pieces(const RnnCase<T>& problem, const std::vector<Piece>& pieces, const RnnUpstream<T>& upstream) {
  return {upstream.dy, to_pieces(problem.options, problem.batch(), pieces, upstream.dh_n, gives_final),
          to_pieces(problem.options, problem.batch(), pieces, upstream.dc_n, gives_final), upstream.dc};
}

// Runs both and compares them.
template <class T>
void compare_with_pieces(varlstm_ctx* context, const RnnCase<T>& problem, Random& random) {
  SCOPED_TRACE(describe(problem));
  const std::vector<Piece> pieces = pieces_of(problem);
  const RnnUpstream<T> upstream = make_upstream(problem, random);
  RnnRunner<T> whole(context, problem), apart(context, as_pieces(problem, pieces));
  const RnnOutputs<T> out = whole.forward(), expected = apart.forward();
  expect_bits_of_pieces(problem, pieces, out, whole.backward(upstream), expected,
                        apart.backward(as_pieces(problem, pieces, upstream)), sizeof(T) == 8 ? 1e-13 : 1e-5);
  const RnnOutputs<T> inferred = whole.forward(VARLSTM_MODE_INFER);
  EXPECT_TRUE(bitwise_equal(inferred.y, out.y));
  EXPECT_TRUE(bitwise_equal(inferred.h_n, out.h_n));
  EXPECT_TRUE(bitwise_equal(inferred.c_n, out.c_n));
  EXPECT_TRUE(bitwise_equal(inferred.c, out.c));
}

// Zeros at each end and in between, ties, no token at all.
std::vector<std::vector<int64_t>> batches() {
  return {{0, 3, 0, 5, 1, 5, 0}, {2, 1, 2, 4, 0, 1, 3, 2, 1, 6, 1, 2}, {9}, {1, 7, 3}, {0, 0}, {}};
}

template <class>
using Resets = CellTest;

CELL_SCALAR_TEST(Resets, AreTheBitsOfThePieces) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(81);
  int round = 0;
  for (const std::vector<int64_t>& lengths : batches()) {
    for (const double probability : {0.0, 0.3, 1.0}) {
      RnnOptions options = this->cell_options();
      options.input = random.integer(1, 9);
      options.hidden = random.integer(1, 37);
      options.layers = 1 + round % 2;
      options.bidirectional = round / 2 % 2 == 1;
      options.bias = round % 3 != 0;
      options.cell_states = this->cell().has_c && round % 3 == 2;
      options.rows = round % 5 < 2 ? VARLSTM_ROWS_PACKED : VARLSTM_ROWS_RAGGED;
      auto problem = make_rnn_case<T>(options, lengths, round % 4 != 2, random);
      add_resets(problem, probability, random);
      compare_with_pieces(context.get(), problem, random);
      ++round;
    }
  }
}

// In 16 bits, where the states are rounded between the tokens. The parameters' gradients are rounded sums.
using ResetsIn16Bits = CellTest;
CELL_TEST(ResetsIn16Bits, AreTheBitsOfThePieces) {
  Random random(84);
  int round = 0;
  for (const Format16& format : {kBf16, kF16}) {
    for (const std::vector<int64_t>& lengths : batches()) {
      if (++round % 3 != 1 && emulated()) continue;
      RnnOptions options = cell_options();
      options.input = random.integer(1, 9);
      options.hidden = random.integer(1, 37);
      options.layers = 1 + round % 2;
      options.bidirectional = round / 2 % 2 == 1;
      options.rows = round % 4 == 0 ? VARLSTM_ROWS_PACKED : VARLSTM_ROWS_RAGGED;
      options.cell_states = cell().has_c && round % 4 == 1;
      auto problem = make_rnn_case<double>(options, lengths, true, random);
      add_resets(problem, 0.4, random);
      SCOPED_TRACE(describe(problem));
      const std::vector<Piece> pieces = pieces_of(problem);
      const RnnUpstream<double> upstream = make_upstream(problem, random);
      const Rnn16Results whole = run_rnn16(format, problem, upstream);
      const Rnn16Results apart = run_rnn16(format, as_pieces(problem, pieces), as_pieces(problem, pieces, upstream));
      expect_bits_of_pieces(problem, pieces, whole.out, whole.gradients, apart.out, apart.gradients, 0.02);
    }
  }
}

// Shapes whose recurrence the host shares out by segments and by hidden units.
using ResetsThreads = CellTest;
CELL_TEST(ResetsThreads, AreTheBitsOfThePieces) {
  if (test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "threads are the host's";
  Random random(83);
  for (const bool by_segment : {true, false}) {
    RnnOptions options = cell_options();
    options.input = 40;
    options.hidden = by_segment ? 70 : 257;
    options.bidirectional = by_segment;
    // More segments than a member takes through their steps together.
    const std::vector<int64_t> lengths = make_lengths(LengthKind::kUniform, by_segment ? 60 : 30, 20, random);
    auto problem = make_rnn_case<float>(options, lengths, true, random);
    add_resets(problem, 0.6, random);
    for (const int64_t threads : {1, 2, 5}) {
      const Context context = make_context(threads);
      compare_with_pieces(context.get(), problem, random);
    }
  }
}

// A batch of three sequences, set up by hand.
class ResetFlags : public ::testing::Test {
 protected:
  int32_t set(const std::vector<uint8_t>& flags, int32_t layout, int64_t padded_len) {
    return varlstm_batch_set_resets(batch_.get(), flags.data(), static_cast<int64_t>(flags.size()), layout, padded_len,
                                    VARLSTM_SPACE_HOST, nullptr);
  }
  // y of a small network.
  std::vector<double> output() {
    Buffer<double> y(context_.get(), kTokens * options_.hidden);
    REQUIRE_OK(varlstm_rnn_forward(rnn_.get(), batch_.get(), VARLSTM_MODE_INFER, 0, params_.data(), x_.data(), nullptr,
                                   nullptr, y.data(), nullptr, nullptr, workspace_->data(), workspace_bytes_, nullptr,
                                   0, nullptr));
    return y.get();
  }

  static RnnOptions options() {
    RnnOptions options;
    options.input = 2;
    options.hidden = 3;
    options.resets = true;
    return options;
  }
  void SetUp() override {
    int64_t reserve = 0;
    REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), 3, 5, kTokens, VARLSTM_MODE_INFER, &workspace_bytes_, &reserve));
    workspace_ = std::make_unique<ByteBuffer>(context_.get(), workspace_bytes_);
  }

  static constexpr int64_t kTokens = 10;
  const Context context_ = make_context();
  Random random_{5};
  const RnnOptions options_ = options();
  const Batch batch_ = make_batch(context_.get(), {4, 1, 5});
  const Rnn rnn_ = make_rnn(context_.get(), options_, VARLSTM_DTYPE_F64);
  const Buffer<double> params_{context_.get(), random_.vector<double>(rnn_param_count(options_))};
  const Buffer<double> x_{context_.get(), random_.vector<double>(kTokens * 2)};
  std::unique_ptr<ByteBuffer> workspace_;
  int64_t workspace_bytes_ = 0;
};

// The padding's flags are set too; they have no effect.
TEST_F(ResetFlags, MeanTheSameInEveryLayout) {
  const std::vector<double> without = output();
  ASSERT_OK(set({0, 0, 1, 0, 1, 1, 0, 0, 0, 1}, VARLSTM_LAYOUT_RAGGED, 0));
  const std::vector<double> ragged = output();
  EXPECT_FALSE(bitwise_equal(ragged, without));
  ASSERT_OK(set({0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1}, VARLSTM_LAYOUT_BATCH_FIRST, 6));
  EXPECT_TRUE(bitwise_equal(output(), ragged));
  ASSERT_OK(set({0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1}, VARLSTM_LAYOUT_TIME_MAJOR, 5));
  EXPECT_TRUE(bitwise_equal(output(), ragged));
  ASSERT_OK(varlstm_batch_set_resets(batch_.get(), nullptr, 0, VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_HOST, nullptr));
  EXPECT_TRUE(bitwise_equal(output(), without));
}

TEST_F(ResetFlags, EndWithTheLengths) {
  const std::vector<double> without = output();
  ASSERT_OK(set({0, 0, 1, 0, 1, 1, 0, 0, 0, 1}, VARLSTM_LAYOUT_RAGGED, 0));
  const int64_t lengths[] = {4, 1, 5};
  ASSERT_OK(varlstm_batch_set_lengths(batch_.get(), lengths, 3, VARLSTM_SPACE_HOST, nullptr));
  EXPECT_TRUE(bitwise_equal(output(), without));
}

// Those in the back end's memory: a value other than 0 and 1 raises a bit of the status and counts as 1.
TEST_F(ResetFlags, MayLieInTheBackEnd) {
  const std::vector<uint8_t> flags = {0, 0, 1, 0, 1, 1, 0, 0, 0, 1};
  ASSERT_OK(set(flags, VARLSTM_LAYOUT_RAGGED, 0));
  const std::vector<double> expected = output();
  for (const uint8_t one : {uint8_t{1}, uint8_t{7}}) {
    std::vector<uint8_t> given = flags;
    given[4] = one;
    ByteBuffer in_backend(context_.get(), 10);
    in_backend.set(given);
    ASSERT_OK(varlstm_batch_set_resets(batch_.get(), static_cast<const uint8_t*>(in_backend.data()), 10,
                                       VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_BACKEND, nullptr));
    EXPECT_TRUE(bitwise_equal(output(), expected));
    int64_t bits = -1, index = -1;
    ASSERT_OK(varlstm_ctx_device_status(context_.get(), 1, &bits, &index, nullptr));
    EXPECT_EQ(bits, one == 1 ? 0 : VARLSTM_DEVICE_STATUS_RESET);
    EXPECT_EQ(index, one == 1 ? -1 : 4);
  }
}

TEST_F(ResetFlags, AreRefusedWithTheArgumentsName) {
  const std::vector<double> before = output();
  const std::vector<uint8_t> ten(10, 0), eighteen(18, 0);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "count = 9 is not the number of rows, 10",
               set(std::vector<uint8_t>(9, 0), VARLSTM_LAYOUT_RAGGED, 0));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "count = 10 is not batch = 3 times padded_len = 5",
               set(ten, VARLSTM_LAYOUT_BATCH_FIRST, 5));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "padded_len = 4 is smaller than the longest length, 5",
               set(std::vector<uint8_t>(12, 0), VARLSTM_LAYOUT_TIME_MAJOR, 4));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "layout = 3", set(ten, 3, 0));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "resets[7] = 2 is neither 0 nor 1",
               set({0, 0, 0, 0, 0, 0, 0, 2, 0, 0}, VARLSTM_LAYOUT_RAGGED, 0));
  EXPECT_ERROR(
      VARLSTM_ERROR_INVALID_ARGUMENT, "resets is NULL",
      varlstm_batch_set_resets(batch_.get(), nullptr, 10, VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_HOST, nullptr));
  EXPECT_ERROR(
      VARLSTM_ERROR_INVALID_ARGUMENT, "count = -1",
      varlstm_batch_set_resets(batch_.get(), ten.data(), -1, VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_HOST, nullptr));
  EXPECT_TRUE(bitwise_equal(output(), before));
}

TEST_F(ResetFlags, NeedTheKeyOfTheRnn) {
  RnnOptions plain = options_;
  plain.resets = false;
  const Rnn rnn = make_rnn(context_.get(), plain, VARLSTM_DTYPE_F64);
  ASSERT_OK(set({0, 0, 1, 0, 1, 1, 0, 0, 0, 1}, VARLSTM_LAYOUT_RAGGED, 0));
  Buffer<double> y(context_.get(), kTokens * 3);
  EXPECT_ERROR(
      VARLSTM_ERROR_INVALID_ARGUMENT, "has resets, but VARLSTM_KEY_RESETS of the rnn is 0",
      varlstm_rnn_forward(rnn.get(), batch_.get(), VARLSTM_MODE_INFER, 0, params_.data(), x_.data(), nullptr, nullptr,
                          y.data(), nullptr, nullptr, workspace_->data(), workspace_bytes_, nullptr, 0, nullptr));
}

// Nobody on the host knows lengths and flags: N and T are bounds, and rows from N on are zeros.
TEST_F(ResetFlags, MayLieBesideLengthsThatOnlyTheBackEndKnows) {
  ASSERT_OK(set({0, 0, 1, 0, 1, 1, 0, 0, 0, 1}, VARLSTM_LAYOUT_RAGGED, 0));
  const std::vector<double> expected = output();
  const Batch batch = make_batch(context_.get(), {}, {4, 6, 15});
  Buffer<int64_t> lengths(context_.get(), std::vector<int64_t>{4, 1, 5});
  ByteBuffer flags(context_.get(), 18);  // [6, 3], time-major
  flags.set({0, 1, 1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1});
  ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), 3, VARLSTM_SPACE_BACKEND, nullptr));
  ASSERT_OK(varlstm_batch_set_resets(batch.get(), static_cast<const uint8_t*>(flags.data()), 18,
                                     VARLSTM_LAYOUT_TIME_MAJOR, 6, VARLSTM_SPACE_BACKEND, nullptr));
  int64_t bytes = 0, reserve = 0;
  ASSERT_OK(varlstm_rnn_sizes(rnn_.get(), 4, 6, 15, VARLSTM_MODE_INFER, &bytes, &reserve));
  ByteBuffer workspace(context_.get(), bytes);
  std::vector<double> rows = x_.get();
  rows.resize(15 * 2);
  const Buffer<double> x(context_.get(), rows);
  Buffer<double> y(context_.get(), 15 * 3);
  ASSERT_OK(varlstm_rnn_forward(rnn_.get(), batch.get(), VARLSTM_MODE_INFER, 0, params_.data(), x.data(), nullptr,
                                nullptr, y.data(), nullptr, nullptr, workspace.data(), bytes, nullptr, 0, nullptr));
  std::vector<double> first = y.get();
  first.resize(expected.size());
  EXPECT_TRUE(bitwise_equal(first, expected));
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context_.get(), 1, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

// Backward must not read a reserve that a forward with other resets wrote.
TEST_F(ResetFlags, BelongToTheReserve) {
  RnnOptions large = options_;
  large.hidden = 24;  // slots have it
  auto problem = make_rnn_case<float>(large, {4, 1, 5}, false, random_);
  add_resets(problem, 0.3, random_);
  RnnRunner<float> runner(context_.get(), problem);
  runner.forward();
  std::vector<uint8_t> others = problem.resets;
  others[6] ^= 1;
  ASSERT_OK(varlstm_batch_set_resets(const_cast<varlstm_batch*>(runner.batch()), others.data(), kTokens,
                                     VARLSTM_LAYOUT_RAGGED, 0, VARLSTM_SPACE_HOST, nullptr));
  Buffer<float> dx(context_.get(), kTokens * 2);
  const int32_t status = varlstm_rnn_backward(
      runner.rnn(), runner.batch(), runner.params().data(), runner.x().data(), nullptr, nullptr, runner.y().data(),
      runner.y().data(), nullptr, nullptr, dx.data(), nullptr, nullptr, nullptr, runner.workspace().data(),
      runner.workspace().bytes(), runner.reserve().data(), runner.reserve().bytes(), nullptr);
  if (test_backend() == VARLSTM_BACKEND_HOST) {
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "was not written by a forward", status);
    return;
  }
  ASSERT_OK(status);
  int64_t bits = 0;
  ASSERT_OK(varlstm_ctx_device_status(context_.get(), 1, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_RESERVE);
}

}  // namespace
}  // namespace varlstm_test
