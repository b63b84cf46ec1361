// Launches a kernel and turns its error into a status. For kernel files only, because it includes the device
// vocabulary. Naming a kernel in launch() registers it, so that load_kernels() can load it when a context is made.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"
#include "kernels/core/kernel_registry.h"
#include "kernels/core/status.h"
#include "kernels/core/stream.h"

namespace varlstm::cuda {

// Runs kKernel(arguments...) in that shape, in stream order. An empty grid launches nothing. `name` is the kernel's
// name in the text of an error.
template <auto kKernel, class... A>
int32_t launch(Stream stream, const char* name, const LaunchShape& shape, const A&... arguments) {
  (void)&RegisteredKernel<kKernel>::entry;
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return 0;
  return check_runtime(simt::launch(shape, stream.handle, name, kKernel, arguments...), name);
}

// Returns the shape of a grid-stride loop over `count` elements: enough blocks of `block` threads to fill the device,
// and no more.
inline LaunchShape elementwise_shape(Stream stream, int64_t count, unsigned block = 256) {
  constexpr int64_t kBlocksPerMultiprocessor = 8;
  const int64_t wanted = (count + block - 1) / block;
  const int64_t enough = kBlocksPerMultiprocessor * stream.state->multiprocessors;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(wanted < enough ? wanted : enough));
  shape.block = dim3(block);
  return shape;
}

}  // namespace varlstm::cuda
