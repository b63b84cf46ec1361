// Linear layer and cross-entropy in one, one chunk of rows at a time, so that the logits [rows, C] are never in memory
// all at once (Wijmans et al. 2024, "Cut Your Losses in Large-Vocabulary Language Models"; chunks as in Liger Kernel).
//
//   logits  <- x weight^T + bias                       x [rows, in], weight [C, in], bias [C] or null
//   forward    terms and reduction are those of masked_loss.h;  lse(n) = log(sum_c exp(logits[n, c]))
//   backward   dlogits[n, c] <- g (A * exp(logits[n, c] - lse(n)) - a[c]) with g = dout, or dout / W for MEAN;
//              then dx, dweight and dbias as in linear.h
//
// A chunk first gathers its kept rows. The other rows are not read and add nothing, whatever they hold. Chunks run in
// order, so dweight and dbias are summed in a fixed order. The 16-bit dtypes are computed in float: logits stay float,
// dlogits are rounded as the kernels store them, and dweight and dbias are rounded once, after the last chunk.
// kernels/linear_cross_entropy does the same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "capi/contract/environment.h"
#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/ops/linear.h"
#include "host/ops/masked_loss.h"
#include "host/simd/rounding.h"
#include "host/simd/scalar16.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

// The number of rows of a chunk: as many as make 64 MiB of float logits or x, between kFewest and kMost. The
// environment variable VARLSTM_LOSS_CHUNK replaces it.
inline int64_t rows_of_chunk(int64_t in, int64_t classes) {
  if (const char* forced = environment(kLossChunkVariable)) return positive_number(forced);
  constexpr int64_t kElements = 16 << 20, kFewest = 64, kMost = 8192;
  return std::clamp(kElements / std::max(in, classes), kFewest, kMost);
}

// The arrays of one chunk; for the 16-bit dtypes also the parameters and their gradients as floats.
template <class T>
struct LinearLossWorkspace {
  using C = ComputeType<T>;
  int64_t chunk;       // rows of a chunk
  int64_t bytes;       // of all arrays
  int64_t* kept;       // [chunk] indices of the kept rows
  double* terms;       // [chunk]
  C *x, *logits;       // [chunk, in], [chunk, classes] of kept rows; their gradients overwrite them
  C *weight, *bias;    // [classes, in], [classes]; 16-bit dtypes only
  C *dweight, *dbias;  // likewise, in backward only

  LinearLossWorkspace(int64_t rows, int64_t in, int64_t classes, bool backward, void* base) {
    Carver carver(base);
    chunk = std::min(rows, rows_of_chunk(in, classes));
    kept = carver.take<int64_t>(chunk);
    terms = carver.take<double>(chunk);
    x = carver.take<C>(chunk, in);
    logits = carver.take<C>(chunk, classes);
    weight = kIs16Bit<T> ? carver.take<C>(classes, in) : nullptr;
    bias = kIs16Bit<T> ? carver.take<C>(classes) : nullptr;
    dweight = kIs16Bit<T> && backward ? carver.take<C>(classes, in) : nullptr;
    dbias = kIs16Bit<T> && backward ? carver.take<C>(classes) : nullptr;
    bytes = carver.bytes();
  }
};

template <class T>
int64_t linear_loss_workspace(int64_t rows, int64_t in, int64_t classes, bool backward) {
  return LinearLossWorkspace<T>(rows, in, classes, backward, nullptr).bytes;
}

// The chunks of one call. load() loads one after the other and computes its logits.
template <class T>
class LinearLossChunks {
 public:
  using C = ComputeType<T>;
  const LinearLossWorkspace<T> w;
  int64_t kept = 0;  // kept rows of the loaded chunk

  LinearLossChunks(int64_t threads, const LinearLossArgs& args, bool backward)
      : w(args.loss.rows, args.in, args.loss.classes, backward, args.loss.workspace), threads_(threads), args_(args) {
    weight_ = widened(args.loss.classes * args.in, static_cast<const T*>(args.weight), w.weight);
    bias_ = widened(args.loss.classes, static_cast<const T*>(args.bias), w.bias);
  }

  const C* weight() const { return weight_; }
  LinearArgs linear() const { return {args_.loss.dtype, kept, args_.in, args_.loss.classes, nullptr, 0}; }

  // Loads the chunk that begins at row `begin`; false if there is none.
  bool load(int64_t begin) {
    const int64_t rows = args_.loss.rows;
    if (begin >= rows) return false;
    kept = 0;
    for (int64_t row = begin; row < std::min(rows, begin + w.chunk); ++row)
      if (is_kept(args_.loss, row)) w.kept[kept++] = row;
    const T* x = static_cast<const T*>(args_.x);
    for_rows([&](int64_t i) { convert(args_.in, x + w.kept[i] * args_.in, w.x + i * args_.in); });
    linear_forward<C>(threads_, linear(), w.x, weight_, bias_, w.logits);
    return true;
  }

  // Calls body(i) for each kept row i of the chunk.
  template <class Body>
  void for_rows(const Body& body) const {
    parallel_ranges(loss_threads(threads_, kept * args_.loss.classes), kept, kLossBlock,
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) body(i);
                    });
  }

 private:
  static const C* widened(int64_t count, const T* values, C* wide) {
    if constexpr (kIs16Bit<T>) {
      if (values == nullptr) return nullptr;
      convert(count, values, wide);
      return wide;
    } else {
      return values;
    }
  }

  int64_t threads_;
  const LinearLossArgs& args_;
  const C *weight_, *bias_;
};

// lse is [rows] or null.
template <class T>
void linear_cross_entropy_forward(int64_t threads, const LinearLossArgs& args, ComputeType<T>* out,
                                  ComputeType<T>* weight_sum, ComputeType<T>* lse) {
  using C = ComputeType<T>;
  const LossArgs& loss = args.loss;
  const LossFactors<C> factors(loss);
  const bool each_row = loss.reduction == Reduction::kNone;
  if (each_row) std::fill_n(out, loss.rows, C(0));
  if (lse) std::fill_n(lse, loss.rows, C(0));
  LinearLossChunks<T> chunks(threads, args, false);
  double total = 0;
  for (int64_t begin = 0; chunks.load(begin); begin += chunks.w.chunk) {
    chunks.for_rows([&](int64_t i) {
      const int64_t row = chunks.w.kept[i];
      const double term = cross_entropy_row<C>(loss, factors, loss.targets[row], 1, chunks.w.logits + i * loss.classes,
                                               nullptr, lse ? lse + row : nullptr);
      if (each_row) out[row] = static_cast<C>(term);
      chunks.w.terms[i] = term;
    });
    for (int64_t i = 0; i < chunks.kept; ++i) total += chunks.w.terms[i];
  }
  if (weight_sum) *weight_sum = static_cast<C>(factors.kept_weight);
  store_reduced(loss, factors, total, out);
}

// logits [classes] of a kept row <- `incoming` times the gradient of its term.
template <class C>
void linear_loss_gradient_row(int64_t classes, const LossFactors<C>& factors, int64_t target, double incoming, C lse,
                              C* logits) {
  const double on_target = factors.on_target * factors.weight(target);
  const C all = static_cast<C>(incoming * (on_target + factors.on_each * factors.total_weight));
  for (int64_t c = 0; c < classes; ++c) {
    C gradient = std::exp(logits[c] - lse) * all;
    if (factors.on_each != 0) gradient -= static_cast<C>(incoming * factors.on_each * factors.weight(c));
    if (c == target) gradient -= static_cast<C>(incoming * on_target);
    logits[c] = gradient;
  }
}

// dx, dweight and dbias may each be null if they are not wanted.
template <class T>
void linear_cross_entropy_backward(int64_t threads, const LinearLossArgs& args, const ComputeType<T>* lse,
                                   const ComputeType<T>* dout, T* dx, T* dweight, T* dbias) {
  using C = ComputeType<T>;
  const LossArgs& loss = args.loss;
  const LossFactors<C> factors(loss);
  const double scale = factors.scale(loss.reduction);
  if (dx) std::fill_n(dx, loss.rows * args.in, T(0));
  if (scale == 0 || (!dx && !dweight && !dbias)) return;
  LinearLossChunks<T> chunks(threads, args, true);
  C *dweight_sum, *dbias_sum;
  if constexpr (kIs16Bit<T>) {
    dweight_sum = dweight ? chunks.w.dweight : nullptr;
    dbias_sum = dbias ? chunks.w.dbias : nullptr;
    if (dweight) convert(loss.classes * args.in, dweight, dweight_sum);
    if (dbias) convert(loss.classes, dbias, dbias_sum);
  } else {
    dweight_sum = dweight;
    dbias_sum = dbias;
  }

  const C* unread = nullptr;
  C* unwanted = nullptr;
  for (int64_t begin = 0; chunks.load(begin); begin += chunks.w.chunk) {
    C* const dlogits = chunks.w.logits;
    chunks.for_rows([&](int64_t i) {
      const int64_t row = chunks.w.kept[i];
      const double incoming = !dout ? scale : scale * dout[loss.reduction == Reduction::kNone ? row : 0];
      C* gradient = dlogits + i * loss.classes;
      linear_loss_gradient_row(loss.classes, factors, loss.targets[row], incoming, lse[row], gradient);
      if constexpr (kIs16Bit<T>) round_to<T>(1, loss.classes, gradient, loss.classes);
    });
    linear_backward<C>(threads, chunks.linear(), chunks.w.x, unread, dlogits, unwanted, dweight_sum, dbias_sum);
    if (!dx) continue;
    linear_backward<C>(threads, chunks.linear(), unread, chunks.weight(), dlogits, chunks.w.x, unwanted, unwanted);
    chunks.for_rows([&](int64_t i) { convert(args.in, chunks.w.x + i * args.in, dx + chunks.w.kept[i] * args.in); });
  }
  if constexpr (kIs16Bit<T>) {
    if (dweight) convert(loss.classes * args.in, dweight_sum, dweight);
    if (dbias) convert(loss.classes, dbias_sum, dbias);
  }
}

}  // namespace varlstm::host
