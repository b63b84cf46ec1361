// The words in which a layer of a stack hands its outputs to the layer above: 8 bytes of one row's neighbouring units,
// as they are multiplied, in two pieces of 32 bits, each of which says whether it is there.
//
// Memory is filled with kNothingYet before the launch, and a piece never takes that value: its writer sends another NaN
// in its place (as F32 it is a NaN, as two values of 16 bits two of them). So a word needs no mark beside its values,
// and it does not matter in which pieces, nor in which order, a device stores and loads it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"

namespace varlstm::cuda {

constexpr uint32_t kNothingYet = 0xffffffffu;
constexpr int kNothingYetByte = 0xff;
constexpr uint32_t kNanInstead = 0x7fffffffu;  // as two values of 16 bits NaN and NaN

VARLSTM_HOST_DEVICE bool has_come(const simt::b32x2& word) {
  return word.r[0] != kNothingYet && word.r[1] != kNothingYet;
}
VARLSTM_HOST_DEVICE simt::b32x2 handover_word(uint64_t values) {
  const uint32_t low = static_cast<uint32_t>(values), high = static_cast<uint32_t>(values >> 32);
  return {{low == kNothingYet ? kNanInstead : low, high == kNothingYet ? kNanInstead : high}};
}

}  // namespace varlstm::cuda
