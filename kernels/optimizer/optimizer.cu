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
// The step counter of Adam is in device memory: adam.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/optimizer/optimizer.h"

#include "kernels/core/launch.h"
#include "kernels/optimizer/adam.h"

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
    const T g = simt::fma(f.decay, params[k], grads[k]);
    T direction = g;
    if (velocity != nullptr) {
      const T speed = simt::fma(f.momentum, velocity[k], g);
      velocity[k] = speed;
      direction = f.nesterov ? simt::fma(f.momentum, speed, g) : speed;
    }
    params[k] = simt::fma(-f.lr, direction, params[k]);  // one operation, as in sgd_rows
  }
}

template <class T>
VARLSTM_KERNEL void adam_kernel(int64_t count, AdamConstants<T> adam, int64_t* step, T* params, const T* grads, T* m,
                                T* v) {
  const AdamFactors<T> factors = factors_of(adam, count_step(step));
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    adam_element(adam, factors, grads[k], params[k], m[k], v[k]);
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
    LaunchShape shape = elementwise_shape(stream, args.count > 0 ? args.count : 1);  // without elements it counts, too
    shape.shared_bytes = sizeof(int64_t);
    return launch<adam_kernel<T>>(stream, "adam", shape, args.count, adam_constants<T>(args), step,
                                  static_cast<T*>(params), static_cast<const T*>(grads), static_cast<T*>(m),
                                  static_cast<T*>(v));
  });
}

}  // namespace varlstm::cuda
