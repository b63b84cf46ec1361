// The registers of a matrix product, distributed over the lanes as the PTX ISA says, and words for its kind.
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

// What a product of a warpgroup multiplies.
enum class MatrixType { kBf16, kF16, kTf32 };

// How the operands of a product of a warpgroup lie in shared memory: the bits of the field in a matrix descriptor. In a
// swizzled layout bits 4 and up of an address (1, 2 or 3 of them) are XORed with bits 7 and up.
enum class MatrixSwizzle : unsigned { kNone = 0, k128 = 1, k64 = 2, k32 = 3 };

}  // namespace varlstm::simt
