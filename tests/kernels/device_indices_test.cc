// Indices of the CUDA back end beyond 32 bits, where a launch of so many elements would take hours to emulate.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "kernels/masked_loss/loss_chunks.h"
#include "kernels/optimizer/norm_chunks.h"
#include "kernels/recurrence/stepwise/step_shape.h"

namespace varlstm::cuda {
namespace {

TEST(NormChunks, CoverMoreThan32Bits) {
  constexpr int64_t kTwoTo32 = int64_t{1} << 32;
  for (const int64_t count : {int64_t{1}, kNormChunk, kTwoTo32 - 1, kTwoTo32, kTwoTo32 + 1, 5 * kTwoTo32 + 77}) {
    const int64_t chunks = norm_chunks(count);
    int64_t next = 0;
    for (int64_t block = 0; block < chunks; ++block) {
      const NormChunk chunk = norm_chunk(static_cast<unsigned>(block), count);
      ASSERT_EQ(chunk.begin, next) << "block " << block << " of " << count << " elements";
      ASSERT_EQ(chunk.end, std::min(count, chunk.begin + kNormChunk)) << "block " << block;
      next = chunk.end;
    }
    EXPECT_EQ(next, count);
  }
}

// All segments of a step, and all streams, are in one grid: CUDA has up to 2^31 - 1 blocks along x, and 65535 along y.
struct SmallStep {
  static constexpr int kRanks = 16, kUnits = 16;
};

TEST(StepShape, HoldsMoreRanksThanAGridHasBlocksAlongY) {
  for (const int64_t ranks : {int64_t{1}, int64_t{16}, int64_t{17}, int64_t{65535} * 16 + 1, int64_t{1} << 34}) {
    for (const int64_t units : {int64_t{1}, int64_t{17}, kMostUnits}) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks, " + std::to_string(units) + " units");
      const LaunchShape shape = step_shape<SmallStep>(ranks, units, 2, 77, 1);
      EXPECT_LE(shape.grid.x, 0x7fffffffu);
      EXPECT_LE(shape.grid.y, 65535u);
      EXPECT_EQ(static_cast<int64_t>(shape.grid.x), (ranks + 15) / 16);
      EXPECT_EQ(static_cast<int64_t>(shape.grid.y), (units + 15) / 16);
      EXPECT_EQ(shape.grid.z, 2u);
      EXPECT_EQ(shape.block.x, 256u);
      EXPECT_EQ(shape.shared_bytes, 77u);
    }
  }
}

// Every row is in a chunk, and there is room for each chunk's sum.
TEST(LossChunks, HoldAllRowsInTheRoomThereIs) {
  constexpr int64_t kFull = kLossChunk * kMostLossPartials;
  for (const int64_t rows : {int64_t{0}, int64_t{1}, kLossChunk, kLossChunk + 1, kFull - 1, kFull, kFull + 1,
                             7 * kFull + 5, (int64_t{1} << 40) + 1}) {
    SCOPED_TRACE(rows);
    EXPECT_LE(chunks_of(rows), kMostLossPartials);
    EXPECT_GE(chunks_of(rows) * chunk_rows(rows), rows);
    EXPECT_LT((chunks_of(rows) - 1) * chunk_rows(rows), std::max<int64_t>(rows, 1)) << "an empty chunk";
  }
}

}  // namespace
}  // namespace varlstm::cuda
