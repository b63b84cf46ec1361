// Keeps a multiprocessor busy: every thread reads the clock until its time is over. Nothing is read or written; no
// barrier.
// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/first_contact/busy_kernel.h"

#include "kernels/arch/device.h"

namespace varlstm_test {

VARLSTM_KERNEL void busy_kernel(uint64_t ns) {
  const uint64_t begin = varlstm::simt::time_ns();
  while (varlstm::simt::time_ns() - begin < ns) {
  }
}

cudaError_t occupy(cudaStream_t stream, unsigned blocks, int64_t shared_bytes, uint64_t ns) {
  varlstm::LaunchShape shape;
  shape.grid = dim3(blocks);
  shape.block = dim3(32);
  shape.shared_bytes = static_cast<size_t>(shared_bytes);
  return varlstm::simt::launch(shape, stream, "busy", busy_kernel, ns);
}

}  // namespace varlstm_test
