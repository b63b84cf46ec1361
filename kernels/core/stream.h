// The context and the stream in which an operation of the CUDA back end runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/runtime.h"
#include "kernels/core/state.h"

namespace varlstm::cuda {

// A context and the caller's stream: the first argument of every launcher.
struct Stream {
  State* state;
  cudaStream_t handle;
};

inline Stream make_stream(BackendState* state, void* stream) {
  return {static_cast<State*>(state), static_cast<cudaStream_t>(stream)};
}

}  // namespace varlstm::cuda
