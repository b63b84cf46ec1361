// Embedding: values, the gradient summed in the order of the rows, padding_idx, ids out of range, and uncounted rows.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/gradcheck.h"
#include "support/lengths.h"
#include "support/op_workspace.h"
#include "support/random.h"
#include "support/thread_counts.h"

namespace varlstm_test {
namespace {

struct EmbeddingCase {
  int64_t vocab = 1;
  int64_t features = 1;
  std::vector<int64_t> ids;
  int64_t padding_idx = -1;
  const varlstm_batch* batch = nullptr;

  int64_t rows() const { return static_cast<int64_t>(ids.size()); }
};

template <class T>
std::vector<T> run_forward(varlstm_ctx* context, const EmbeddingCase& c, const std::vector<T>& table) {
  const Buffer<T> weights(context, table);
  const Buffer<int64_t> ids(context, c.ids);
  Buffer<T> y(context, c.rows() * c.features);
  REQUIRE_OK(varlstm_embedding_forward(context, c.batch, kDType<T>, c.rows(), c.vocab, c.features, weights.data(),
                                       ids.data(), y.data(), nullptr));
  return y.get();
}

template <class T>
std::vector<T> run_backward(varlstm_ctx* context, const EmbeddingCase& c, const std::vector<T>& gradient,
                            const std::vector<T>& before, Fill fill = Fill::kNan) {
  const Buffer<int64_t> ids(context, c.ids);
  const Buffer<T> dy(context, gradient);
  Buffer<T> dtable(context, before);
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_EMBEDDING_BACKWARD, c.rows(), c.vocab, c.features, fill);
  REQUIRE_OK(varlstm_embedding_backward(context, c.batch, kDType<T>, c.rows(), c.vocab, c.features, c.padding_idx,
                                        ids.data(), dy.data(), dtable.data(), workspace.data(), workspace.bytes(),
                                        nullptr));
  return dtable.get();
}

// Row after row, in order, each added to what is there: the host's order.
template <class T>
std::vector<T> naive_backward(const EmbeddingCase& c, const std::vector<T>& dy, std::vector<T> dtable) {
  for (int64_t n = 0; n < c.rows(); ++n) {
    if (c.ids[n] < 0 || c.ids[n] >= c.vocab || c.ids[n] == c.padding_idx) continue;
    for (int64_t j = 0; j < c.features; ++j) dtable[c.ids[n] * c.features + j] += dy[n * c.features + j];
  }
  return dtable;
}

// On the host bitwise in the order of the rows; elsewhere an id's rows are summed first, a long run of them in pieces:
// within the rounding of its longest sum.
template <class T>
::testing::AssertionResult same_sums(const std::vector<T>& actual, const EmbeddingCase& c, const std::vector<T>& dy,
                                     const std::vector<T>& before) {
  const std::vector<T> in_order = naive_backward(c, dy, before);
  if (test_backend() == VARLSTM_BACKEND_HOST) return bitwise_equal(actual, in_order);
  const std::vector<double> exact =
      naive_backward(c, std::vector<double>(dy.begin(), dy.end()), std::vector<double>(before.begin(), before.end()));
  std::vector<int64_t> counts(static_cast<size_t>(c.vocab), 0);
  for (const int64_t id : c.ids) ++counts[id];
  const int64_t longest = *std::max_element(counts.begin(), counts.end()) + 1;
  // Of `longest` additions of values in [-1, 1] each rounds by at most eps / 2 of its sum; a sum of random values stays
  // near the root of `longest`, and rounding errors of both signs cancel: far below eps * longest.
  const double eps = std::numeric_limits<T>::epsilon();
  return all_close(actual, exact, eps, eps * static_cast<double>(longest));
}

EmbeddingCase random_case(Random& random, int64_t max_vocab, int64_t max_rows) {
  EmbeddingCase c;
  c.vocab = random.integer(1, max_vocab);
  c.features = random.integer(1, 9);
  c.ids = random.integers(random.integer(0, max_rows), 0, c.vocab - 1);
  if (random.coin()) c.padding_idx = random.integer(0, c.vocab - 1);
  return c;
}

template <class T>
class Embedding : public ::testing::Test {};
using Floats = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Embedding, Floats);

TYPED_TEST(Embedding, PicksRows) {
  using T = TypeParam;
  const Context context = make_context();
  const std::vector<T> table = {1, 2, 3, 4, 5, 6};
  EmbeddingCase c;
  c.vocab = 3;
  c.features = 2;
  c.ids = {2, 0, 2, 1};
  EXPECT_EQ(run_forward(context.get(), c, table), (std::vector<T>{5, 6, 1, 2, 5, 6, 3, 4}));
}

TYPED_TEST(Embedding, AddsTheGradientsOfEachId) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(21);
  for (const int64_t max_vocab : {1, 5, 255, 256, 257, 70000}) {
    for (int round = 0; round < 8; ++round) {
      const EmbeddingCase c = random_case(random, max_vocab, 300);
      SCOPED_TRACE("vocab " + std::to_string(c.vocab) + ", rows " + std::to_string(c.rows()));
      const std::vector<T> dy = random.vector<T>(c.rows() * c.features);
      const std::vector<T> before = random.vector<T>(c.vocab * c.features);
      const std::vector<T> sums = run_backward(context.get(), c, dy, before);
      EXPECT_TRUE(same_sums(sums, c, dy, before));
      EXPECT_TRUE(bitwise_equal(run_backward(context.get(), c, dy, before, Fill::kRandomBytes), sums));
    }
  }
}

// Integers small enough that every sum is exact: bitwise on each back end, with runs of equal ids that begin and end
// anywhere, some of them over many pieces, and features of less and more than a warp.
TYPED_TEST(Embedding, IsExactForSmallIntegers) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(24);
  for (const int64_t features : {1, 5, 33, 70}) {
    for (const int64_t rows : {1, 63, 64, 65, 128, 129, 700}) {
      for (const int64_t vocab : {1, 2, 4, 900}) {
        EmbeddingCase c;
        c.vocab = vocab;
        c.features = features;
        c.ids = random.integers(rows, -1, vocab);  // bad ids among them
        if (vocab > 1) c.padding_idx = 1;
        SCOPED_TRACE("features " + std::to_string(features) + ", rows " + std::to_string(rows) + ", vocab " +
                     std::to_string(vocab));
        const std::vector<int64_t> drawn = random.integers(rows * features, -9, 9);
        const std::vector<T> dy(drawn.begin(), drawn.end());
        const std::vector<T> before(static_cast<size_t>(vocab * features), T(1000));
        EXPECT_TRUE(bitwise_equal(run_backward(context.get(), c, dy, before), naive_backward(c, dy, before)));
      }
    }
  }
}

// Runs of one id that begin and end at, before and behind the borders of the pieces of 64 rows in which CUDA sums them.
TYPED_TEST(Embedding, RunsEndAtTheBordersOfPieces) {
  const Context context = make_context();
  Random random(18);
  for (const int64_t before : {0, 1, 63, 64, 65}) {
    for (const int64_t end : {127, 128, 129, 192}) {
      SCOPED_TRACE(std::to_string(before) + " to " + std::to_string(end));
      EmbeddingCase c;
      c.vocab = 4;
      c.ids.assign(before, 0);
      c.ids.resize(end, 1);
      c.ids.resize(end + random.integer(0, 1) * 70, 2);
      std::vector<TypeParam> dy(c.ids.size()), expected(4, TypeParam(1));
      for (size_t n = 0; n < dy.size(); ++n) {
        dy[n] = static_cast<TypeParam>(random.integer(1, 9));
        expected[c.ids[n]] += dy[n];
      }
      EXPECT_TRUE(bitwise_equal(run_backward(context.get(), c, dy, std::vector<TypeParam>(4, 1)), expected));
    }
  }
}

TYPED_TEST(Embedding, IsTheSameForAnyNumberOfThreads) {
  using T = TypeParam;
  Random random(22);
  for (const int64_t vocab : {1, 40, 20000}) {  // from one run of equal ids to almost none
    EmbeddingCase c;
    c.vocab = vocab;
    c.features = 100;
    c.ids = random.integers(3000, 0, vocab - 1);
    const std::vector<T> dy = random.vector<T>(c.rows() * c.features);
    const std::vector<T> table = random.vector<T>(c.vocab * c.features);
    const Context one = make_context(1);
    const std::vector<T> expected = run_backward(one.get(), c, dy, table);
    EXPECT_TRUE(same_sums(expected, c, dy, table));
    const std::vector<T> y = run_forward(one.get(), c, table);
    for (const int64_t threads : other_thread_counts()) {
      const Context context = make_context(threads);
      EXPECT_TRUE(bitwise_equal(run_backward(context.get(), c, dy, table), expected)) << threads << " threads";
      EXPECT_TRUE(bitwise_equal(run_forward(context.get(), c, table), y)) << threads << " threads";
    }
  }
}

TYPED_TEST(Embedding, AnIdOutOfRangeGivesZerosNoGradientAndABit) {
  using T = TypeParam;
  const Context context = make_context();
  EmbeddingCase c;
  c.vocab = 3;
  c.features = 2;
  c.ids = {1, 3, -1, 0, INT64_MAX, INT64_MIN};
  EXPECT_EQ(run_forward<T>(context.get(), c, {1, 2, 3, 4, 5, 6}), (std::vector<T>{3, 4, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0}));
  for (const bool forward : {true, false}) {
    if (!forward) {
      const std::vector<T> dy = {1, 1, 9, 9, 9, 9, 2, 2, 9, 9, 9, 9};
      EXPECT_EQ(run_backward<T>(context.get(), c, dy, {0, 0, 0, 0, 0, 0}), (std::vector<T>{2, 2, 1, 1, 0, 0}));
    }
    int64_t bits = 0, first = -1;
    ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &first, nullptr));
    EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_TOKEN_ID);
    EXPECT_EQ(first, 1);
  }
}

TYPED_TEST(Embedding, CountsTheBatchsRowsAlone) {
  using T = TypeParam;
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {2, 0, 1}, {3, 2, 6});
  EmbeddingCase c;
  c.vocab = 2;
  c.features = 2;
  c.ids = {1, 0, 1, -5, 7, 0};  // three count; behind them bad ids raise nothing
  c.batch = batch.get();
  EXPECT_EQ(run_forward<T>(context.get(), c, {1, 2, 3, 4}), (std::vector<T>{3, 4, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0}));
  const T nan = std::numeric_limits<T>::quiet_NaN();
  EXPECT_EQ(run_backward<T>(context.get(), c, {1, 1, 2, 2, 4, 4, nan, nan, nan, nan, nan, nan}, {10, 10, 20, 20}),
            (std::vector<T>{12, 12, 25, 25}));
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 0, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

// As above, where the number of rows that count is on the device alone.
TYPED_TEST(Embedding, CountsTheRowsOfLengthsInTheBackEndsMemory) {
  using T = TypeParam;
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {}, {3, 2, 6});
  for (const int64_t counted : {0, 1, 3, 4}) {
    const Buffer<int64_t> lengths(context.get(), {counted / 2, 0, counted - counted / 2});
    ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), 3, VARLSTM_SPACE_BACKEND, nullptr));
    EmbeddingCase c;
    c.vocab = 2;
    c.ids = {1, 0, 1, 0, 7, -5};  // behind the rows that count bad ids raise nothing
    c.batch = batch.get();
    std::vector<T> y = {4, 3, 4, 3, 4, 3}, dy = {1, 2, 4, 8, 16, 32}, dtable = {10, 20};
    for (int64_t n = 0; n < c.rows(); ++n) {
      if (n < counted) {
        dtable[c.ids[n]] += dy[n];
      } else {
        y[n] = 0;
        dy[n] = std::numeric_limits<T>::quiet_NaN();
      }
    }
    EXPECT_EQ(run_forward<T>(context.get(), c, {3, 4}), y) << counted;
    EXPECT_EQ(run_backward<T>(context.get(), c, dy, {10, 20}), dtable) << counted;
  }
  int64_t bits = -1;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 0, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, 0);
}

TYPED_TEST(Embedding, PaddingIdxGetsNothingButIsRead) {
  using T = TypeParam;
  const Context context = make_context();
  EmbeddingCase c;
  c.vocab = 2;
  c.features = 1;
  c.ids = {0, 1, 0, 1};
  c.padding_idx = 0;
  EXPECT_EQ(run_forward<T>(context.get(), c, {5, 6}), (std::vector<T>{5, 6, 5, 6}));
  EXPECT_EQ(run_backward<T>(context.get(), c, {1, 2, 4, 8}, {100, 200}), (std::vector<T>{100, 210}));
}

TEST(EmbeddingGradient, MatchesCentralDifferences) {
  const Context context = make_context();
  Random random(23);
  for (int round = 0; round < 100; ++round) {
    const std::vector<int64_t> lengths = random_lengths(random.integer(0, 4), random.integer(1, 4), random);
    const Bounds bounds = exact_bounds(lengths);
    const Batch batch = make_batch(context.get(), lengths);
    EmbeddingCase c = random_case(random, 6, 0);
    c.padding_idx = -1;
    c.ids = random.integers(bounds.max_tokens + random.integer(0, 2), 0, c.vocab - 1);
    c.batch = batch.get();
    SCOPED_TRACE("lengths " + to_string(lengths) + ", ids " + to_string(c.ids));
    const std::vector<double> table = random.vector<double>(c.vocab * c.features);
    const std::vector<double> dy = random.vector<double>(c.rows() * c.features);
    const std::vector<double> zeros(table.size(), 0.0);
    EXPECT_TRUE(
        gradient_matches([&](const std::vector<double>& at) { return dot(dy, run_forward(context.get(), c, at)); },
                         table, run_backward(context.get(), c, dy, zeros)));
  }
}

}  // namespace
}  // namespace varlstm_test
