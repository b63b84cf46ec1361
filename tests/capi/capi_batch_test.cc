// What a batch refuses: the text names the entry, and the batch stays as it was.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "support/buffer.h"
#include "support/context.h"

namespace varlstm_test {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

using List = std::vector<int64_t>;

int64_t get(const varlstm_batch* batch, int32_t key) {
  int64_t value = -1;
  REQUIRE_OK(varlstm_batch_get_i64(batch, key, &value));
  return value;
}

// Of the host's back end: the arrays are host memory.
List array(varlstm_ctx* ctx, const varlstm_batch* batch, int32_t which) {
  const int64_t* data = nullptr;
  int64_t count = 0;
  REQUIRE_OK(varlstm_batch_get_array(batch, which, &data, &count));
  List values(static_cast<size_t>(count));
  REQUIRE_OK(varlstm_copy(ctx, values.data(), data, count * 8, VARLSTM_COPY_TO_HOST, nullptr));
  return values;
}

std::vector<List> all_arrays(varlstm_ctx* ctx, const varlstm_batch* batch) {
  std::vector<List> arrays;
  for (int32_t which = VARLSTM_BATCH_LENGTHS; which <= VARLSTM_BATCH_RAGGED_TO_PACKED; ++which) {
    arrays.push_back(array(ctx, batch, which));
  }
  return arrays;
}

int32_t set_lengths(varlstm_batch* batch, const List& lengths) {
  return varlstm_batch_set_lengths(batch, lengths.data(), static_cast<int64_t>(lengths.size()), VARLSTM_SPACE_HOST,
                                   nullptr);
}

int32_t set_batch_sizes(varlstm_batch* batch, const List& sizes, const List& order) {
  return varlstm_batch_from_batch_sizes(batch, sizes.data(), static_cast<int64_t>(sizes.size()),
                                        order.empty() ? nullptr : order.data(), nullptr);
}

TEST(Batch, StartsEmpty) {
  const Context ctx = make_context();
  varlstm_batch* batch = nullptr;
  ASSERT_OK(varlstm_batch_create(ctx.get(), 3, 4, 7, &batch));
  EXPECT_EQ(get(batch, VARLSTM_KEY_MAX_BATCH), 3);
  EXPECT_EQ(get(batch, VARLSTM_KEY_MAX_LEN), 4);
  EXPECT_EQ(get(batch, VARLSTM_KEY_MAX_TOKENS), 7);
  EXPECT_EQ(get(batch, VARLSTM_KEY_BATCH), 0);
  EXPECT_EQ(get(batch, VARLSTM_KEY_TOKENS), 0);
  EXPECT_EQ(get(batch, VARLSTM_KEY_STEPS), 0);
  EXPECT_EQ(all_arrays(ctx.get(), batch), (std::vector<List>{{}, {}, {0}, {}, {}, {0}, {}, {}}));
  EXPECT_OK(varlstm_batch_destroy(batch));
}

TEST(Batch, EveryArrayHasItsCount) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {2, 4, 1}, {5, 6, 9});
  EXPECT_EQ(get(batch.get(), VARLSTM_KEY_BATCH), 3);
  EXPECT_EQ(get(batch.get(), VARLSTM_KEY_TOKENS), 7);
  EXPECT_EQ(get(batch.get(), VARLSTM_KEY_STEPS), 4);
  EXPECT_EQ(all_arrays(ctx.get(), batch.get()), (std::vector<List>{{2, 4, 1},
                                                                   {3, 2, 1, 1},
                                                                   {0, 3, 5, 6, 7},
                                                                   {1, 0, 2},
                                                                   {1, 0, 2},
                                                                   {0, 2, 6, 7},
                                                                   {2, 0, 6, 3, 1, 4, 5},
                                                                   {1, 4, 0, 3, 5, 6, 2}}));
  // The count is not always wanted.
  const int64_t* data = nullptr;
  EXPECT_OK(varlstm_batch_get_array(batch.get(), VARLSTM_BATCH_LENGTHS, &data, nullptr));
  EXPECT_NE(data, nullptr);
}

TEST(Batch, BadLengthsAreNamedAndLeaveTheBatchAsItWas) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {2, 0, 4}, {5, 40, 60});
  const std::vector<List> before = all_arrays(ctx.get(), batch.get());
  const struct {
    List lengths;
    std::string text;
  } cases[] = {
      {{40, 3, 0, 41}, "lengths[3] = 41 is larger than max_len = 40"},
      {{-1}, "lengths[0] = -1 is smaller than 0"},
      {{1, kMin}, "lengths[1] = -9223372036854775808 is smaller than 0"},
      {{1, 1, kMax}, "lengths[2] = 9223372036854775807 is larger than max_len = 40"},
      {{40, 20, 1}, "lengths[2] = 1 makes the sum 61, which is larger than max_tokens = 60"},
      {{1, 1, 1, 1, 1, 1}, "count = 6 is not in 0 ... max_batch = 5"},
  };
  for (const auto& bad : cases) {
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, bad.text, set_lengths(batch.get(), bad.lengths));
    EXPECT_EQ(all_arrays(ctx.get(), batch.get()), before) << bad.text;
  }
  EXPECT_OK(set_lengths(batch.get(), {40, 20, 0}));
  EXPECT_OK(set_lengths(batch.get(), {}));
}

TEST(Batch, BadBatchSizesAreNamedAndLeaveTheBatchAsItWas) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {2, 0, 4}, {5, 4, 12});
  const std::vector<List> before = all_arrays(ctx.get(), batch.get());
  const struct {
    List sizes, order;
    std::string text;
  } cases[] = {
      {{6}, {}, "batch_sizes[0] = 6 is larger than max_batch = 5"},
      {{2, 0}, {}, "batch_sizes[1] = 0 is smaller than 1"},
      {{-3}, {}, "batch_sizes[0] = -3 is smaller than 1"},
      {{2, 1, 2}, {}, "batch_sizes[2] = 2 is larger than batch_sizes[1] = 1"},
      {{5, 5, 3}, {}, "batch_sizes[2] = 3 makes the sum 13, which is larger than max_tokens = 12"},
      {{1, 1, 1, 1, 1}, {}, "steps = 5 is not in 0 ... max_len = 4"},
      {{3, 1}, {0, 1, 3}, "sorted_indices[2] = 3 is larger than the last sequence = 2"},
      {{3, 1}, {0, -1, 1}, "sorted_indices[1] = -1 is smaller than 0"},
      {{3, 1}, {2, 0, 2}, "sorted_indices[2] = 2 stands there twice"},
  };
  for (const auto& bad : cases) {
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, bad.text, set_batch_sizes(batch.get(), bad.sizes, bad.order));
    EXPECT_EQ(all_arrays(ctx.get(), batch.get()), before) << bad.text;
  }
  EXPECT_OK(set_batch_sizes(batch.get(), {3, 1}, {2, 0, 1}));
  EXPECT_EQ(array(ctx.get(), batch.get(), VARLSTM_BATCH_LENGTHS), (List{1, 1, 2}));
  EXPECT_OK(set_batch_sizes(batch.get(), {3, 1}, {0, 1, 2}));  // the marks of the last check are gone
  EXPECT_OK(set_batch_sizes(batch.get(), {}, {}));
  EXPECT_EQ(get(batch.get(), VARLSTM_KEY_BATCH), 0);
}

// More sequences than one word of marks has bits.
TEST(Batch, LongPermutationsAreChecked) {
  const Context ctx = make_context();
  constexpr int64_t kCount = 200;
  const Batch batch = make_batch(ctx.get(), {}, {kCount, 1, kCount});
  List order(kCount);
  for (int64_t j = 0; j < kCount; ++j) order[static_cast<size_t>(j)] = (j * 77 + 5) % kCount;
  EXPECT_OK(set_batch_sizes(batch.get(), {kCount}, order));
  for (const size_t j : {size_t{64}, size_t{128}, size_t{199}}) {
    List twice = order;
    twice[j] = order[0];
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "sorted_indices[" + std::to_string(j) + "] = 5 stands there twice",
                 set_batch_sizes(batch.get(), {kCount}, twice));
  }
}

TEST(Batch, OwnArraysAreNotInputs) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {2, 0, 4}, {5, 4, 12});
  for (int32_t which = VARLSTM_BATCH_LENGTHS; which <= VARLSTM_BATCH_RAGGED_TO_PACKED; ++which) {
    const int64_t* data = nullptr;
    ASSERT_OK(varlstm_batch_get_array(batch.get(), which, &data, nullptr));
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "overlaps lengths",
                 varlstm_batch_set_lengths(batch.get(), data, 3, VARLSTM_SPACE_BACKEND, nullptr));
  }
}

TEST(Batch, PaddingMustHoldTheLongest) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {2, 0, 4}, {5, 8, 12});
  Buffer<float> padded(ctx.get(), 3 * 4), packed(ctx.get(), 6);
  const auto pack = [&](int32_t layout, int64_t padded_len) {
    return varlstm_pack(batch.get(), VARLSTM_DTYPE_F32, layout, padded_len, 1, padded.data(), packed.data(), nullptr);
  };
  EXPECT_OK(pack(VARLSTM_LAYOUT_BATCH_FIRST, 4));
  EXPECT_OK(pack(VARLSTM_LAYOUT_RAGGED, -1));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "padded_len = 3 is smaller than the longest length = 4",
               pack(VARLSTM_LAYOUT_TIME_MAJOR, 3));
}

TEST(Batch, EmptyBatchNeedsNoBuffers) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {0, 0}, {5, 8, 12});
  EXPECT_OK(varlstm_pack(batch.get(), VARLSTM_DTYPE_F32, VARLSTM_LAYOUT_BATCH_FIRST, 0, 3, nullptr, nullptr, nullptr));
  EXPECT_OK(
      varlstm_unpack(batch.get(), VARLSTM_DTYPE_F64, VARLSTM_LAYOUT_RAGGED, 0, 3, 0.0, nullptr, nullptr, nullptr));
}

}  // namespace
}  // namespace varlstm_test
