// What reaches the back end, and what becomes of its answers: over a back end that only takes notes.
// SPDX-License-Identifier: Apache-2.0
#include "support/fake_backend.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "capi_catalogue.h"

namespace varlstm_test {
namespace {

using namespace varlstm;

class Fake : public ::testing::Test {
 protected:
  Fake() { fake_backend() = FakeBackend(); }

  static void fail_next(const std::string& function, int32_t status) {
    fake_backend().fail_in = function;
    fake_backend().fail_with = status;
  }
};

Call make(const std::string& label, World& world) {
  for (const Entry& entry : catalogue()) {
    if (entry.label == label) return entry.make(world);
  }
  throw std::runtime_error("no catalogue entry " + label);
}

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
               {"varlstm_rnn_step_size", "rnn_step_size"},
               {"varlstm_rnn_step", "rnn_step_size"},
               {"varlstm_op_workspace op 3", "op_workspace"},
               {"varlstm_embedding_backward", "op_workspace"},
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
  EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "finds no device", varlstm_ctx_create(VARLSTM_BACKEND_CUDA, 0, &ctx));
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

// What is float beside tensors of 16 bits takes 4 bytes an element and stands at addresses that float has.
TEST_F(Fake, ScalarsOf16BitLossesAreFloats) {
  const std::string forward = "varlstm_linear_cross_entropy_forward reduction 0",
                    backward = "varlstm_linear_cross_entropy_backward reduction 0";
  const struct {
    std::string label;
    const char* name;
    int64_t count;
    const char* partner;  // of one float, or larger
  } cases[] = {{forward, "lse", World::kTokens, "weight_sum"},
               {forward, "out", World::kTokens, "weight_sum"},
               {forward, "class_weights", World::kClasses, "weight_sum"},
               {backward, "lse", World::kTokens, "dbias"},
               {backward, "dout", World::kTokens, "dbias"},
               {backward, "class_weights", World::kClasses, "dbias"},
               {"varlstm_nll_forward", "class_weights", World::kClasses, "weight_sum"},
               {"varlstm_nll_backward", "class_weights", World::kClasses, "dlog_probs"},
               {"varlstm_cross_entropy_forward reduction 0", "out", World::kTokens, "weight_sum"},
               {"varlstm_cross_entropy_forward reduction 0", "class_weights", World::kClasses, "weight_sum"},
               {"varlstm_cross_entropy_backward reduction 0", "dout", World::kTokens, "dlogits"}};
  for (const auto& one : cases) {
    SCOPED_TRACE(one.label + ": " + one.name);
    World world;
    Call call = make(one.label, world);
    call.argument("dtype").integer = VARLSTM_DTYPE_BF16;
    ASSERT_OK(call.run());
    alignas(64) unsigned char memory[1024] = {};
    ASSERT_LE(4 * one.count, 256);
    call.argument(one.name).pointer = memory;
    call.argument(one.partner).pointer = memory + 4 * one.count;
    EXPECT_OK(call.run());
    call.argument(one.partner).pointer = memory + 4 * (one.count - 1);
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, (std::to_string(4 * one.count) + " bytes)").c_str(), call.run());
    call.argument(one.partner).pointer = memory + 512;
    call.argument(one.name).pointer = memory + 2;
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "is not aligned to 4 bytes", call.run());
  }
}

// Lengths in the back end's memory: B is known, N and T are not, and buffers are as large as the bounds.
TEST_F(Fake, UnknownLengthsTakeTheBounds) {
  World world;
  const int64_t* lengths = world.back.take<int64_t>(2);
  ASSERT_OK(varlstm_batch_set_lengths(world.batch, lengths, 2, VARLSTM_SPACE_BACKEND, nullptr));
  int64_t value = -7;
  ASSERT_OK(varlstm_batch_get_i64(world.batch, VARLSTM_KEY_BATCH, &value));
  EXPECT_EQ(value, 2);
  EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "key = 14 (VARLSTM_KEY_TOKENS): only the device knows",
               varlstm_batch_get_i64(world.batch, VARLSTM_KEY_TOKENS, &value));
  EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "key = 15 (VARLSTM_KEY_STEPS): only the device knows",
               varlstm_batch_get_i64(world.batch, VARLSTM_KEY_STEPS, &value));
  EXPECT_EQ(value, 2);
  const int64_t counts[] = {2, 4, 5, 2, 2, 3, 7, 7};
  for (int32_t array = VARLSTM_BATCH_LENGTHS; array <= VARLSTM_BATCH_RAGGED_TO_PACKED; ++array) {
    const int64_t* data = nullptr;
    ASSERT_OK(varlstm_batch_get_array(world.batch, array, &data, &value));
    EXPECT_EQ(value, counts[array]) << array;
  }

  float* padded = world.back.take<float>(2 * 4);
  float* packed = world.back.take<float>(7);
  const auto pack = [&](int64_t padded_len) {
    return varlstm_pack(world.batch, VARLSTM_DTYPE_F32, VARLSTM_LAYOUT_BATCH_FIRST, padded_len, 1, padded, packed,
                        nullptr);
  };
  EXPECT_OK(pack(4));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "padded_len = 3 is smaller than the batch's max_len", pack(3));
  Call embedding = make("varlstm_embedding_forward", world);
  embedding.argument("rows").integer = 6;
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "rows = 6 is smaller than the max_tokens of batch = 7", embedding.run());
}

TEST_F(Fake, StreamsReachTheBackEndAlone) {
  World world;
  int stream = 0;
  EXPECT_OK(varlstm_sync(world.ctx, &stream));
  EXPECT_EQ(fake_backend().last_call, "sync");
}

#define EXPECT_PASSED(record, call, field) EXPECT_EQ(record.field, (call).argument(#field).pointer)

TEST_F(Fake, RnnCallsPassEveryArgument) {
  World world;
  ASSERT_OK(varlstm_rnn_set_f64(world.rnn, VARLSTM_KEY_DROPOUT, 0.25));
  ASSERT_OK(varlstm_rnn_set_i64(world.rnn, VARLSTM_KEY_ROWS, VARLSTM_ROWS_RAGGED));
  ASSERT_OK(varlstm_rnn_set_i64(world.rnn, VARLSTM_KEY_LAYERS_TOGETHER, 0));
  Call forward = make("varlstm_rnn_forward", world);
  forward.argument("dropout_seed").integer = 77;
  ASSERT_OK(forward.run());
  const RnnForwardArgs& f = fake_backend().rnn_forward.value();
  EXPECT_EQ(f.shape.dtype, DType::kF32);
  EXPECT_EQ(f.shape.input, World::kInput);
  EXPECT_EQ(f.shape.hidden, World::kHidden);
  EXPECT_EQ(f.shape.layers, World::kLayers);
  EXPECT_EQ(f.shape.directions, World::kDirections);
  EXPECT_TRUE(f.shape.bias);
  EXPECT_EQ(f.shape.dropout, 0.25);
  EXPECT_EQ(f.shape.row_order, RowOrder::kRagged);
  EXPECT_FALSE(f.shape.layers_together);
  EXPECT_EQ(f.batch->batch, World::kBatch);
  EXPECT_TRUE(f.save);
  EXPECT_EQ(f.dropout_seed, 77u);
  EXPECT_EQ(f.workspace_bytes, forward.argument("workspace_bytes").integer);
  EXPECT_EQ(f.reserve_bytes, forward.argument("reserve_bytes").integer);
  EXPECT_PASSED(f, forward, params);
  EXPECT_PASSED(f, forward, x);
  EXPECT_PASSED(f, forward, h0);
  EXPECT_PASSED(f, forward, c0);
  EXPECT_PASSED(f, forward, y);
  EXPECT_PASSED(f, forward, h_n);
  EXPECT_PASSED(f, forward, c_n);
  EXPECT_EQ(f.c, nullptr);
  EXPECT_PASSED(f, forward, workspace);
  EXPECT_PASSED(f, forward, reserve);

  Call backward = make("varlstm_rnn_backward", world);
  ASSERT_OK(backward.run());
  const RnnBackwardArgs& b = fake_backend().rnn_backward.value();
  EXPECT_EQ(b.shape.hidden, World::kHidden);
  EXPECT_EQ(b.shape.row_order, RowOrder::kRagged);
  EXPECT_EQ(b.batch->tokens, World::kTokens);
  EXPECT_EQ(b.workspace_bytes, backward.argument("workspace_bytes").integer);
  EXPECT_EQ(b.reserve_bytes, backward.argument("reserve_bytes").integer);
  EXPECT_PASSED(b, backward, params);
  EXPECT_PASSED(b, backward, x);
  EXPECT_PASSED(b, backward, h0);
  EXPECT_PASSED(b, backward, c0);
  EXPECT_PASSED(b, backward, y);
  EXPECT_PASSED(b, backward, dy);
  EXPECT_PASSED(b, backward, dh_n);
  EXPECT_PASSED(b, backward, dc_n);
  EXPECT_EQ(b.dc, nullptr);
  EXPECT_PASSED(b, backward, dx);
  EXPECT_PASSED(b, backward, dh0);
  EXPECT_PASSED(b, backward, dc0);
  EXPECT_PASSED(b, backward, dparams);
  EXPECT_PASSED(b, backward, workspace);
  EXPECT_PASSED(b, backward, reserve);

  Call import = make("varlstm_rnn_import", world);
  import.argument("format").integer = VARLSTM_FORMAT_ONNX;
  ASSERT_OK(import.run());
  const RnnImportArgs& i = fake_backend().rnn_import.value();
  EXPECT_EQ(i.format, ParamFormat::kOnnx);
  EXPECT_EQ(i.layer, 1);
  EXPECT_EQ(i.direction, 1);
  EXPECT_PASSED(i, import, w_ih);
  EXPECT_PASSED(i, import, w_hh);
  EXPECT_PASSED(i, import, b_ih);
  EXPECT_PASSED(i, import, b_hh);
  EXPECT_PASSED(i, import, params);
}

TEST_F(Fake, StepsPassEveryArgument) {
  World world;
  Call step = make("varlstm_rnn_step", world);
  ASSERT_OK(step.run());
  const RnnStepArgs& s = fake_backend().rnn_step.value();
  EXPECT_EQ(s.shape.dtype, DType::kF32);
  EXPECT_EQ(s.shape.input, World::kInput);
  EXPECT_EQ(s.shape.hidden, World::kHidden);
  EXPECT_EQ(s.shape.layers, World::kLayers);
  EXPECT_EQ(s.shape.directions, 1);
  EXPECT_EQ(s.streams, World::kBatch);
  EXPECT_EQ(s.table_slots, World::kLen);
  EXPECT_EQ(s.workspace_bytes, step.argument("workspace_bytes").integer);
  EXPECT_PASSED(s, step, params);
  EXPECT_PASSED(s, step, x);
  EXPECT_PASSED(s, step, slots);
  EXPECT_PASSED(s, step, h);
  EXPECT_PASSED(s, step, c);
  EXPECT_PASSED(s, step, y);
  EXPECT_PASSED(s, step, workspace);
}

TEST_F(Fake, CellStatesOfEveryTokenReachTheBackEnd) {
  World world, another;
  Call forward = make("varlstm_rnn_forward_with_c", world);
  ASSERT_OK(forward.run());
  const RnnForwardArgs& f = fake_backend().rnn_forward.value();
  EXPECT_TRUE(f.shape.cell_states);
  EXPECT_PASSED(f, forward, y);
  EXPECT_PASSED(f, forward, h_n);
  EXPECT_PASSED(f, forward, c_n);
  EXPECT_PASSED(f, forward, c);
  EXPECT_PASSED(f, forward, workspace);
  Call backward = make("varlstm_rnn_backward_with_c", another);
  ASSERT_OK(backward.run());
  const RnnBackwardArgs& b = fake_backend().rnn_backward.value();
  EXPECT_TRUE(b.shape.cell_states);
  EXPECT_PASSED(b, backward, dy);
  EXPECT_PASSED(b, backward, dh_n);
  EXPECT_PASSED(b, backward, dc_n);
  EXPECT_PASSED(b, backward, dc);
  EXPECT_PASSED(b, backward, dx);
  EXPECT_PASSED(b, backward, dparams);
}

TEST_F(Fake, AProjectionReachesTheBackEnd) {
  World world;
  ASSERT_OK(varlstm_rnn_set_i64(world.rnn, VARLSTM_KEY_PROJ_SIZE, 2));
  ASSERT_OK(make("varlstm_rnn_forward", world).run());
  EXPECT_EQ(fake_backend().rnn_forward.value().shape.projection, 2);
  ASSERT_OK(make("varlstm_rnn_backward", world).run());
  EXPECT_EQ(fake_backend().rnn_backward.value().shape.projection, 2);
}

TEST_F(Fake, OptionsOfACellReachTheBackEnd) {
  World world;
  ASSERT_OK(varlstm_rnn_set_i64(world.rnn, VARLSTM_KEY_LAYER_NORM, 1));
  ASSERT_OK(varlstm_rnn_set_i64(world.rnn, VARLSTM_KEY_PROJ_SIZE, 2));
  ASSERT_OK(varlstm_rnn_set_f64(world.rnn, VARLSTM_KEY_CELL_CLIP, 3));
  ASSERT_OK(varlstm_rnn_set_f64(world.rnn, VARLSTM_KEY_PROJECTION_CLIP, 2));
  ASSERT_OK(varlstm_rnn_set_f64(world.rnn, VARLSTM_KEY_RECURRENT_DROPOUT, 0.5));
  ASSERT_OK(varlstm_rnn_set_i64(world.rnn, VARLSTM_KEY_RECURRENT_DROPOUT_KIND, VARLSTM_RECURRENT_DROPOUT_STATE));
  ASSERT_OK(varlstm_rnn_set_f64(world.rnn, VARLSTM_KEY_ZONEOUT_H, 0.25));
  ASSERT_OK(varlstm_rnn_set_f64(world.rnn, VARLSTM_KEY_ZONEOUT_C, 0.125));
  ASSERT_OK(make("varlstm_rnn_forward", world).run());
  ASSERT_OK(make("varlstm_rnn_backward", world).run());
  EXPECT_TRUE(fake_backend().rnn_forward.value().shape.layer_norm);
  EXPECT_TRUE(fake_backend().rnn_backward.value().shape.layer_norm);
  for (const CellOptions& options :
       {fake_backend().rnn_forward.value().shape.options, fake_backend().rnn_backward.value().shape.options}) {
    EXPECT_EQ(options.cell_clip, 3);
    EXPECT_EQ(options.projection_clip, 2);
    EXPECT_EQ(options.recurrent_dropout, 0.5);
    EXPECT_EQ(options.recurrent_dropout_kind, RecurrentDropout::kState);
    EXPECT_EQ(options.zoneout_h, 0.25);
    EXPECT_EQ(options.zoneout_c, 0.125);
  }
}

TEST_F(Fake, LossOptionsReachTheBackEnd) {
  World world;
  ASSERT_OK(varlstm_loss_set_i64(world.loss, VARLSTM_KEY_IGNORE_INDEX, 4));
  ASSERT_OK(varlstm_loss_set_i64(world.loss, VARLSTM_KEY_REDUCTION, VARLSTM_REDUCTION_SUM));
  ASSERT_OK(varlstm_loss_set_i64(world.loss, VARLSTM_KEY_EMPTY_MEAN, VARLSTM_EMPTY_MEAN_ZERO));
  ASSERT_OK(varlstm_loss_set_f64(world.loss, VARLSTM_KEY_LABEL_SMOOTHING, 0.125));
  for (const char* label : {"varlstm_nll_forward", "varlstm_nll_backward"}) {
    Call call = make(label, world);
    ASSERT_OK(call.run());
    const LossArgs& args = fake_backend().loss.value();
    EXPECT_EQ(args.dtype, DType::kF32);
    EXPECT_EQ(args.rows, World::kTokens);
    EXPECT_EQ(args.classes, World::kClasses);
    EXPECT_EQ(args.reduction, Reduction::kSum);
    EXPECT_EQ(args.ignore_index, 4);
    EXPECT_EQ(args.label_smoothing, 0.125);
    EXPECT_TRUE(args.empty_mean_is_zero);
    EXPECT_EQ(args.batch->tokens, World::kTokens);
    EXPECT_EQ(args.workspace_bytes, call.argument("workspace_bytes").integer);
    EXPECT_PASSED(args, call, targets);
    EXPECT_PASSED(args, call, class_weights);
    EXPECT_PASSED(args, call, workspace);
  }
  ASSERT_OK(varlstm_loss_set_i64(world.loss, VARLSTM_KEY_EMPTY_MEAN, VARLSTM_EMPTY_MEAN_NAN));
  Call call = make("varlstm_nll_forward", world);
  call.argument("batch").pointer = nullptr;
  ASSERT_OK(call.run());
  EXPECT_FALSE(fake_backend().loss->empty_mean_is_zero);
  EXPECT_EQ(fake_backend().loss->batch, nullptr);
}

TEST_F(Fake, ConvMaxPassesEveryArgument) {
  World world;
  Call forward = make("varlstm_conv_max_forward", world);
  forward.argument("dtype").integer = VARLSTM_DTYPE_F32;
  ASSERT_OK(forward.run());
  const ConvMaxForwardArgs& f = fake_backend().conv_max_forward.value();
  const auto expect_shape = [](const ConvMaxShape& shape, Call& call) {
    EXPECT_EQ(shape.dtype, DType::kF32);
    EXPECT_EQ(shape.words, call.argument("words").integer);
    EXPECT_EQ(shape.rows, call.argument("rows").integer);
    EXPECT_EQ(shape.in, call.argument("in").integer);
    EXPECT_EQ(shape.filters, call.argument("filters").integer);
    EXPECT_EQ(shape.width, call.argument("width").integer);
  };
  expect_shape(f.shape, forward);
  EXPECT_EQ(f.activation, Activation::kTanh);
  EXPECT_EQ(f.ldy, forward.argument("ldy").integer);
  EXPECT_EQ(f.workspace_bytes, 192);
  EXPECT_PASSED(f, forward, offsets);
  EXPECT_PASSED(f, forward, x);
  EXPECT_PASSED(f, forward, weight);
  EXPECT_PASSED(f, forward, bias);
  EXPECT_PASSED(f, forward, y);
  EXPECT_PASSED(f, forward, argmax);
  EXPECT_PASSED(f, forward, workspace);
  Call backward = make("varlstm_conv_max_backward", world);
  ASSERT_OK(backward.run());
  const ConvMaxBackwardArgs& b = fake_backend().conv_max_backward.value();
  expect_shape(b.shape, backward);
  EXPECT_EQ(b.activation, Activation::kRelu);
  EXPECT_EQ(b.ldy, backward.argument("ldy").integer);
  EXPECT_EQ(b.workspace_bytes, 256);
  EXPECT_PASSED(b, backward, offsets);
  EXPECT_PASSED(b, backward, x);
  EXPECT_PASSED(b, backward, weight);
  EXPECT_PASSED(b, backward, y);
  EXPECT_PASSED(b, backward, dy);
  EXPECT_PASSED(b, backward, argmax);
  EXPECT_PASSED(b, backward, dx);
  EXPECT_PASSED(b, backward, dweight);
  EXPECT_PASSED(b, backward, dbias);
  EXPECT_PASSED(b, backward, workspace);

  fake_backend().bad_offset = 1;
  fail_next("conv_max_forward", VARLSTM_ERROR_INVALID_ARGUMENT);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "offsets[1] = 2 is not in 0 ... rows = 7", forward.run());
}

TEST_F(Fake, LinearLossPassesItsOperands) {
  World world;
  for (const char* label :
       {"varlstm_linear_cross_entropy_forward reduction 0", "varlstm_linear_cross_entropy_backward reduction 0"}) {
    Call call = make(label, world);
    ASSERT_OK(call.run());
    const LinearLossArgs& args = fake_backend().linear_loss.value();
    EXPECT_EQ(args.loss.reduction, Reduction::kNone);
    EXPECT_EQ(args.loss.rows, World::kTokens);
    EXPECT_EQ(args.loss.classes, World::kClasses);
    EXPECT_EQ(args.loss.batch->tokens, World::kTokens);
    EXPECT_EQ(args.loss.workspace_bytes, call.argument("workspace_bytes").integer);
    EXPECT_EQ(args.in, World::kFeatures);
    EXPECT_PASSED(args.loss, call, targets);
    EXPECT_PASSED(args.loss, call, class_weights);
    EXPECT_PASSED(args.loss, call, workspace);
    EXPECT_PASSED(args, call, x);
    EXPECT_PASSED(args, call, weight);
    EXPECT_PASSED(args, call, bias);
  }
}

TEST_F(Fake, OperationsPassTheirNumbers) {
  World world;
  Call unpack = make("varlstm_unpack", world);
  ASSERT_OK(unpack.run());
  EXPECT_EQ(fake_backend().pad_value, -1.0);
  EXPECT_EQ(fake_backend().pack->layout, Layout::kTimeMajor);
  EXPECT_EQ(fake_backend().pack->padded_len, World::kLen);
  EXPECT_EQ(fake_backend().pack->features, World::kFeatures);
  ASSERT_OK(make("varlstm_pack_backward", world).run());
  EXPECT_EQ(fake_backend().pad_value, 0.0);

  ASSERT_OK(make("varlstm_embedding_backward", world).run());
  EXPECT_EQ(fake_backend().embedding->vocab, World::kVocab);
  EXPECT_EQ(fake_backend().embedding->features, World::kFeatures);
  EXPECT_EQ(fake_backend().padding_idx, 0);
  ASSERT_OK(make("varlstm_linear_forward", world).run());
  EXPECT_EQ(fake_backend().linear->in, World::kFeatures);
  EXPECT_EQ(fake_backend().linear->out, World::kOut);

  ASSERT_OK(make("varlstm_sgd_step", world).run());
  const SgdArgs& sgd = fake_backend().sgd.value();
  EXPECT_EQ(sgd.lr, 0.1);
  EXPECT_EQ(sgd.momentum, 0.9);
  EXPECT_EQ(sgd.weight_decay, 0.01);
  EXPECT_TRUE(sgd.nesterov);
  ASSERT_OK(make("varlstm_adam_step", world).run());
  const AdamArgs& adam = fake_backend().adam.value();
  EXPECT_EQ(adam.lr, 0.1);
  EXPECT_EQ(adam.beta1, 0.9);
  EXPECT_EQ(adam.beta2, 0.999);
  EXPECT_EQ(adam.eps, 1e-8);
  EXPECT_EQ(adam.weight_decay, 0.01);
  EXPECT_TRUE(adam.decoupled);
  ASSERT_OK(make("varlstm_grad_norm", world).run());
  EXPECT_LT(fake_backend().max_norm, 0.0);
  Call clip = make("varlstm_clip_grad_norm", world);
  clip.argument("max_norm").real = 0.0;
  ASSERT_OK(clip.run());
  EXPECT_EQ(fake_backend().max_norm, 0.0);
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
