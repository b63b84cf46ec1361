// Random arguments, valid, invalid and absurd, for every function that takes sizes or pointers: whatever comes, a call
// gives a status, an error has a text, no call crashes, and none reports a defect of the library. Data pointers, where
// they are not null or misaligned, always have room for every size that is not absurd.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "support/buffer.h"
#include "support/context.h"

namespace varlstm_test {
namespace {

constexpr int kCallsPerFunction = 3000;

class AbiFuzz : public ::testing::Test {
 protected:
  static constexpr int kPoolBuffers = 16;
  static constexpr int64_t kPoolBytes = 1 << 17;

  AbiFuzz() {
    for (int k = 0; k < kPoolBuffers; ++k) {
      pool_.push_back(std::make_unique<ByteBuffer>(context_.get(), kPoolBytes, Fill::kRandomBytes, k));
    }
    for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{2, 0, 3}, std::vector<int64_t>{}}) {
      batches_.push_back(make_batch(context_.get(), lengths, {4, 4, 8}));
    }
    for (const int32_t dtype : {VARLSTM_DTYPE_F32, VARLSTM_DTYPE_F64, VARLSTM_DTYPE_BF16}) {
      RnnOptions options;
      options.input = 2;
      options.hidden = 3;
      options.layers = 2;
      options.bidirectional = dtype == VARLSTM_DTYPE_F64;
      options.dropout = 0.5;
      options.cell_states = dtype == VARLSTM_DTYPE_F32;
      rnns_.push_back(make_rnn(context_.get(), options, dtype));
      losses_.push_back(make_loss(context_.get(), 3));
    }
  }

  bool rarely() { return random_.integer(0, 19) == 0; }

  // Mostly a small size, now and then one that no buffer holds; every absurd one overflows in bytes.
  int64_t size() {
    constexpr int64_t kAbsurd[] = {-1, std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(),
                                   int64_t{1} << 61, std::numeric_limits<int64_t>::max() / 2 + 1};
    return rarely() ? kAbsurd[random_.integer(0, 4)] : random_.integer(0, 5);
  }
  // Of an enum with values 0 .. last.
  int32_t code(int32_t last) {
    if (rarely()) return random_.coin() ? -1 : std::numeric_limits<int32_t>::max();
    return static_cast<int32_t>(random_.integer(0, last + (rarely() ? 2 : 0)));
  }
  int32_t dtype() { return rarely() ? code(6) : static_cast<int32_t>(random_.integer(0, 3)); }
  int64_t padding_idx() { return rarely() ? size() : random_.integer(-1, 4); }
  int32_t loss_key() { return rarely() ? code(40) : static_cast<int32_t>(random_.integer(30, 34)); }
  double real() {
    constexpr double kReals[] = {0.0, 0.1, 0.5, 0.9, 1.0, 2.5, -1.0, 1e300};
    if (rarely()) {
      return random_.coin() ? std::numeric_limits<double>::quiet_NaN() : -std::numeric_limits<double>::infinity();
    }
    return kReals[random_.integer(0, 7)];
  }
  int64_t byte_count() {
    return rarely() ? size() : random_.integer(0, 3) == 0 ? random_.integer(0, kPoolBytes) : kPoolBytes;
  }
  template <class T = void>
  T* data() {
    if (rarely()) return nullptr;
    unsigned char* const start = pool_[random_.integer(0, kPoolBuffers - 1)]->data();
    return reinterpret_cast<T*>(start + (rarely() ? 1 : 0));
  }

  varlstm_ctx* ctx() { return rarely() ? wrong<varlstm_ctx>() : context_.get(); }
  varlstm_batch* batch() { return rarely() ? wrong<varlstm_batch>() : batches_[random_.integer(0, 1)].get(); }
  varlstm_rnn* rnn() { return rarely() ? wrong<varlstm_rnn>() : rnns_[random_.integer(0, 1)].get(); }
  varlstm_loss* loss() { return rarely() ? wrong<varlstm_loss>() : losses_[random_.integer(0, 1)].get(); }

  // Calls it many times; `call` draws its own arguments.
  template <class Call>
  void hammer(const char* name, const Call& call) {
    SCOPED_TRACE(name);
    int succeeded = 0;
    for (int k = 0; k < kCallsPerFunction; ++k) {
      const int32_t status = call();
      succeeded += status == VARLSTM_OK ? 1 : 0;
      ASSERT_GE(status, 0) << "call " << k;
      ASSERT_LT(status, VARLSTM_ERROR_INTERNAL) << "call " << k << ": " << varlstm_last_error();
      if (status != VARLSTM_OK) {
        ASSERT_NE(std::string(varlstm_last_error()), "") << "call " << k;
      }
    }
    EXPECT_GT(succeeded, 0) << "no call got as far as the back end";
    EXPECT_LT(succeeded, kCallsPerFunction) << "no call was wrong";
  }

 private:
  // NULL, or a handle of another kind.
  template <class Handle>
  Handle* wrong() {
    void* const others[] = {nullptr, context_.get(), batches_[0].get(), rnns_[0].get(), losses_[0].get()};
    return reinterpret_cast<Handle*>(others[random_.integer(0, 4)]);
  }

 protected:
  Context context_ = make_context(1);
  Random random_{81};
  std::vector<std::unique_ptr<ByteBuffer>> pool_;
  std::vector<Batch> batches_;
  std::vector<Rnn> rnns_;
  std::vector<Loss> losses_;
};

TEST_F(AbiFuzz, Batches) {
  hammer("batch_create", [&] {
    varlstm_batch* created = nullptr;
    const int32_t status = varlstm_batch_create(ctx(), size(), size(), size(), rarely() ? nullptr : &created);
    EXPECT_EQ(status == VARLSTM_OK, created != nullptr);
    EXPECT_OK(varlstm_batch_destroy(created));
    return status;
  });
  hammer("batch_set_lengths", [&] {
    std::vector<int64_t> lengths(4);
    for (int64_t& length : lengths) length = std::min<int64_t>(size(), rarely() ? 5 : 2);
    const int64_t count = size();
    return varlstm_batch_set_lengths(batch(), rarely() ? nullptr : lengths.data(), count > 4 && count < 9 ? 4 : count,
                                     code(1), nullptr);
  });
  hammer("batch_from_batch_sizes", [&] {
    const std::vector<int64_t> sizes = {3, size(), size(), 1, 1}, sorted = {2, 0, 1, 0, 0};
    return varlstm_batch_from_batch_sizes(batch(), rarely() ? nullptr : sizes.data(), size(),
                                          random_.coin() ? nullptr : sorted.data(), nullptr);
  });
  hammer("batch_set_resets", [&] {
    std::vector<uint8_t> flags(64, 0);
    for (uint8_t& flag : flags) flag = rarely() ? 2 : random_.coin() ? 1 : 0;
    const int64_t count = size();
    return varlstm_batch_set_resets(batch(), rarely() ? nullptr : flags.data(), count > 64 && count < 99 ? 64 : count,
                                    code(2), size(), VARLSTM_SPACE_HOST, nullptr);
  });
  hammer("batch_get_array", [&] {
    const int64_t* array = nullptr;
    int64_t count = 0;
    return varlstm_batch_get_array(batch(), code(7), rarely() ? nullptr : &array, random_.coin() ? nullptr : &count);
  });
}

TEST_F(AbiFuzz, PackAndUnpack) {
  hammer("pack", [&] { return varlstm_pack(batch(), dtype(), code(2), size(), size(), data(), data(), nullptr); });
  hammer("unpack",
         [&] { return varlstm_unpack(batch(), dtype(), code(2), size(), size(), real(), data(), data(), nullptr); });
  hammer("pack_backward",
         [&] { return varlstm_pack_backward(batch(), dtype(), code(2), size(), size(), data(), data(), nullptr); });
  hammer("unpack_backward",
         [&] { return varlstm_unpack_backward(batch(), dtype(), code(2), size(), size(), data(), data(), nullptr); });
}

TEST_F(AbiFuzz, RnnDescription) {
  hammer("rnn_create", [&] {
    varlstm_rnn* created = nullptr;
    const int32_t status = varlstm_rnn_create(ctx(), code(1), size(), size(), size(), &created);
    if (status != VARLSTM_OK) return status;
    // Whatever was accepted must be describable, or say why not.
    EXPECT_NE(varlstm_rnn_set_i64(created, code(40), size()), VARLSTM_ERROR_INTERNAL);
    EXPECT_NE(varlstm_rnn_set_f64(created, VARLSTM_KEY_DROPOUT, real()), VARLSTM_ERROR_INTERNAL);
    int64_t tensors = 0, elements = 0;
    EXPECT_NE(varlstm_rnn_param_count(created, &tensors, &elements), VARLSTM_ERROR_INTERNAL);
    EXPECT_GE(elements, 0);
    EXPECT_OK(varlstm_rnn_destroy(created));
    return status;
  });
  hammer("rnn_param_info", [&] {
    const char* name = nullptr;
    return varlstm_rnn_param_info(rnn(), size(), &name, nullptr, nullptr, nullptr);
  });
  hammer("rnn_sizes", [&] {
    int64_t workspace = 0, reserve = 0;
    const int32_t status = varlstm_rnn_sizes(rnn(), size(), size(), size(), code(1), &workspace, &reserve);
    EXPECT_GE(workspace, 0);
    EXPECT_GE(reserve, 0);
    return status;
  });
  hammer("op_workspace", [&] {
    int64_t bytes = 0;
    const int32_t status = varlstm_op_workspace(ctx(), code(7), dtype(), size(), size(), size(), &bytes);
    EXPECT_GE(bytes, 0);
    return status;
  });
  hammer("rnn_import", [&] {
    return varlstm_rnn_import(rnn(), code(4), random_.integer(0, 2), code(1), data(), data(),
                              random_.coin() ? data() : nullptr, random_.coin() ? data() : nullptr, data(), nullptr);
  });
}

TEST_F(AbiFuzz, RnnForwardAndBackward) {
  hammer("rnn_forward", [&] {
    const bool save = random_.coin();
    return varlstm_rnn_forward_with_c(rnn(), batch(),
                                      rarely() ? code(3)
                                      : save   ? 1
                                               : 0,
                                      random_.bits(), data(), data(), data(), data(), data(), data(), data(),
                                      random_.coin() ? data() : nullptr, data(), byte_count(), save ? data() : nullptr,
                                      save ? byte_count() : 0, nullptr);
  });
  // A reserve that forward wrote, so that backward gets somewhere.
  ByteBuffer reserve(context_.get(), kPoolBytes);
  const int64_t lengths[] = {2, 0, 3};
  hammer("rnn_backward", [&] {
    if (varlstm_batch_set_lengths(batches_[0].get(), lengths, 3, VARLSTM_SPACE_HOST, nullptr) != VARLSTM_OK) return 8;
    varlstm_rnn* const rnn_used = rnn();
    varlstm_batch* const batch_used = batch();
    varlstm_rnn_forward(rnn_used, batch_used, VARLSTM_MODE_SAVE, random_.bits(), data(), data(), nullptr, nullptr,
                        data(), nullptr, nullptr, data(), kPoolBytes, reserve.data(), kPoolBytes, nullptr);
    return varlstm_rnn_backward_with_c(rnn_used, batch_used, data(), data(), data(), data(), data(), data(), data(),
                                       data(), random_.coin() ? data() : nullptr, data(), data(), data(), data(),
                                       data(), byte_count(), reserve.data(), rarely() ? byte_count() : kPoolBytes,
                                       nullptr);
  });
}

TEST_F(AbiFuzz, PreparedRnns) {
  hammer("rnn_prepare", [&] {
    varlstm_rnn* prepared = nullptr;
    const int32_t status =
        varlstm_rnn_prepare(rnn(), rarely() ? code(3) : 1, data(), data(), byte_count(), nullptr, &prepared);
    EXPECT_EQ(status == VARLSTM_OK, prepared != nullptr);
    EXPECT_EQ(varlstm_rnn_destroy(prepared), VARLSTM_OK);
    return status;
  });
}

TEST_F(AbiFuzz, Steps) {
  hammer("rnn_step_size", [&] {
    int64_t workspace = 0;
    const int32_t status = varlstm_rnn_step_size(rnn(), size(), size(), &workspace);
    if (status == VARLSTM_OK) {
      EXPECT_GT(workspace, 0);
    }
    return status;
  });
  // Slots that often fit, beside whatever is in the pool.
  const Buffer<int64_t> slots(context_.get(), std::vector<int64_t>{3, 0, 4, 2, 1});
  hammer("rnn_step", [&] {
    return varlstm_rnn_step(rnn(), size(), data(), data(), random_.coin() ? slots.data() : data<int64_t>(), size(),
                            data(), random_.coin() ? data() : nullptr, data(), data(), byte_count(), nullptr);
  });
}

TEST_F(AbiFuzz, ConvMax) {
  // Offsets and a workspace that often fit, beside whatever is in the pool.
  const Buffer<int64_t> offsets(context_.get(), std::vector<int64_t>{0, 1, 1, 2, 2, 3});
  ByteBuffer workspace(context_.get(), 1 << 18, Fill::kRandomBytes);
  const auto row_offsets = [&] { return rarely() ? data<int64_t>() : offsets.data(); };
  const auto words = [&] { return std::min<int64_t>(size(), 5); };
  const auto bytes = [&] { return rarely() ? byte_count() : workspace.bytes(); };
  hammer("conv_max_size", [&] {
    int64_t forward = 0, backward = 0;
    return varlstm_conv_max_size(ctx(), dtype(), size(), size(), size(), size(), size(), &forward, &backward);
  });
  hammer("conv_max_forward", [&] {
    return varlstm_conv_max_forward(ctx(), dtype(), words(), size(), size(), size(), size(), code(2), row_offsets(),
                                    data(), data(), data(), data(), size(), random_.coin() ? data<int64_t>() : nullptr,
                                    workspace.data(), bytes(), nullptr);
  });
  hammer("conv_max_backward", [&] {
    return varlstm_conv_max_backward(ctx(), dtype(), words(), size(), size(), size(), size(), code(2), row_offsets(),
                                     data(), data(), data(), data(), size(), data<int64_t>(), data(), data(), data(),
                                     workspace.data(), bytes(), nullptr);
  });
}

TEST_F(AbiFuzz, EmbeddingLinearDropoutSoftmax) {
  const auto maybe_batch = [&]() -> varlstm_batch* { return random_.coin() ? nullptr : batch(); };
  hammer("embedding_forward", [&] {
    return varlstm_embedding_forward(ctx(), maybe_batch(), dtype(), size(), size(), size(), data(), data<int64_t>(),
                                     data(), nullptr);
  });
  hammer("embedding_backward", [&] {
    return varlstm_embedding_backward(ctx(), maybe_batch(), dtype(), size(), size(), size(), padding_idx(),
                                      data<int64_t>(), data(), data(), data(), byte_count(), nullptr);
  });
  hammer("linear_forward", [&] {
    return varlstm_linear_forward(ctx(), dtype(), size(), size(), size(), data(), data(), data(), data(), data(),
                                  byte_count(), nullptr);
  });
  hammer("linear_backward", [&] {
    return varlstm_linear_backward(ctx(), dtype(), size(), size(), size(), data(), data(), data(), data(), data(),
                                   data(), data(), byte_count(), nullptr);
  });
  hammer("convert", [&] { return varlstm_convert(ctx(), dtype(), dtype(), size(), data(), data(), nullptr); });
  hammer("copy_columns",
         [&] { return varlstm_copy_columns(ctx(), dtype(), size(), size(), data(), size(), data(), size(), nullptr); });
  hammer("dropout_forward", [&] {
    return varlstm_dropout_forward(ctx(), dtype(), size(), real(), random_.bits(), data(), data(), nullptr);
  });
  hammer("dropout_backward", [&] {
    return varlstm_dropout_backward(ctx(), dtype(), size(), real(), random_.bits(), data(), data(), nullptr);
  });
  hammer("log_softmax_forward",
         [&] { return varlstm_log_softmax_forward(ctx(), dtype(), size(), size(), data(), data(), nullptr); });
  hammer("log_softmax_backward",
         [&] { return varlstm_log_softmax_backward(ctx(), dtype(), size(), size(), data(), data(), data(), nullptr); });
}

TEST_F(AbiFuzz, Losses) {
  hammer("loss_set_i64", [&] { return varlstm_loss_set_i64(losses_[0].get(), loss_key(), size()); });
  hammer("loss_set_f64", [&] { return varlstm_loss_set_f64(losses_[0].get(), loss_key(), real()); });
  const auto maybe_batch = [&]() -> varlstm_batch* { return random_.coin() ? nullptr : batch(); };
  hammer("nll_forward", [&] {
    return varlstm_nll_forward(loss(), maybe_batch(), dtype(), size(), data(), data<int64_t>(), data(), data(), data(),
                               data(), byte_count(), nullptr);
  });
  hammer("nll_backward", [&] {
    return varlstm_nll_backward(loss(), maybe_batch(), dtype(), size(), data<int64_t>(), data(), data(), data(), data(),
                                byte_count(), nullptr);
  });
  hammer("cross_entropy_forward", [&] {
    return varlstm_cross_entropy_forward(loss(), maybe_batch(), dtype(), size(), data(), data<int64_t>(), data(),
                                         data(), data(), data(), data(), byte_count(), nullptr);
  });
  hammer("cross_entropy_backward",
         [&] { return varlstm_cross_entropy_backward(loss(), dtype(), size(), data(), data(), nullptr); });
  hammer("linear_cross_entropy_forward", [&] {
    return varlstm_linear_cross_entropy_forward(loss(), maybe_batch(), dtype(), size(), size(), data(), data(), data(),
                                                data<int64_t>(), data(), data(), data(), data(), data(), byte_count(),
                                                nullptr);
  });
  hammer("linear_cross_entropy_backward", [&] {
    return varlstm_linear_cross_entropy_backward(loss(), maybe_batch(), dtype(), size(), size(), data(), data(), data(),
                                                 data<int64_t>(), data(), data(), data(), data(), data(), data(),
                                                 data(), byte_count(), nullptr);
  });
}

TEST_F(AbiFuzz, Rows) {
  const auto maybe_batch = [&]() -> varlstm_batch* { return random_.coin() ? nullptr : batch(); };
  hammer("embedding_backward_rows", [&] {
    return varlstm_embedding_backward_rows(ctx(), maybe_batch(), dtype(), size(), size(), size(), size(),
                                           data<int64_t>(), data(), data<int64_t>(), data(), data(), byte_count(),
                                           nullptr);
  });
  const Buffer<int64_t> distinct(context_.get(), {4, 0, -1, 3, 1});  // which the call asks of its caller
  hammer("sgd_rows_step", [&] {
    return varlstm_sgd_rows_step(ctx(), dtype(), size(), size(), size(), real(), rarely() ? nullptr : distinct.data(),
                                 data(), data(), nullptr);
  });
  // With so many arguments a call would hardly ever have all of them right.
  const auto beta = [&] { return rarely() ? real() : 0.9; };
  Buffer<int64_t> own_last_steps(context_.get(), 5), own_step(context_.get(), 1);
  const auto last_steps = [&] {
    own_last_steps.set({2, 0, 1, 2, 2});
    return rarely() ? data<int64_t>() : own_last_steps.data();
  };
  const auto step = [&] {
    own_step.set({2});
    return rarely() ? data<int64_t>() : own_step.data();
  };
  hammer("adam_rows_step", [&] {
    return varlstm_adam_rows_step(ctx(), dtype(), size(), size(), size(), real(), beta(), beta(), real(), real(),
                                  code(1), data<int64_t>(), data(), data(), data(), data(), last_steps(), data(),
                                  size(), step(), nullptr);
  });
  hammer("adam_rows_catch_up", [&] {
    return varlstm_adam_rows_catch_up(ctx(), dtype(), size(), size(), size(), beta(), beta(), real(), real(), code(1),
                                      data<int64_t>(), data(), data(), data(), last_steps(), data(), size(), step(),
                                      nullptr);
  });
}

TEST_F(AbiFuzz, Optimizers) {
  hammer("sgd_step", [&] {
    return varlstm_sgd_step(ctx(), dtype(), size(), real(), real(), real(), code(1), data(), data(), data(), nullptr);
  });
  hammer("adam_step", [&] {
    return varlstm_adam_step(ctx(), dtype(), size(), real(), real(), real(), real(), real(), code(1), data(), data(),
                             data(), data(), data<int64_t>(), nullptr);
  });
  hammer("grad_norm", [&] {
    return varlstm_grad_norm(ctx(), dtype(), size(), data(), data<double>(), data(), byte_count(), nullptr);
  });
  hammer("clip_grad_norm", [&] {
    return varlstm_clip_grad_norm(ctx(), dtype(), size(), real(), data(), data<double>(), data(), byte_count(),
                                  nullptr);
  });
}

}  // namespace
}  // namespace varlstm_test
