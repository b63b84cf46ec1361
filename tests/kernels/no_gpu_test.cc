// The library where there is no GPU, or none that may be seen: it loads, finds no CUDA device, says so, and computes on
// the host. ctest hides what the machine has.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "support/check_status.h"
#include "varlstm.h"

namespace varlstm_test {
namespace {

TEST(NoGpu, NoDeviceIsFoundAndNamed) {
  int32_t count = -1;
  ASSERT_OK(varlstm_device_count(VARLSTM_BACKEND_CUDA, &count));
  EXPECT_EQ(count, 0);
  varlstm_ctx* ctx = nullptr;
  EXPECT_STATUS(VARLSTM_ERROR_UNSUPPORTED, varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &ctx));
  EXPECT_EQ(ctx, nullptr);
  EXPECT_NE(std::string(varlstm_last_error()), "");
}

TEST(NoGpu, HostComputes) {
  varlstm_ctx* ctx = nullptr;
  ASSERT_OK(varlstm_ctx_create(VARLSTM_BACKEND_HOST, 0, &ctx));
  const float x[2] = {2, 3}, weight[2] = {5, 7};
  float y = 0;
  int64_t bytes = -1;
  ASSERT_OK(varlstm_op_workspace(ctx, VARLSTM_OP_LINEAR_FORWARD, VARLSTM_DTYPE_F32, 1, 2, 1, &bytes));
  ASSERT_EQ(bytes, 0);
  EXPECT_OK(varlstm_linear_forward(ctx, VARLSTM_DTYPE_F32, 1, 2, 1, x, weight, nullptr, &y, nullptr, 0, nullptr));
  EXPECT_EQ(y, 31);
  EXPECT_OK(varlstm_ctx_destroy(ctx));
}

// It is opened with the first context of the CUDA back end, and there was none.
TEST(NoGpu, CublasIsNotLoaded) {
  std::ifstream maps("/proc/self/maps");
  if (!maps) GTEST_SKIP() << "no /proc here";
  for (std::string line; std::getline(maps, line);) EXPECT_EQ(line.find("libcublas"), std::string::npos) << line;
}

}  // namespace
}  // namespace varlstm_test
