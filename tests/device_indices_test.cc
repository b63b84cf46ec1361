// Indices of the CUDA back end beyond 32 bits, where a launch of so many elements would take hours to emulate.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/optimizer/norm_chunks.h"

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

}  // namespace
}  // namespace varlstm::cuda
