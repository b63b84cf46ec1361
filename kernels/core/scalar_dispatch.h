// Goes from a DType to the element type of tensors on the device, and to the type that it is computed in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "capi/contract/shapes.h"
#include "kernels/core/scalar_types.h"
#include "varlstm.h"

namespace varlstm::cuda {

// double for double, and float for all narrower types.
template <class T>
struct ComputeTypeOf {
  using type = float;
};
template <>
struct ComputeTypeOf<double> {
  using type = double;
};
template <class T>
using ComputeType = typename ComputeTypeOf<T>::type;

// Calls body(T()), with T the type of `dtype`: float, double, Bf16 or F16. body returns a status.
template <class Body>
int32_t with_scalar(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::kF32:
      return body(float());
    case DType::kF64:
      return body(double());
    case DType::kBF16:
      return body(Bf16());
    case DType::kF16:
      return body(F16());
    default:
      return VARLSTM_ERROR_UNSUPPORTED;
  }
}

}  // namespace varlstm::cuda
