// An rnn's description: options and when they freeze, names and places of the parameters, buffers that go together.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "support/buffer.h"

namespace varlstm_test {
namespace {

constexpr int32_t kRealKeys[] = {VARLSTM_KEY_DROPOUT,           VARLSTM_KEY_CELL_CLIP, VARLSTM_KEY_PROJECTION_CLIP,
                                 VARLSTM_KEY_RECURRENT_DROPOUT, VARLSTM_KEY_ZONEOUT_H, VARLSTM_KEY_ZONEOUT_C};

struct Tensor {
  std::string name;
  int64_t offset, rows, cols;
  bool operator==(const Tensor& o) const {
    return name == o.name && offset == o.offset && rows == o.rows && cols == o.cols;
  }
};

void PrintTo(const Tensor& t, std::ostream* out) {
  *out << t.name << " at " << t.offset << " [" << t.rows << ", " << t.cols << "]";
}

std::vector<Tensor> tensors_of(const varlstm_rnn* rnn) {
  int64_t count = 0;
  REQUIRE_OK(varlstm_rnn_param_count(rnn, &count, nullptr));
  std::vector<Tensor> tensors;
  for (int64_t k = 0; k < count; ++k) {
    const char* name = nullptr;
    Tensor tensor;
    REQUIRE_OK(varlstm_rnn_param_info(rnn, k, &name, &tensor.offset, &tensor.rows, &tensor.cols));
    tensor.name = name;
    tensors.push_back(tensor);
  }
  return tensors;
}

// state_dict() of torch.nn.LSTM(3, 5, 2, bidirectional=True).
TEST(RnnDescription, ParametersStandAsInPyTorch) {
  const Context ctx = make_context();
  const Rnn rnn = make_rnn(ctx.get(), {3, 5, 2, true, true, 0.0}, VARLSTM_DTYPE_F32);
  const std::vector<Tensor> expected = {
      {"weight_ih_l0", 0, 20, 3},
      {"weight_hh_l0", 60, 20, 5},
      {"bias_ih_l0", 160, 20, 1},
      {"bias_hh_l0", 180, 20, 1},
      {"weight_ih_l0_reverse", 200, 20, 3},
      {"weight_hh_l0_reverse", 260, 20, 5},
      {"bias_ih_l0_reverse", 360, 20, 1},
      {"bias_hh_l0_reverse", 380, 20, 1},
      {"weight_ih_l1", 400, 20, 10},
      {"weight_hh_l1", 600, 20, 5},
      {"bias_ih_l1", 700, 20, 1},
      {"bias_hh_l1", 720, 20, 1},
      {"weight_ih_l1_reverse", 740, 20, 10},
      {"weight_hh_l1_reverse", 940, 20, 5},
      {"bias_ih_l1_reverse", 1040, 20, 1},
      {"bias_hh_l1_reverse", 1060, 20, 1},
  };
  EXPECT_EQ(tensors_of(rnn.get()), expected);
  int64_t elements = 0;
  ASSERT_OK(varlstm_rnn_param_count(rnn.get(), nullptr, &elements));
  EXPECT_EQ(elements, 1080);
}

TEST(RnnDescription, TensorsStandWithoutGaps) {
  const Context ctx = make_context();
  for (const int64_t layers : {1, 2, 4}) {
    for (const bool bidirectional : {false, true}) {
      for (const bool bias : {false, true}) {
        const Rnn rnn = make_rnn(ctx.get(), {7, 4, layers, bidirectional, bias, 0.0}, VARLSTM_DTYPE_F64);
        int64_t next = 0;
        for (const Tensor& tensor : tensors_of(rnn.get())) {
          EXPECT_EQ(tensor.offset, next) << tensor.name;
          EXPECT_EQ(tensor.name.find("bias") == 0, tensor.cols == 1) << tensor.name;
          next += tensor.rows * tensor.cols;
        }
        int64_t tensors = 0, elements = 0;
        ASSERT_OK(varlstm_rnn_param_count(rnn.get(), &tensors, &elements));
        EXPECT_EQ(elements, next);
        EXPECT_EQ(tensors, layers * (bidirectional ? 2 : 1) * (bias ? 4 : 2));
      }
    }
  }
}

TEST(RnnDescription, MostLayersStillHaveTheirNames) {
  const Context ctx = make_context();
  const Rnn rnn = make_rnn(ctx.get(), {1, 1, 4096, true, false, 0.0}, VARLSTM_DTYPE_F32);
  const char* name = nullptr;
  ASSERT_OK(varlstm_rnn_param_info(rnn.get(), 4096 * 2 * 2 - 1, &name, nullptr, nullptr, nullptr));
  EXPECT_STREQ(name, "weight_hh_l4095_reverse");
}

TEST(RnnDescription, KeepsItsOptions) {
  const Context ctx = make_context();
  const Rnn rnn = make_rnn(ctx.get(), {3, 5, 2, false, true, 0.0}, VARLSTM_DTYPE_F32);
  const auto get = [&](int32_t key) {
    int64_t value = -1;
    REQUIRE_OK(varlstm_rnn_get_i64(rnn.get(), key, &value));
    return value;
  };
  EXPECT_EQ(get(VARLSTM_KEY_CELL), VARLSTM_CELL_LSTM);
  EXPECT_EQ(get(VARLSTM_KEY_INPUT_SIZE), 3);
  EXPECT_EQ(get(VARLSTM_KEY_HIDDEN_SIZE), 5);
  EXPECT_EQ(get(VARLSTM_KEY_NUM_LAYERS), 2);
  const struct {
    int32_t key;
    int64_t initial, changed;
  } options[] = {
      {VARLSTM_KEY_DTYPE, VARLSTM_DTYPE_F32, VARLSTM_DTYPE_F64},
      {VARLSTM_KEY_BIDIRECTIONAL, 0, 1},
      {VARLSTM_KEY_BIAS, 1, 0},
      {VARLSTM_KEY_ROWS, VARLSTM_ROWS_PACKED, VARLSTM_ROWS_RAGGED},
      {VARLSTM_KEY_LAYERS_TOGETHER, 1, 0},
      {VARLSTM_KEY_PROJ_SIZE, 0, 4},
      {VARLSTM_KEY_RECURRENT_DROPOUT_KIND, VARLSTM_RECURRENT_DROPOUT_WEIGHTS, VARLSTM_RECURRENT_DROPOUT_CANDIDATE},
      {VARLSTM_KEY_LAYER_NORM, 0, 1},
      {VARLSTM_KEY_RESETS, 0, 1},
      {VARLSTM_KEY_CELL_STATES, 0, 1},
      {VARLSTM_KEY_ADD_DPARAMS, 1, 0}};
  for (const auto& option : options) {
    EXPECT_EQ(get(option.key), option.initial) << option.key;
    ASSERT_OK(varlstm_rnn_set_i64(rnn.get(), option.key, option.changed));
    EXPECT_EQ(get(option.key), option.changed) << option.key;
  }
  for (const int32_t key : kRealKeys) {
    double value = -1;
    ASSERT_OK(varlstm_rnn_get_f64(rnn.get(), key, &value));
    EXPECT_EQ(value, 0.0) << key;
    ASSERT_OK(varlstm_rnn_set_f64(rnn.get(), key, 0.75));
    ASSERT_OK(varlstm_rnn_get_f64(rnn.get(), key, &value));
    EXPECT_EQ(value, 0.75) << key;
    ASSERT_OK(varlstm_rnn_set_f64(rnn.get(), key, 0));
  }
}

// Probabilities are in [0, 1), clips are positive and finite; a refused value changes nothing.
TEST(RnnDescription, RefusesOptionsOutsideTheirRange) {
  const Context ctx = make_context();
  RnnOptions options;
  options.hidden = 5;
  const Rnn rnn = make_rnn(ctx.get(), options, VARLSTM_DTYPE_F32);
  ASSERT_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_PROJ_SIZE, 3));
  for (const int32_t key : kRealKeys) {
    const bool clips = key == VARLSTM_KEY_CELL_CLIP || key == VARLSTM_KEY_PROJECTION_CLIP;
    ASSERT_OK(varlstm_rnn_set_f64(rnn.get(), key, 0.5));
    for (const double value : {-0.25, 1.0, 3.5, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      if (clips && (value == 1.0 || value == 3.5)) continue;
      char text[32];
      snprintf(text, sizeof text, "value = %g ", value);
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, text, varlstm_rnn_set_f64(rnn.get(), key, value));
    }
    double kept = 0;
    ASSERT_OK(varlstm_rnn_get_f64(rnn.get(), key, &kept));
    EXPECT_EQ(kept, 0.5) << key;
  }
  for (const int64_t value : {-1, 3}) {
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = " + std::to_string(value),
                 varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_RECURRENT_DROPOUT_KIND, value));
  }
  // Without a projection there is nothing to clip.
  double clip = -1;
  ASSERT_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_PROJ_SIZE, 0));
  ASSERT_OK(varlstm_rnn_get_f64(rnn.get(), VARLSTM_KEY_PROJECTION_CLIP, &clip));
  EXPECT_EQ(clip, 0.0);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 0.5 must be 0: VARLSTM_KEY_PROJ_SIZE is 0",
               varlstm_rnn_set_f64(rnn.get(), VARLSTM_KEY_PROJECTION_CLIP, 0.5));
}

TEST(RnnDescription, RefusesOptionsThatTheCellDoesNotHave) {
  const Context ctx = make_context();
  for (const int32_t cell :
       {VARLSTM_CELL_GRU, VARLSTM_CELL_RNN_TANH, VARLSTM_CELL_RNN_RELU, VARLSTM_CELL_GRU_RESET_BEFORE}) {
    RnnOptions options;
    options.cell = cell;
    const Rnn rnn = make_rnn(ctx.get(), options, VARLSTM_DTYPE_F32);
    for (const int32_t key : {VARLSTM_KEY_CELL_CLIP, VARLSTM_KEY_ZONEOUT_C}) {
      EXPECT_OK(varlstm_rnn_set_f64(rnn.get(), key, 0));
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 0.5 must be 0: VARLSTM_CELL_",
                   varlstm_rnn_set_f64(rnn.get(), key, 0.5));
    }
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 0.5 must be 0: VARLSTM_KEY_PROJ_SIZE is 0",
                 varlstm_rnn_set_f64(rnn.get(), VARLSTM_KEY_PROJECTION_CLIP, 0.5));
    EXPECT_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_CELL_STATES, 0));
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 1 must be 0: VARLSTM_CELL_",
                 varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_CELL_STATES, 1));
    EXPECT_OK(varlstm_rnn_set_f64(rnn.get(), VARLSTM_KEY_ZONEOUT_H, 0.5));
    EXPECT_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_LAYER_NORM, 0));
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 2 is neither 0 nor 1",
                 varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_LAYER_NORM, 2));
    if (cell == VARLSTM_CELL_GRU) {
      EXPECT_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_LAYER_NORM, 1));
    } else {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 1 must be 0: VARLSTM_CELL_",
                   varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_LAYER_NORM, 1));
    }
    EXPECT_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_RECURRENT_DROPOUT_KIND, VARLSTM_RECURRENT_DROPOUT_STATE));
    const int32_t status =
        varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_RECURRENT_DROPOUT_KIND, VARLSTM_RECURRENT_DROPOUT_CANDIDATE);
    if (cell == VARLSTM_CELL_GRU || cell == VARLSTM_CELL_GRU_RESET_BEFORE) {
      EXPECT_OK(status);
    } else {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 2 must be 0 or 1: VARLSTM_CELL_RNN", status);
    }
  }
}

TEST(RnnDescription, RefusesLayerNormalisationOfAGruWithItsResetBefore) {
  const Context ctx = make_context();
  RnnOptions options;
  options.cell = VARLSTM_CELL_GRU_RESET_BEFORE;
  const Rnn rnn = make_rnn(ctx.get(), options, VARLSTM_DTYPE_F32);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT,
               "value = 1 must be 0: VARLSTM_CELL_GRU_RESET_BEFORE has no VARLSTM_KEY_LAYER_NORM",
               varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_LAYER_NORM, 1));
}

// P is in [0, H), and only an LSTM has one; a refused value changes nothing.
TEST(RnnDescription, RefusesAProjectionThatTheCellDoesNotHave) {
  const Context ctx = make_context();
  RnnOptions options;
  options.hidden = 5;
  const Rnn lstm = make_rnn(ctx.get(), options, VARLSTM_DTYPE_F32);
  ASSERT_OK(varlstm_rnn_set_i64(lstm.get(), VARLSTM_KEY_PROJ_SIZE, 3));
  for (const int64_t value : {int64_t{-1}, int64_t{5}, int64_t{6}, INT64_MIN, INT64_MAX}) {
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT,
                 "value = " + std::to_string(value) + " is outside [0, hidden_size), hidden_size = 5",
                 varlstm_rnn_set_i64(lstm.get(), VARLSTM_KEY_PROJ_SIZE, value));
  }
  int64_t kept = 0;
  ASSERT_OK(varlstm_rnn_get_i64(lstm.get(), VARLSTM_KEY_PROJ_SIZE, &kept));
  EXPECT_EQ(kept, 3);
  for (const int32_t cell :
       {VARLSTM_CELL_GRU, VARLSTM_CELL_RNN_TANH, VARLSTM_CELL_RNN_RELU, VARLSTM_CELL_GRU_RESET_BEFORE}) {
    options.cell = cell;
    const Rnn rnn = make_rnn(ctx.get(), options, VARLSTM_DTYPE_F32);
    EXPECT_OK(varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_PROJ_SIZE, 0));
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "value = 3 must be 0: VARLSTM_CELL_",
                 varlstm_rnn_set_i64(rnn.get(), VARLSTM_KEY_PROJ_SIZE, 3));
  }
}

// As PyTorch orders them; after them what layer normalisation adds.
TEST(RnnDescription, ListsTheTensorsOfOptions) {
  const Context ctx = make_context();
  for (int k = 0; k < 12; ++k) {
    const bool bias = k % 2 == 1, layer_norm = k / 2 % 2 == 1, projects = k / 4 == 1, gru = k / 4 == 2;
    RnnOptions options{3, 5, 2, true, bias};
    options.projects = projects;  // P = 4
    options.layer_norm = layer_norm;
    if (gru) options.cell = VARLSTM_CELL_GRU;
    const int64_t gates = gru ? 15 : 20, width = projects ? 4 : 5;
    const Rnn rnn = make_rnn(ctx.get(), options, VARLSTM_DTYPE_F32);
    std::vector<Tensor> expected;
    int64_t next = 0;
    const auto expect = [&](const char* kind, const std::string& place, int64_t rows, int64_t cols) {
      expected.push_back({kind + place, next, rows, cols});
      next += rows * cols;
    };
    for (const char* place : {"_l0", "_l0_reverse", "_l1", "_l1_reverse"}) {
      expect("weight_ih", place, gates, place[2] == '0' ? 3 : 2 * width);
      expect("weight_hh", place, gates, width);
      if (bias) expect("bias_ih", place, gates, 1);
      if (bias) expect("bias_hh", place, gates, 1);
      if (projects) expect("weight_hr", place, 4, 5);
      if (layer_norm) expect("norm_ih", place, gates, 1);
      if (layer_norm) expect("norm_hh", place, gates, 1);
      if (layer_norm && !gru) expect("norm_c", place, 5, 1);
      if (layer_norm && !gru) expect("norm_c_bias", place, 5, 1);
    }
    EXPECT_EQ(tensors_of(rnn.get()), expected);
    int64_t tensors = 0, elements = 0;
    ASSERT_OK(varlstm_rnn_param_count(rnn.get(), &tensors, &elements));
    EXPECT_EQ(tensors, static_cast<int64_t>(expected.size()));
    EXPECT_EQ(elements, next);
  }
}

// One rnn of size 1 with everything that a call of it needs.
struct Tiny {
  static constexpr int32_t kF32 = VARLSTM_DTYPE_F32;
  Context ctx = make_context();
  Batch batch = make_batch(ctx.get(), {1});
  Rnn rnn = make_rnn(ctx.get(), {}, kF32);
  Buffer<float> params{ctx.get(), std::vector<float>(16, 0.5f)}, grads{ctx.get(), 16, Fill::kNan};
  Buffer<float> x{ctx.get(), std::vector<float>(1, 1.f)}, y{ctx.get(), 1, Fill::kNan};
  int64_t workspace_bytes = 1 << 19, reserve_bytes = 1 << 16;
  ByteBuffer workspace{ctx.get(), workspace_bytes}, reserve{ctx.get(), reserve_bytes};

  int32_t forward(int32_t mode, void* some_reserve, int64_t bytes) {
    return varlstm_rnn_forward(rnn.get(), batch.get(), mode, 0, params.data(), x.data(), nullptr, nullptr, y.data(),
                               nullptr, nullptr, workspace.data(), workspace_bytes, some_reserve, bytes, nullptr);
  }
  int32_t backward(const varlstm_rnn* some_rnn) {
    return varlstm_rnn_backward(some_rnn, batch.get(), params.data(), x.data(), nullptr, nullptr, y.data(), nullptr,
                                nullptr, nullptr, nullptr, nullptr, nullptr, grads.data(), workspace.data(),
                                workspace_bytes, reserve.data(), reserve_bytes, nullptr);
  }
  int32_t import(int32_t format, const void* b_ih, const void* b_hh) {
    return varlstm_rnn_import(rnn.get(), format, 0, 0, params.data(), params.data() + 4, b_ih, b_hh, grads.data(),
                              nullptr);
  }
};

TEST(RnnOptions, FreezeAtTheFirstUse) {
  const std::vector<std::pair<const char*, std::function<int32_t(Tiny&)>>> uses = {
      {"param_count", [](Tiny& t) { return varlstm_rnn_param_count(t.rnn.get(), nullptr, nullptr); }},
      {"param_info",
       [](Tiny& t) { return varlstm_rnn_param_info(t.rnn.get(), 0, nullptr, nullptr, nullptr, nullptr); }},
      {"import", [](Tiny& t) { return t.import(VARLSTM_FORMAT_PYTORCH, t.params.data(), t.params.data()); }},
      {"sizes",
       [](Tiny& t) {
         int64_t bytes[2];
         return varlstm_rnn_sizes(t.rnn.get(), 1, 1, 1, VARLSTM_MODE_SAVE, &bytes[0], &bytes[1]);
       }},
      {"forward", [](Tiny& t) { return t.forward(VARLSTM_MODE_INFER, nullptr, 0); }},
      {"backward",
       [](Tiny& t) {
         Rnn twin = make_rnn(t.ctx.get(), {}, Tiny::kF32);
         t.rnn.swap(twin);
         REQUIRE_OK(t.forward(VARLSTM_MODE_SAVE, t.reserve.data(), t.reserve_bytes));
         t.rnn.swap(twin);
         return t.backward(t.rnn.get());
       }},
  };
  for (const auto& use : uses) {
    SCOPED_TRACE(use.first);
    Tiny tiny;
    ASSERT_OK(varlstm_rnn_set_i64(tiny.rnn.get(), VARLSTM_KEY_BIAS, 1));
    ASSERT_OK(use.second(tiny));
    for (const int32_t key :
         {VARLSTM_KEY_DTYPE, VARLSTM_KEY_BIDIRECTIONAL, VARLSTM_KEY_BIAS, VARLSTM_KEY_ROWS, VARLSTM_KEY_LAYERS_TOGETHER,
          VARLSTM_KEY_PROJ_SIZE, VARLSTM_KEY_RESETS, VARLSTM_KEY_RECURRENT_DROPOUT_KIND, VARLSTM_KEY_LAYER_NORM,
          VARLSTM_KEY_CELL_STATES, VARLSTM_KEY_ADD_DPARAMS}) {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "key = " + std::to_string(key) + " ",
                   varlstm_rnn_set_i64(tiny.rnn.get(), key, 0));
    }
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "key = 27 (VARLSTM_KEY_DROPOUT) cannot change any more",
                 varlstm_rnn_set_f64(tiny.rnn.get(), VARLSTM_KEY_DROPOUT, 0.5));
    for (const int32_t key : kRealKeys) {
      EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "cannot change any more",
                   varlstm_rnn_set_f64(tiny.rnn.get(), key, 0));
    }
  }
}

TEST(RnnRun, InferTakesNoReserve) {
  Tiny tiny;
  EXPECT_OK(tiny.forward(VARLSTM_MODE_INFER, nullptr, 0));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT,
               "reserve = ", tiny.forward(VARLSTM_MODE_INFER, tiny.reserve.data(), tiny.reserve_bytes));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "reserve_bytes = 64", tiny.forward(VARLSTM_MODE_INFER, nullptr, 64));
  int64_t workspace = 0, reserve = -1;
  ASSERT_OK(varlstm_rnn_sizes(tiny.rnn.get(), 1, 1, 1, VARLSTM_MODE_INFER, &workspace, &reserve));
  EXPECT_EQ(reserve, 0);
}

// The host's back end refuses the call; only the device sees a reserve of its own, gives zeros and raises a bit.
void expect_foreign_reserve(Tiny& tiny, const varlstm_rnn* rnn) {
  if (test_backend() == VARLSTM_BACKEND_HOST) {
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "was not written by a forward of this shape", tiny.backward(rnn));
    return;
  }
  int64_t bits = 0;
  ASSERT_OK(tiny.backward(rnn));
  ASSERT_OK(varlstm_ctx_device_status(tiny.ctx.get(), 1, &bits, nullptr, nullptr));
  EXPECT_EQ(bits, VARLSTM_DEVICE_STATUS_RESERVE);
}

TEST(RnnRun, ReserveMustComeFromAForwardOfThisShape) {
  Tiny tiny;
  expect_foreign_reserve(tiny, tiny.rnn.get());
  ASSERT_OK(tiny.forward(VARLSTM_MODE_SAVE, tiny.reserve.data(), tiny.reserve_bytes));
  tiny.grads.set(std::vector<float>(16, 0.f));
  EXPECT_OK(tiny.backward(tiny.rnn.get()));
  EXPECT_OK(tiny.backward(tiny.rnn.get()));
  RnnOptions without_bias;
  without_bias.bias = false;
  const Rnn other = make_rnn(tiny.ctx.get(), without_bias, Tiny::kF32);
  expect_foreign_reserve(tiny, other.get());
  RnnOptions ragged;
  ragged.rows = VARLSTM_ROWS_RAGGED;
  const Rnn reordered = make_rnn(tiny.ctx.get(), ragged, Tiny::kF32);
  expect_foreign_reserve(tiny, reordered.get());
}

// c and dc need the key; without them the calls are the plain ones, with the key and without it.
TEST(RnnRun, CellStatesNeedTheirKey) {
  Tiny tiny;
  Buffer<float> c(tiny.ctx.get(), 1, Fill::kNan);
  const auto forward = [&](float* out) {
    return varlstm_rnn_forward_with_c(tiny.rnn.get(), tiny.batch.get(), VARLSTM_MODE_SAVE, 0, tiny.params.data(),
                                      tiny.x.data(), nullptr, nullptr, tiny.y.data(), nullptr, nullptr, out,
                                      tiny.workspace.data(), tiny.workspace_bytes, tiny.reserve.data(),
                                      tiny.reserve_bytes, nullptr);
  };
  const auto backward = [&](const float* dc) {
    return varlstm_rnn_backward_with_c(tiny.rnn.get(), tiny.batch.get(), tiny.params.data(), tiny.x.data(), nullptr,
                                       nullptr, tiny.y.data(), nullptr, nullptr, nullptr, dc, nullptr, nullptr, nullptr,
                                       tiny.grads.data(), tiny.workspace.data(), tiny.workspace_bytes,
                                       tiny.reserve.data(), tiny.reserve_bytes, nullptr);
  };
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "must be NULL, or set VARLSTM_KEY_CELL_STATES of the rnn to 1",
               forward(c.data()));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "c = ", forward(c.data()));
  EXPECT_OK(forward(nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "must be NULL, or set VARLSTM_KEY_CELL_STATES of the rnn to 1",
               backward(c.data()));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "dc = ", backward(c.data()));
  EXPECT_OK(backward(nullptr));
  RnnOptions options;
  options.cell_states = true;
  tiny.rnn = make_rnn(tiny.ctx.get(), options, Tiny::kF32);
  EXPECT_OK(forward(nullptr));
  EXPECT_OK(forward(c.data()));
  EXPECT_OK(backward(nullptr));
  EXPECT_OK(backward(c.data()));
  options.cell_states = false;
  options.cell = VARLSTM_CELL_GRU;
  tiny.rnn = make_rnn(tiny.ctx.get(), options, Tiny::kF32);
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "c = ", forward(c.data()));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "must be NULL: VARLSTM_CELL_GRU has no cell state", backward(c.data()));
}

TEST(RnnImport, FormatsWithOneBiasRefuseASecond) {
  for (const int32_t format : {VARLSTM_FORMAT_KERAS, VARLSTM_FORMAT_HASTE}) {
    Tiny tiny;
    EXPECT_OK(tiny.import(format, tiny.params.data() + 8, nullptr));
    EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "format = " + std::to_string(format) + " has one bias",
                 tiny.import(format, tiny.params.data() + 8, tiny.params.data() + 12));
  }
  for (const int32_t format : {VARLSTM_FORMAT_PYTORCH, VARLSTM_FORMAT_ONNX, VARLSTM_FORMAT_CUDNN}) {
    Tiny tiny;
    EXPECT_OK(tiny.import(format, tiny.params.data() + 8, tiny.params.data() + 12));
  }
}

TEST(RnnImport, NoFormatHasAProjection) {
  Tiny tiny;
  RnnOptions options;
  options.hidden = 2;
  options.projects = true;
  tiny.rnn = make_rnn(tiny.ctx.get(), options, Tiny::kF32);
  for (const int32_t format : {VARLSTM_FORMAT_PYTORCH, VARLSTM_FORMAT_KERAS, VARLSTM_FORMAT_ONNX, VARLSTM_FORMAT_CUDNN,
                               VARLSTM_FORMAT_HASTE}) {
    EXPECT_ERROR(VARLSTM_ERROR_UNSUPPORTED, "no place for weight_hr of VARLSTM_KEY_PROJ_SIZE = 1",
                 tiny.import(format, nullptr, nullptr));
  }
}

TEST(RnnImport, RnnWithoutBiasRefusesBoth) {
  Tiny tiny;
  ASSERT_OK(varlstm_rnn_set_i64(tiny.rnn.get(), VARLSTM_KEY_BIAS, 0));
  const float* bias = tiny.params.data() + 8;
  EXPECT_OK(tiny.import(VARLSTM_FORMAT_PYTORCH, nullptr, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "b_ih = ", tiny.import(VARLSTM_FORMAT_PYTORCH, bias, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "b_hh = ", tiny.import(VARLSTM_FORMAT_PYTORCH, nullptr, bias));
}

}  // namespace
}  // namespace varlstm_test
