// Macros that check a call's status and print the library's own text where it is not the one expected.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "varlstm.h"

namespace varlstm_test {

inline ::testing::AssertionResult has_status(int32_t expected, int32_t status) {
  if (status == expected) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << varlstm_status_name(status) << " (expected " << varlstm_status_name(expected)
                                       << "): " << varlstm_last_error();
}

// The status is `expected` and the text of the error contains `part`.
inline ::testing::AssertionResult fails_with(int32_t expected, const std::string& part, int32_t status) {
  if (status != expected) return has_status(expected, status);
  const std::string text = varlstm_last_error();
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "the error's text «" << text << "» does not contain «" << part << "»";
}

inline void require_ok(int32_t status, const char* call) {
  if (status == VARLSTM_OK) return;
  throw std::runtime_error(std::string(call) + ": " + varlstm_status_name(status) + ": " + varlstm_last_error());
}

}  // namespace varlstm_test

#define EXPECT_OK(call) EXPECT_TRUE(::varlstm_test::has_status(VARLSTM_OK, (call)))
#define ASSERT_OK(call) ASSERT_TRUE(::varlstm_test::has_status(VARLSTM_OK, (call)))

#define EXPECT_STATUS(expected, call) EXPECT_TRUE(::varlstm_test::has_status((expected), (call)))
#define ASSERT_STATUS(expected, call) ASSERT_TRUE(::varlstm_test::has_status((expected), (call)))

// EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "lengths[3] = 41", varlstm_...(...));
#define EXPECT_ERROR(expected, part, call) EXPECT_TRUE(::varlstm_test::fails_with((expected), (part), (call)))

// For helpers that return a value: throws, which fails the test.
#define REQUIRE_OK(call) ::varlstm_test::require_ok((call), #call)
