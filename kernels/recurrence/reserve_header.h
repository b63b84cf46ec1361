// Writes and checks the header of a reserve, in one block of a kernel that runs anyway. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"
#include "kernels/core/bad_value.h"
#include "kernels/recurrence/recurrence.h"

namespace varlstm::cuda {

VARLSTM_DEVICE void write_header(const BatchPlan& plan, const HeaderToWrite& header) {
  if (header.to == nullptr || threadIdx.x != 0) return;
  *header.to = {kReserveMagic, header.shape_hash, *plan.lengths_hash, header.dropout_seed};
}

VARLSTM_DEVICE void check_header(const HeaderToCheck& check) {
  if (check.header == nullptr) return;
  const ReserveHeader& header = *check.header;
  const bool own = header.magic == kReserveMagic && header.shape_hash == check.shape_hash &&
                   header.lengths_hash == *check.lengths_hash;
  for (int64_t team = threadIdx.x; team < check.steps.teams; team += blockDim.x)
    check.steps.to[team] = own ? check.steps.from[team] : 0;
  if (!own && threadIdx.x == 0) flag_bad_value(check.status, BadValue::kReserve, 0);
}

}  // namespace varlstm::cuda
