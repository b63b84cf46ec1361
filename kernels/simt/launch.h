// Launches kernels.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tuple>
#include <utility>

#include "kernels/simt/kernel_loading.h"
#include "kernels/simt/kernel_override.h"
#include "kernels/simt/runtime_call.h"
#include "kernels/simt/stream_queue.h"

namespace varlstm::simt {

// Returns cudaErrorInvalidConfiguration if a GPU would refuse the shape.
cudaError_t check_shape(const LaunchShape& shape);

// Calls enter(bound), or what an override puts in its place, once for each thread of the shape. `bound`, of
// `bound_bytes`, may be in host memory. Returns cudaErrorLaunchFailure if a defect was found; last_report() then has
// its text, which also goes to stderr.
cudaError_t run_kernel(const KernelCall& call, void (*enter)(const void* bound), const void* bound, size_t bound_bytes);

// A kernel with its arguments, converted to the types of its parameters.
template <class... P>
struct BoundKernel {
  void (*kernel)(P...);
  std::tuple<P...> arguments;

  static void enter(const void* self) {
    const auto& bound = *static_cast<const BoundKernel*>(self);
    std::apply(bound.kernel, bound.arguments);
  }

  template <size_t... kIndex>
  cudaError_t run(const char* name, int device, const LaunchShape& shape, std::index_sequence<kIndex...>) const {
    const void* addresses[] = {&std::get<kIndex>(arguments)..., nullptr};
    const size_t bytes[] = {sizeof(P)..., 0};
    const auto* address = reinterpret_cast<const void*>(kernel);
    return run_kernel({address, name, &shape, addresses, bytes, sizeof...(P), device}, enter, this, sizeof *this);
  }
};

template <class... P>
const void* address_of(void (*kernel)(P...)) {
  return reinterpret_cast<const void*>(kernel);
}

// Runs kernel(arguments...) in that shape, in the order of `stream`. The arguments are copied.
template <class... P, class... A>
cudaError_t launch(const LaunchShape& shape, cudaStream_t stream, const char* name, void (*kernel)(P...),
                   const A&... arguments) {
  const cudaError_t error = check_shape(shape);
  if (error != cudaSuccess) return remember_error(error);
  const BoundKernel<P...> bound{kernel, std::tuple<P...>(static_cast<P>(arguments)...)};
  const int device = current_device();
  return enqueue_kernel(stream, address_of(kernel), name, [shape, name, device, bound] {
    return bound.run(name, device, shape, std::index_sequence_for<P...>());
  });
}

// Loads the kernel to the current device, for launches with up to that much shared memory and in clusters of blocks.
inline cudaError_t load(const void* kernel, int64_t, bool) {
  return remember_error(load_kernel(kernel, "a kernel"));
}

// Returns how many blocks of that shape and kernel one multiprocessor holds at a time.
cudaError_t count_blocks_of_multiprocessor(const LaunchShape& shape, int* blocks);
template <class... P>
cudaError_t blocks_of_multiprocessor(const LaunchShape& shape, void (*kernel)(P...), int* blocks) {
  const cudaError_t error = load_kernel(address_of(kernel), "kernel");
  return remember_error(error == cudaSuccess ? count_blocks_of_multiprocessor(shape, blocks) : error);
}

// Returns how many clusters of that shape and kernel are resident at a time.
cudaError_t count_resident_clusters(const LaunchShape& shape, int* clusters);
template <class... P>
cudaError_t resident_clusters(const LaunchShape& shape, void (*kernel)(P...), int* clusters) {
  const cudaError_t error = load_kernel(address_of(kernel), "kernel");
  return remember_error(error == cudaSuccess ? count_resident_clusters(shape, clusters) : error);
}

}  // namespace varlstm::simt
