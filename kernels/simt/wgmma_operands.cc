// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/wgmma_operands.h"

namespace varlstm::simt {
namespace {

constexpr uint32_t kAddressMask = (1u << 18) - 1;  // an address of shared memory, as descriptors hold it without 4 bits

uint32_t field(uint64_t descriptor, unsigned bit) {
  return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4;
}

// The bytes of a row of the swizzled pattern.
uint32_t width_of(MatrixSwizzle swizzle) {
  switch (swizzle) {
    case MatrixSwizzle::k128:
      return 128;
    case MatrixSwizzle::k64:
      return 64;
    case MatrixSwizzle::k32:
      return 32;
    default:
      return 16;
  }
}

uint32_t swizzled(uint32_t address, MatrixSwizzle swizzle) {
  const uint32_t words = width_of(swizzle) / 16;  // a power of two; one word has no bits to exchange
  return address ^ (address >> 7 & (words - 1)) << 4;
}

}  // namespace

MatrixLayout layout_of(uint64_t descriptor) {
  return {field(descriptor, 0), field(descriptor, 16), field(descriptor, 32),
          static_cast<MatrixSwizzle>(descriptor >> 62), static_cast<uint32_t>(descriptor >> 49 & 7)};
}

// The layouts are those of the PTX ISA's «Strides» (of canonical layouts).
ElementPlace place_of(const MatrixLayout& layout, bool transposed, int line, int k, int element_bytes) {
  const auto bytes = static_cast<uint32_t>(element_bytes);
  const uint32_t width = width_of(layout.swizzle), per_word = 16 / bytes;
  const auto outer = static_cast<uint32_t>(transposed ? k : line);  // along a pitch of `width`
  const auto inner = static_cast<uint32_t>(transposed ? line : k);  // contiguous
  const uint32_t word = inner / per_word, words = width / 16;
  uint32_t address = layout.start + outer % 8 * width + word % words * 16;
  if (layout.swizzle == MatrixSwizzle::kNone && transposed)
    address += outer / 8 * layout.leading + word * layout.stride;
  else
    address += outer / 8 * layout.stride + word / words * layout.leading;
  return {swizzled(address & kAddressMask, layout.swizzle), inner % per_word * bytes};
}

}  // namespace varlstm::simt
