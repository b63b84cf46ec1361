// One call of linear cross-entropy, forward and backward, in one step and as its three parts.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "support/loss_case.h"

namespace varlstm_test {

// Makes chunks that long while it lives: the library reads the environment in every call.
class ForcedChunk {
 public:
  explicit ForcedChunk(int64_t rows) { setenv("VARLSTM_LOSS_CHUNK", std::to_string(rows).c_str(), 1); }
  ~ForcedChunk() { unsetenv("VARLSTM_LOSS_CHUNK"); }
  ForcedChunk(const ForcedChunk&) = delete;
  ForcedChunk& operator=(const ForcedChunk&) = delete;
};

template <class T>
struct LinearLossCase {
  LossCase loss;
  int64_t in = 1;
  std::vector<T> x, weight, bias;  // bias empty: null
  std::vector<double> dout;        // empty: null
};

template <class T>
LinearLossCase<T> random_linear_loss_case(Random& random, const LossCase& loss, int64_t in) {
  LinearLossCase<T> c;
  c.loss = loss;
  c.in = in;
  c.x = random.vector<T>(loss.rows() * in);
  c.weight = random.vector<T>(loss.classes * in);
  if (random.coin()) c.bias = random.vector<T>(loss.classes);
  if (random.coin()) c.dout = random.vector<double>(loss.outputs(), 0.5, 2);
  return c;
}

template <class T>
struct LinearLossResult {
  std::vector<T> out, lse, dx, dweight, dbias;
  T weight_sum = 0;
};

constexpr int kWantX = 1, kWantWeight = 2, kWantBias = 4, kWantAll = 7;

// dweight and dbias start as `before` everywhere. What is not wanted stays as it was: dx NaN.
template <class T>
LinearLossResult<T> run_linear_cross_entropy(varlstm_ctx* context, const LinearLossCase<T>& c, int want = kWantAll,
                                             T before = 0, Fill fill = Fill::kNan) {
  const Loss loss = make_loss(context, c.loss);
  const int64_t rows = c.loss.rows(), classes = c.loss.classes;
  const Buffer<T> x(context, c.x), weight(context, c.weight), bias(context, c.bias);
  const Buffer<int64_t> targets(context, c.loss.targets);
  const auto weights = optional_buffer<T>(context, c.loss.class_weights);
  const auto dout = optional_buffer<T>(context, c.dout);
  const void* b = c.bias.empty() ? nullptr : bias.data();
  const void* w = weights ? weights->data() : nullptr;
  Buffer<T> out(context, c.loss.outputs()), weight_sum(context, 1), lse(context, rows), dx(context, rows * c.in);
  Buffer<T> dweight(context, std::vector<T>(c.weight.size(), before));
  Buffer<T> dbias(context, std::vector<T>(static_cast<size_t>(classes), before));
  {
    ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, rows, c.in, classes, fill);
    REQUIRE_OK(varlstm_linear_cross_entropy_forward(loss.get(), c.loss.batch, kDType<T>, rows, c.in, x.data(),
                                                    weight.data(), b, targets.data(), w, out.data(), weight_sum.data(),
                                                    lse.data(), workspace.data(), workspace.bytes(), nullptr));
  }
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, rows, c.in, classes, fill);
  REQUIRE_OK(varlstm_linear_cross_entropy_backward(
      loss.get(), c.loss.batch, kDType<T>, rows, c.in, x.data(), weight.data(), b, targets.data(), w, lse.data(),
      dout ? dout->data() : nullptr, want & kWantX ? dx.data() : nullptr, want & kWantWeight ? dweight.data() : nullptr,
      want & kWantBias ? dbias.data() : nullptr, workspace.data(), workspace.bytes(), nullptr));
  return {out.get(), lse.get(), dx.get(), dweight.get(), dbias.get(), weight_sum.get()[0]};
}

// varlstm_linear_forward, cross-entropy, varlstm_linear_backward; no lse.
template <class T>
LinearLossResult<T> run_in_parts(varlstm_ctx* context, const LinearLossCase<T>& c) {
  const int64_t rows = c.loss.rows(), classes = c.loss.classes;
  const Buffer<T> x(context, c.x), weight(context, c.weight), bias(context, c.bias);
  Buffer<T> logits(context, rows * classes), dx(context, rows * c.in);
  Buffer<T> dweight(context, std::vector<T>(c.weight.size(), T(0)));
  Buffer<T> dbias(context, std::vector<T>(static_cast<size_t>(classes), T(0)));
  ByteBuffer forward = op_workspace<T>(context, VARLSTM_OP_LINEAR_FORWARD, rows, c.in, classes);
  REQUIRE_OK(varlstm_linear_forward(context, kDType<T>, rows, c.in, classes, x.data(), weight.data(),
                                    c.bias.empty() ? nullptr : bias.data(), logits.data(), forward.data(),
                                    forward.bytes(), nullptr));
  const LossResult<T> loss = run_cross_entropy(context, c.loss, logits.get());
  const Buffer<T> dlogits(context, run_cross_entropy_backward(context, c.loss, loss.gradient, c.dout));
  ByteBuffer backward = op_workspace<T>(context, VARLSTM_OP_LINEAR_BACKWARD, rows, c.in, classes);
  REQUIRE_OK(varlstm_linear_backward(context, kDType<T>, rows, c.in, classes, x.data(), weight.data(), dlogits.data(),
                                     dx.data(), dweight.data(), dbias.data(), backward.data(), backward.bytes(),
                                     nullptr));
  return {loss.out, {}, dx.get(), dweight.get(), dbias.get(), loss.weight_sum};
}

}  // namespace varlstm_test
