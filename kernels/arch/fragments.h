// Registers of a warp-level matrix product, as the PTX ISA lays them out over the lanes.
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
