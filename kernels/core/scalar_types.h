// The 16-bit floating-point formats, as they are in memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm {

// bfloat16: the upper half of a float.
struct Bf16 {
  uint16_t bits;
};

// IEEE 754 binary16.
struct F16 {
  uint16_t bits;
};

}  // namespace varlstm
