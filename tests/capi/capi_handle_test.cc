// The life of handles and memory: contexts outlive their children, destroyed handles are recognised.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/context.h"

// A request that no machine can meet is to be an error here under AddressSanitizer too.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

namespace varlstm_test {
namespace {

TEST(Handle, ContextStaysWhileChildrenExist) {
  varlstm_ctx* ctx = nullptr;
  ASSERT_OK(varlstm_ctx_create(test_backend(), 0, &ctx));
  varlstm_batch* batch = nullptr;
  varlstm_rnn* rnn = nullptr;
  varlstm_loss* loss = nullptr;
  ASSERT_OK(varlstm_batch_create(ctx, 1, 1, 1, &batch));
  ASSERT_OK(varlstm_rnn_create(ctx, VARLSTM_CELL_LSTM, 1, 1, 1, &rnn));
  ASSERT_OK(varlstm_loss_create(ctx, 1, &loss));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "ctx is in use: 3 ", varlstm_ctx_destroy(ctx));
  EXPECT_OK(varlstm_batch_destroy(batch));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "ctx is in use: 2 ", varlstm_ctx_destroy(ctx));
  EXPECT_OK(varlstm_rnn_destroy(rnn));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "ctx is in use: 1 ", varlstm_ctx_destroy(ctx));
  EXPECT_OK(varlstm_sync(ctx, nullptr));
  EXPECT_OK(varlstm_loss_destroy(loss));
  EXPECT_OK(varlstm_ctx_destroy(ctx));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_HANDLE, "was destroyed", varlstm_ctx_destroy(ctx));
}

TEST(Handle, DestroyedHandleIsRecognisedAfterManyOthers) {
  const Context ctx = make_context();
  varlstm_loss* first = nullptr;
  ASSERT_OK(varlstm_loss_create(ctx.get(), 3, &first));
  ASSERT_OK(varlstm_loss_destroy(first));
  for (int k = 0; k < 60; ++k) {
    varlstm_loss* other = nullptr;
    ASSERT_OK(varlstm_loss_create(ctx.get(), 3, &other));
    EXPECT_NE(other, first);
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_HANDLE, "was destroyed", varlstm_loss_destroy(first));
    ASSERT_OK(varlstm_loss_destroy(other));
  }
}

TEST(Handle, ContextKeepsItsOptions) {
  const Context ctx = make_context();
  int64_t value = -1;
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_BACKEND, &value));
  EXPECT_EQ(value, test_backend());
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_DEVICE, &value));
  EXPECT_EQ(value, 0);
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_BATCH_INVARIANT, &value));
  EXPECT_EQ(value, 1);
  ASSERT_OK(varlstm_ctx_set_i64(ctx.get(), VARLSTM_KEY_BATCH_INVARIANT, 0));
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_BATCH_INVARIANT, &value));
  EXPECT_EQ(value, 0);
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_MATH, &value));
  EXPECT_EQ(value, VARLSTM_MATH_F32);
  ASSERT_OK(varlstm_ctx_set_i64(ctx.get(), VARLSTM_KEY_MATH, VARLSTM_MATH_TF32));
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_MATH, &value));
  EXPECT_EQ(value, VARLSTM_MATH_TF32);
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_BATCH_INVARIANT, &value));
  EXPECT_EQ(value, 0);
  if (test_backend() != VARLSTM_BACKEND_HOST) return;
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_THREADS, &value));
  EXPECT_EQ(value, 0);
  ASSERT_OK(varlstm_ctx_set_i64(ctx.get(), VARLSTM_KEY_THREADS, 1024));
  ASSERT_OK(varlstm_ctx_get_i64(ctx.get(), VARLSTM_KEY_THREADS, &value));
  EXPECT_EQ(value, 1024);
}

// A key under a handle that does not have it is an error that names the key.
TEST(Handle, ForeignKeysAreNamed) {
  const Context ctx = make_context();
  const Loss loss = make_loss(ctx.get(), 2);
#define NAMED(key) \
  { key, #key }
  const struct {
    int32_t key;
    const char* name;
  } keys[] = {NAMED(VARLSTM_KEY_BACKEND),
              NAMED(VARLSTM_KEY_DEVICE),
              NAMED(VARLSTM_KEY_THREADS),
              NAMED(VARLSTM_KEY_BATCH_INVARIANT),
              NAMED(VARLSTM_KEY_MATH),
              NAMED(VARLSTM_KEY_MAX_BATCH),
              NAMED(VARLSTM_KEY_MAX_LEN),
              NAMED(VARLSTM_KEY_MAX_TOKENS),
              NAMED(VARLSTM_KEY_BATCH),
              NAMED(VARLSTM_KEY_TOKENS),
              NAMED(VARLSTM_KEY_STEPS),
              NAMED(VARLSTM_KEY_CELL),
              NAMED(VARLSTM_KEY_INPUT_SIZE),
              NAMED(VARLSTM_KEY_HIDDEN_SIZE),
              NAMED(VARLSTM_KEY_NUM_LAYERS),
              NAMED(VARLSTM_KEY_DTYPE),
              NAMED(VARLSTM_KEY_BIDIRECTIONAL),
              NAMED(VARLSTM_KEY_BIAS),
              NAMED(VARLSTM_KEY_DROPOUT),
              NAMED(VARLSTM_KEY_RECURRENCE),
              NAMED(VARLSTM_KEY_RECURRENCE_USED),
              NAMED(VARLSTM_KEY_CLASSES),
              NAMED(VARLSTM_KEY_IGNORE_INDEX),
              NAMED(VARLSTM_KEY_REDUCTION),
              NAMED(VARLSTM_KEY_EMPTY_MEAN),
              NAMED(VARLSTM_KEY_ROWS),
              NAMED(VARLSTM_KEY_LABEL_SMOOTHING),
              NAMED(VARLSTM_KEY_LAYERS_TOGETHER),
              NAMED(VARLSTM_KEY_PROJ_SIZE),
              NAMED(VARLSTM_KEY_RESETS),
              NAMED(VARLSTM_KEY_CELL_CLIP),
              NAMED(VARLSTM_KEY_PROJECTION_CLIP),
              NAMED(VARLSTM_KEY_RECURRENT_DROPOUT),
              NAMED(VARLSTM_KEY_RECURRENT_DROPOUT_KIND),
              NAMED(VARLSTM_KEY_ZONEOUT_H),
              NAMED(VARLSTM_KEY_ZONEOUT_C),
              NAMED(VARLSTM_KEY_LAYER_NORM),
              NAMED(VARLSTM_KEY_CELL_STATES),
              NAMED(VARLSTM_KEY_ADD_DPARAMS)};
#undef NAMED
  for (const auto& one : keys) {
    int64_t value = 0;
    const std::string text = "key = " + std::to_string(one.key) + " (" + one.name + ") is not an int64 key of varlstm_";
    if (one.key > VARLSTM_KEY_MATH) {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, text + "ctx", varlstm_ctx_get_i64(ctx.get(), one.key, &value));
    } else {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, text + "loss", varlstm_loss_get_i64(loss.get(), one.key, &value));
    }
  }
}

TEST(Handle, HostHasOneDevice) {
  int32_t count = -1;
  ASSERT_OK(varlstm_device_count(VARLSTM_BACKEND_HOST, &count));
  EXPECT_EQ(count, 1);
  varlstm_ctx* ctx = nullptr;
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "device = 1 is not in 0 ... 0",
               varlstm_ctx_create(VARLSTM_BACKEND_HOST, 1, &ctx));
  EXPECT_EQ(ctx, nullptr);
}

TEST(Handle, BuildWithoutCudaSaysSo) {
  if (std::strstr(varlstm_build_info(), "CUDA") != nullptr) GTEST_SKIP() << "this build has a CUDA back end";
  int32_t count = -1;
  ASSERT_OK(varlstm_device_count(VARLSTM_BACKEND_CUDA, &count));
  EXPECT_EQ(count, 0);
  varlstm_ctx* ctx = nullptr;
  EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "this build of libvarlstm has no CUDA back end",
               varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &ctx));
  EXPECT_EQ(ctx, nullptr);
}

TEST(Memory, AllocCopyZeroFree) {
  const Context ctx = make_context();
  void* a = nullptr;
  void* b = nullptr;
  ASSERT_OK(varlstm_alloc(ctx.get(), 1000, &a));
  ASSERT_OK(varlstm_alloc(ctx.get(), 1000, &b));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 256, 0u);
  std::vector<unsigned char> in(1000), out(1000, 9);
  for (size_t k = 0; k < in.size(); ++k) in[k] = static_cast<unsigned char>(k);
  ASSERT_OK(varlstm_copy(ctx.get(), a, in.data(), 1000, VARLSTM_COPY_TO_BACKEND, nullptr));
  ASSERT_OK(varlstm_copy(ctx.get(), b, a, 1000, VARLSTM_COPY_WITHIN_BACKEND, nullptr));
  ASSERT_OK(varlstm_copy(ctx.get(), out.data(), b, 1000, VARLSTM_COPY_TO_HOST, nullptr));
  EXPECT_EQ(in, out);
  ASSERT_OK(varlstm_zero(ctx.get(), b, 999, nullptr));
  ASSERT_OK(varlstm_copy(ctx.get(), out.data(), b, 1000, VARLSTM_COPY_TO_HOST, nullptr));
  EXPECT_EQ(out[998], 0);
  EXPECT_EQ(out[999], in[999]);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "does not come from varlstm_alloc",
               varlstm_free(ctx.get(), static_cast<char*>(a) + 64));
  EXPECT_OK(varlstm_free(ctx.get(), a));
  EXPECT_OK(varlstm_free(ctx.get(), b));
}

TEST(Memory, NoBytesNeedNoPointers) {
  const Context ctx = make_context();
  void* nothing = &nothing;
  ASSERT_OK(varlstm_alloc(ctx.get(), 0, &nothing));
  EXPECT_EQ(nothing, nullptr);
  EXPECT_OK(varlstm_free(ctx.get(), nullptr));
  EXPECT_OK(varlstm_zero(ctx.get(), nullptr, 0, nullptr));
  EXPECT_OK(varlstm_copy(ctx.get(), nullptr, nullptr, 0, VARLSTM_COPY_TO_HOST, nullptr));
}

TEST(Memory, ImpossibleRequestIsOutOfMemory) {
  const Context ctx = make_context();
  void* memory = nullptr;
  EXPECT_STATUS(VARLSTM_ERROR_OUT_OF_MEMORY, varlstm_alloc(ctx.get(), int64_t{1} << 55, &memory));
  EXPECT_EQ(memory, nullptr);
  varlstm_batch* batch = nullptr;
  const int64_t many = int64_t{1} << 53;
  EXPECT_STATUS(VARLSTM_ERROR_OUT_OF_MEMORY, varlstm_batch_create(ctx.get(), many, 1, many, &batch));
  EXPECT_EQ(batch, nullptr);
}

}  // namespace
}  // namespace varlstm_test
