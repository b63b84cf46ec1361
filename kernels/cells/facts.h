// What code that is the same for all cells needs to know of one. It has no device code, so that plain C++ may include
// it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"

namespace varlstm::cuda {

// unit.h explains the constants.
struct CellFacts {
  int64_t gates, saved, state_gates, second_gates;
  bool has_c, state_bias, passes_h;

  int64_t gradients() const { return gates + state_gates; }
};

CellFacts cell_facts(Cell kind);

}  // namespace varlstm::cuda
