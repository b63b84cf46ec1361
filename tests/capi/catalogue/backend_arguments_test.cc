// What reaches the back end: over a back end that only takes notes.
// SPDX-License-Identifier: Apache-2.0
#include "fake_fixture.h"

#include <string>
#include <vector>

namespace varlstm_test {
namespace {

using namespace varlstm;

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
  ASSERT_OK(make("varlstm_sgd_rows_step", world).run());
  EXPECT_EQ(fake_backend().sgd_rows->lr, 0.1);
  EXPECT_EQ(fake_backend().sgd_rows->vocab, World::kVocab);
  EXPECT_EQ(fake_backend().sgd_rows->features, World::kFeatures);
  for (const char* name : {"varlstm_adam_rows_step", "varlstm_adam_rows_catch_up"}) {
    ASSERT_OK(make(name, world).run());
    const AdamRowsArgs& rows = fake_backend().adam_rows.value();
    EXPECT_EQ(rows.rows, World::kTokens);
    EXPECT_EQ(rows.vocab, World::kVocab);
    EXPECT_EQ(rows.features, World::kFeatures);
    EXPECT_EQ(rows.history_steps, 2);
    EXPECT_EQ(rows.adam.beta1, 0.9);
    EXPECT_EQ(rows.adam.beta2, 0.999);
    EXPECT_EQ(rows.adam.eps, 1e-8);
    EXPECT_EQ(rows.adam.weight_decay, 0.01);
    EXPECT_TRUE(rows.adam.decoupled);
  }
  ASSERT_OK(make("varlstm_adam_rows_step", world).run());
  EXPECT_EQ(fake_backend().adam_rows->adam.lr, 0.1);
  ASSERT_OK(make("varlstm_grad_norm", world).run());
  EXPECT_LT(fake_backend().max_norm, 0.0);
  Call clip = make("varlstm_clip_grad_norm", world);
  clip.argument("max_norm").real = 0.0;
  ASSERT_OK(clip.run());
  EXPECT_EQ(fake_backend().max_norm, 0.0);
}

}  // namespace
}  // namespace varlstm_test
