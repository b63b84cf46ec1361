// Replaces the CUDA back end in a build without CUDA.
// SPDX-License-Identifier: Apache-2.0
#include "capi/contract/backend.h"

const varlstm::Backend* varlstm::cuda_backend() {
  return nullptr;
}
