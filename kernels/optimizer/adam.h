// What the kernels of Adam share: the factors of a step, the step of an element, and the counting of steps. For kernel
// files only.
//
// The step counter of Adam is in device memory, and the corrections are computed from it in double, so that a captured
// graph counts its steps when it is replayed. The kernel counts the step itself: each block takes a ticket from the
// counter's high bits, in the same access by which it reads the steps before, and the block with the last ticket puts
// the number of this step in their place.
//   S1: after it the number of the step is in shared memory (8 bytes).
//   S2: a block reads the counter only in the access that takes its ticket, so when the last ticket is taken no block
//   reads the counter any more.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>
#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/arch/device.h"

namespace varlstm::cuda {

template <class T>
struct AdamConstants {
  T one_minus_beta1, beta2, one_minus_beta2, eps, shrink, decay;
  double lr, log_beta1, log_beta2;  // 1 - beta^step = -expm1(step * log(beta))
};

template <class T>
AdamConstants<T> adam_constants(const AdamArgs& args) {
  AdamConstants<T> adam;
  adam.one_minus_beta1 = static_cast<T>(1 - args.beta1);
  adam.beta2 = static_cast<T>(args.beta2);
  adam.one_minus_beta2 = static_cast<T>(1 - args.beta2);
  adam.eps = static_cast<T>(args.eps);
  adam.shrink = static_cast<T>(args.decoupled ? 1 - args.lr * args.weight_decay : 1);
  adam.decay = static_cast<T>(args.decoupled ? 0 : args.weight_decay);
  adam.lr = args.lr;
  adam.log_beta1 = log(args.beta1);
  adam.log_beta2 = log(args.beta2);
  return adam;
}

// A product and the sum that it goes into are written as one operation here: otherwise the compiler joins some of them,
// not the same ones in every kernel, so that two kernels of Adam would give different bits.

// What one step has for factors (kAdamFactors).
template <class T>
struct AdamFactors {
  T rate, root_correction, shrink;
};

template <class T>
VARLSTM_DEVICE AdamFactors<T> factors_of(const AdamConstants<T>& adam, int64_t step) {
  const double steps = static_cast<double>(step);
  const double log1 = simt::fma(steps, adam.log_beta1, 0.0), log2 = simt::fma(steps, adam.log_beta2, 0.0);
  return {static_cast<T>(adam.lr / -expm1(log1)), static_cast<T>(1 / sqrt(-expm1(log2))), adam.shrink};
}

template <class T>
VARLSTM_DEVICE void adam_element(const AdamConstants<T>& adam, const AdamFactors<T>& f, T grad, T& param, T& m, T& v) {
  const T p = param * f.shrink;
  const T g = simt::fma(adam.decay, p, grad);
  const T first = simt::fma(adam.one_minus_beta1, g - m, m);
  const T second = simt::fma(adam.beta2, v, adam.one_minus_beta2 * (g * g));
  m = first;
  v = second;
  param = simt::fma(-f.rate, first / simt::fma(static_cast<T>(sqrt(second)), f.root_correction, adam.eps), p);
}

// One ticket. The steps before are below it, and a grid has fewer blocks than there are tickets.
constexpr int kTicketBit = 40;
constexpr unsigned long long kTicket = 1ULL << kTicketBit;

// Returns the number of this step to every thread, and counts it. Called once by every thread of the grid.
VARLSTM_DEVICE int64_t count_step(int64_t* step) {
  int64_t* const number = simt::shared_memory<int64_t>();
  if (threadIdx.x == 0) {
    auto* const counter = reinterpret_cast<unsigned long long*>(step);
    const unsigned long long seen = simt::atomic_add(counter, kTicket);
    if (seen >> kTicketBit == gridDim.x - 1) simt::atomic_add(counter, 1 - gridDim.x * kTicket);  // S2
    *number = static_cast<int64_t>(seen & (kTicket - 1)) + 1;
  }
  simt::block_sync();  // S1
  return *number;
}

}  // namespace varlstm::cuda
