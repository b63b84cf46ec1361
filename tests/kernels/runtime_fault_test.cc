// Each call that a training step makes of the CUDA runtime fails once, and for good: an error that names the call, no
// leak, and a handle that is usable or cleanly dead. For the emulated build, whose runtime can be told to fail.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "kernels/simt/memory.h"
#include "kernels/simt/runtime_control.h"
#include "support/check_status.h"
#include "support/failing_new.h"
#include "support/training_step.h"

namespace varlstm_test {
namespace {

using varlstm::simt::device_allocations;
using varlstm::simt::failed_runtime_call;
using varlstm::simt::set_runtime_fault;

constexpr int64_t kMostCalls = 2000;

// The library keeps the shells of the last 64 handles destroyed; after that many, each destruction frees one.
void fill_the_graves() {
  const Context ctx = make_context();
  for (int k = 0; k < 64; ++k) make_loss(ctx.get(), 1);
}

bool error_names(const char* call) {
  return std::string(varlstm_last_error()).find(std::string(call) + " failed with cudaError") != std::string::npos;
}

class RuntimeFaults : public ::testing::Test {
 protected:
  RuntimeFaults() { fill_the_graves(); }
  ~RuntimeFaults() override { set_runtime_fault({}); }
};

// Pieces of host memory in use, but for the emulator's list of device memory.
int64_t host_allocations() {
  return allocations().live - device_allocations();
}

// How many of them a round leaves behind. The emulator keeps memory from launch to launch, but no more after a third
// round of the same than after the second; less where device memory that stays has filled a hole in its list.
template <class Round>
int64_t left_by(const Round& round) {
  round();
  round();
  const int64_t before = host_allocations();
  round();
  return host_allocations() - before;
}

// A step whose call with that number fails with `error`: `status`, an error that names the call, and none that is left
// as the runtime's last one. Gives the name.
const char* run_with_failure(int64_t call, cudaError_t error, int32_t status) {
  TrainingStep step(0);
  set_runtime_fault({call, error, false});
  const int32_t result = step.run();
  const char* failed = failed_runtime_call();
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << failed;
  if (*failed == 0) {
    EXPECT_OK(result);
    set_runtime_fault({});
  } else {
    EXPECT_EQ(result, status) << failed << ": " << varlstm_last_error();
    EXPECT_TRUE(error_names(failed)) << failed << ": " << varlstm_last_error();
  }
  return failed;
}

void fail_each_call(cudaError_t error, int32_t status) {
  const int64_t on_device = device_allocations();
  const char* failed = "";
  int64_t call = 0;
  do {
    ASSERT_LT(++call, kMostCalls) << "the step never succeeds";
    SCOPED_TRACE(call);
    EXPECT_EQ(left_by([&] { failed = run_with_failure(call, error, status); }), 0) << failed << " left host memory";
    ASSERT_EQ(device_allocations(), on_device) << failed << " left device memory";
  } while (*failed != 0);
  EXPECT_GT(call, 100);
}

TEST_F(RuntimeFaults, OneFailureLeavesNothing) {
  fail_each_call(cudaErrorUnknown, VARLSTM_ERROR_BACKEND);
}

TEST_F(RuntimeFaults, OneLackOfMemoryLeavesNothing) {
  fail_each_call(cudaErrorMemoryAllocation, VARLSTM_ERROR_OUT_OF_MEMORY);
}

// Device memory that could not be given back stays; nothing else does.
TEST_F(RuntimeFaults, DestroySurvivesFailures) {
  const char* failed = "";
  int64_t call = 0;
  do {
    ASSERT_LT(++call, kMostCalls) << "the step never ends";
    const int64_t left = left_by([&] {
      auto step = std::make_unique<TrainingStep>(0);
      ASSERT_OK(step->run());
      set_runtime_fault({call, cudaErrorUnknown, false});
      step.reset();
      failed = failed_runtime_call();
      EXPECT_EQ(cudaGetLastError(), cudaSuccess) << failed;
      set_runtime_fault({});
    });
    EXPECT_LE(left, 0) << "call " << call << ", " << failed;
  } while (*failed != 0);
  EXPECT_GT(call, 20);
}

TEST_F(RuntimeFaults, HandlesGoOnAfterOneFailure) {
  const char* failed = "";
  int64_t call = 0;
  do {
    ASSERT_LT(++call, kMostCalls) << "the step never succeeds";
    TrainingStep step(0);
    step.retry_failed_calls();
    set_runtime_fault({call, cudaErrorUnknown, false});
    EXPECT_OK(step.run());
    failed = failed_runtime_call();
    set_runtime_fault({});
    EXPECT_EQ(step.failures(), *failed == 0 ? 0 : 1) << "call " << call << ", " << failed;
  } while (*failed != 0);
  EXPECT_GT(call, 100);
}

// Runs a step whose call with that number and all later ones fail, as after a fault of a kernel. Gives the call's name.
const char* run_with_dead_device(int64_t call) {
  TrainingStep step(0);
  set_runtime_fault({call, cudaErrorIllegalAddress, true});
  const int32_t result = step.run();
  const char* failed = failed_runtime_call();
  if (*failed == 0) {
    EXPECT_OK(result);
    set_runtime_fault({});
    return failed;
  }
  EXPECT_EQ(result, VARLSTM_ERROR_DEAD_CONTEXT) << failed << ": " << varlstm_last_error();
  EXPECT_TRUE(error_names(failed)) << failed << ": " << varlstm_last_error();
  set_runtime_fault({1, cudaErrorIllegalAddress, true});
  if (step.ctx() == nullptr) return failed;
  EXPECT_ERROR(VARLSTM_ERROR_DEAD_CONTEXT, "died", varlstm_sync(step.ctx(), nullptr));
  EXPECT_STREQ(failed_runtime_call(), "") << "a dead context still calls the runtime";
  return failed;
}

TEST_F(RuntimeFaults, AFailureForGoodKillsTheContextCleanly) {
  const char* failed = "";
  int64_t call = 0;
  do {
    ASSERT_LT(++call, kMostCalls) << "the step never succeeds";
    SCOPED_TRACE(call);
    EXPECT_LE(left_by([&] { failed = run_with_dead_device(call); }), 0) << failed << " left host memory";
  } while (*failed != 0);
  EXPECT_GT(call, 100);
}

// What the runtime answers to the first use of a kernel where the library has no code for the device.
TEST_F(RuntimeFaults, ADeviceWithoutCodeIsTold) {
  for (const int error : {98, 209}) {  // cudaErrorInvalidDeviceFunction, cudaErrorNoKernelImageForDevice
    std::string told;
    for (int64_t call = 1; call < kMostCalls && told.empty(); ++call) {
      varlstm_ctx* ctx = nullptr;
      set_runtime_fault({call, static_cast<cudaError_t>(error), false});
      if (varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &ctx) == VARLSTM_ERROR_UNSUPPORTED) told = varlstm_last_error();
      EXPECT_EQ(cudaGetLastError(), cudaSuccess) << failed_runtime_call();
      set_runtime_fault({});
      EXPECT_OK(varlstm_ctx_destroy(ctx));
    }
    EXPECT_NE(told.find("device 0 has compute capability 9.0, for which this library was built without code"),
              std::string::npos)
        << told;
  }
}

// A failed change of a batch leaves it empty, not between two plans.
TEST_F(RuntimeFaults, BatchIsEmptyAfterAFailedChange) {
  const Context ctx = make_context();
  for (int64_t call = 1;; ++call) {
    const Batch batch = make_batch(ctx.get(), {2, 4, 1}, {4, 5, 12});
    const int64_t lengths[4] = {5, 1, 3, 3};
    set_runtime_fault({call, cudaErrorUnknown, false});
    const int32_t status = varlstm_batch_set_lengths(batch.get(), lengths, 4, VARLSTM_SPACE_HOST, nullptr);
    const bool reached = *failed_runtime_call() != 0;
    set_runtime_fault({});
    EXPECT_EQ(status, reached ? VARLSTM_ERROR_BACKEND : VARLSTM_OK);
    for (const int32_t key : {VARLSTM_KEY_BATCH, VARLSTM_KEY_TOKENS, VARLSTM_KEY_STEPS}) {
      int64_t value = -1;
      EXPECT_OK(varlstm_batch_get_i64(batch.get(), key, &value));
      EXPECT_EQ(value == 0, reached) << "call " << call << ", key " << key;
    }
    EXPECT_OK(varlstm_batch_set_lengths(batch.get(), lengths, 4, VARLSTM_SPACE_HOST, nullptr));
    ASSERT_TRUE(reached || call > 1) << "no call of the runtime was made";
    if (!reached) break;
  }
}

}  // namespace
}  // namespace varlstm_test
