// Masked negative log-likelihood and cross-entropy, as F.nll_loss and F.cross_entropy of PyTorch.
//
// For row n with target t, class weights w (all 1 if null), smoothing s and log-probabilities p:
//   term(n)  = -sum_c a[c] * p[n, c],  a[c] = (1 - s) * w[t] * [c == t] + s / C * w[c]
//   d term / d p[n, c] = -a[c];   d term / d logit[n, c] = A * softmax(n)[c] - a[c],  A = sum_c a[c]
//   SUM is the sum of the terms; MEAN divides it by W = sum of w[t] over the kept rows
//
// A row is not kept if its target is ignore_index (tested first), if its target is outside [0, C), or if the row is not
// one of the counted_rows. Its term and gradient are then exactly 0, whatever the row holds. If W is 0, MEAN is NaN or
// 0 as the caller chose, and every gradient is 0. Sums run in double: over the rows of a block in order, then over the
// blocks in order. For 16-bit dtypes class_weights, out, weight_sum and dout are float. kernels/masked_loss does the
// same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "capi/contract/shapes.h"
#include "host/ops/batch_plan.h"
#include "host/ops/log_softmax.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

constexpr int64_t kLossBlock = 64;  // rows whose terms are summed by one thread

inline int64_t loss_blocks(int64_t rows) {
  return rows / kLossBlock + (rows % kLossBlock != 0);
}

// Bytes of workspace: one sum of terms for each block of rows.
inline int64_t loss_workspace(int64_t rows) {
  return loss_blocks(rows) * static_cast<int64_t>(sizeof(double));
}

inline bool is_kept(const LossArgs& args, int64_t row) {
  if (row >= counted_rows(args.batch, args.rows)) return false;
  const int64_t target = args.targets[row];
  return target != args.ignore_index && target >= 0 && target < args.classes;
}

// The first row that counts and whose target is neither ignored nor a class, or -1.
inline int64_t first_bad_label(const LossArgs& args) {
  const int64_t counted = counted_rows(args.batch, args.rows);
  for (int64_t n = 0; n < counted; ++n) {
    if (args.targets[n] != args.ignore_index && !is_kept(args, n)) return n;
  }
  return -1;
}

// The factors of term(n) that are the same for every row. C is the type that rows are computed in.
template <class C>
struct LossFactors {
  const C* class_weights;  // or null
  double on_target;        // 1 - s
  double on_each;          // s / C
  double total_weight;     // sum of w over all classes; 0 without smoothing, which does not need it
  double kept_weight;      // W

  explicit LossFactors(const LossArgs& args)
      : class_weights(static_cast<const C*>(args.class_weights)),
        on_target(1 - args.label_smoothing),
        on_each(args.label_smoothing / static_cast<double>(args.classes)),
        total_weight(0),
        kept_weight(0) {
    if (on_each != 0) {
      for (int64_t c = 0; c < args.classes; ++c) total_weight += weight(c);
    }
    for (int64_t n = 0; n < args.rows; ++n) {
      if (is_kept(args, n)) kept_weight += weight(args.targets[n]);
    }
  }

  double weight(int64_t c) const { return class_weights ? static_cast<double>(class_weights[c]) : 1.0; }

  // The factor of the sum of the terms: 1, or 1 / W for MEAN, or 0 for an empty mean.
  double scale(Reduction reduction) const {
    if (reduction != Reduction::kMean) return 1;
    return kept_weight == 0 ? 0 : 1 / kept_weight;
  }
};

// out [1] <- the loss of terms that sum to `total`. Writes nothing if the reduction is NONE.
template <class C>
void store_reduced(const LossArgs& args, const LossFactors<C>& factors, double total, C* out) {
  if (args.reduction == Reduction::kNone) return;
  if (args.reduction == Reduction::kMean) {
    const double empty = args.empty_mean_is_zero ? 0 : std::numeric_limits<double>::quiet_NaN();
    total = factors.kept_weight == 0 ? empty : total / factors.kept_weight;
  }
  *out = static_cast<C>(total);
}

// Calls term_of(row) once for every row, which gives 0 for a row that is not kept, and writes `out`
// and weight_sum (or null).
template <class C, class Term>
void reduce_terms(int64_t threads, const LossArgs& args, const LossFactors<C>& factors, C* out, C* weight_sum,
                  const Term& term_of) {
  double* block_sums = static_cast<double*>(args.workspace);
  const bool reduced = args.reduction != Reduction::kNone;
  parallel_ranges(threads, args.rows, kLossBlock, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t n = begin; n < end; ++n) {
      const double term = term_of(n);
      if (!reduced) out[n] = static_cast<C>(term);
      sum += term;
    }
    block_sums[begin / kLossBlock] = sum;
  });
  if (weight_sum) *weight_sum = static_cast<C>(factors.kept_weight);
  double total = 0;
  for (int64_t block = 0; block < loss_blocks(args.rows); ++block) total += block_sums[block];
  store_reduced(args, factors, total, out);
}

// One thread if there is too little work for a second one. It runs all blocks, so the sums are the same.
inline int64_t loss_threads(int64_t threads, int64_t elements) {
  constexpr int64_t kSmallWork = 4096;
  return elements <= kSmallWork ? 1 : threads;
}

template <class T>
void nll_forward(int64_t threads, const LossArgs& args, const T* log_probs, ComputeType<T>* out,
                 ComputeType<T>* weight_sum) {
  const LossFactors<ComputeType<T>> factors(args);
  reduce_terms(loss_threads(threads, args.rows), args, factors, out, weight_sum, [&](int64_t n) {
    if (!is_kept(args, n)) return 0.0;
    const T* p = log_probs + n * args.classes;
    const int64_t target = args.targets[n];
    double term = -factors.on_target * factors.weight(target) * p[target];
    if (factors.on_each != 0) {
      double each = 0;
      for (int64_t c = 0; c < args.classes; ++c) each += factors.weight(c) * p[c];
      term -= factors.on_each * each;
    }
    return term;
  });
}

// dlog_probs [rows, C] <- -a[c] times the incoming gradient: dout [rows] (NONE) or [1], or null for ones.
template <class T>
void nll_backward(int64_t threads, const LossArgs& args, const ComputeType<T>* dout, T* dlog_probs) {
  const LossFactors<ComputeType<T>> factors(args);
  const double scale = factors.scale(args.reduction);
  const int64_t elements = args.rows * args.classes;
  parallel_ranges(loss_threads(threads, elements), args.rows, kLossBlock, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      T* row = dlog_probs + n * args.classes;
      std::fill_n(row, args.classes, T(0));
      if (!is_kept(args, n) || scale == 0) continue;
      const double incoming = !dout ? scale : scale * dout[args.reduction == Reduction::kNone ? n : 0];
      const int64_t target = args.targets[n];
      using C = ComputeType<T>;
      const auto each = [&](int64_t c) { return static_cast<C>(-incoming * factors.on_each * factors.weight(c)); };
      if (factors.on_each != 0) {
        for (int64_t c = 0; c < args.classes; ++c) row[c] = each(c);
      }
      row[target] = static_cast<C>(each(target) - incoming * factors.on_target * factors.weight(target));
    }
  });
}

// Cross-entropy of one kept row: returns its term. dlogits [C] <- scale times its gradient; dlogits may be null, or the
// same array as logits. The 16-bit dtypes compute each exponential twice instead of storing it, so the gradient is
// rounded once. *lse (or null) <- log(sum(exp(logits))).
template <class T, class C = ComputeType<T>>
double cross_entropy_row(const LossArgs& args, const LossFactors<C>& factors, int64_t target, double scale,
                         const T* logits, T* dlogits, C* lse = nullptr) {
  const C largest = row_max(args.classes, logits);
  const double on_target = factors.on_target * factors.weight(target);
  const double target_logit = logits[target] - largest;
  double exp_sum = 0;
  double each = 0;  // sum of w[c] * (logit[c] - max)
  for (int64_t c = 0; c < args.classes; ++c) {
    const C shifted = logits[c] - largest;
    const C exponential = std::exp(shifted);
    exp_sum += exponential;
    if (factors.on_each != 0) each += factors.weight(c) * shifted;
    if (dlogits && !kIs16Bit<T>) dlogits[c] = exponential;
  }
  const double log_sum = std::log(exp_sum);
  if (lse) *lse = static_cast<C>(largest + log_sum);
  double term = -on_target * (target_logit - log_sum);
  if (factors.on_each != 0) term -= factors.on_each * (each - log_sum * factors.total_weight);
  if (!dlogits) return term;

  const double all = on_target + factors.on_each * factors.total_weight;  // A
  const C factor = static_cast<C>(scale * all / exp_sum);
  const C at_target = static_cast<C>(scale * on_target);
  for (int64_t c = 0; c < args.classes; ++c) {
    C gradient = kIs16Bit<T> ? std::exp(logits[c] - largest) : static_cast<C>(dlogits[c]);
    gradient *= factor;
    if (factors.on_each != 0) gradient -= static_cast<C>(scale * factors.on_each * factors.weight(c));
    dlogits[c] = c == target ? gradient - at_target : gradient;
  }
  return term;
}

// dlogits [rows, C] <- the gradient for an incoming gradient of 1. It may be null, or the same array as logits.
template <class T>
void cross_entropy_forward(int64_t threads, const LossArgs& args, const T* logits, ComputeType<T>* out,
                           ComputeType<T>* weight_sum, T* dlogits) {
  const LossFactors<ComputeType<T>> factors(args);
  const double scale = factors.scale(args.reduction);
  const int64_t elements = args.rows * args.classes;
  reduce_terms(loss_threads(threads, elements), args, factors, out, weight_sum, [&](int64_t n) {
    T* gradient = dlogits ? dlogits + n * args.classes : nullptr;
    double term = 0;
    const bool kept = is_kept(args, n);
    if (kept) {
      term = cross_entropy_row(args, factors, args.targets[n], scale, logits + n * args.classes, gradient);
    }
    if (gradient && (!kept || scale == 0)) std::fill_n(gradient, args.classes, T(0));
    return term;
  });
}

// dlogits <- dlogits times dout. A zero stays zero even if dout is NaN or infinite, because rows that are not kept hold
// zeros.
template <class T>
void cross_entropy_backward(int64_t threads, const LossArgs& args, const ComputeType<T>* dout, T* dlogits) {
  if (!dout) return;
  constexpr int64_t kElements = 32768;
  const int64_t grain = std::max<int64_t>(1, kElements / args.classes);
  parallel_ranges(threads, args.rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const ComputeType<T> incoming = dout[args.reduction == Reduction::kNone ? n : 0];
      T* row = dlogits + n * args.classes;
      for (int64_t c = 0; c < args.classes; ++c) row[c] = row[c] == 0 ? ComputeType<T>(0) : row[c] * incoming;
    }
  });
}

}  // namespace varlstm::host
