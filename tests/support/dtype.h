// The library's dtype of a C++ element type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "varlstm.h"

namespace varlstm_test {

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr int32_t value = VARLSTM_DTYPE_F32;
};
template <>
struct DTypeOf<double> {
  static constexpr int32_t value = VARLSTM_DTYPE_F64;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr int32_t value = VARLSTM_DTYPE_I64;
};

template <class T>
constexpr int32_t kDType = DTypeOf<T>::value;

}  // namespace varlstm_test
