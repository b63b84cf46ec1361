// The plan of a batch against the naive reading of its definition.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "support/buffer.h"
#include "support/context.h"
#include "support/lengths.h"
#include "support/random.h"

namespace varlstm_test {
namespace {

using Indices = std::vector<int64_t>;

struct Plan {
  int64_t batch = 0, tokens = 0, steps = 0;
  Indices lengths, batch_sizes, step_offsets, sorted_indices, unsorted_indices, cu_seqlens, packed_to_ragged,
      ragged_to_packed;
};

Indices read_array(varlstm_ctx* context, const varlstm_batch* batch, int32_t array) {
  const int64_t* data = nullptr;
  int64_t count = -1;
  REQUIRE_OK(varlstm_batch_get_array(batch, array, &data, &count));
  Indices values(static_cast<size_t>(count));
  if (count > 0) {
    REQUIRE_OK(varlstm_copy(context, values.data(), data, count * static_cast<int64_t>(sizeof(int64_t)),
                            VARLSTM_COPY_TO_HOST, nullptr));
  }
  return values;
}

void read_arrays(varlstm_ctx* context, const varlstm_batch* batch, Plan& plan) {
  plan.lengths = read_array(context, batch, VARLSTM_BATCH_LENGTHS);
  plan.batch_sizes = read_array(context, batch, VARLSTM_BATCH_BATCH_SIZES);
  plan.step_offsets = read_array(context, batch, VARLSTM_BATCH_STEP_OFFSETS);
  plan.sorted_indices = read_array(context, batch, VARLSTM_BATCH_SORTED_INDICES);
  plan.unsorted_indices = read_array(context, batch, VARLSTM_BATCH_UNSORTED_INDICES);
  plan.cu_seqlens = read_array(context, batch, VARLSTM_BATCH_CU_SEQLENS);
  plan.packed_to_ragged = read_array(context, batch, VARLSTM_BATCH_PACKED_TO_RAGGED);
  plan.ragged_to_packed = read_array(context, batch, VARLSTM_BATCH_RAGGED_TO_PACKED);
}

Plan read_plan(varlstm_ctx* context, const varlstm_batch* batch) {
  Plan plan;
  REQUIRE_OK(varlstm_batch_get_i64(batch, VARLSTM_KEY_BATCH, &plan.batch));
  REQUIRE_OK(varlstm_batch_get_i64(batch, VARLSTM_KEY_TOKENS, &plan.tokens));
  REQUIRE_OK(varlstm_batch_get_i64(batch, VARLSTM_KEY_STEPS, &plan.steps));
  read_arrays(context, batch, plan);
  return plan;
}

// The definition, given the order of the sequences: packed rows are listed one by one as (sequence, step).
Plan naive_plan(const Indices& lengths, const Indices& sorted) {
  Plan plan;
  plan.batch = static_cast<int64_t>(lengths.size());
  plan.lengths = lengths;
  plan.sorted_indices = sorted;
  plan.unsorted_indices.resize(lengths.size());
  for (size_t j = 0; j < sorted.size(); ++j) plan.unsorted_indices[sorted[j]] = static_cast<int64_t>(j);
  plan.cu_seqlens = {0};
  for (const int64_t length : lengths) plan.cu_seqlens.push_back(plan.cu_seqlens.back() + length);
  plan.tokens = plan.cu_seqlens.back();
  plan.steps = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
  plan.step_offsets = {0};
  plan.ragged_to_packed.assign(plan.tokens, -1);
  for (int64_t t = 0; t < plan.steps; ++t) {
    int64_t active = 0;
    for (const int64_t b : sorted) {
      if (lengths[b] <= t) continue;
      ++active;
      plan.ragged_to_packed[plan.cu_seqlens[b] + t] = static_cast<int64_t>(plan.packed_to_ragged.size());
      plan.packed_to_ragged.push_back(plan.cu_seqlens[b] + t);
    }
    plan.batch_sizes.push_back(active);
    plan.step_offsets.push_back(plan.step_offsets.back() + active);
  }
  return plan;
}

Plan naive_plan(const Indices& lengths) {
  Indices sorted(lengths.size());
  std::iota(sorted.begin(), sorted.end(), 0);
  std::stable_sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
  return naive_plan(lengths, sorted);
}

void expect_same(const Plan& actual, const Plan& expected) {
  EXPECT_EQ(actual.batch, expected.batch);
  EXPECT_EQ(actual.tokens, expected.tokens);
  EXPECT_EQ(actual.steps, expected.steps);
  EXPECT_EQ(actual.lengths, expected.lengths);
  EXPECT_EQ(actual.batch_sizes, expected.batch_sizes);
  EXPECT_EQ(actual.step_offsets, expected.step_offsets);
  EXPECT_EQ(actual.sorted_indices, expected.sorted_indices);
  EXPECT_EQ(actual.unsorted_indices, expected.unsorted_indices);
  EXPECT_EQ(actual.cu_seqlens, expected.cu_seqlens);
  EXPECT_EQ(actual.packed_to_ragged, expected.packed_to_ragged);
  EXPECT_EQ(actual.ragged_to_packed, expected.ragged_to_packed);
}

bool only_the_device_knows() {
  return test_backend() == VARLSTM_BACKEND_CUDA;
}

// The plan of lengths in the back end's memory, against its definition. Where the host does not know N and T, the
// arrays are as long as the bounds: zeros, N and -1 stand behind what belongs to the batch.
void expect_plan_of_device_lengths(varlstm_ctx* context, const varlstm_batch* batch, const Bounds& bounds,
                                   Plan expected) {
  if (!only_the_device_knows()) return expect_same(read_plan(context, batch), expected);
  int64_t value = -1;
  EXPECT_STATUS(VARLSTM_ERROR_UNSUPPORTED, varlstm_batch_get_i64(batch, VARLSTM_KEY_TOKENS, &value));
  EXPECT_STATUS(VARLSTM_ERROR_UNSUPPORTED, varlstm_batch_get_i64(batch, VARLSTM_KEY_STEPS, &value));
  expected.batch_sizes.resize(bounds.max_len, 0);
  expected.step_offsets.resize(bounds.max_len + 1, expected.tokens);
  expected.packed_to_ragged.resize(bounds.max_tokens, -1);
  expected.ragged_to_packed.resize(bounds.max_tokens, -1);
  Plan actual;
  actual.tokens = expected.tokens;
  actual.steps = expected.steps;
  REQUIRE_OK(varlstm_batch_get_i64(batch, VARLSTM_KEY_BATCH, &actual.batch));
  read_arrays(context, batch, actual);
  expect_same(actual, expected);
}

void set_lengths(varlstm_batch* batch, const Indices& lengths) {
  REQUIRE_OK(varlstm_batch_set_lengths(batch, lengths.data(), static_cast<int64_t>(lengths.size()), VARLSTM_SPACE_HOST,
                                       nullptr));
}

TEST(BatchPlan, OfThreeSequencesByHand) {
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {2, 4, 1});
  Plan expected;
  expected.batch = 3;
  expected.tokens = 7;
  expected.steps = 4;
  expected.lengths = {2, 4, 1};
  expected.batch_sizes = {3, 2, 1, 1};
  expected.step_offsets = {0, 3, 5, 6, 7};
  expected.sorted_indices = {1, 0, 2};
  expected.unsorted_indices = {1, 0, 2};
  expected.cu_seqlens = {0, 2, 6, 7};
  expected.packed_to_ragged = {2, 0, 6, 3, 1, 4, 5};
  expected.ragged_to_packed = {1, 4, 0, 3, 5, 6, 2};
  expect_same(read_plan(context.get(), batch.get()), expected);
}

TEST(BatchPlan, TiesKeepTheCallersOrderAndZeroLengthsTakeTheLastRanks) {
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {0, 3, 1, 3, 0, 1, 3});
  const Plan plan = read_plan(context.get(), batch.get());
  EXPECT_EQ(plan.sorted_indices, (Indices{1, 3, 6, 2, 5, 0, 4}));
  EXPECT_EQ(plan.unsorted_indices, (Indices{5, 0, 3, 1, 6, 4, 2}));
  EXPECT_EQ(plan.batch_sizes, (Indices{5, 3, 3}));
}

TEST(BatchPlan, EqualsTheNaivePlanForRandomLengths) {
  const Context context = make_context();
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const Indices lengths = random_lengths(random.integer(0, 24), random.integer(1, 17), random);
    SCOPED_TRACE(to_string(lengths));
    const Bounds exact = exact_bounds(lengths);
    const Batch tight = make_batch(context.get(), lengths, exact);
    expect_same(read_plan(context.get(), tight.get()), naive_plan(lengths));
    const Batch roomy = make_batch(context.get(), lengths, {exact.max_batch + 3, exact.max_len + 2, exact.max_tokens});
    expect_same(read_plan(context.get(), roomy.get()), naive_plan(lengths));
  }
}

TEST(BatchPlan, IsReplacedByTheNextLengths) {
  const Context context = make_context();
  Random random(2);
  const Batch batch = make_batch(context.get(), {}, {16, 12, 16 * 12});
  for (const LengthKind kind : kLengthKinds) {
    const Indices lengths = make_lengths(kind, random.integer(1, 16), 12, random);
    SCOPED_TRACE(length_kind_name(kind));
    set_lengths(batch.get(), lengths);
    expect_same(read_plan(context.get(), batch.get()), naive_plan(lengths));
  }
}

// More sequences and steps than one block has threads, or one launch has arguments.
TEST(BatchPlan, OfManySequencesAndSteps) {
  const Context context = make_context();
  Random random(4);
  const Indices lengths = random.integers(2100, 0, 40);
  const Batch wide = make_batch(context.get(), lengths);
  expect_same(read_plan(context.get(), wide.get()), naive_plan(lengths));

  Indices long_ones = random.integers(7, 1, 2100);
  std::sort(long_ones.rbegin(), long_ones.rend());
  const Plan expected = naive_plan(long_ones);
  const Batch narrow = make_batch(context.get(), {}, exact_bounds(long_ones));
  ASSERT_OK(
      varlstm_batch_from_batch_sizes(narrow.get(), expected.batch_sizes.data(), expected.steps, nullptr, nullptr));
  expect_same(read_plan(context.get(), narrow.get()), expected);
}

TEST(BatchPlan, OfLengthsInTheBackEndsMemory) {
  const Context context = make_context();
  Random random(5);
  const Bounds bounds = {24, 17, 300};
  const Batch batch = make_batch(context.get(), {}, bounds);
  for (int round = 0; round < 40; ++round) {
    Indices given = random_lengths(random.integer(0, bounds.max_batch), random.integer(1, bounds.max_len), random);
    SCOPED_TRACE(to_string(given));
    const Buffer<int64_t> lengths(context.get(), given);
    ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), lengths.count(), VARLSTM_SPACE_BACKEND, nullptr));
    int64_t left = bounds.max_tokens;
    for (int64_t& length : given) {
      length = std::min(length, left);
      left -= length;
    }
    expect_plan_of_device_lengths(context.get(), batch.get(), bounds, naive_plan(given));
  }
}

// More lengths than one block ranks, bad ones among them.
TEST(BatchPlan, OfManyLengthsInTheBackEndsMemory) {
  const Context context = make_context();
  if (!only_the_device_knows()) GTEST_SKIP() << "the host refuses bad lengths";
  Random random(6);
  const Bounds bounds = {1000, 9, 3000};
  const Batch batch = make_batch(context.get(), {}, bounds);
  const Indices given = random.integers(bounds.max_batch, -2, 11);
  const Buffer<int64_t> lengths(context.get(), given);
  ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), lengths.count(), VARLSTM_SPACE_BACKEND, nullptr));
  Indices clamped = given;
  int64_t left = bounds.max_tokens;
  for (int64_t& length : clamped) {
    length = std::min(std::clamp(length, int64_t{0}, bounds.max_len), left);
    left -= length;
  }
  ASSERT_EQ(left, 0);
  expect_plan_of_device_lengths(context.get(), batch.get(), bounds, naive_plan(clamped));
}

TEST(BatchPlan, ReadsHostArraysBeforeTheCallReturns) {
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {}, {4, 5, 20});
  Indices lengths = {2, 5, 0, 3};
  set_lengths(batch.get(), lengths);
  std::fill(lengths.begin(), lengths.end(), -1);
  expect_same(read_plan(context.get(), batch.get()), naive_plan({2, 5, 0, 3}));
  Indices batch_sizes = {3, 2, 2}, sorted = {2, 0, 1};
  ASSERT_OK(varlstm_batch_from_batch_sizes(batch.get(), batch_sizes.data(), 3, sorted.data(), nullptr));
  std::fill(batch_sizes.begin(), batch_sizes.end(), -1);
  std::fill(sorted.begin(), sorted.end(), -1);
  expect_same(read_plan(context.get(), batch.get()), naive_plan({3, 1, 3}, {2, 0, 1}));
}

TEST(BatchPlan, OfNoSequenceAndOfNoTokens) {
  const Context context = make_context();
  varlstm_batch* created = nullptr;
  REQUIRE_OK(varlstm_batch_create(context.get(), 4, 3, 12, &created));
  const Batch fresh(created);
  expect_same(read_plan(context.get(), fresh.get()), naive_plan({}));
  const Batch no_room = make_batch(context.get(), {}, {0, 0, 0});
  expect_same(read_plan(context.get(), no_room.get()), naive_plan({}));
  const Batch all_zero = make_batch(context.get(), {0, 0, 0}, {3, 0, 0});
  expect_same(read_plan(context.get(), all_zero.get()), naive_plan({0, 0, 0}));
}

TEST(BatchPlan, OfMoreStepsThan16Bits) {
  const Context context = make_context();
  const Indices lengths = {1, 70001, 65536, 0, 65536};
  const Batch batch = make_batch(context.get(), lengths);
  expect_same(read_plan(context.get(), batch.get()), naive_plan(lengths));
}

TEST(BatchPlan, FromBatchSizesKeepsTheGivenOrder) {
  const Context context = make_context();
  Random random(3);
  for (int round = 0; round < 100; ++round) {
    Indices lengths = random_lengths(random.integer(0, 12), random.integer(1, 9), random);
    lengths.erase(std::remove(lengths.begin(), lengths.end(), 0), lengths.end());  // batch_sizes cannot tell of them
    SCOPED_TRACE(to_string(lengths));
    // Longest first, ties in any order.
    Indices sorted = random.permutation(static_cast<int64_t>(lengths.size()));
    std::stable_sort(sorted.begin(), sorted.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
    const Plan expected = naive_plan(lengths, sorted);
    const Batch batch = make_batch(context.get(), {}, exact_bounds(lengths));
    ASSERT_OK(varlstm_batch_from_batch_sizes(batch.get(), expected.batch_sizes.data(), expected.steps, sorted.data(),
                                             nullptr));
    expect_same(read_plan(context.get(), batch.get()), expected);
  }
}

TEST(BatchPlan, FromBatchSizesWithoutAnOrderIsTheIdentity) {
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {}, {4, 3, 8});
  const Indices batch_sizes = {4, 2, 2};
  ASSERT_OK(varlstm_batch_from_batch_sizes(batch.get(), batch_sizes.data(), 3, nullptr, nullptr));
  expect_same(read_plan(context.get(), batch.get()), naive_plan({3, 3, 1, 1}));
}

TEST(BatchPlan, RefusesBadHostLengthsAndStaysAsItWas) {
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {3, 1}, {4, 5, 8});
  for (const Indices& bad : {Indices{1, -1}, Indices{6}, Indices{5, 4}, Indices{1, 1, 1, 1, 1}}) {
    SCOPED_TRACE(to_string(bad));
    EXPECT_STATUS(VARLSTM_ERROR_INVALID_ARGUMENT,
                  varlstm_batch_set_lengths(batch.get(), bad.data(), static_cast<int64_t>(bad.size()),
                                            VARLSTM_SPACE_HOST, nullptr));
    expect_same(read_plan(context.get(), batch.get()), naive_plan({3, 1}));
  }
}

struct ClampCase {
  Indices given, clamped;
  int64_t first_bad;
};

TEST(BatchPlan, ClampsBadLengthsInTheBackEndsMemoryAndSaysSo) {
  const Context context = make_context();
  const Bounds bounds = {5, 4, 10};
  const Batch batch = make_batch(context.get(), {}, bounds);
  const ClampCase cases[] = {
      {{2, 4, 0}, {2, 4, 0}, -1},       {{2, -3, 1}, {2, 0, 1}, 1},
      {{2, 3, 9}, {2, 3, 4}, 2},        {{4, 4, 4, 1}, {4, 4, 2, 0}, 2},
      {{4, 4, 2, 0}, {4, 4, 2, 0}, -1}, {{INT64_MAX, INT64_MIN, INT64_MAX, 4, 4}, {4, 0, 4, 2, 0}, 0},
  };
  for (const ClampCase& c : cases) {
    SCOPED_TRACE(to_string(c.given));
    const Buffer<int64_t> lengths(context.get(), c.given);
    ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), lengths.count(), VARLSTM_SPACE_BACKEND, nullptr));
    expect_plan_of_device_lengths(context.get(), batch.get(), bounds, naive_plan(c.clamped));
    int64_t bits = -1, first = -2;
    ASSERT_OK(varlstm_ctx_device_status(context.get(), 1, &bits, &first, nullptr));
    EXPECT_EQ(bits, c.first_bad < 0 ? 0 : VARLSTM_DEVICE_STATUS_LENGTH);
    EXPECT_EQ(first, c.first_bad);
    EXPECT_EQ(lengths.get(), c.given);
  }
}

TEST(BatchPlan, StatusKeepsTheSmallestIndexUntilItIsReset) {
  const Context context = make_context();
  const Batch batch = make_batch(context.get(), {}, {3, 4, 12});
  for (const Indices& given : {Indices{1, 2, 9}, Indices{1, 9, 1}, Indices{1, 1, 9}}) {
    const Buffer<int64_t> lengths(context.get(), given);
    ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), 3, VARLSTM_SPACE_BACKEND, nullptr));
  }
  for (const int32_t reset : {0, 1}) {
    int64_t bits = 0, first = -1;
    ASSERT_OK(varlstm_ctx_device_status(context.get(), reset, &bits, &first, nullptr));
    EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_LENGTH);
    EXPECT_EQ(first, 1);
  }
  int64_t bits = -1, first = -2;
  ASSERT_OK(varlstm_ctx_device_status(context.get(), 0, &bits, &first, nullptr));
  EXPECT_EQ(bits, 0);
  EXPECT_EQ(first, -1);
}

}  // namespace
}  // namespace varlstm_test
