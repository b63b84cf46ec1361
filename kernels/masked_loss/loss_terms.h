// What nll and cross-entropy share on the device: which rows are kept, the sum of their weights, and the sum of their
// terms.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>
#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/arch/device.h"
#include "kernels/core/stream.h"

namespace varlstm::cuda {

// The operands of a loss in the form of the kernels. C: the type that rows are computed in, and the type of the loss's
// scalars.
template <class C>
struct LossView {
  int64_t rows, classes;
  int64_t ignore_index;
  Reduction reduction;
  bool empty_mean_is_zero;
  C on_target;             // 1 - s
  C on_each;               // s / C
  const int64_t* tokens;   // points to the number of rows that count, or null
  const int64_t* targets;  // [rows]
  const C* class_weights;  // [classes] or null
  double* terms;           // [rows]
  double* partial;         // [chunks of rows, at most kMostLossPartials]
  double* totals;          // kKeptWeight: sum of w over the kept rows; kAllWeight: over all classes

  static constexpr int kKeptWeight = 0, kAllWeight = 1, kTotals = 2;

  VARLSTM_DEVICE int64_t counted() const { return tokens == nullptr || *tokens > rows ? rows : *tokens; }
  VARLSTM_DEVICE bool is_class(int64_t target) const { return target >= 0 && target < classes; }
  VARLSTM_DEVICE bool is_kept(int64_t row) const {
    return row < counted() && targets[row] != ignore_index && is_class(targets[row]);
  }
  VARLSTM_DEVICE C all_weight() const { return static_cast<C>(totals[kAllWeight]); }
  VARLSTM_DEVICE C weight(int64_t c) const { return class_weights == nullptr ? C(1) : class_weights[c]; }
  // The factor of the terms; 0 for an empty mean.
  VARLSTM_DEVICE C scale() const {
    if (reduction != Reduction::kMean) return 1;
    return totals[kKeptWeight] == 0 ? C(0) : static_cast<C>(1 / totals[kKeptWeight]);
  }
};

template <class C>
LossView<C> loss_view(const LossArgs& args);

// totals <- the sums of the weights. A target that is neither ignored nor a class raises BadValue::kLabel.
template <class C>
int32_t sum_weights(Stream stream, const LossView<C>& view);

// out [1] <- the sum or mean of view.terms (nothing for NONE); weight_sum [1] (or null) <- the kept weight.
template <class C>
int32_t sum_terms(Stream stream, const LossView<C>& view, C* out, C* weight_sum);

// Called by one thread. out [1] <- the loss, if its terms sum to `total` (nothing for NONE); weight_sum [1] (or null)
// <- the kept weight.
template <class C>
VARLSTM_DEVICE void store_reduced(const LossView<C>& view, double total, C* out, C* weight_sum) {
  const double kept = view.totals[LossView<C>::kKeptWeight];
  if (weight_sum != nullptr) *weight_sum = static_cast<C>(kept);
  if (view.reduction == Reduction::kNone) return;
  if (view.reduction == Reduction::kMean) {
    const double empty = view.empty_mean_is_zero ? 0.0 : static_cast<double>(NAN);
    total = kept == 0 ? empty : total / kept;
  }
  *out = static_cast<C>(total);
}

}  // namespace varlstm::cuda
