// From a DType to a scalar type T: calls body(T()), or returns UNSUPPORTED if the function does not take that dtype.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/simd/scalar16.h"
#include "varlstm.h"

namespace varlstm::host {

// For F32 and F64. The result of body is not used.
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

// For BF16 and F16 as well.
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

// For I64 as well.
template <class Body>
int32_t with_element(DType dtype, const Body& body) {
  if (dtype != DType::kI64) return with_scalar(dtype, body);
  body(int64_t());
  return VARLSTM_OK;
}

}  // namespace varlstm::host
