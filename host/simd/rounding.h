// Rounds floats to the values of a 16-bit dtype, for computations that store such a dtype.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <type_traits>

#include "capi/contract/shapes.h"
#include "host/simd/f16c.h"
#include "host/simd/scalar16.h"
#include "host/simd/vector_code.h"

namespace varlstm::host {

// Rounds the first `columns` columns of data [rows, ld].
template <class T>
using Rounding = void (*)(int64_t rows, int64_t columns, T* data, int64_t ld);

template <class Stored>
void round_to(int64_t rows, int64_t columns, float* data, int64_t ld) {
  int64_t done = 0;
  if constexpr (std::is_same_v<Stored, F16>)
    for (int64_t row = 0; row < rows && has_f16c(); ++row) done = round_f16c(columns, data + row * ld);
  if (done == columns) return;
  run_vectorised([=] {
    for (int64_t row = 0; row < rows; ++row) {
      float* const of_row = data + row * ld;
#pragma omp simd
      for (int64_t j = done; j < columns; ++j) of_row[j] = Stored(of_row[j]);
    }
  });
}

// The rounding from T to the values of `dtype`; null if none is needed.
template <class T>
Rounding<T> rounding_to(DType) {
  return nullptr;
}
template <>
inline Rounding<float> rounding_to<float>(DType dtype) {
  return dtype == DType::kBF16 ? round_to<Bf16> : dtype == DType::kF16 ? round_to<F16> : nullptr;
}

}  // namespace varlstm::host
