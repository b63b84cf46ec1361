// Optimiser steps of the rows of a table that have a gradient, where every other row's gradient is 0.
//
// Adam moves a row whose gradient is 0 as well, because its moments decay. Such a row waits: last_steps has the number
// of its last step. When it is wanted again it is caught up, which means that all steps since then are done with
// gradient 0, while the row is in the cache. Every step's factors are in `history`, so the result has the bits of
// adam_step over the whole table. Per step that needs 6 features e bytes for each row that is wanted, in place of 7 for
// each row of the table. kernels/optimizer/adam_rows.cu does the same on CUDA.
//
// Most of a catching up need not compute the parameters. Without a gradient m falls by beta1 a step, and some 200 steps
// after the last gradient a step changes no parameter any more; m and v alone go on. A row that never had a gradient is
// so from the beginning. is_settled says when.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <limits>

#include "host/ops/optimizer.h"

namespace varlstm::host {

constexpr int64_t kRowGrain = 4;  // rows of one piece of work: how long one waited differs

// The steps of a table whose factors are known.
template <class T>
struct AdamHistory {
  AdamFactors<T>* entries;
  int64_t steps;

  AdamFactors<T>& at(int64_t step) const { return entries[(step - 1) % steps]; }
};

// One row. Its arrays have `features` elements.
template <class T>
struct AdamRow {
  int64_t features;
  T *params, *m, *v;
};

// One step. `grads` is null if the gradient is 0.
template <class T>
void step_row(const AdamConstants<T>& constants, const AdamFactors<T>& factors, const T* grads, const AdamRow<T>& row) {
  const AdamConstants<T> c = constants;
  const AdamFactors<T> f = factors;
  T *params = row.params, *m = row.m, *v = row.v;
  if (grads != nullptr) {
#pragma omp simd
    for (int64_t k = 0; k < row.features; ++k) adam_element(c, f, grads[k], params[k], m[k], v[k]);
  } else {
#pragma omp simd
    for (int64_t k = 0; k < row.features; ++k) adam_element(c, f, T(0), params[k], m[k], v[k]);
  }
}

// For how many steps v keeps at least a quarter of itself, at most; beyond 2^20 nothing is counted.
inline int64_t steps_to_a_quarter(double beta2) {
  constexpr double kMost = 1 << 20;
  return beta2 <= 0 ? 0 : static_cast<int64_t>(std::min(kMost, std::log(0.25) / std::log(beta2)));
}

// How much larger the factors of a later step may be for what is_settled said to hold.
template <class T>
bool keeps_settled(const AdamFactors<T>& then, const AdamFactors<T>& now) {
  return now.rate <= then.rate && then.root_correction <= T(1.9) * now.root_correction;
}

// Whether steps with gradient 0 leave the row's parameters as they are, from the step on whose factors are given: all
// of the next steps_to_a_quarter steps whose factors keeps_settled. There is no weight decay.
//
// In such a step |m| is no more than now, sqrt(v) at least half of now, and the correction of that root more than half,
// so a parameter moves less than 4 times as far as `move` below, in the same direction. Where 8 times that changes
// nothing, neither does less: rounding is monotonic. Numbers are so large that no rounding of what is denormal counts.
template <class T>
bool is_settled(const AdamConstants<T>& c, const AdamFactors<T>& f, const AdamRow<T>& row) {
  constexpr T kLarge = std::numeric_limits<T>::max();
  const T small = std::sqrt(std::sqrt(std::numeric_limits<T>::min()));
  int moving = 0;
  for (int64_t k = 0; k < row.features; ++k) {
    const T p = row.params[k], m = row.m[k], v = row.v[k];
    const T move = f.rate * (m / (std::sqrt(v) * f.root_correction + c.eps));
    const bool regular = (std::abs(p) >= small) & (v >= small * small * small);
    const bool stays = (std::abs(p) <= kLarge) & (p - 8 * move == p) & (regular | (m == 0));
    moving |= !stays;
  }
  return moving == 0;
}

// m and v after `steps` steps with gradient 0.
template <class T>
void decay_moments(const AdamConstants<T>& constants, int64_t steps, const AdamRow<T>& row) {
  const AdamConstants<T> c = constants;
  T *m = row.m, *v = row.v;
  bool zero = true;
  for (int64_t k = 0; k < row.features; ++k) zero &= (m[k] == 0) & (v[k] == 0);
  if (zero) return;
  for (int64_t step = 0; step < steps; ++step) {
#pragma omp simd
    for (int64_t k = 0; k < row.features; ++k) {
      m[k] += c.one_minus_beta1 * (T(0) - m[k]);
      v[k] *= c.beta2;
    }
  }
}

// Does steps (last, until] with gradient 0.
template <class T>
void catch_up_row(const AdamArgs& args, const AdamConstants<T>& constants, const AdamHistory<T>& history, int64_t last,
                  int64_t until, const AdamRow<T>& row) {
  constexpr int64_t kTestEvery = 16;  // steps; a test costs as much as a step
  const bool may_settle = args.weight_decay == 0 && constants.eps > 0;
  const int64_t longest = may_settle ? steps_to_a_quarter(args.beta2) : 0;
  int64_t step = last + 1;
  while (step <= until) {
    if (until - step > kTestEvery / 2 && longest > 0 && is_settled(constants, history.at(step), row)) {
      const int64_t first = step, end = std::min(until + 1, first + longest);
      while (step < end && keeps_settled(history.at(first), history.at(step))) ++step;
      decay_moments(constants, step - first, row);
      continue;
    }
    const int64_t end = std::min(until + 1, step + kTestEvery);
    for (; step < end; ++step) step_row<T>(constants, history.at(step), nullptr, row);
  }
}

// The first listed row of the table that cannot be caught up to `more` steps after *args.step, or -1; vocab if no step
// can follow *args.step.
inline int64_t first_bad_last_step(const AdamRowsArgs& args, int64_t more) {
  if (*args.step < 0 || *args.step == std::numeric_limits<int64_t>::max()) return args.vocab;
  for (int64_t n = 0; n < args.rows; ++n) {
    const int64_t id = args.ids == nullptr ? n : args.ids[n];
    if (id < 0 || id >= args.vocab) continue;
    const int64_t last = args.last_steps[id];
    if (last < 0 || last > *args.step || *args.step - last > args.history_steps - more) return id;
  }
  return -1;
}

// Does steps up to `step` for every listed row, the last of them with the row's gradient if there are gradients. A row
// that is listed more than once is done where it is met first.
template <class T>
void run_adam_rows(int64_t threads, const AdamRowsArgs& args, int64_t step, const T* drows) {
  const AdamConstants<T> constants = adam_constants<T>(args.adam);
  const AdamHistory<T> history{static_cast<AdamFactors<T>*>(args.history), args.history_steps};
  const int64_t features = args.features;
  parallel_ranges(threads, args.rows, kRowGrain, [&](int64_t begin, int64_t end) {
    run_vectorised([&] {
      for (int64_t n = begin; n < end; ++n) {
        const int64_t id = args.ids == nullptr ? n : args.ids[n];
        if (id < 0 || id >= args.vocab) continue;
        const int64_t last = __atomic_exchange_n(args.last_steps + id, step, __ATOMIC_RELAXED);
        if (last == step) continue;
        const int64_t first = id * features;
        const AdamRow<T> row{features, static_cast<T*>(args.table) + first, static_cast<T*>(args.m) + first,
                             static_cast<T*>(args.v) + first};
        catch_up_row(args.adam, constants, history, last, drows == nullptr ? step : step - 1, row);
        if (drows != nullptr) step_row(constants, history.at(step), drows + n * features, row);
      }
    });
  });
}

// Increments *step.
template <class T>
void adam_rows_step(int64_t threads, const AdamRowsArgs& args, const T* drows) {
  const int64_t step = ++*args.step;
  const AdamHistory<T> history{static_cast<AdamFactors<T>*>(args.history), args.history_steps};
  history.at(step) = adam_factors<T>(args.adam, step);
  run_adam_rows(threads, args, step, drows);
}

template <class T>
void adam_rows_catch_up(int64_t threads, const AdamRowsArgs& args) {
  run_adam_rows<T>(threads, args, *args.step, nullptr);
}

// SGD without momentum and weight decay, which moves no row whose gradient is 0.
template <class T>
void sgd_rows_step(int64_t threads, const SgdRowsArgs& args, const T* drows) {
  const T lr = static_cast<T>(args.lr);
  const int64_t features = args.features;
  parallel_ranges(threads, args.rows, kStepGrain / features + 1, [&](int64_t begin, int64_t end) {
    run_vectorised([&] {
      for (int64_t n = begin; n < end; ++n) {
        const int64_t id = args.row_ids[n];
        if (id < 0 || id >= args.vocab) continue;
        T* params = static_cast<T*>(args.table) + id * features;
        const T* grads = drows + n * features;
#pragma omp simd
        for (int64_t k = 0; k < features; ++k) params[k] -= lr * grads[k];
      }
    });
  });
}

}  // namespace varlstm::host
