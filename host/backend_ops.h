// The operations of the host's table. Their signatures are those of capi/contract/backend.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/backend.h"

namespace varlstm::host {

// Fills the table's entries from pack to adam_rows_catch_up.
void set_operations(Backend& table);

}  // namespace varlstm::host
