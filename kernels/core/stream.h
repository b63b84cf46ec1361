// Where an operation of the CUDA back end runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/runtime.h"
#include "kernels/core/state.h"

namespace varlstm::cuda {

// A context and the caller's stream. Every launcher takes one first.
struct Stream {
  State* state;
  cudaStream_t handle;
};

// Makes the context's device current for this thread, as every call on the CUDA back end does: launches and allocations
// go to the current one. What fails here fails again, with a text, in the call that follows.
inline State* on_device(BackendState* base) {
  State* state = static_cast<State*>(base);
  (void)cudaSetDevice(state->device);
  return state;
}

inline Stream make_stream(BackendState* state, void* stream) {
  return {on_device(state), static_cast<cudaStream_t>(stream)};
}

}  // namespace varlstm::cuda
