// One row of logits, which a group of threads (selection/row_group.h) reads for cross-entropy. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>

#include "kernels/core/scalar.h"
#include "kernels/masked_loss/loss_terms.h"
#include "kernels/selection/row_group.h"

namespace varlstm::cuda {

template <class C>
struct LossRow {
  SoftmaxSum<C> softmax;
  C target_logit = 0;
  C each = 0;  // sum of w[c] (logit[c] - max); 0 without smoothing

  // on_target: (1 - s) w[t]; log_sum: log of softmax.sum.
  VARLSTM_DEVICE C term(const LossView<C>& view, C on_target, C log_sum) const {
    C value = -on_target * ((target_logit - softmax.largest) - log_sum);
    if (view.on_each != 0) value -= view.on_each * (each - log_sum * view.all_weight());
    return value;
  }
};

// Returns the same LossRow to every thread of the group. It reads the first `count` logits: all classes, or none if the
// row is not kept. `scratch`: as for Group::sum.
template <class Group, class T, class C>
VARLSTM_DEVICE LossRow<C> read_loss_row(const LossView<C>& view, const T* logits, int64_t count, int64_t target,
                                        C* scratch) {
  constexpr int64_t kStep = kRowBlock / Group::kRows;
  LossRow<C> row;
#pragma unroll 1
  for (int64_t c = Group::first_class(); c < count; c += kStep) {
    const C x = load_scalar(logits[c]);
    row.softmax.add(x);
    if (c == target) row.target_logit = x;
  }
  row.softmax.template join<Group>(scratch);
  row.target_logit = Group::sum(row.target_logit, scratch);
  if (view.on_each == 0) return row;
#pragma unroll 1
  for (int64_t c = Group::first_class(); c < count; c += kStep)
    row.each += view.weight(c) * (load_scalar(logits[c]) - row.softmax.largest);
  row.each = Group::sum(row.each, scratch);
  return row;
}

}  // namespace varlstm::cuda
