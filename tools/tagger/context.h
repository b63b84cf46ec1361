// The context that a command computes in, and the names of varlstm.hpp that are used without its namespace.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <varlstm.hpp>

#include "error.h"

namespace tagger {

using varlstm::Buffer;
using varlstm::Context;
using varlstm::Workspace;

// threads: 0 for all cores. Error with a hint where the library has no such back end.
inline Context make_context(int32_t backend, int64_t threads) {
  try {
    const Context context(backend);
    if (backend == VARLSTM_BACKEND_HOST) context.set_i64(VARLSTM_KEY_THREADS, threads);
    return context;
  } catch (const varlstm::Error& error) {
    fail("--backend {} cannot be used here: {}", backend == VARLSTM_BACKEND_CUDA ? "cuda" : "host", error.what());
  }
}

}  // namespace tagger
