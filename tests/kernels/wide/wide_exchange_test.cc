// The exchange and the rings of wide teams, on their own: a chain of steps that goes through all blocks.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/wide/exchange_kernel.h"

namespace varlstm_test {
namespace {

std::vector<uint32_t> expected(uint32_t steps) {
  std::vector<uint32_t> sums(size_t{steps} * kExchangeBlocks * 128), words(kExchangeParts * kExchangeWords);
  const auto sum_at = [&](uint32_t step, uint32_t block, uint32_t t) -> uint32_t& {
    return sums[(step * kExchangeBlocks + block) * 128 + t];
  };
  for (uint32_t step = 0; step < steps; ++step) {
    for (uint32_t b = 0; b < kExchangeBlocks; ++b)
      for (uint32_t t = 0; t < 128; ++t)
        words[b / 2 * kExchangeWords + b % 2 * 128 + t] =
            (step == 0 ? 0 : sum_at(step - 1, b, t)) * 31 + 7 * b + t + step;
    for (uint32_t b = 0; b < kExchangeBlocks; ++b)
      for (uint32_t t = 0; t < 128; ++t)
        for (uint32_t k = 0; k < kExchangeParts; ++k)
          sum_at(step, b, t) += (words[k * kExchangeWords + t] + words[k * kExchangeWords + t + 128]) * (k + 1);
  }
  return sums;
}

// Few slots make fillers wait for slots, more of them make the owners of a slot change from turn to turn.
TEST(WideExchange, EveryThreadSeesEveryStep) {
  constexpr uint32_t kSteps = 9;
  const std::vector<uint32_t> wanted = expected(kSteps);
  uint32_t* sums = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&sums), wanted.size() * sizeof *sums), cudaSuccess);
  for (const Sharing& sharing : {Sharing{1, 1}, Sharing{2, 1}, Sharing{4, 1}, Sharing{2, 2}}) {
    for (const unsigned slots : {3u, 6u}) {
      SCOPED_TRACE(testing::Message() << sharing.sharers << " blocks share a stage, stride " << sharing.stride << ", "
                                      << slots << " slots");
      ASSERT_EQ(launch_exchange(sharing, slots, kSteps, sums), cudaSuccess);
      std::vector<uint32_t> result(wanted.size());
      ASSERT_EQ(cudaMemcpyAsync(result.data(), sums, result.size() * sizeof *sums, cudaMemcpyDeviceToHost, nullptr),
                cudaSuccess);
      ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
      EXPECT_EQ(result, wanted);
    }
  }
  cudaFree(sums);
}

}  // namespace
}  // namespace varlstm_test
