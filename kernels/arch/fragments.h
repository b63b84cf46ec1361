// The registers of a warp-level matrix product, distributed over the lanes as the PTX ISA says.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::simt {

struct b32x4 {
  uint32_t r[4];
};
struct b32x2 {
  uint32_t r[2];
};
struct f32x4 {
  float r[4];
};

}  // namespace varlstm::simt
