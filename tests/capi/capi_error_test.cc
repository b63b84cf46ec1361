// Version, names of statuses, and the text of each thread's last error.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "support/context.h"

namespace varlstm_test {
namespace {

TEST(Error, VersionIsTheHeaders) {
  EXPECT_EQ(varlstm_version(), 10000 * VARLSTM_VERSION_MAJOR + 100 * VARLSTM_VERSION_MINOR + VARLSTM_VERSION_PATCH);
}

TEST(Error, BuildInfoIsOneStaticLine) {
  const std::string info = varlstm_build_info();
  const std::string version = std::to_string(VARLSTM_VERSION_MAJOR) + "." + std::to_string(VARLSTM_VERSION_MINOR) +
                              "." + std::to_string(VARLSTM_VERSION_PATCH);
  EXPECT_EQ(info.find("libvarlstm " + version), 0u) << info;
  EXPECT_NE(info.find("back ends: host ("), std::string::npos) << info;
  EXPECT_TRUE(info.find("OpenBLAS, ") != std::string::npos || info.find("own GEMM, ") != std::string::npos) << info;
  EXPECT_EQ(info.find('\n'), std::string::npos) << info;
  EXPECT_EQ(varlstm_build_info(), varlstm_build_info());
}

TEST(Error, EveryStatusHasItsName) {
#define EXPECT_NAME(status) EXPECT_STREQ(varlstm_status_name(status), #status)
  EXPECT_NAME(VARLSTM_OK);
  EXPECT_NAME(VARLSTM_ERROR_INVALID_ARGUMENT);
  EXPECT_NAME(VARLSTM_ERROR_UNSUPPORTED);
  EXPECT_NAME(VARLSTM_ERROR_OUT_OF_MEMORY);
  EXPECT_NAME(VARLSTM_ERROR_BUFFER_TOO_SMALL);
  EXPECT_NAME(VARLSTM_ERROR_INVALID_HANDLE);
  EXPECT_NAME(VARLSTM_ERROR_BACKEND);
  EXPECT_NAME(VARLSTM_ERROR_DEAD_CONTEXT);
  EXPECT_NAME(VARLSTM_ERROR_INTERNAL);
#undef EXPECT_NAME
  EXPECT_STREQ(varlstm_status_name(9), "unknown status");
  EXPECT_STREQ(varlstm_status_name(-1), "unknown status");
}

TEST(Error, TextIsEmptyBeforeTheFirstErrorAndStaysAfterSuccess) {
  std::thread([] {
    EXPECT_STREQ(varlstm_last_error(), "");
    EXPECT_STATUS(VARLSTM_ERROR_INVALID_ARGUMENT, varlstm_device_count(7, nullptr));
    const std::string text = varlstm_last_error();
    EXPECT_NE(text.find("backend = 7"), std::string::npos) << text;
    int32_t count = 0;
    EXPECT_OK(varlstm_device_count(test_backend(), &count));
    EXPECT_EQ(text, varlstm_last_error());
  }).join();
}

TEST(Error, TextBelongsToItsThread) {
  ASSERT_STATUS(VARLSTM_ERROR_INVALID_ARGUMENT, varlstm_device_count(101, nullptr));
  std::thread([] {
    ASSERT_STATUS(VARLSTM_ERROR_INVALID_ARGUMENT, varlstm_device_count(102, nullptr));
    EXPECT_NE(std::string(varlstm_last_error()).find("102"), std::string::npos);
  }).join();
  EXPECT_NE(std::string(varlstm_last_error()).find("101"), std::string::npos);
}

}  // namespace
}  // namespace varlstm_test
