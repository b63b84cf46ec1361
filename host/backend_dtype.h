// From a DType to a scalar type: calls body(T()) with T the type, or answers UNSUPPORTED.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/core/shapes.h"
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

// float, double or int64.
template <class Body>
int32_t with_element(DType dtype, const Body& body) {
  if (dtype != DType::kI64) return with_float(dtype, body);
  body(int64_t());
  return VARLSTM_OK;
}

}  // namespace varlstm::host
