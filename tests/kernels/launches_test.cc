// How many kernels forward and backward of one layer are, in each way of the resident recurrence, for either order of
// rows and with resets.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "support/buffer.h"
#include "support/enqueued_work.h"
#include "support/rnn_case.h"

namespace varlstm_test {
namespace {

constexpr int64_t kHidden = 32, kInput = 24;

// What of a layer differs between the tests.
struct Kind {
  int32_t dtype;
  int64_t element_bytes;
  int32_t cell;
  int32_t rows;
  int32_t recurrence = VARLSTM_RECURRENCE_CLUSTER;
};

// Forward with save and backward of a bidirectional layer; dx and dparams are wanted.
class Layer {
 public:
  Layer(varlstm_ctx* ctx, const Kind& kind, const std::vector<int64_t>& lengths, bool resets)
      : ctx_(ctx), kind_(kind), batch_(make_batch(ctx, lengths)), tokens_(exact_bounds(lengths).max_tokens) {
    RnnOptions options;
    options.cell = kind.cell;
    options.input = kInput;
    options.hidden = kHidden;
    options.layers = 1;
    options.bidirectional = true;
    options.rows = kind.rows;
    options.resets = resets;
    options.recurrence = kind.recurrence;
    rnn_ = make_rnn(ctx, options, kind.dtype);
    params_ = bytes(rnn_param_count(options));
    dparams_ = bytes(rnn_param_count(options));
    x_ = bytes(tokens_ * kInput), dx_ = bytes(tokens_ * kInput);
    y_ = bytes(tokens_ * 2 * kHidden), dy_ = bytes(tokens_ * 2 * kHidden);
    if (resets) {
      std::vector<uint8_t> flags(static_cast<size_t>(tokens_), 0);
      flags[1] = 1;
      REQUIRE_OK(varlstm_batch_set_resets(batch_.get(), flags.data(), tokens_, VARLSTM_LAYOUT_RAGGED, 0,
                                          VARLSTM_SPACE_HOST, nullptr));
    }
    const Bounds bounds = exact_bounds(lengths);
    int64_t workspace = 0, reserve = 0;
    REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_SAVE,
                                 &workspace, &reserve));
    workspace_ = std::make_unique<ByteBuffer>(ctx, workspace);
    reserve_ = std::make_unique<ByteBuffer>(ctx, reserve);
  }

  void step() {
    EXPECT_OK(varlstm_rnn_forward(rnn_.get(), batch_.get(), VARLSTM_MODE_SAVE, 0, params_->data(), x_->data(), nullptr,
                                  nullptr, y_->data(), nullptr, nullptr, workspace_->data(), workspace_->bytes(),
                                  reserve_->data(), reserve_->bytes(), nullptr));
    EXPECT_OK(varlstm_rnn_backward(rnn_.get(), batch_.get(), params_->data(), x_->data(), nullptr, nullptr, y_->data(),
                                   dy_->data(), nullptr, nullptr, dx_->data(), nullptr, nullptr, dparams_->data(),
                                   workspace_->data(), workspace_->bytes(), reserve_->data(), reserve_->bytes(),
                                   nullptr));
  }

 private:
  // Zeros, of so many elements.
  std::unique_ptr<ByteBuffer> bytes(int64_t elements) const {
    return std::make_unique<ByteBuffer>(
        ctx_, std::vector<unsigned char>(static_cast<size_t>(elements * kind_.element_bytes), 0));
  }

  varlstm_ctx* ctx_;
  Kind kind_;
  Batch batch_;
  int64_t tokens_;
  Rnn rnn_;
  std::unique_ptr<ByteBuffer> params_, dparams_, x_, dx_, y_, dy_, workspace_, reserve_;
};

std::map<std::string, int64_t> kernels_of_layer(const Kind& kind, const std::vector<int64_t>& lengths, bool resets) {
  const Context ctx = make_context();
  Layer layer(ctx.get(), kind, lengths, resets);
  return count_enqueued([&] { layer.step(); });
}

TEST(Launches, OfForwardAndBackwardOfALayerAreEightKernels) {
  const std::vector<int64_t> lengths = {7, 3, 0, 5};
  for (const Kind& kind : {Kind{VARLSTM_DTYPE_F32, 4, VARLSTM_CELL_LSTM, VARLSTM_ROWS_PACKED},
                           Kind{VARLSTM_DTYPE_BF16, 2, VARLSTM_CELL_LSTM, VARLSTM_ROWS_RAGGED},
                           Kind{VARLSTM_DTYPE_F16, 2, VARLSTM_CELL_GRU, VARLSTM_ROWS_PACKED},
                           Kind{VARLSTM_DTYPE_F32, 4, VARLSTM_CELL_GRU, VARLSTM_ROWS_RAGGED}}) {
    for (const bool resets : {false, true}) {
      SCOPED_TRACE("dtype " + std::to_string(kind.dtype) + ", cell " + std::to_string(kind.cell));
      std::map<std::string, int64_t> count = kernels_of_layer(kind, lengths, resets);
      int64_t products = 0;
      for (const char* gemm : {"gemm", "tensor_gemm", "wgmma_gemm"}) {
        products += count[gemm];
        count.erase(gemm);
      }
      const std::map<std::string, int64_t> expected = {
          {"fill_slots", 1}, {"arrange_weights", 2}, {"resident_forward", 1}, {"resident_backward", 1}};
      EXPECT_EQ(count, expected) << "resets " << resets;
      EXPECT_EQ(products, 3) << "the x-gates, dx, and all gradients of parameters";
      EXPECT_LE(kernels_in(count) + products, 8);
    }
  }
}

// More sequences than slots take one launch more, which assigns them; policy grid clears its area.
TEST(Launches, OfMoreSequencesThanSlotsAreOneMore) {
  const Kind kind{VARLSTM_DTYPE_F32, 4, VARLSTM_CELL_LSTM, VARLSTM_ROWS_PACKED, VARLSTM_RECURRENCE_GRID};
  std::map<std::string, int64_t> count = kernels_of_layer(kind, std::vector<int64_t>(300, 1), false);
  EXPECT_EQ(count["assign_slots"], 1);
  EXPECT_EQ(count["cudaMemsetAsync"], 2);
  EXPECT_EQ(kernels_in(count), 9);
}

}  // namespace
}  // namespace varlstm_test
