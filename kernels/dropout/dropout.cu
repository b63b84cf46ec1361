// Inverted dropout (Srivastava et al. 2014). Forward and backward are the same function.
//
//   out[k] <- keep(seed, k) ? in[k] / (1 - p) : 0           in, out [m, n], k = row * n + column; in place is allowed
//   keep(seed, k) = word k % 4 of the Philox block with key seed and counter k / 4, times 2^-32, >= p
//
// A thread makes the four elements of one Philox block, in a grid-stride loop, without shared memory or
// synchronisation. Bytes moved: 2 m n e, bound by memory (a thread has about 60 integer operations for 4 elements). A
// dropped element is 0 whatever it held; a kept one is rounded once. The mask depends only on seed and k. If p = 0, the
// elements are copied: a product, even with 1, would change the bits of a NaN. Mirrored by host/ops/dropout.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dropout/dropout.h"

#include <math.h>

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/dropout/philox.h"

namespace varlstm::cuda {

// Words below dropped_words drop their element. `seed` is added to *stored_seed unless stored_seed is null. Rows from
// *rows on (from m on if rows is null) are neither read nor written.
template <class T>
VARLSTM_KERNEL void dropout_kernel(int64_t m, int64_t n, const int64_t* rows, uint64_t dropped_words,
                                   ComputeType<T> scale, uint64_t seed, const uint64_t* stored_seed, const T* in,
                                   T* out) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t count = (rows == nullptr || *rows > m ? m : *rows) * n;
  const int64_t blocks = (count + 3) / 4;
  const bool on = dropped_words != 0 && (stored_seed == nullptr || *stored_seed != 0);
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

int32_t dropout(Stream stream, const DropoutArgs& args) {
  if (args.m == 0) return VARLSTM_OK;
  const auto dropped_words = static_cast<uint64_t>(ceil(ldexp(args.p, 32)));  // the words with word * 2^-32 < p
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    const auto scale = static_cast<ComputeType<T>>(1 / (1 - args.p));
    return launch<dropout_kernel<T>>(stream, "dropout", elementwise_shape(stream, (args.m * args.n + 3) / 4), args.m,
                                     args.n, args.rows, dropped_words, scale, args.seed, args.stored_seed,
                                     static_cast<const T*>(args.in), static_cast<T*>(args.out));
  });
}

}  // namespace varlstm::cuda
