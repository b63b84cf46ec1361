// One call of the masked losses: options, targets and buffers; and the definition in varlstm.h read term by term.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "support/buffer.h"
#include "support/compare.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/op_workspace.h"
#include "support/random.h"

namespace varlstm_test {

struct LossCase {
  int64_t classes = 1;
  std::vector<int64_t> targets;
  std::vector<double> class_weights;  // empty: null
  int64_t ignore_index = -100;
  int32_t reduction = VARLSTM_REDUCTION_MEAN;
  int32_t empty_mean = VARLSTM_EMPTY_MEAN_NAN;
  double smoothing = 0;
  const varlstm_batch* batch = nullptr;
  int64_t counted = INT64_MAX;  // N of the batch

  int64_t rows() const { return static_cast<int64_t>(targets.size()); }
  int64_t outputs() const { return reduction == VARLSTM_REDUCTION_NONE ? rows() : 1; }
  double weight(int64_t c) const { return class_weights.empty() ? 1.0 : class_weights[c]; }
  bool is_kept(int64_t n) const {
    return n < counted && targets[n] != ignore_index && targets[n] >= 0 && targets[n] < classes;
  }
};

// Random classes, targets (ignored ones, and now and then none kept), weights (zeros among them), smoothing, reduction;
// in some cases ignore_index is a class.
inline LossCase random_loss_case(Random& random, int64_t rows) {
  LossCase c;
  c.classes = random.integer(1, 7);
  if (random.integer(0, 2) == 0) c.ignore_index = random.integer(0, c.classes - 1);
  const int64_t kept_of_four = random.integer(0, 4);
  for (int64_t n = 0; n < rows; ++n) {
    c.targets.push_back(random.integer(0, 3) < kept_of_four ? random.integer(0, c.classes - 1) : c.ignore_index);
  }
  if (random.coin()) c.class_weights = random.vector<double>(c.classes, 0.1, 2);
  if (!c.class_weights.empty() && random.coin()) c.class_weights[random.integer(0, c.classes - 1)] = 0;
  if (random.coin()) c.smoothing = random.unit();
  c.reduction = static_cast<int32_t>(random.integer(VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_SUM));
  c.empty_mean = random.coin() ? VARLSTM_EMPTY_MEAN_NAN : VARLSTM_EMPTY_MEAN_ZERO;
  return c;
}

inline Loss make_loss(varlstm_ctx* context, const LossCase& c) {
  Loss loss = make_loss(context, c.classes);
  REQUIRE_OK(varlstm_loss_set_i64(loss.get(), VARLSTM_KEY_IGNORE_INDEX, c.ignore_index));
  REQUIRE_OK(varlstm_loss_set_i64(loss.get(), VARLSTM_KEY_REDUCTION, c.reduction));
  REQUIRE_OK(varlstm_loss_set_i64(loss.get(), VARLSTM_KEY_EMPTY_MEAN, c.empty_mean));
  REQUIRE_OK(varlstm_loss_set_f64(loss.get(), VARLSTM_KEY_LABEL_SMOOTHING, c.smoothing));
  return loss;
}

template <class T>
struct LossResult {
  std::vector<T> out;
  T weight_sum = 0;
  std::vector<T> gradient;  // of cross-entropy, for an incoming gradient of 1
};

// The reading of the definition: the losses for log-probabilities p [rows, C].
template <class P>
LossResult<double> naive_nll(const LossCase& c, const std::vector<P>& p) {
  LossResult<double> result;
  std::vector<double> terms;
  double sum = 0;
  for (int64_t n = 0; n < c.rows(); ++n) {
    double term = 0;
    if (c.is_kept(n)) {
      const P* row = p.data() + n * c.classes;
      term = -(1 - c.smoothing) * c.weight(c.targets[n]) * row[c.targets[n]];
      for (int64_t k = 0; k < c.classes && c.smoothing > 0; ++k) {
        term -= c.smoothing / static_cast<double>(c.classes) * c.weight(k) * row[k];
      }
      result.weight_sum += c.weight(c.targets[n]);
    }
    terms.push_back(term);
    sum += term;
  }
  if (c.reduction == VARLSTM_REDUCTION_NONE) {
    result.out = terms;
  } else if (c.reduction == VARLSTM_REDUCTION_SUM) {
    result.out = {sum};
  } else if (result.weight_sum != 0) {
    result.out = {sum / result.weight_sum};
  } else {
    result.out = {c.empty_mean == VARLSTM_EMPTY_MEAN_ZERO ? 0.0 : std::numeric_limits<double>::quiet_NaN()};
  }
  return result;
}

template <class T>
std::optional<Buffer<T>> optional_buffer(varlstm_ctx* context, const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return std::make_optional<Buffer<T>>(context, std::vector<T>(values.begin(), values.end()));
}

template <class T>
LossResult<T> run_nll(varlstm_ctx* context, const LossCase& c, const std::vector<T>& log_probs,
                      Fill fill = Fill::kNan) {
  const Loss loss = make_loss(context, c);
  const Buffer<T> p(context, log_probs);
  const Buffer<int64_t> targets(context, c.targets);
  const auto weights = optional_buffer<T>(context, c.class_weights);
  Buffer<T> out(context, c.outputs()), weight_sum(context, 1);
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_NLL, c.rows(), c.classes, 0, fill);
  REQUIRE_OK(varlstm_nll_forward(loss.get(), c.batch, kDType<T>, c.rows(), p.data(), targets.data(),
                                 weights ? weights->data() : nullptr, out.data(), weight_sum.data(), workspace.data(),
                                 workspace.bytes(), nullptr));
  return {out.get(), weight_sum.get()[0], {}};
}

// dout empty: null.
template <class T>
std::vector<T> run_nll_backward(varlstm_ctx* context, const LossCase& c, const std::vector<double>& dout) {
  const Loss loss = make_loss(context, c);
  const Buffer<int64_t> targets(context, c.targets);
  const auto weights = optional_buffer<T>(context, c.class_weights);
  const auto incoming = optional_buffer<T>(context, dout);
  Buffer<T> gradient(context, c.rows() * c.classes);
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_NLL, c.rows(), c.classes, 0);
  REQUIRE_OK(varlstm_nll_backward(loss.get(), c.batch, kDType<T>, c.rows(), targets.data(),
                                  weights ? weights->data() : nullptr, incoming ? incoming->data() : nullptr,
                                  gradient.data(), workspace.data(), workspace.bytes(), nullptr));
  return gradient.get();
}

enum class WantGradient { kNo, kSeparate, kInPlace };

template <class T>
LossResult<T> run_cross_entropy(varlstm_ctx* context, const LossCase& c, const std::vector<T>& values,
                                WantGradient want = WantGradient::kSeparate) {
  const Loss loss = make_loss(context, c);
  Buffer<T> logits(context, values), separate(context, c.rows() * c.classes);
  const Buffer<int64_t> targets(context, c.targets);
  const auto weights = optional_buffer<T>(context, c.class_weights);
  Buffer<T> out(context, c.outputs()), weight_sum(context, 1);
  ByteBuffer workspace = op_workspace<T>(context, VARLSTM_OP_CROSS_ENTROPY, c.rows(), c.classes, 0);
  T* dlogits = want == WantGradient::kInPlace ? logits.data() : separate.data();
  REQUIRE_OK(varlstm_cross_entropy_forward(loss.get(), c.batch, kDType<T>, c.rows(), logits.data(), targets.data(),
                                           weights ? weights->data() : nullptr, out.data(), weight_sum.data(),
                                           want == WantGradient::kNo ? nullptr : dlogits, workspace.data(),
                                           workspace.bytes(), nullptr));
  if (want != WantGradient::kInPlace) {
    EXPECT_TRUE(bitwise_equal(logits.get(), values)) << "logits were written";
  }
  return {out.get(), weight_sum.get()[0], want == WantGradient::kInPlace ? logits.get() : separate.get()};
}

template <class T>
std::vector<T> run_cross_entropy_backward(varlstm_ctx* context, const LossCase& c, const std::vector<T>& gradient,
                                          const std::vector<double>& dout) {
  const Loss loss = make_loss(context, c);
  const auto incoming = optional_buffer<T>(context, dout);
  Buffer<T> dlogits(context, gradient);
  REQUIRE_OK(varlstm_cross_entropy_backward(loss.get(), kDType<T>, c.rows(), incoming ? incoming->data() : nullptr,
                                            dlogits.data(), nullptr));
  return dlogits.get();
}

}  // namespace varlstm_test
