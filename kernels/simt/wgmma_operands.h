// Where a matrix descriptor finds the elements of an operand of wgmma.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/arch/fragments.h"

namespace varlstm::simt {

// The fields of a matrix descriptor, in bytes.
struct MatrixLayout {
  uint32_t start, leading, stride;
  MatrixSwizzle swizzle;
  uint32_t base_offset;
};
MatrixLayout layout_of(uint64_t descriptor);

// Returns the offset in the block's shared memory of the 16 bytes that hold the element: of line `line` (a row of A or
// a column of B) and byte `byte` of k (K-major), or of value `k` (transposed). `element` is the offset in the 16 bytes.
struct ElementPlace {
  uint32_t word;
  uint32_t element;
};
ElementPlace place_of(const MatrixLayout& layout, bool transposed, int line, int k, int element_bytes);

}  // namespace varlstm::simt
