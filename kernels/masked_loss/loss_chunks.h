// The chunks of rows whose sums a loss keeps: chunks of kLossChunk rows, or at most kMostLossPartials longer ones.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/device.h"
#include "kernels/masked_loss/masked_loss.h"

namespace varlstm::cuda {

constexpr int64_t kLossChunk = 2048;

VARLSTM_HOST_DEVICE int64_t chunk_rows(int64_t rows) {
  const int64_t longer = (rows + kMostLossPartials - 1) / kMostLossPartials;
  return longer < kLossChunk ? kLossChunk : longer;
}

VARLSTM_HOST_DEVICE int64_t chunks_of(int64_t rows) {
  return (rows + chunk_rows(rows) - 1) / chunk_rows(rows);
}

}  // namespace varlstm::cuda
