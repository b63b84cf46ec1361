// Optimiser steps over one flat buffer [count], and the norm of its gradients.
//
//   SGD    g = grads + weight_decay * params;  velocity = momentum * velocity + g
//          params -= lr * (nesterov ? g + momentum * velocity : velocity)
//   Adam   g = grads + weight_decay * params (decoupled: params *= 1 - lr * weight_decay instead)
//          m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g * g
//          params -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
//   norm   sqrt(sum of grads^2), summed in double over blocks of kNormBlock elements and then over the blocks in order
//
// The formulas are those of torch.optim. Memory bounds the speed: Adam moves 28 bytes per element in f32.
// kernels/optimizer does the same on CUDA.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "capi/contract/shapes.h"
#include "host/simd/vector_code.h"
#include "host/threads/parallel.h"

namespace varlstm::host {

constexpr int64_t kStepGrain = 16384;  // elements of one piece of work
constexpr int64_t kNormBlock = 4096;   // elements of one partial sum

// Runs body(k) for each element k of [0, count) in vector code, on up to `threads` threads. It reads and writes
// elements k of `arrays` alone. They are asked for a page ahead, where hardware prefetches nothing.
template <class Body, class... T>
void for_each_element(int64_t threads, int64_t count, const Body& body, const T*... arrays) {
  constexpr int64_t kRun = 128, kAhead = 1024, kLine = 16;  // elements
  parallel_ranges(threads, count, kStepGrain, [&](int64_t begin, int64_t end) {
    run_vectorised([&] {
      int64_t run = begin;
      for (; run + kRun <= end; run += kRun) {
        for (int64_t k = run + kAhead; k < run + kAhead + kRun; k += kLine) (__builtin_prefetch(arrays + k), ...);
#pragma omp simd
        for (int64_t k = run; k < run + kRun; ++k) body(k);
      }
#pragma omp simd
      for (int64_t k = run; k < end; ++k) body(k);
    });
  });
}

template <class T>
void sgd_step(int64_t threads, const SgdArgs& args, T* params, const T* grads, T* velocity) {
  const T lr = static_cast<T>(args.lr);
  const T momentum = static_cast<T>(args.momentum);
  const T decay = static_cast<T>(args.weight_decay);
  const bool nesterov = args.nesterov;
  if (!velocity) {
    for_each_element(threads, args.count, [=](int64_t k) { params[k] -= lr * (grads[k] + decay * params[k]); });
    return;
  }
  for_each_element(threads, args.count, [=](int64_t k) {
    const T g = grads[k] + decay * params[k];
    const T speed = momentum * velocity[k] + g;
    velocity[k] = speed;
    params[k] -= lr * (nesterov ? g + momentum * speed : speed);
  });
}

// What Adam computes with: the same at every step, and that of one step (kAdamFactors).
template <class T>
struct AdamConstants {
  T one_minus_beta1, beta2, one_minus_beta2, eps, decay;
};
template <class T>
struct AdamFactors {
  T rate, root_correction, shrink;
};

template <class T>
AdamConstants<T> adam_constants(const AdamArgs& args) {
  return {static_cast<T>(1 - args.beta1), static_cast<T>(args.beta2), static_cast<T>(1 - args.beta2),
          static_cast<T>(args.eps), static_cast<T>(args.decoupled ? 0 : args.weight_decay)};
}

// Those of step number `step`, from 1 on.
template <class T>
AdamFactors<T> adam_factors(const AdamArgs& args, int64_t step) {
  const double steps = static_cast<double>(step);
  return {static_cast<T>(args.lr / (1 - std::pow(args.beta1, steps))),
          static_cast<T>(1 / std::sqrt(1 - std::pow(args.beta2, steps))),
          static_cast<T>(args.decoupled ? 1 - args.lr * args.weight_decay : 1)};
}

// A step of one element, whose gradient is `grad`.
template <class T>
void adam_element(const AdamConstants<T>& c, const AdamFactors<T>& f, T grad, T& param, T& m, T& v) {
  const T p = param * f.shrink;
  const T g = grad + c.decay * p;
  const T first = m + c.one_minus_beta1 * (g - m);
  const T second = c.beta2 * v + c.one_minus_beta2 * (g * g);
  m = first;
  v = second;
  param = p - f.rate * (first / (std::sqrt(second) * f.root_correction + c.eps));
}

// Increments *step.
template <class T>
void adam_step(int64_t threads, const AdamArgs& args, T* params, const T* grads, T* m, T* v, int64_t* step) {
  const AdamConstants<T> constants = adam_constants<T>(args);
  const AdamFactors<T> factors = adam_factors<T>(args, ++*step);
  for_each_element(
      threads, args.count, [=](int64_t k) { adam_element(constants, factors, grads[k], params[k], m[k], v[k]); },
      params, grads, m, v);
}

inline int64_t norm_blocks(int64_t count) {
  return count / kNormBlock + (count % kNormBlock != 0);
}

// The sum of squares over [begin, end), in kLanes interleaved chains of additions.
template <class T>
double sum_of_squares(const T* values, int64_t begin, int64_t end) {
  constexpr int64_t kLanes = 32, kAhead = 1024;
  double lanes[kLanes] = {};
  const int64_t whole = begin + (end - begin) / kLanes * kLanes;
  for (int64_t k = begin; k < whole; k += kLanes) {
    for (int64_t j = 0; j < kLanes; j += 16) __builtin_prefetch(values + k + kAhead + j);
    for (int64_t j = 0; j < kLanes; ++j) {
      const double value = values[k + j];
      lanes[j] += value * value;
    }
  }
  for (int64_t k = whole; k < end; ++k) lanes[k - whole] += static_cast<double>(values[k]) * values[k];
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

// The workspace holds norm_blocks(count) doubles.
template <class T>
double grad_norm(int64_t threads, int64_t count, const T* grads, void* workspace) {
  constexpr int64_t kBlocksPerPiece = 16;
  double* block_sums = static_cast<double*>(workspace);
  parallel_ranges(threads, norm_blocks(count), kBlocksPerPiece, [&](int64_t begin, int64_t end) {
    run_vectorised([&] {
      for (int64_t block = begin; block < end; ++block)
        block_sums[block] = sum_of_squares(grads, block * kNormBlock, std::min(count, (block + 1) * kNormBlock));
    });
  });
  double sum = 0;
  for (int64_t block = 0; block < norm_blocks(count); ++block) sum += block_sums[block];
  return std::sqrt(sum);
}

// grads *= min(1, max_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. If the norm is NaN, all grads become
// NaN.
template <class T>
void clip_grads(int64_t threads, int64_t count, double max_norm, double norm, T* grads) {
  const double ratio = max_norm / (norm + 1e-6);
  if (ratio >= 1) return;
  const T factor = static_cast<T>(ratio);
  for_each_element(threads, count, [=](int64_t k) { grads[k] *= factor; });
}

}  // namespace varlstm::host
