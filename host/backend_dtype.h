// From a DType to a scalar type: calls body(T()) with T the type, or answers UNSUPPORTED.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/simd/scalar16.h"
#include "varlstm.h"

namespace varlstm::host {

// float or double; body may return nothing.
template <class Body>
int32_t with_float(DType dtype, const Body& body) {
  if (dtype == DType::kF32) {
    body(float());
  } else if (dtype == DType::kF64) {
    body(double());
  } else {
    return VARLSTM_ERROR_UNSUPPORTED;
  }
  return VARLSTM_OK;
}

// Bf16 or F16 as well.
template <class Body>
int32_t with_scalar(DType dtype, const Body& body) {
  if (dtype == DType::kBF16) {
    body(Bf16());
  } else if (dtype == DType::kF16) {
    body(F16());
  } else {
    return with_float(dtype, body);
  }
  return VARLSTM_OK;
}

// int64 as well.
template <class Body>
int32_t with_element(DType dtype, const Body& body) {
  if (dtype != DType::kI64) return with_scalar(dtype, body);
  body(int64_t());
  return VARLSTM_OK;
}

}  // namespace varlstm::host
