// Options of a loss, and operands that an operation does not always need.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <vector>

#include "support/buffer.h"
#include "support/context.h"

namespace varlstm_test {
namespace {

TEST(Loss, KeepsItsOptions) {
  const Context ctx = make_context();
  const Loss loss = make_loss(ctx.get(), 17);
  const struct {
    int32_t key;
    int64_t initial, changed;
  } options[] = {{VARLSTM_KEY_IGNORE_INDEX, -100, 3},
                 {VARLSTM_KEY_REDUCTION, VARLSTM_REDUCTION_MEAN, VARLSTM_REDUCTION_NONE},
                 {VARLSTM_KEY_EMPTY_MEAN, VARLSTM_EMPTY_MEAN_NAN, VARLSTM_EMPTY_MEAN_ZERO}};
  int64_t value = 0;
  ASSERT_OK(varlstm_loss_get_i64(loss.get(), VARLSTM_KEY_CLASSES, &value));
  EXPECT_EQ(value, 17);
  for (const auto& option : options) {
    ASSERT_OK(varlstm_loss_get_i64(loss.get(), option.key, &value));
    EXPECT_EQ(value, option.initial) << option.key;
    ASSERT_OK(varlstm_loss_set_i64(loss.get(), option.key, option.changed));
    ASSERT_OK(varlstm_loss_get_i64(loss.get(), option.key, &value));
    EXPECT_EQ(value, option.changed) << option.key;
  }
  double smoothing = -1;
  ASSERT_OK(varlstm_loss_get_f64(loss.get(), VARLSTM_KEY_LABEL_SMOOTHING, &smoothing));
  EXPECT_EQ(smoothing, 0.0);
  ASSERT_OK(varlstm_loss_set_f64(loss.get(), VARLSTM_KEY_LABEL_SMOOTHING, 0.25));
  ASSERT_OK(varlstm_loss_get_f64(loss.get(), VARLSTM_KEY_LABEL_SMOOTHING, &smoothing));
  EXPECT_EQ(smoothing, 0.25);
}

// What is not asked for needs no operand: x is read for dweight alone, weight for dx alone.
TEST(Operation, LinearBackwardReadsOnlyWhatItNeeds) {
  const Context ctx = make_context();
  int64_t bytes = 0;
  ASSERT_OK(varlstm_op_workspace(ctx.get(), VARLSTM_OP_LINEAR_BACKWARD, VARLSTM_DTYPE_F32, 2, 3, 4, &bytes));
  const auto filled = [&](int64_t count, float value) {
    return Buffer<float>(ctx.get(), std::vector<float>(static_cast<size_t>(count), value));
  };
  const Buffer<float> x = filled(6, 1.f), weight = filled(12, 1.f), dy = filled(8, 1.f);
  Buffer<float> dx = filled(6, 0.f), dweight = filled(12, 0.f), dbias = filled(4, 0.f);
  void* workspace = nullptr;
  ASSERT_OK(varlstm_alloc(ctx.get(), bytes, &workspace));
  const auto run = [&](const float* some_x, const float* some_weight, float* some_dx, float* some_dweight) {
    return varlstm_linear_backward(ctx.get(), VARLSTM_DTYPE_F32, 2, 3, 4, some_x, some_weight, dy.data(), some_dx,
                                   some_dweight, dbias.data(), workspace, bytes, nullptr);
  };
  EXPECT_OK(run(nullptr, weight.data(), dx.data(), nullptr));
  EXPECT_OK(run(x.data(), nullptr, nullptr, dweight.data()));
  EXPECT_OK(run(nullptr, nullptr, nullptr, nullptr));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "x is NULL", run(nullptr, nullptr, nullptr, dweight.data()));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "weight is NULL", run(nullptr, nullptr, dx.data(), nullptr));
  EXPECT_EQ(dx.get(), std::vector<float>(6, 4.f));
  EXPECT_EQ(dweight.get(), std::vector<float>(12, 2.f));
  EXPECT_EQ(dbias.get(), std::vector<float>(4, 6.f));
  EXPECT_OK(varlstm_free(ctx.get(), workspace));
}

TEST(Operation, SgdWithoutMomentumNeedsNoVelocity) {
  const Context ctx = make_context();
  Buffer<float> params(ctx.get(), std::vector<float>(3, 1.f));
  const Buffer<float> grads(ctx.get(), std::vector<float>(3, 2.f));
  const auto run = [&](double momentum) {
    return varlstm_sgd_step(ctx.get(), VARLSTM_DTYPE_F32, 3, 0.5, momentum, 0.0, 0, params.data(), grads.data(),
                            nullptr, nullptr);
  };
  EXPECT_OK(run(0.0));
  EXPECT_EQ(params.get(), std::vector<float>(3, 0.f));
  EXPECT_ERROR(VARLSTM_ERROR_INVALID_ARGUMENT, "velocity is NULL", run(0.5));
}

TEST(Operation, NoRowsNeedNoPointers) {
  const Context ctx = make_context();
  const float table[2] = {1.f, 2.f};
  EXPECT_OK(
      varlstm_embedding_forward(ctx.get(), nullptr, VARLSTM_DTYPE_F32, 0, 2, 1, table, nullptr, nullptr, nullptr));
  EXPECT_OK(varlstm_dropout_forward(ctx.get(), VARLSTM_DTYPE_F64, 0, 0.5, 1, nullptr, nullptr, nullptr));
  EXPECT_OK(varlstm_log_softmax_forward(ctx.get(), VARLSTM_DTYPE_F32, 0, 4, nullptr, nullptr, nullptr));
}

}  // namespace
}  // namespace varlstm_test
