// Pack and unpack in the three layouts against a reading of the definition, their adjoints, and the padding.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/gradcheck.h"
#include "support/lengths.h"
#include "support/random.h"
#include "support/thread_counts.h"

namespace varlstm_test {
namespace {

constexpr int32_t kLayouts[] = {VARLSTM_LAYOUT_BATCH_FIRST, VARLSTM_LAYOUT_TIME_MAJOR, VARLSTM_LAYOUT_RAGGED};

struct PackCase {
  std::vector<int64_t> lengths;
  int32_t layout = VARLSTM_LAYOUT_BATCH_FIRST;
  int64_t padded_len = 0;
  int64_t features = 1;

  int64_t batch() const { return static_cast<int64_t>(lengths.size()); }
  int64_t tokens() const { return std::accumulate(lengths.begin(), lengths.end(), static_cast<int64_t>(0)); }
  int64_t source_rows() const { return layout == VARLSTM_LAYOUT_RAGGED ? tokens() : batch() * padded_len; }
};

PackCase random_case(int32_t layout, Random& random) {
  PackCase c;
  c.lengths = random_lengths(random.integer(0, 9), random.integer(1, 8), random);
  c.layout = layout;
  c.padded_len = exact_bounds(c.lengths).max_len + random.integer(0, 3);
  c.features = random.integer(1, 7);
  return c;
}

// For each packed row, in order, the row of the source that it comes from.
std::vector<int64_t> source_of_packed(const PackCase& c) {
  std::vector<int64_t> order(c.lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return c.lengths[a] > c.lengths[b]; });
  std::vector<int64_t> rows;
  for (int64_t t = 0; static_cast<int64_t>(rows.size()) < c.tokens(); ++t) {
    for (const int64_t b : order) {
      if (c.lengths[b] <= t) continue;
      const int64_t before = std::accumulate(c.lengths.begin(), c.lengths.begin() + b, static_cast<int64_t>(0));
      if (c.layout == VARLSTM_LAYOUT_BATCH_FIRST) rows.push_back(b * c.padded_len + t);
      if (c.layout == VARLSTM_LAYOUT_TIME_MAJOR) rows.push_back(t * c.batch() + b);
      if (c.layout == VARLSTM_LAYOUT_RAGGED) rows.push_back(before + t);
    }
  }
  return rows;
}

// `packed` spread to the source's layout, `pad` elsewhere.
template <class T>
std::vector<T> spread(const PackCase& c, const std::vector<T>& packed, T pad) {
  std::vector<T> source(static_cast<size_t>(c.source_rows() * c.features), pad);
  const std::vector<int64_t> rows = source_of_packed(c);
  for (size_t k = 0; k < rows.size(); ++k) {
    std::copy_n(packed.begin() + k * c.features, c.features, source.begin() + rows[k] * c.features);
  }
  return source;
}

template <class T>
std::vector<T> run_pack(varlstm_ctx* context, const PackCase& c, const std::vector<T>& source) {
  const Batch batch = make_batch(context, c.lengths);
  const Buffer<T> src(context, source);
  Buffer<T> packed(context, c.tokens() * c.features);
  REQUIRE_OK(
      varlstm_pack(batch.get(), kDType<T>, c.layout, c.padded_len, c.features, src.data(), packed.data(), nullptr));
  return packed.get();
}

template <class T>
std::vector<T> run_unpack(varlstm_ctx* context, const PackCase& c, double pad_value, const std::vector<T>& values) {
  const Batch batch = make_batch(context, c.lengths);
  const Buffer<T> packed(context, values);
  Buffer<T> dst(context, c.source_rows() * c.features);
  REQUIRE_OK(varlstm_unpack(batch.get(), kDType<T>, c.layout, c.padded_len, c.features, pad_value, packed.data(),
                            dst.data(), nullptr));
  return dst.get();
}

template <class T>
class PackTyped : public ::testing::Test {};
using Elements = ::testing::Types<float, double, int64_t>;
TYPED_TEST_SUITE(PackTyped, Elements);

TYPED_TEST(PackTyped, MovesEveryRowToItsPlaceAndBack) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(11);
  for (const int32_t layout : kLayouts) {
    for (int round = 0; round < 40; ++round) {
      const PackCase c = random_case(layout, random);
      SCOPED_TRACE("layout " + std::to_string(layout) + ", lengths " + to_string(c.lengths));
      const std::vector<T> packed = random.vector<T>(c.tokens() * c.features, -1e6, 1e6);
      const T poison = std::is_floating_point_v<T> ? std::numeric_limits<T>::quiet_NaN() : T(-99);
      EXPECT_TRUE(bitwise_equal(run_pack(context.get(), c, spread(c, packed, poison)), packed));
      EXPECT_TRUE(bitwise_equal(run_unpack(context.get(), c, -7, packed), spread(c, packed, T(-7))));
    }
  }
}

TYPED_TEST(PackTyped, IsTheSameForAnyNumberOfThreads) {
  using T = TypeParam;
  Random random(12);
  for (const int32_t layout : kLayouts) {
    PackCase c;
    c.lengths = make_lengths(LengthKind::kLogNormal, 90, 60, random);
    c.layout = layout;
    c.padded_len = 61;
    c.features = 129;
    const std::vector<T> packed = random.vector<T>(c.tokens() * c.features, -1e6, 1e6);
    for (const int64_t threads : other_thread_counts()) {
      const Context context = make_context(threads);
      EXPECT_TRUE(bitwise_equal(run_pack(context.get(), c, spread(c, packed, T(-99))), packed));
      EXPECT_TRUE(bitwise_equal(run_unpack(context.get(), c, 3, packed), spread(c, packed, T(3))));
    }
  }
}

// Source and packed rows begin at every offset from an aligned address: a row is moved in words of any width.
TYPED_TEST(PackTyped, MovesRowsFromAndToAnyAlignment) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(14);
  for (const int64_t features : {1, 2, 3, 4, 8, 70}) {
    for (const int64_t src_at : {0, 1, 2}) {
      for (const int64_t packed_at : {0, 1, 2}) {
        PackCase c;
        c.lengths = {2, 0, 3, 1};
        c.padded_len = 4;
        c.features = features;
        SCOPED_TRACE("features " + std::to_string(features) + ", offsets " + std::to_string(src_at) + ", " +
                     std::to_string(packed_at));
        const Batch batch = make_batch(context.get(), c.lengths);
        const std::vector<T> values = random.vector<T>(c.tokens() * features, -1e6, 1e6);
        std::vector<T> source = spread(c, values, T(-99)), front(static_cast<size_t>(src_at), T(5));
        source.insert(source.begin(), front.begin(), front.end());
        const Buffer<T> src(context.get(), source);
        Buffer<T> packed(context.get(), std::vector<T>(values.size() + packed_at, T(6)));
        ASSERT_OK(varlstm_pack(batch.get(), kDType<T>, c.layout, c.padded_len, features, src.data() + src_at,
                               packed.data() + packed_at, nullptr));
        std::vector<T> expected(static_cast<size_t>(packed_at), T(6));
        expected.insert(expected.end(), values.begin(), values.end());
        EXPECT_TRUE(bitwise_equal(packed.get(), expected));

        Buffer<T> dst(context.get(), std::vector<T>(source.size(), T(5)));
        ASSERT_OK(varlstm_unpack(batch.get(), kDType<T>, c.layout, c.padded_len, features, -99,
                                 packed.data() + packed_at, dst.data() + src_at, nullptr));
        EXPECT_TRUE(bitwise_equal(dst.get(), source));
      }
    }
  }
}

// Where the device alone knows N, max_tokens rows are written: zeros behind the tokens.
TYPED_TEST(PackTyped, OfLengthsInTheBackEndsMemoryZeroesTheTail) {
  using T = TypeParam;
  const Context context = make_context();
  Random random(15);
  const Bounds bounds = {9, 8, 60};
  const Batch batch = make_batch(context.get(), {}, bounds);
  for (int round = 0; round < 30; ++round) {
    PackCase c;
    c.lengths = random_lengths(random.integer(0, 7), random.integer(1, 8), random);
    c.layout = kLayouts[round % 3];
    c.padded_len = bounds.max_len + random.integer(0, 2);
    c.features = random.integer(1, 7);
    SCOPED_TRACE("layout " + std::to_string(c.layout) + ", lengths " + to_string(c.lengths));
    const Buffer<int64_t> lengths(context.get(), c.lengths);
    ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), lengths.count(), VARLSTM_SPACE_BACKEND, nullptr));
    const bool known = test_backend() == VARLSTM_BACKEND_HOST;
    const size_t rows = static_cast<size_t>((known ? c.tokens() : bounds.max_tokens) * c.features);
    std::vector<T> tokens = random.vector<T>(c.tokens() * c.features, -1e6, 1e6);
    std::vector<T> source = spread(c, tokens, T(-99));
    if (c.layout == VARLSTM_LAYOUT_RAGGED) source.resize(rows, T(-99));  // never read

    const Buffer<T> src(context.get(), source);
    Buffer<T> packed(context.get(), static_cast<int64_t>(rows));
    ASSERT_OK(
        varlstm_pack(batch.get(), kDType<T>, c.layout, c.padded_len, c.features, src.data(), packed.data(), nullptr));
    const std::vector<T> before = tokens;
    tokens.resize(rows, T(0));
    EXPECT_TRUE(bitwise_equal(packed.get(), tokens));

    std::vector<T> expected = spread(c, before, T(-7));
    if (c.layout == VARLSTM_LAYOUT_RAGGED) expected.resize(rows, T(0));
    Buffer<T> dst(context.get(), static_cast<int64_t>(expected.size()));
    ASSERT_OK(varlstm_unpack(batch.get(), kDType<T>, c.layout, c.padded_len, c.features, -7, packed.data(), dst.data(),
                             nullptr));
    EXPECT_TRUE(bitwise_equal(dst.get(), expected));
  }
}

TEST(Pack, PadsWithInfinityAndNan) {
  const Context context = make_context();
  PackCase c;
  c.lengths = {1, 2};
  c.padded_len = 3;
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(bitwise_equal(run_unpack<float>(context.get(), c, -infinity, {1, 2, 3}),
                            spread<float>(c, {1, 2, 3}, -std::numeric_limits<float>::infinity())));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(all_close(run_unpack<double>(context.get(), c, nan, {1, 2, 3}), spread<double>(c, {1, 2, 3}, nan), 0, 0));
}

// <pack(x), g> = <x, pack_backward(g)> and <unpack(z), s> = <z, unpack_backward(s)>, with NaN in every padded input.
TEST(Pack, BackwardIsTheAdjoint) {
  const Context context = make_context();
  Random random(13);
  for (int round = 0; round < 120; ++round) {
    const PackCase c = random_case(kLayouts[round % 3], random);
    SCOPED_TRACE("layout " + std::to_string(c.layout) + ", lengths " + to_string(c.lengths));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Batch batch = make_batch(context.get(), c.lengths);
    const std::vector<double> tokens = random.vector<double>(c.tokens() * c.features);
    const std::vector<double> gradient = random.vector<double>(c.tokens() * c.features);

    const Buffer<double> dpacked(context.get(), gradient);
    Buffer<double> dsrc(context.get(), c.source_rows() * c.features);
    ASSERT_OK(varlstm_pack_backward(batch.get(), VARLSTM_DTYPE_F64, c.layout, c.padded_len, c.features, dpacked.data(),
                                    dsrc.data(), nullptr));
    EXPECT_TRUE(bitwise_equal(dsrc.get(), spread(c, gradient, 0.0)));
    EXPECT_NEAR(dot(run_pack(context.get(), c, spread(c, tokens, nan)), gradient),
                dot(spread(c, tokens, 0.0), dsrc.get()), 1e-12);

    const Buffer<double> ddst(context.get(), spread(c, gradient, nan));
    Buffer<double> dz(context.get(), c.tokens() * c.features);
    ASSERT_OK(varlstm_unpack_backward(batch.get(), VARLSTM_DTYPE_F64, c.layout, c.padded_len, c.features, ddst.data(),
                                      dz.data(), nullptr));
    EXPECT_TRUE(bitwise_equal(dz.get(), gradient));
    EXPECT_NEAR(dot(run_unpack(context.get(), c, 0, tokens), spread(c, gradient, 0.0)), dot(tokens, dz.get()), 1e-12);
  }
}

}  // namespace
}  // namespace varlstm_test
