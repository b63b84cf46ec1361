// What calls leave of a thread's state in the CUDA runtime: no error that a later call would find, and the caller's
// current context. For the emulated build, whose runtime can be told to fail and can have two devices.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>

#include "kernels/core/device_facts.h"
#include "kernels/core/runtime.h"
#include "kernels/simt/options.h"
#include "kernels/simt/runtime_control.h"
#include "support/buffer.h"
#include "support/check_status.h"
#include "support/training_step.h"

namespace varlstm_test {
namespace {

using varlstm::simt::set_runtime_fault;

constexpr int64_t kTooMuch = int64_t{1} << 50;
// Number of an operation's first call of the runtime: behind cuCtxGetCurrent and cudaSetDevice.
constexpr int64_t kFirstCall = 3;

TEST(LastError, AfterAFailedAllocationABatchAndAnEmbeddingWork) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {2, 4, 1});
  Buffer<double> table(ctx.get(), 10), dy(ctx.get(), 14);
  Buffer<int64_t> ids(ctx.get(), std::vector<int64_t>(7, 1));
  int64_t bytes = 0;
  ASSERT_OK(varlstm_op_workspace(ctx.get(), VARLSTM_OP_EMBEDDING_BACKWARD, VARLSTM_DTYPE_F64, 7, 5, 2, &bytes));
  ByteBuffer workspace(ctx.get(), bytes);
  void* memory = nullptr;
  const int64_t lengths[3] = {1, 4, 2};
  EXPECT_ERROR(VARLSTM_ERROR_OUT_OF_MEMORY, "cudaMalloc", varlstm_alloc(ctx.get(), kTooMuch, &memory));
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
  EXPECT_OK(varlstm_batch_set_lengths(batch.get(), lengths, 3, VARLSTM_SPACE_HOST, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_OUT_OF_MEMORY, "cudaMalloc", varlstm_alloc(ctx.get(), kTooMuch, &memory));
  EXPECT_OK(varlstm_embedding_backward(ctx.get(), batch.get(), VARLSTM_DTYPE_F64, 7, 5, 2, -1, ids.data(), dy.data(),
                                       table.data(), workspace.data(), bytes, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_OUT_OF_MEMORY, "cudaMalloc", varlstm_alloc(ctx.get(), kTooMuch, &memory));
  EXPECT_OK(varlstm_batch_set_lengths(batch.get(), lengths, 3, VARLSTM_SPACE_HOST, nullptr));
  EXPECT_OK(varlstm_sync(ctx.get(), nullptr));
}

TEST(LastError, ThatSomebodyElseLeftIsNotTheSorts) {
  const Context ctx = make_context();
  const Batch batch = make_batch(ctx.get(), {2, 4, 1});
  const int64_t lengths[3] = {1, 4, 2};
  EXPECT_EQ(cudaSetDevice(7), cudaErrorInvalidDevice);
  EXPECT_OK(varlstm_batch_set_lengths(batch.get(), lengths, 3, VARLSTM_SPACE_HOST, nullptr));
  EXPECT_EQ(cudaSetDevice(7), cudaErrorInvalidDevice);
  const Context other = make_context();
  EXPECT_OK(varlstm_sync(other.get(), nullptr));
  (void)cudaGetLastError();
}

TEST(LastError, CountingNoDevicesLeavesNone) {
  int32_t count = -1;
  setenv("VARLSTM_EMULATOR_DEVICES", "0", 1);
  EXPECT_OK(varlstm_device_count(VARLSTM_BACKEND_CUDA, &count));
  unsetenv("VARLSTM_EMULATOR_DEVICES");
  EXPECT_EQ(count, 0);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

// By their numbers in the toolkit's driver_types.h.
TEST(StickyErrors, KillTheContextAndAreNamed) {
  const struct {
    int number;
    const char* name;
  } errors[] = {{214, "cudaErrorECCUncorrectable"},   {220, "cudaErrorNvlinkUncorrectable"},
                {226, "cudaErrorContained"},          {700, "cudaErrorIllegalAddress"},
                {719, "cudaErrorLaunchFailure"},      {721, "cudaErrorTensorMemoryLeak"},
                {810, "cudaErrorMpsClientTerminated"}};
  for (const auto& error : errors) {
    const Context ctx = make_context();
    set_runtime_fault({kFirstCall, static_cast<cudaError_t>(error.number), false});
    EXPECT_ERROR(VARLSTM_ERROR_DEAD_CONTEXT, error.name, varlstm_sync(ctx.get(), nullptr));
    set_runtime_fault({});
    EXPECT_ERROR(VARLSTM_ERROR_DEAD_CONTEXT, "died", varlstm_sync(ctx.get(), nullptr));
  }
  const Context ctx = make_context();
  for (const int number : {1, 400, 701, 720, 900, 999}) {
    set_runtime_fault({kFirstCall, static_cast<cudaError_t>(number), false});
    EXPECT_EQ(varlstm_sync(ctx.get(), nullptr), VARLSTM_ERROR_BACKEND) << number;
  }
  set_runtime_fault({});
  EXPECT_OK(varlstm_sync(ctx.get(), nullptr));
}

int current_device() {
  int device = -1;
  EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
  return device;
}

// Clusters of 2 fill 132 multiprocessors; of the larger ones GPCs of 18, 16 and 14 hold no more than fit in each.
TEST(DeviceFacts, CountWhatIsResidentByTheSizeOfAClusterAndTheSharedMemory) {
  const varlstm::simt::Options saved = varlstm::simt::options();
  varlstm::simt::set_options(varlstm::simt::with_size_of_h100(saved));
  varlstm::cuda::DeviceFacts facts;
  EXPECT_EQ(varlstm::cuda::ask_device_facts(0, &facts), VARLSTM_OK);
  varlstm::simt::set_options(saved);
  EXPECT_EQ(facts.capability, 90);
  EXPECT_EQ(facts.resident_blocks, 132);
  const int clusters[] = {132, 66, 31, 15, 7};
  for (int k = 0; k < varlstm::cuda::kClusterSizes; ++k) EXPECT_EQ(facts.active_clusters[k], clusters[k]) << k;
}

CUcontext current_context() {
  CUcontext context = nullptr;
  EXPECT_EQ(cuCtxGetCurrent(&context), CUDA_SUCCESS);
  return context;
}

bool is_used(CUdevice device) {
  unsigned flags = 0;
  int active = -1;
  EXPECT_EQ(cuDevicePrimaryCtxGetState(device, &flags, &active), CUDA_SUCCESS);
  return active == 1;
}

// Two devices; the second is this thread's, and the library's contexts lie on the first.
class CallersDevice : public ::testing::Test {
 protected:
  CallersDevice() {
    setenv("VARLSTM_EMULATOR_DEVICES", "2", 1);
    EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  }
  ~CallersDevice() override {
    set_runtime_fault({});
    EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
    unsetenv("VARLSTM_EMULATOR_DEVICES");
  }
};

// The step asks on both sides of its calls. That memory and kernels are the first device's, the emulator checks: a
// kernel that reaches memory of the other is a defect.
TEST_F(CallersDevice, IsCurrentAgainAfterEveryCall) {
  {
    TrainingStep step(0, [] {
      EXPECT_EQ(current_device(), 1);
      return int64_t{0};
    });
    EXPECT_OK(step.run());
    EXPECT_EQ(current_device(), 1);
  }
  EXPECT_EQ(current_device(), 1) << "after the destruction of everything";
}

TEST_F(CallersDevice, IsCurrentAgainAfterMakingAndDestroying) {
  varlstm_ctx* ctx = nullptr;
  EXPECT_OK(varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &ctx));
  EXPECT_EQ(current_device(), 1);
  varlstm_batch* batch = nullptr;
  EXPECT_OK(varlstm_batch_create(ctx, 2, 3, 6, &batch));
  EXPECT_EQ(current_device(), 1);
  EXPECT_OK(varlstm_batch_destroy(batch));
  EXPECT_EQ(current_device(), 1);
  EXPECT_OK(varlstm_ctx_destroy(ctx));
  EXPECT_EQ(current_device(), 1);
}

TEST_F(CallersDevice, IsCurrentAgainAfterAFailedCallWhoseTextStays) {
  const Context ctx = make_context();
  set_runtime_fault({kFirstCall, cudaErrorUnknown, false});
  EXPECT_ERROR(VARLSTM_ERROR_BACKEND, "cudaStreamSynchronize failed", varlstm_sync(ctx.get(), nullptr));
  EXPECT_EQ(current_device(), 1);
  const CUcontext callers = current_context();
  for (int64_t call = 1; call < 40; ++call) {
    set_runtime_fault({call, cudaErrorUnknown, false});
    varlstm_ctx* other = nullptr;
    const int32_t status = varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &other);
    set_runtime_fault({});
    EXPECT_EQ(current_context(), callers) << "call " << call << ": " << varlstm_last_error();
    if (status == VARLSTM_OK) {
      EXPECT_OK(varlstm_ctx_destroy(other));
    }
  }
}

// Packs on device 1, in a stream of it.
void use_the_other_device(cudaStream_t stream) {
  varlstm_ctx* handle = nullptr;
  ASSERT_OK(varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 1, &handle));
  const Context ctx(handle);
  const Batch batch = make_batch(handle, {2, 4, 1});
  Buffer<int64_t> ids(handle, std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6}), packed(handle, 7);
  EXPECT_OK(
      varlstm_pack(batch.get(), VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_RAGGED, 0, 1, ids.data(), packed.data(), stream));
  EXPECT_EQ(packed.get(), (std::vector<int64_t>{2, 0, 6, 3, 1, 4, 5}));
}

TEST_F(CallersDevice, AContextOfTheOtherDeviceWorks) {
  cudaStream_t stream = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  use_the_other_device(stream);
  EXPECT_EQ(current_device(), 0);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

// A context takes hundreds of megabytes of its device. The caller has a copy of the runtime of his own, in which the
// first device is this thread's from the start.
TEST_F(CallersDevice, GetsNoContextWhereTheCallerHasNotUsedIt) {
  varlstm::simt::forget_contexts();
  use_the_other_device(nullptr);
  EXPECT_TRUE(is_used(1));
  EXPECT_FALSE(is_used(0)) << "the caller's device has a context that he did not ask for";
  EXPECT_EQ(current_context(), nullptr) << "the caller's first call would go to the library's device";
}

TEST_F(CallersDevice, KeepsTheContextThatTheCallerMade) {
  const CUcontext own = varlstm::simt::context_beside_the_primary(0);
  EXPECT_EQ(cuCtxSetCurrent(own), CUDA_SUCCESS);
  use_the_other_device(nullptr);
  EXPECT_EQ(current_context(), own);
  const Context ctx = make_context();
  EXPECT_OK(varlstm_sync(ctx.get(), nullptr));
  EXPECT_EQ(current_context(), own);
}

}  // namespace
}  // namespace varlstm_test
