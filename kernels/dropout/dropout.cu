// Inverted dropout (Srivastava et al. 2014); forward and backward are the same function.
//
//   out[k] <- keep(seed, k) ? in[k] / (1 - p) : 0           in, out [count]; in place is allowed
//   keep(seed, k) = word k % 4 of the Philox block with key seed and counter k / 4, times 2^-32, >= p
//
// A thread makes the four elements of one Philox block; grid-stride loop, no shared memory, nothing to synchronise.
// Bytes moved: 2 count e, bound by memory (some 60 integer operations a thread for 4 elements).
// A dropped element is 0 whatever it held; a kept one is rounded once. The mask depends on seed and k alone.
// Mirrored by host/dropout.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout/dropout.h"

#include <math.h>

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/dropout/philox.h"

namespace varlstm::cuda {

// Words below dropped_words drop their element. stored_seed (or null) replaces `seed`.
template <class T>
VARLSTM_KERNEL void dropout_kernel(int64_t count, uint64_t dropped_words, ComputeType<T> scale, uint64_t seed,
                                   const uint64_t* stored_seed, const T* in, T* out) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t blocks = (count + 3) / 4;
  const bool on = stored_seed == nullptr || *stored_seed != 0;
  const uint64_t key = stored_seed == nullptr ? seed : *stored_seed + seed;
  for (int64_t block = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; block < blocks; block += stride) {
    const PhiloxBlock random = philox4x32(key, static_cast<uint64_t>(block));
    for (int word = 0; word < 4; ++word) {
      const int64_t k = 4 * block + word;
      if (k >= count) break;
      if (!on) {
        out[k] = in[k];
      } else if (random.words[word] >= dropped_words) {
        out[k] = store_scalar<T>(load_scalar(in[k]) * scale);
      } else {
        out[k] = store_scalar<T>(0);
      }
    }
  }
}

namespace {

int32_t run(Stream stream, DType dtype, int64_t count, double p, uint64_t seed, const uint64_t* stored_seed,
            const void* in, void* out) {
  if (count == 0) return VARLSTM_OK;
  const uint64_t dropped_words = static_cast<uint64_t>(ceil(ldexp(p, 32)));  // those with word * 2^-32 < p
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    const auto scale = static_cast<ComputeType<T>>(1 / (1 - p));
    return launch<dropout_kernel<T>>(stream, "dropout", elementwise_shape(stream, (count + 3) / 4), count,
                                     dropped_words, scale, seed, stored_seed, static_cast<const T*>(in),
                                     static_cast<T*>(out));
  });
}

}  // namespace

int32_t dropout(Stream stream, DType dtype, int64_t count, double p, uint64_t seed, const void* in, void* out) {
  return run(stream, dtype, count, p, seed, nullptr, in, out);
}

int32_t dropout_by_stored_seed(Stream stream, DType dtype, int64_t count, double p, const uint64_t* seed,
                               uint64_t seed_offset, const void* in, void* out) {
  return run(stream, dtype, count, p, seed_offset, seed, in, out);
}

}  // namespace varlstm::cuda
