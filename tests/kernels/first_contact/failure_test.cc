// 10. What a call that failed leaves behind: nothing. After an allocation that is too large, calls that ask the runtime
// for its last error succeed; and with two devices the caller's current one stays current.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>

#include "kernels/core/runtime.h"
#include "support/buffer.h"
#include "support/context.h"
#include "tests/kernels/first_contact/scale.h"

namespace varlstm_test {
namespace {

void allocate_too_much(varlstm_ctx* ctx) {
  void* memory = nullptr;
  EXPECT_ERROR(VARLSTM_ERROR_OUT_OF_MEMORY, "cudaMalloc", varlstm_alloc(ctx, int64_t{1} << 50, &memory));
  EXPECT_EQ(memory, nullptr);
}

TEST(AfterAFailure, SetLengthsAndEmbeddingBackwardSucceed) {
  const Context ctx = make_context();
  const std::vector<int64_t> lengths = {3, 1, 2};
  const Batch batch = make_batch(ctx.get(), lengths);
  allocate_too_much(ctx.get());
  ASSERT_OK(varlstm_batch_set_lengths(batch.get(), lengths.data(), 3, VARLSTM_SPACE_HOST, nullptr));
  allocate_too_much(ctx.get());
  Buffer<int64_t> on_device(ctx.get(), lengths), ids(ctx.get(), std::vector<int64_t>{1, 0, 1, 2, 1, 0});
  allocate_too_much(ctx.get());
  ASSERT_OK(varlstm_batch_set_lengths(batch.get(), on_device.data(), 3, VARLSTM_SPACE_BACKEND, nullptr));
  int64_t bytes = 0;
  ASSERT_OK(varlstm_op_workspace(ctx.get(), VARLSTM_OP_EMBEDDING_BACKWARD, VARLSTM_DTYPE_F32, 6, 3, 2, &bytes));
  ByteBuffer workspace(ctx.get(), bytes);
  Buffer<float> dy(ctx.get(), std::vector<float>(12, 1.0f)), dtable(ctx.get(), std::vector<float>(6, 0.0f));
  allocate_too_much(ctx.get());
  ASSERT_OK(varlstm_embedding_backward(ctx.get(), batch.get(), VARLSTM_DTYPE_F32, 6, 3, 2, -1, ids.data(), dy.data(),
                                       dtable.data(), workspace.data(), bytes, nullptr));
  ASSERT_OK(varlstm_sync(ctx.get(), nullptr));
  EXPECT_EQ(dtable.get(), (std::vector<float>{2, 2, 3, 3, 1, 1}));
}

// Emulated, the machine has two devices for the time of a test; a GPU's has those that it has.
struct TwoDevices {
  TwoDevices() {
    if (emulated()) setenv("VARLSTM_EMULATOR_DEVICES", "2", 1);
  }
  ~TwoDevices() {
    if (emulated()) unsetenv("VARLSTM_EMULATOR_DEVICES");
  }
};

TEST(AfterAFailure, CurrentDeviceStaysTheCallers) {
  const TwoDevices two_devices;
  int devices = 0;
  ASSERT_EQ(cudaGetDeviceCount(&devices), cudaSuccess);
  if (devices < 2) GTEST_SKIP() << "one device alone: two are needed to see which one is current";
  const auto current = [] {
    int device = -1;
    EXPECT_EQ(cudaGetDevice(&device), cudaSuccess);
    return device;
  };
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  varlstm_ctx* other = nullptr;
  ASSERT_OK(varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 1, &other));
  const Context ctx(other);
  EXPECT_EQ(current(), 0) << "after varlstm_ctx_create";
  {
    const Batch batch = make_batch(other, {2, 1});
    EXPECT_EQ(current(), 0) << "after the batch";
    const Buffer<float> values(other, std::vector<float>{1, 2});
    EXPECT_EQ(values.get(), (std::vector<float>{1, 2}));
    EXPECT_EQ(current(), 0) << "after a copy";
    allocate_too_much(other);
    EXPECT_EQ(current(), 0) << "after an allocation that failed";
  }
  EXPECT_OK(varlstm_sync(other, nullptr));
  EXPECT_EQ(current(), 0) << "after varlstm_sync";
}

}  // namespace
}  // namespace varlstm_test
