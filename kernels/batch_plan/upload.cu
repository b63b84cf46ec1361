// Moves values from host memory to device memory as arguments of kernels.
//
//   to[k] <- from[k]
//
// A copy of pinned memory would read it later, in stream order, and a captured copy would read it at every replay, so
// the caller could not reuse the buffer. Arguments are read at the launch. The arguments of a kernel are limited to 4
// KiB, so a launch moves kBytes of values, of 4 bytes each if they fit. One block of kBlock threads; bound by launch
// latency; no synchronisation. The host back end has no counterpart.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/batch_plan/batch_plan.h"
#include "kernels/core/launch.h"

namespace varlstm::cuda {

template <class V>
struct UploadChunk {
  static constexpr int64_t kBytes = 3840;
  static constexpr int64_t kCount = kBytes / static_cast<int64_t>(sizeof(V));
  V values[kCount];
};

template <class V>
VARLSTM_KERNEL void plan_upload_kernel(UploadChunk<V> chunk, int64_t count, int64_t* to) {
  for (int64_t k = threadIdx.x; k < count; k += blockDim.x) to[k] = static_cast<int64_t>(chunk.values[k]);
}

namespace {

template <class V>
int32_t upload_as(Stream stream, const int64_t* from, int64_t count, int64_t* to) {
  constexpr unsigned kBlock = 128;
  LaunchShape shape;
  shape.block = dim3(kBlock);
  for (int64_t begin = 0; begin < count; begin += UploadChunk<V>::kCount) {
    UploadChunk<V> chunk = {};
    const int64_t taken = std::min(count - begin, UploadChunk<V>::kCount);
    for (int64_t k = 0; k < taken; ++k) chunk.values[k] = static_cast<V>(from[begin + k]);
    VARLSTM_CUDA_TRY(launch<plan_upload_kernel<V>>(stream, "plan_upload", shape, chunk, taken, to + begin));
  }
  return 0;
}

}  // namespace

int32_t plan_upload(Stream stream, const int64_t* from, int64_t count, int64_t largest, int64_t* to) {
  if (largest <= INT32_MAX) return upload_as<int32_t>(stream, from, count, to);
  return upload_as<int64_t>(stream, from, count, to);
}

}  // namespace varlstm::cuda
