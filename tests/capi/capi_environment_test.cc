// The library's environment variables: an unknown value is an error that lists the known ones.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "support/context.h"
#include "varlstm.h"

namespace varlstm_test {
namespace {

// Sets a variable, and unsets it at the end.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

int32_t create_context() {
  varlstm_ctx* context = nullptr;
  const int32_t status = varlstm_ctx_create(test_backend(), 0, &context);
  EXPECT_EQ(context != nullptr, status == VARLSTM_OK);
  varlstm_ctx_destroy(context);
  return status;
}

void expect_refused(const char* name, const char* value, const std::string& why) {
  const Variable variable(name, value);
  EXPECT_EQ(create_context(), VARLSTM_ERROR_INVALID_ARGUMENT) << name << " = " << value;
  EXPECT_EQ(varlstm_last_error(), std::string(name) + " = " + value + " in the environment " + why);
}

TEST(Environment, RefusesAnUnknownNameAndListsTheKnownOnes) {
  expect_refused("VARLSTM_HOST_ISA", "avx", "is none of: baseline avx2 avx512");
  expect_refused("VARLSTM_HOST_ISA", "avx2 avx512", "is none of: baseline avx2 avx512");
  expect_refused("VARLSTM_RECURRENCE_POLICY", "Cluster", "is none of: auto stepwise cluster grid");
  expect_refused("VARLSTM_GEMM_POLICY", "cublas ", "is none of: flat wide tensor wgmma cublas");
  expect_refused("VARLSTM_ROW_POLICY", "lanes", "is none of: lanes8 warp block");
  expect_refused("VARLSTM_PRINT_POLICY", "yes", "is none of: 0 1");
}

TEST(Environment, RefusesWhatIsNoNumber) {
  for (const char* value : {"many", "0", "-1", "1.5", "1e3", " 7", "7 ", "+7", "9223372036854775808"})
    for (const char* name : {"VARLSTM_LOSS_CHUNK", "VARLSTM_RECURRENCE_SLOTS"})
      expect_refused(name, value, "is no whole number from 1 on");
}

TEST(Environment, TakesEachKnownValueAndAnEmptyOne) {
  const char* const known[][2] = {{"VARLSTM_HOST_ISA", "baseline"},
                                  {"VARLSTM_HOST_ISA", "avx512"},
                                  {"VARLSTM_HOST_ISA", ""},
                                  {"VARLSTM_RECURRENCE_POLICY", "auto"},
                                  {"VARLSTM_GEMM_POLICY", "flat"},
                                  {"VARLSTM_GEMM_POLICY", "cublas"},
                                  {"VARLSTM_ROW_POLICY", "block"},
                                  {"VARLSTM_PRINT_POLICY", "0"},
                                  {"VARLSTM_LOSS_CHUNK", "64"},
                                  {"VARLSTM_RECURRENCE_SLOTS", "16"},
                                  {"VARLSTM_RECURRENCE_POLICY", "cluster"},
                                  {"VARLSTM_LOSS_CHUNK", ""},
                                  {"VARLSTM_CUBLAS_LIBRARY", ""},
                                  {"VARLSTM_LOSS_CHUNK", "9223372036854775807"}};
  for (const auto& [name, value] : known) {
    const Variable variable(name, value);
    EXPECT_EQ(create_context(), VARLSTM_OK) << name << " = " << value << ": " << varlstm_last_error();
  }
}

// The workspace shows how many rows a chunk has.
TEST(Environment, AnUnknownValueThatIsSetLaterCountsAsNotSet) {
  const Context context = make_context();
  const auto workspace_bytes = [&] {
    int64_t bytes = 0;
    EXPECT_OK(varlstm_op_workspace(context.get(), VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, VARLSTM_DTYPE_F32, 5000, 64,
                                   1000, &bytes));
    return bytes;
  };
  const int64_t without = workspace_bytes();
  {
    const Variable variable("VARLSTM_LOSS_CHUNK", "many");
    EXPECT_EQ(workspace_bytes(), without);
  }
  const Variable variable("VARLSTM_LOSS_CHUNK", "7");
  EXPECT_LT(workspace_bytes(), without);
}

}  // namespace
}  // namespace varlstm_test
