// The two ways of the embedding's gradient give the same bits: runs of equal ids that begin and end anywhere in the
// chunks of sums, ids without a gradient, and rows beyond the batch's tokens.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "kernels/core/device_status.h"
#include "kernels/embedding/embedding.h"
#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/lengths.h"
#include "support/random.h"

namespace varlstm::cuda {
namespace {

using varlstm_test::Buffer;
using varlstm_test::ByteBuffer;
using varlstm_test::Context;
using varlstm_test::Random;

// dtable of one way, and the status that it left.
template <class T>
struct Gradient {
  std::vector<T> dtable;
  std::vector<unsigned char> status;
};

template <class T>
class Ways {
 public:
  Ways(varlstm_ctx* context, const EmbeddingArgs& args, int64_t padding_idx, const std::vector<T>& dy)
      : context_(context), args_(args), padding_idx_(padding_idx), dy_(context, dy) {}

  template <class Way>
  Gradient<T> run(const std::vector<T>& before, const Way& way) {
    State state;
    ByteBuffer status(context_, std::vector<unsigned char>(sizeof(DeviceStatus), 0xff));
    state.status = reinterpret_cast<DeviceStatus*>(status.data());
    state.multiprocessors = 3;
    Buffer<T> dtable(context_, before);
    EXPECT_EQ(way(Stream{&state, nullptr}, args_, padding_idx_, dy_.data(), dtable.data()), VARLSTM_OK);
    return {dtable.get(), status.get()};
  }

 private:
  varlstm_ctx* context_;
  EmbeddingArgs args_;
  int64_t padding_idx_;
  Buffer<T> dy_;
};

template <class T>
void compare_ways(DType dtype, int64_t rows, int64_t vocab, int64_t features, int64_t counted) {
  const Context context = varlstm_test::make_context();
  Random random(static_cast<uint64_t>(rows * 1000 + vocab));
  const Buffer<int64_t> ids(context.get(), random.integers(rows, -1, vocab));  // bad ids among them
  const Buffer<int64_t> tokens(context.get(), std::vector<int64_t>{counted});
  BatchPlan plan{};
  plan.step_offsets = const_cast<int64_t*>(tokens.data());
  const EmbeddingArgs args{dtype, rows, vocab, features, counted < 0 ? nullptr : &plan, ids.data()};
  const std::vector<T> before = random.template vector<T>(vocab * features);
  Ways<T> ways(context.get(), args, vocab / 2, random.template vector<T>(rows * features));
  int64_t bytes = 0;
  ASSERT_EQ(embedding_workspace(dtype, rows, features, &bytes), VARLSTM_OK);
  ByteBuffer workspace(context.get(), bytes);
  const Gradient<T> sorted =
      ways.run(before, [&](Stream stream, const EmbeddingArgs& same, int64_t padding, const void* dy, void* dtable) {
        return add_sorted_rows(stream, same, padding, dy, dtable, workspace.data());
      });
  const Gradient<T> found = ways.run(before, add_found_rows);
  EXPECT_TRUE(varlstm_test::bitwise_equal(found.dtable, sorted.dtable));
  EXPECT_EQ(found.status, sorted.status);
  EXPECT_FALSE(varlstm_test::bitwise_equal(found.dtable, before));
}

TEST(EmbeddingWays, GiveTheSameBits) {
  for (const int64_t vocab : {2, 7, 300})
    for (const int64_t rows : {33, 65, 200, 400}) {
      SCOPED_TRACE("rows " + std::to_string(rows) + ", vocab " + std::to_string(vocab));
      compare_ways<float>(DType::kF32, rows, vocab, 5, -1);
    }
}

TEST(EmbeddingWays, GiveTheSameBitsForOtherTypesAndWideRows) {
  compare_ways<double>(DType::kF64, 150, 2, 40, -1);
  compare_ways<float>(DType::kF32, 150, 3, 70, -1);
}

TEST(EmbeddingWays, LeaveOutRowsBeyondTheTokens) {
  compare_ways<float>(DType::kF32, 130, 2, 3, 100);
  compare_ways<float>(DType::kF32, 40, 2, 3, 200);
}

}  // namespace
}  // namespace varlstm::cuda
