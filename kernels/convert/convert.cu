// Converts between the floating-point dtypes, for example to a 16-bit copy of parameters that are kept in F32.
//
//   dst[k] <- src[k]           src, dst [count]; a NaN stays a NaN, and a too large value becomes infinite
//
// One thread converts each element, in a grid-stride loop, without shared memory or synchronisation. Bytes moved: count
// times the sum of both sizes; bound by memory. Mirrored by host/simd/scalar16.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/convert/convert.h"

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"

namespace varlstm::cuda {

template <class From, class To>
VARLSTM_KERNEL void convert_kernel(int64_t count, const From* src, To* dst) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    dst[k] = store_scalar<To>(static_cast<ComputeType<To>>(load_scalar(src[k])));
}

int32_t convert(Stream stream, DType from, DType to, int64_t count, const void* src, void* dst) {
  if (count == 0) return VARLSTM_OK;
  return with_scalar(from, [&](auto read) {
    return with_scalar(to, [&](auto written) {
      using From = decltype(read);
      using To = decltype(written);
      return launch<convert_kernel<From, To>>(stream, "convert", elementwise_shape(stream, count), count,
                                              static_cast<const From*>(src), static_cast<To*>(dst));
    });
  });
}

}  // namespace varlstm::cuda
