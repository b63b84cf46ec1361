// The mask of W_hh in recurrent dropout (DropConnect; Merity et al. 2018): a masked copy that every recurrence reads,
// and the gradient of the weights from that of the copy.
//
//   masked[k] <- drawn(k) ? 0 : w[k] / (1 - p)              dw[k] += drawn(k) ? 0 : gradient[k] / (1 - p)
//   drawn(k) = word k % 4 of the Philox block with key seed and counter words k / 4 (two), 1, 2 layer + direction,
//   times
//              2^-32, is < p
//
// A thread makes the four elements of one Philox block, in a grid-stride loop, without shared memory or
// synchronisation. Bytes moved: 2 count e, or count (2 e + C), bound by memory. An element is rounded once. Mirrored by
// host/rnn/rnn_options.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout/weight_mask.h"

#include <math.h>

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/dropout/philox.h"

namespace varlstm::cuda {

// What the kernels need of a WeightMask. Words below drawn_words draw their element.
template <class C>
struct MaskArguments {
  int64_t count;
  uint64_t drawn_words, upper, seed;
  const uint64_t* stored_seed;
  C scale;
};

// Calls body(k, factor) for this thread's elements.
template <class C, class Body>
VARLSTM_DEVICE void for_factors(const MaskArguments<C>& mask, const Body& body) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x, blocks = (mask.count + 3) / 4;
  const uint64_t seed = mask.stored_seed == nullptr ? mask.seed : *mask.stored_seed;
  for (int64_t block = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; block < blocks; block += stride) {
    const PhiloxBlock random = philox4x32(seed, static_cast<uint64_t>(block), mask.upper);
    for (int word = 0; word < 4; ++word) {
      const int64_t k = 4 * block + word;
      if (k >= mask.count) break;
      body(k, seed == 0 ? C(1) : random.words[word] < mask.drawn_words ? C(0) : mask.scale);
    }
  }
}

template <class T>
VARLSTM_KERNEL void mask_weights_kernel(MaskArguments<ComputeType<T>> mask, const T* w, T* masked) {
  using C = ComputeType<T>;
  for_factors(mask, [&](int64_t k, C factor) {
    masked[k] = store_scalar<T>(factor == C(0) ? C(0) : load_scalar(w[k]) * factor);
  });
}

template <class T>
VARLSTM_KERNEL void add_masked_gradient_kernel(MaskArguments<ComputeType<T>> mask, const ComputeType<T>* gradient,
                                               T* dw) {
  using C = ComputeType<T>;
  for_factors(mask, [&](int64_t k, C factor) {
    if (factor != C(0)) dw[k] = store_scalar<T>(load_scalar(dw[k]) + gradient[k] * factor);
  });
}

namespace {

template <class C>
MaskArguments<C> arguments_of(const WeightMask& mask) {
  constexpr uint64_t kWeights = 1;
  const uint64_t entry = static_cast<uint64_t>(2 * mask.layer + mask.direction);
  return {mask.count,
          static_cast<uint64_t>(ceil(ldexp(mask.p, 32))),
          kWeights | entry << 32,
          mask.seed,
          mask.stored_seed,
          static_cast<C>(1 / (1 - mask.p))};
}

}  // namespace

int32_t mask_weights(Stream stream, const WeightMask& mask, const void* w, void* masked) {
  return with_scalar(mask.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    return launch<mask_weights_kernel<T>>(stream, "mask_weights", elementwise_shape(stream, (mask.count + 3) / 4),
                                          arguments_of<ComputeType<T>>(mask), static_cast<const T*>(w),
                                          static_cast<T*>(masked));
  });
}

int32_t add_masked_gradient(Stream stream, const WeightMask& mask, const void* gradient, void* dw) {
  return with_scalar(mask.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    return launch<add_masked_gradient_kernel<T>>(
        stream, "add_masked_gradient", elementwise_shape(stream, (mask.count + 3) / 4),
        arguments_of<ComputeType<T>>(mask), static_cast<const ComputeType<T>*>(gradient), static_cast<T*>(dw));
  });
}

}  // namespace varlstm::cuda
