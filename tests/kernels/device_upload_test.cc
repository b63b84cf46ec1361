// Values that a plan takes from the host as arguments of kernels: more than one launch holds, of 4 and of 8 bytes.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "kernels/batch_plan/batch_plan.h"

namespace varlstm::cuda {
namespace {

void upload(int64_t largest) {
  constexpr int64_t kCount = 2000;
  int64_t* device = nullptr;
  ASSERT_EQ(cudaMalloc(reinterpret_cast<void**>(&device), kCount * sizeof(int64_t)), cudaSuccess);
  std::vector<int64_t> values, seen(kCount);
  for (int64_t k = 0; k < kCount; ++k) values.push_back(largest - k);
  const std::vector<int64_t> expected = values;
  State state;
  ASSERT_EQ(plan_upload({&state, nullptr}, values.data(), kCount, largest, device), 0);
  values.assign(kCount, -1);  // the launches took them
  ASSERT_EQ(cudaMemcpyAsync(seen.data(), device, kCount * sizeof(int64_t), cudaMemcpyDeviceToHost, nullptr),
            cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
}

TEST(DeviceUpload, OfSmallValues) {
  upload(INT32_MAX);
}
// Of 32 bits, but not with a sign.
TEST(DeviceUpload, OfValuesThatTakeThePlaceOfTheSign) {
  upload(UINT32_MAX);
}
TEST(DeviceUpload, OfLargeValues) {
  upload(int64_t{1} << 40);
}

}  // namespace
}  // namespace varlstm::cuda
