// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

namespace varlstm::simt {

// What an operation of a GPU gives: a NaN of 32 bits is always 0x7fffffff, whatever NaN was its operand. One of 64 bits
// keeps its operand's payload; where there is none, it is 0xfff8000000000000, as on the host. Integers are as they are.
template <class T>
T canonical(T value) {
  return value;
}
template <>
inline float canonical(float value) {
  constexpr uint32_t kNan = 0x7fffffffu;
  if (value != value) memcpy(&value, &kNan, sizeof value);
  return value;
}

}  // namespace varlstm::simt
