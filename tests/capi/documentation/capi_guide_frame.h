// What the C++ fragments of capi/README.md have at hand: capi_guide.awk makes each of them a test in this fixture.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "support/context.h"
#include "support/random.h"
#include "varlstm.hpp"

namespace varlstm_test {

class CapiGuide : public ::testing::Test {
 protected:
  static constexpr int64_t in = 3, hidden = 5, layers = 2, directions = 2, max_len = 4, classes = 6;
  static constexpr int64_t kBatch = 4, kMaxTokens = 64, state = kBatch * hidden, kWidth = directions * hidden;
  static constexpr uint64_t seed = 7;

  CapiGuide() {
    lstm.set_i64(VARLSTM_KEY_BIDIRECTIONAL, 1);
    params = random(lstm.param_elements());
    dparams = varlstm::Buffer<float>::zeros(ctx, lstm.param_elements());
    batch.set_lengths(std::vector<int64_t>{2, 4, 0, 1});
    for (const varlstm::ParamInfo& info : lstm.params())
      state_dict[info.name] = random_.vector<float>(info.rows * info.cols);
  }

  void TearDown() override { EXPECT_EQ(ctx.device_status(false).bits, 0); }

  varlstm::Buffer<float> random(int64_t count) {
    return varlstm::Buffer<float>(ctx, random_.vector<float>(count, -0.5, 0.5));
  }
  varlstm::Buffer<int64_t> zeros(int64_t count) { return varlstm::Buffer<int64_t>::zeros(ctx, count); }

  Random random_{3};
  varlstm::Context ctx{test_backend()};
  varlstm::Batch batch{ctx, 32, 8, kMaxTokens};
  varlstm::Rnn<float> lstm{ctx, in, hidden, layers};
  varlstm::Loss<float> loss{ctx, classes};
  varlstm::Workspace workspace{ctx}, reserve{ctx}, other_reserve{ctx};
  varlstm::Buffer<float> params, dparams;

  // Data, for as many rows as the batch may have.
  varlstm::Buffer<float> x = random(kMaxTokens * in), other_x = random(kMaxTokens * in), dx = random(kMaxTokens * in);
  varlstm::Buffer<float> dropped = random(kMaxTokens * in), ddropped = random(kMaxTokens * in);
  varlstm::Buffer<float> ragged_x = random(kMaxTokens * in), packed_x = random(kMaxTokens * in);
  varlstm::Buffer<float> y = random(kMaxTokens * kWidth), other_y = random(kMaxTokens * kWidth);
  varlstm::Buffer<float> dy = random(kMaxTokens * kWidth);
  varlstm::Buffer<float> h0 = random(layers * directions * state), c0 = random(layers * directions * state);
  varlstm::Buffer<float> h_n = random(layers * directions * state), c_n = random(layers * directions * state);
  varlstm::Buffer<float> logits = random(kMaxTokens * classes), dlogits = random(kMaxTokens * classes);
  varlstm::Buffer<float> loss_value = random(1), weight_sum = random(1);
  varlstm::Buffer<int64_t> padded_targets = zeros(kBatch * max_len), targets = zeros(kMaxTokens);
  varlstm::Buffer<int64_t> device_lengths = zeros(kBatch);

  // Parameters of other libraries.
  std::map<std::string, std::vector<float>> state_dict;
  varlstm::Buffer<float> kernel = random(in * 4 * hidden), recurrent_kernel = random(hidden * 4 * hidden);
  varlstm::Buffer<float> bias = random(4 * hidden);
  varlstm::Rnn<float> gru{ctx, in, hidden, 1, VARLSTM_CELL_GRU};
  varlstm::Buffer<float> gru_kernel = random(in * 3 * hidden), gru_recurrent_kernel = random(hidden * 3 * hidden);
  varlstm::Buffer<float> gru_bias = random(2 * 3 * hidden), gru_params = random(gru.param_elements());
  varlstm::Buffer<float> onnx_ = random(directions * (4 * hidden * (in + hidden) + 8 * hidden));
  varlstm::Span<const float> onnx_w = onnx_.span().subspan(0, directions * 4 * hidden * in);
  varlstm::Span<const float> onnx_r = onnx_.span().subspan(onnx_w.size(), directions * 4 * hidden * hidden);
  varlstm::Span<const float> onnx_b = onnx_.span().subspan(onnx_w.size() + onnx_r.size(), directions * 8 * hidden);
  struct LinLayer {
    varlstm::Buffer<float> matrix, bias;
  };
  std::vector<LinLayer> lin_layer = lin_layers();
  varlstm::Buffer<float> w_ih = random(4 * hidden * in), w_hh = random(4 * hidden * hidden);
  varlstm::Buffer<float> b_ih = random(4 * hidden), b_hh = random(4 * hidden);

  // Lengths in other forms.
  std::vector<int32_t> lengths32 = {2, 4, 0, 1};
  std::vector<int64_t> cu_seqlens = {0, 2, 6, 6, 7};
  static constexpr size_t environments = 2, steps = 4;
  std::vector<bool> episode_ends = {false, true, false, false, false, false, false, true};

 private:
  std::vector<LinLayer> lin_layers() {
    std::vector<LinLayer> all;
    for (int k = 0; k < 8; ++k) all.push_back({random(hidden * (k < 4 ? in : hidden)), random(hidden)});
    return all;
  }
};

}  // namespace varlstm_test
