// Optimiser steps over one flat buffer [count].
//
//   SGD    g = grads + weight_decay * params;  velocity = momentum * velocity + g
//          params -= lr * (nesterov ? g + momentum * velocity : velocity)
//   Adam   g = grads + weight_decay * params (decoupled: params *= 1 - lr * weight_decay instead)
//          m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g * g
//          params -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
//
// As in torch.optim. One thread updates each element, in a grid-stride loop, in place. Bytes moved: 5 count e for SGD
// with momentum, 7 count e for Adam. Bound by memory. Computed in the buffer's own type, element by element:
// bit-identical from run to run. Mirrored by host/ops/optimizer.h.
// The step counter of Adam is in device memory, and the corrections are computed from it in double, so that a captured
// graph counts its steps when it is replayed. The kernel counts the step itself: each block takes a ticket from the
// counter's high bits, in the same access by which it reads the steps before, and the block with the last ticket puts
// the number of this step in their place.
//   S1: after it the number of the step is in shared memory (8 bytes).
//   S2: a block reads the counter only in the access that takes its ticket, so when the last ticket is taken no block
//   reads the counter any more.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer/optimizer.h"

#include <math.h>

#include "kernels/core/launch.h"

namespace varlstm::cuda {

template <class T>
struct SgdFactors {
  T lr, momentum, decay;
  bool nesterov;
};

template <class T>
VARLSTM_KERNEL void sgd_kernel(int64_t count, SgdFactors<T> f, T* params, const T* grads, T* velocity) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride) {
    const T g = grads[k] + f.decay * params[k];
    T direction = g;
    if (velocity != nullptr) {
      const T speed = f.momentum * velocity[k] + g;
      velocity[k] = speed;
      direction = f.nesterov ? g + f.momentum * speed : speed;
    }
    params[k] -= f.lr * direction;
  }
}

template <class T>
struct AdamFactors {
  T one_minus_beta1, beta2, one_minus_beta2, eps, shrink, decay;
  double lr, log_beta1, log_beta2;  // 1 - beta^step = -expm1(step * log(beta))
};

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

template <class T>
VARLSTM_KERNEL void adam_kernel(int64_t count, AdamFactors<T> f, int64_t* step, T* params, const T* grads, T* m, T* v) {
  const double steps = static_cast<double>(count_step(step));
  const T rate = static_cast<T>(f.lr / -expm1(steps * f.log_beta1));
  const T root_correction = static_cast<T>(1 / sqrt(-expm1(steps * f.log_beta2)));
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride) {
    const T p = params[k] * f.shrink;
    const T g = grads[k] + f.decay * p;
    const T first = m[k] + f.one_minus_beta1 * (g - m[k]);
    const T second = f.beta2 * v[k] + f.one_minus_beta2 * (g * g);
    m[k] = first;
    v[k] = second;
    params[k] = p - rate * (first / (sqrt(second) * root_correction + f.eps));
  }
}

int32_t sgd_step(Stream stream, const SgdArgs& args, void* params, const void* grads, void* velocity) {
  return with_master_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    const SgdFactors<T> factors{static_cast<T>(args.lr), static_cast<T>(args.momentum),
                                static_cast<T>(args.weight_decay), args.nesterov};
    return launch<sgd_kernel<T>>(stream, "sgd", elementwise_shape(stream, args.count), args.count, factors,
                                 static_cast<T*>(params), static_cast<const T*>(grads), static_cast<T*>(velocity));
  });
}

int32_t adam_step(Stream stream, const AdamArgs& args, void* params, const void* grads, void* m, void* v,
                  int64_t* step) {
  return with_master_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    AdamFactors<T> factors;
    factors.one_minus_beta1 = static_cast<T>(1 - args.beta1);
    factors.beta2 = static_cast<T>(args.beta2);
    factors.one_minus_beta2 = static_cast<T>(1 - args.beta2);
    factors.eps = static_cast<T>(args.eps);
    factors.shrink = static_cast<T>(args.decoupled ? 1 - args.lr * args.weight_decay : 1);
    factors.decay = static_cast<T>(args.decoupled ? 0 : args.weight_decay);
    factors.lr = args.lr;
    factors.log_beta1 = log(args.beta1);
    factors.log_beta2 = log(args.beta2);
    LaunchShape shape = elementwise_shape(stream, args.count > 0 ? args.count : 1);  // without elements it counts, too
    shape.shared_bytes = sizeof(int64_t);
    return launch<adam_kernel<T>>(stream, "adam", shape, args.count, factors, step, static_cast<T*>(params),
                                  static_cast<const T*>(grads), static_cast<T*>(m), static_cast<T*>(v));
  });
}

}  // namespace varlstm::cuda
