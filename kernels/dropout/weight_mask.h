// Recurrent dropout of weights on the device. See weight_mask.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// The mask of one layer and direction, over the elements of w_hh [GH, R].
struct WeightMask {
  DType dtype;
  int64_t count;
  int64_t layer, direction;
  double p;
  uint64_t seed = 0;
  const uint64_t* stored_seed = nullptr;  // in device memory, in place of `seed`; or null
};

// masked[k] <- drawn(k) ? 0 : w[k] / (1 - p); a copy if the seed is 0.
int32_t mask_weights(Stream stream, const WeightMask& mask, const void* w, void* masked);

// dw[k] += drawn(k) ? 0 : gradient[k] / (1 - p), with the gradient of the masked weights in the type that the dtype is
// computed in; without a mask if the seed is 0.
int32_t add_masked_gradient(Stream stream, const WeightMask& mask, const void* gradient, void* dw);

}  // namespace varlstm::cuda
