// Launching a kernel, with its error turned into a status. For kernel files alone: it includes the device vocabulary.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"
#include "kernels/core/status.h"
#include "kernels/core/stream.h"

namespace varlstm::cuda {

// Runs kernel(arguments...) in that shape, in stream order; an empty grid launches nothing. `name` is the kernel's, for
// the error's text.
template <class... P, class... A>
int32_t launch(Stream stream, const char* name, const LaunchShape& shape, void (*kernel)(P...), const A&... arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return 0;
  return check_runtime(simt::launch(shape, stream.handle, name, kernel, arguments...), name);
}

// Blocks of `block` threads for `count` elements in a grid-stride loop: enough to fill the device, no more.
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
