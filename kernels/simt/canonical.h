// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

namespace varlstm::simt {

// The result that an operation of a GPU gives. A NaN of 32 bits is always 0x7fffffff, whatever NaN its operand was. A
// NaN of 64 bits keeps the payload of its operand; without one it is 0xfff8000000000000, as on the host. Integers are
// unchanged.
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
