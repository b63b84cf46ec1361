// What becomes of the back end's answers, and when it is asked: over a back end that only takes notes.
// SPDX-License-Identifier: Apache-2.0
#include "fake_fixture.h"

#include <string>
#include <vector>

namespace varlstm_test {
namespace {

using namespace varlstm;

TEST_F(Fake, NothingIsLeft) {
  {
    World world;
    EXPECT_GT(fake_backend().live, 0);
  }
  EXPECT_EQ(fake_backend().live, 0);
}

TEST_F(Fake, EveryAnswerOfTheBackEndIsPassedOn) {
  struct Answer {
    int32_t given, expected;
    const char* text;
  };
  const Answer answers[] = {
      {VARLSTM_ERROR_BACKEND, VARLSTM_ERROR_BACKEND, "failed with VARLSTM_ERROR_BACKEND"},
      {VARLSTM_ERROR_OUT_OF_MEMORY, VARLSTM_ERROR_OUT_OF_MEMORY, "CUDA back end has not enough memory for"},
      {VARLSTM_ERROR_UNSUPPORTED, VARLSTM_ERROR_UNSUPPORTED, "CUDA back end does not support this"},
      {VARLSTM_ERROR_INTERNAL, VARLSTM_ERROR_INTERNAL, "failed with VARLSTM_ERROR_INTERNAL"},
      {FakeBackend::kThrowBadAlloc, VARLSTM_ERROR_OUT_OF_MEMORY, "has not enough memory for"},
      {FakeBackend::kThrowOther, VARLSTM_ERROR_INTERNAL, "failed with VARLSTM_ERROR_INTERNAL"},
      {VARLSTM_ERROR_DEAD_CONTEXT, VARLSTM_ERROR_DEAD_CONTEXT, "only destroy and free work"},
  };
  for (const Entry& entry : catalogue()) {
    for (const Answer& answer : answers) {
      SCOPED_TRACE(entry.label);
      World world;
      Call call = entry.make(world);
      fake_backend().last_call.clear();
      ASSERT_OK(call.run());
      destroy_created(call);
      const std::string function = fake_backend().last_call;
      if (function.empty()) continue;  // this call stays on this side of the table

      World fresh;
      Call failing = entry.make(fresh);
      fail_next(function, answer.given);
      EXPECT_ERROR(answer.expected, answer.text, failing.run());
      EXPECT_EQ(fake_backend().fail_in, "") << function << " was not called";
      if (answer.expected == VARLSTM_ERROR_DEAD_CONTEXT) continue;
      EXPECT_OK(failing.run()) << "the handles are still usable";
      destroy_created(failing);
    }
  }
}

TEST_F(Fake, FailedQueriesArePassedOn) {
  const struct {
    const char *label, *query;
  } cases[] = {{"varlstm_rnn_sizes", "rnn_plan"},
               {"varlstm_rnn_forward", "rnn_plan"},
               {"varlstm_rnn_backward", "rnn_plan"},
               {"varlstm_rnn_prepare", "rnn_prepared_size"},
               {"varlstm_rnn_step_size", "rnn_step_size"},
               {"varlstm_rnn_step", "rnn_step_size"},
               {"varlstm_op_workspace op 3", "op_workspace"},
               {"varlstm_embedding_backward", "op_workspace"},
               {"varlstm_embedding_backward_rows", "op_workspace"},
               {"varlstm_linear_forward", "op_workspace"},
               {"varlstm_linear_backward", "op_workspace"},
               {"varlstm_conv_max_size", "conv_max_size"},
               {"varlstm_conv_max_forward", "conv_max_size"},
               {"varlstm_conv_max_backward", "conv_max_size"},
               {"varlstm_nll_forward", "op_workspace"},
               {"varlstm_nll_backward", "op_workspace"},
               {"varlstm_cross_entropy_forward reduction 1", "op_workspace"},
               {"varlstm_linear_cross_entropy_forward reduction 1", "op_workspace"},
               {"varlstm_linear_cross_entropy_backward reduction 1", "op_workspace"},
               {"varlstm_grad_norm", "op_workspace"},
               {"varlstm_clip_grad_norm", "op_workspace"}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.label);
    World world;
    Call call = make(one.label, world);
    REQUIRE_OK(varlstm_ctx_set_i64(world.ctx, VARLSTM_KEY_MATH, VARLSTM_MATH_F32));  // so that no rnn keeps its plan
    const int64_t calls = fake_backend().calls;
    fail_next(one.query, VARLSTM_ERROR_BACKEND);
    EXPECT_ERROR(VARLSTM_ERROR_BACKEND, one.query, call.run());
    EXPECT_EQ(fake_backend().calls, calls);
  }
}

// An rnn keeps the plan for the bounds that it was last asked for, until an option of the context changes.
TEST_F(Fake, PlanOfAnRnnIsMadeOnce) {
  const Context ctx = make_context();
  const Rnn rnn = make_rnn(ctx.get(), {2, 3, 1, false, true, 0.0}, VARLSTM_DTYPE_F32);
  const auto plans_for = [&](int64_t max_len, int32_t mode) {
    const int64_t before = fake_backend().plans;
    int64_t workspace = 0, reserve = 0;
    REQUIRE_OK(varlstm_rnn_sizes(rnn.get(), 1, max_len, max_len, mode, &workspace, &reserve));
    return fake_backend().plans - before;
  };
  EXPECT_EQ(plans_for(4, VARLSTM_MODE_INFER), 1);
  EXPECT_EQ(plans_for(4, VARLSTM_MODE_SAVE), 0);
  EXPECT_EQ(plans_for(5, VARLSTM_MODE_SAVE), 1);
  EXPECT_EQ(plans_for(4, VARLSTM_MODE_SAVE), 1);
  ASSERT_OK(varlstm_ctx_set_i64(ctx.get(), VARLSTM_KEY_MATH, VARLSTM_MATH_TF32));
  EXPECT_EQ(plans_for(4, VARLSTM_MODE_SAVE), 1);
  EXPECT_EQ(plans_for(4, VARLSTM_MODE_INFER), 0);
  fail_next("rnn_plan", VARLSTM_ERROR_BACKEND);
  int64_t workspace = 0, reserve = 0;
  EXPECT_ERROR(VARLSTM_ERROR_BACKEND, "rnn_plan",
               varlstm_rnn_sizes(rnn.get(), 1, 6, 6, VARLSTM_MODE_SAVE, &workspace, &reserve));
  EXPECT_EQ(plans_for(6, VARLSTM_MODE_SAVE), 1) << "a plan that failed was kept";
}

TEST_F(Fake, DevicesAreCountedBeforeOneIsOpened) {
  int32_t count = -1;
  varlstm_ctx* ctx = nullptr;
  fail_next("device_count", VARLSTM_ERROR_BACKEND);
  EXPECT_ERROR(VARLSTM_ERROR_BACKEND, "backend = 1", varlstm_device_count(VARLSTM_BACKEND_CUDA, &count));
  EXPECT_EQ(count, -1);
  fail_next("device_count", VARLSTM_ERROR_BACKEND);
  EXPECT_STATUS(VARLSTM_ERROR_BACKEND, varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &ctx));
  fake_backend().devices = 0;
  EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "backend = 1 finds no device here: there is no GPU, or no driver",
               varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &ctx));
  fake_backend().devices = 3;
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "device = 3 is not in 0 ... 2",
               varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 3, &ctx));
  ASSERT_OK(varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 2, &ctx));
  int64_t device = -1;
  ASSERT_OK(varlstm_ctx_get_i64(ctx, VARLSTM_KEY_DEVICE, &device));
  EXPECT_EQ(device, 2);
  EXPECT_OK(varlstm_ctx_destroy(ctx));
}

TEST_F(Fake, DeadContextOnlyLetsItselfBeDestroyed) {
  auto world = std::make_unique<World>();
  fail_next("sync", VARLSTM_ERROR_DEAD_CONTEXT);
  EXPECT_ERROR(VARLSTM_ERROR_DEAD_CONTEXT, "died in sync of the CUDA back end", varlstm_sync(world->ctx, nullptr));
  const int64_t calls = fake_backend().calls;
  int64_t value = 0;
  EXPECT_ERROR(VARLSTM_ERROR_DEAD_CONTEXT, "ctx = 0x", varlstm_sync(world->ctx, nullptr));
  EXPECT_STATUS(VARLSTM_ERROR_DEAD_CONTEXT, varlstm_batch_get_i64(world->batch, VARLSTM_KEY_BATCH, &value));
  EXPECT_STATUS(VARLSTM_ERROR_DEAD_CONTEXT, varlstm_rnn_get_i64(world->rnn, VARLSTM_KEY_DTYPE, &value));
  EXPECT_STATUS(VARLSTM_ERROR_DEAD_CONTEXT, varlstm_loss_get_i64(world->loss, VARLSTM_KEY_CLASSES, &value));
  varlstm_loss* loss = nullptr;
  EXPECT_STATUS(VARLSTM_ERROR_DEAD_CONTEXT, varlstm_loss_create(world->ctx, 2, &loss));
  EXPECT_OK(varlstm_sync(world->other_ctx, nullptr));
  EXPECT_EQ(fake_backend().calls, calls + 1);
  world.reset();
  EXPECT_EQ(fake_backend().live, 0);
}

TEST_F(Fake, BatchWhoseArraysCannotBeHadLeavesNothing) {
  const Context ctx = make_context();
  const int64_t live = fake_backend().live;
  varlstm_batch* batch = nullptr;
  fail_next("plan_create", VARLSTM_ERROR_OUT_OF_MEMORY);
  EXPECT_STATUS(VARLSTM_ERROR_OUT_OF_MEMORY, varlstm_batch_create(ctx.get(), 3, 4, 7, &batch));
  EXPECT_EQ(batch, nullptr);
  EXPECT_EQ(fake_backend().live, live);
}

// The arrays of a batch whose lengths came half way fit neither the old lengths nor the new ones: it has no rows.
TEST_F(Fake, BatchWhoseLengthsFailedHalfWayIsEmpty) {
  World world;
  const auto expect_empty = [&] {
    int64_t value = -1;
    for (const int32_t key : {VARLSTM_KEY_BATCH, VARLSTM_KEY_TOKENS, VARLSTM_KEY_STEPS}) {
      ASSERT_OK(varlstm_batch_get_i64(world.batch, key, &value));
      EXPECT_EQ(value, 0) << "key " << key;
    }
    const int64_t* data = nullptr;
    for (const int32_t array : {VARLSTM_BATCH_LENGTHS, VARLSTM_BATCH_BATCH_SIZES, VARLSTM_BATCH_PACKED_TO_RAGGED}) {
      ASSERT_OK(varlstm_batch_get_array(world.batch, array, &data, &value));
      EXPECT_EQ(value, 0) << "array " << array;
    }
  };
  const int64_t lengths[] = {2, 3}, sizes[] = {2, 1};
  for (const int32_t space : {VARLSTM_SPACE_HOST, VARLSTM_SPACE_BACKEND}) {
    ASSERT_OK(varlstm_batch_set_lengths(world.batch, lengths, 2, VARLSTM_SPACE_HOST, nullptr));
    fail_next("plan_lengths", VARLSTM_ERROR_BACKEND);
    EXPECT_STATUS(VARLSTM_ERROR_BACKEND, varlstm_batch_set_lengths(world.batch, lengths, 1, space, nullptr));
    expect_empty();
  }
  ASSERT_OK(varlstm_batch_set_lengths(world.batch, lengths, 2, VARLSTM_SPACE_HOST, nullptr));
  fail_next("plan_batch_sizes", VARLSTM_ERROR_BACKEND);
  EXPECT_STATUS(VARLSTM_ERROR_BACKEND, varlstm_batch_from_batch_sizes(world.batch, sizes, 2, nullptr, nullptr));
  expect_empty();
}

// The largest shapes whose reserve and states are let through, and the next larger ones: 2^56 bytes, at 64 an element
// of y and 64 an element of h0.
TEST_F(Fake, ReserveAndStatesAreCountedInFull) {
  const Context ctx = make_context();
  constexpr int64_t kMost = int64_t{1} << 50, kHidden = 1 << 10, kRows = kMost / kHidden;
  const Rnn one = make_rnn(ctx.get(), {1, kHidden, 1, false, true, 0.0}, VARLSTM_DTYPE_F32);
  const Rnn two = make_rnn(ctx.get(), {1, kHidden, 2, false, true, 0.0}, VARLSTM_DTYPE_F32);
  const Rnn both_ways = make_rnn(ctx.get(), {1, kHidden, 1, true, true, 0.0}, VARLSTM_DTYPE_F32);
  const auto sizes = [&](const Rnn& rnn, int64_t max_batch, int64_t max_len, int64_t max_tokens) {
    int64_t workspace = 0, reserve = 0;
    return varlstm_rnn_sizes(rnn.get(), max_batch, max_len, max_tokens, VARLSTM_MODE_SAVE, &workspace, &reserve);
  };
  const char* const too_large = "is more than fits in memory";
  EXPECT_OK(sizes(one, 1, kRows, kRows));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, too_large, sizes(one, 1, kRows + 1, kRows + 1));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "reserve: num_layers = 2", sizes(two, 1, kRows, kRows));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "reserve: num_layers = 1, directions = 2",
               sizes(both_ways, 1, kRows, kRows));
  EXPECT_OK(sizes(one, kRows, 1, 1));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "h0: num_layers = 2", sizes(two, kRows, 1, 1));
}

TEST_F(Fake, RefusedReserveIsNamed) {
  World world;
  Call backward = make("varlstm_rnn_backward", world);
  fail_next("rnn_backward", VARLSTM_ERROR_INVALID_ARGUMENT);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "was not written by a forward of this shape", backward.run());
}

TEST_F(Fake, BuildInfoNamesBothBackEnds) {
  EXPECT_STREQ(varlstm_build_info(), "libvarlstm 0.1.0, back ends: fake, fake");
}

}  // namespace
}  // namespace varlstm_test
