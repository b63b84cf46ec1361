// Running out of memory at every point: a training step from create to destroy is repeated with its k-th allocation
// failing, for k = 1, 2, ... until nothing fails. And: only the create functions and varlstm_alloc allocate at all.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/check_status.h"
#include "support/context.h"
#include "support/failing_new.h"
#include "support/training_step.h"

namespace varlstm_test {
namespace {

// The library keeps the shells of the last 64 handles destroyed; after that many, each destruction frees one.
void fill_the_graves() {
  const Context ctx = make_context();
  for (int k = 0; k < 64; ++k) make_loss(ctx.get(), 1);
}

class Allocation : public ::testing::TestWithParam<int64_t> {
 protected:
  Allocation() { fill_the_graves(); }
  ~Allocation() override { allocations().fail_at = 0; }
};

TEST_P(Allocation, OnlyCreateAndAllocAllocate) {
  const int64_t made = allocations().made;
  TrainingStep step(GetParam(), [] { return allocations().made.load(); });
  ASSERT_OK(step.run());
  EXPECT_GT(allocations().made, made + 10) << "the library does not use this program's operator new";
  EXPECT_EQ(step.hidden_allocations(), 0) << step.first_hidden() << " allocates";
}

TEST_P(Allocation, FailureAtEveryPointLeavesNothing) {
  ASSERT_OK(TrainingStep(GetParam()).run());
  int64_t failures = 0;
  for (int64_t k = 1;; ++k) {
    ASSERT_LT(k, 1000) << "the step never succeeds";
    const int64_t live = allocations().live;
    const int64_t made = allocations().made;
    allocations().fail_at = made + k;
    const int32_t status = TrainingStep(GetParam()).run();
    const bool reached = allocations().made >= made + k;
    allocations().fail_at = 0;
    EXPECT_EQ(allocations().live, live) << "allocation " << k << " failed and something was left";
    if (!reached) {
      EXPECT_EQ(status, VARLSTM_OK);
      break;
    }
    ASSERT_EQ(status, VARLSTM_ERROR_OUT_OF_MEMORY) << "allocation " << k << ": " << varlstm_last_error();
    EXPECT_NE(std::string(varlstm_last_error()).find("memory"), std::string::npos) << varlstm_last_error();
    ++failures;
  }
  EXPECT_GT(failures, 20);
}

INSTANTIATE_TEST_SUITE_P(Threads, Allocation, ::testing::Values(1, 2));

// A handle is as usable after a failed call as before.
TEST(AllocationFailure, ContextGoesOnAfterAFailedCreation) {
  const Context ctx = make_context();
  for (int64_t k = 1; k <= 4; ++k) {
    varlstm_batch* batch = nullptr;
    allocations().fail_at = allocations().made + k;
    const int32_t status = varlstm_batch_create(ctx.get(), 3, 4, 7, &batch);
    allocations().fail_at = 0;
    EXPECT_ERROR(VARLSTM_ERROR_OUT_OF_MEMORY, "memory", status);
    EXPECT_EQ(batch, nullptr);
    ASSERT_OK(varlstm_batch_create(ctx.get(), 3, 4, 7, &batch));
    EXPECT_OK(varlstm_batch_destroy(batch));
  }
}

}  // namespace
}  // namespace varlstm_test
