// The words of the handover, in which a layer of a stack passes its outputs to the layer above. A word is 8 bytes:
// neighbouring units of one row, in the type in which they are multiplied. It has two pieces of 32 bits, and each piece
// shows by itself whether it has been written.
//
// Memory is filled with kNothingYet before the launch, and a written piece never has that value: if the values would
// give it, the writer stores another NaN instead (kNothingYet is a NaN as an F32, and two NaNs as two values of 16
// bits). So a word needs no flag besides its values, and it does not matter in which pieces, nor in which order, a
// device stores and loads it.
//
// Example: with values of 16 bits a word has 4 units, and a row of a tile with kHidden = 256 has 64 words. Unit 90 is
// value 2 of word 22, which has the units 88 to 91: its low piece has units 88 and 89, its high piece 90 and 91. The
// word has been written when both pieces differ from 0xffffffff.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"

namespace varlstm::cuda {

constexpr uint32_t kNothingYet = 0xffffffffu;
constexpr int kNothingYetByte = 0xff;
constexpr uint32_t kNanInstead = 0x7fffffffu;  // as two values of 16 bits: also NaN and NaN

VARLSTM_HOST_DEVICE bool has_come(const simt::b32x2& word) {
  return word.r[0] != kNothingYet && word.r[1] != kNothingYet;
}
VARLSTM_HOST_DEVICE simt::b32x2 handover_word(uint64_t values) {
  const uint32_t low = static_cast<uint32_t>(values), high = static_cast<uint32_t>(values >> 32);
  return {{low == kNothingYet ? kNanInstead : low, high == kNothingYet ? kNanInstead : high}};
}

}  // namespace varlstm::cuda
