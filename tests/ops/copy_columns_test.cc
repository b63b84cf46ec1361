// Copies of columns: every dtype and shape, what lies between the columns stays, and leading dimensions that are too
// small.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "support/buffer.h"
#include "support/check_status.h"
#include "support/context.h"

namespace varlstm_test {
namespace {

struct Shape {
  int64_t rows, columns, ld_src, ld_dst, first_src, first_dst;  // the first column that is copied, and where to
};

template <class Word>
void check_copy(varlstm_ctx* ctx, int32_t dtype, const Shape& s) {
  std::vector<Word> values(static_cast<size_t>(s.rows * s.ld_src + s.first_src));
  std::iota(values.begin(), values.end(), Word(1));
  std::vector<Word> expected(static_cast<size_t>(s.rows * s.ld_dst + s.first_dst), Word(999));
  const Buffer<Word> src(ctx, values);
  Buffer<Word> dst(ctx, expected);
  for (int64_t r = 0; r < s.rows; ++r)
    for (int64_t c = 0; c < s.columns; ++c)
      expected[r * s.ld_dst + s.first_dst + c] = values[r * s.ld_src + s.first_src + c];
  REQUIRE_OK(varlstm_copy_columns(ctx, dtype, s.rows, s.columns, src.data() + s.first_src, s.ld_src,
                                  dst.data() + s.first_dst, s.ld_dst, nullptr));
  EXPECT_EQ(dst.get(), expected);
}

TEST(CopyColumns, CopiesThemAndNothingElse) {
  const Context context = make_context();
  for (const Shape& s : {Shape{5, 3, 3, 7, 0, 4}, Shape{5, 3, 7, 3, 4, 0}, Shape{1, 1, 1, 1, 0, 0},
                         Shape{4, 6, 6, 6, 0, 0}, Shape{300, 33, 40, 65, 7, 32}, Shape{0, 2, 2, 3, 0, 0}}) {
    SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.columns));
    check_copy<uint16_t>(context.get(), VARLSTM_DTYPE_BF16, s);
    check_copy<uint16_t>(context.get(), VARLSTM_DTYPE_F16, s);
    check_copy<float>(context.get(), VARLSTM_DTYPE_F32, s);
    check_copy<double>(context.get(), VARLSTM_DTYPE_F64, s);
    check_copy<int64_t>(context.get(), VARLSTM_DTYPE_I64, s);
  }
}

TEST(CopyColumns, LeadingDimensionsThatAreTooSmall) {
  const Context context = make_context();
  Buffer<float> src(context.get(), 12), dst(context.get(), 12);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "ld_src = 3 is smaller than columns = 4",
               varlstm_copy_columns(context.get(), VARLSTM_DTYPE_F32, 2, 4, src.data(), 3, dst.data(), 4, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "ld_dst = 3 is smaller than columns = 4",
               varlstm_copy_columns(context.get(), VARLSTM_DTYPE_F32, 2, 4, src.data(), 4, dst.data(), 3, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "overlap",
               varlstm_copy_columns(context.get(), VARLSTM_DTYPE_F32, 2, 4, src.data(), 4, src.data() + 2, 4, nullptr));
}

}  // namespace
}  // namespace varlstm_test
