// Words through which threads of different blocks pass each other values in global memory, without flags and fences. A
// word has 4, 8 or 16 bytes, in pieces of 32 bits, and each piece shows by itself whether it has been written.
//
// Memory is filled with kNothingYet before it is used, and a written piece never has that value: if the values would
// give it, the writer stores another NaN instead (kNothingYet is a NaN as an F32, and two NaNs as two values of 16
// bits). So it does not matter in which parts, nor in which order, a device stores and loads a word. A reader loads it
// again until each of its pieces has come.
//
// Example of the handover between layers, with 16 bits and words of 8 bytes: a row of a tile with kHidden = 256 has 64
// words of 4 units. Unit 90 is value 2 of word 22, which has the units 88 to 91: its low piece has units 88 and 89, its
// high piece 90 and 91. The word has been written when both pieces differ from 0xffffffff.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"

namespace varlstm::cuda {

constexpr uint32_t kNothingYet = 0xffffffffu;
constexpr int kNothingYetByte = 0xff;
constexpr uint32_t kNanInstead = kNothingYet - 1;  // as two values of 16 bits: also NaN and NaN

VARLSTM_HOST_DEVICE bool has_come(uint32_t piece) {
  return piece != kNothingYet;
}
VARLSTM_HOST_DEVICE bool has_come(const simt::b32x2& word) {
  return has_come(word.r[0]) && has_come(word.r[1]);
}

// Values as they are written. The minimum is one instruction.
VARLSTM_HOST_DEVICE uint32_t checked_word(uint32_t values) {
  return values < kNanInstead ? values : kNanInstead;
}
VARLSTM_HOST_DEVICE simt::b32x2 checked_word(uint64_t values) {
  return {{checked_word(static_cast<uint32_t>(values)), checked_word(static_cast<uint32_t>(values >> 32))}};
}

// What take_words waits for: words all of whose pieces have been written. look() makes one number of the pieces, and
// both() of two such numbers.
struct Written {
  VARLSTM_DEVICE static uint32_t look(const simt::b32x4& word) {
    return both(both(word.r[0], word.r[1]), both(word.r[2], word.r[3]));
  }
  VARLSTM_DEVICE static uint32_t both(uint32_t a, uint32_t b) { return a > b ? a : b; }
  VARLSTM_DEVICE static bool come(uint32_t look) { return has_come(look); }
};

}  // namespace varlstm::cuda
