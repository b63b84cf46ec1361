// The clocks that a kernel reads. Emulated time has no unit; each reading is later than the one before it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::simt {

uint64_t clock_cycles();
uint64_t time_ns();

}  // namespace varlstm::simt
