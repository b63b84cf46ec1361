// Element types of tensors on the device, and the type each is computed in.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"
#include "kernels/core/scalar_types.h"
#include "kernels/core/shapes.h"
#include "varlstm.h"

namespace varlstm::cuda {

// double for double, float for everything narrower.
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

VARLSTM_DEVICE float load_scalar(float value) {
  return value;
}
VARLSTM_DEVICE double load_scalar(double value) {
  return value;
}
VARLSTM_DEVICE float load_scalar(Bf16 value) {
  return simt::from_bf16(value.bits);
}
VARLSTM_DEVICE float load_scalar(F16 value) {
  return simt::from_f16(value.bits);
}

// The value rounded to T, nearest even.
template <class T>
VARLSTM_DEVICE T store_scalar(ComputeType<T> value);
template <>
VARLSTM_DEVICE float store_scalar<float>(float value) {
  return value;
}
template <>
VARLSTM_DEVICE double store_scalar<double>(double value) {
  return value;
}
template <>
VARLSTM_DEVICE Bf16 store_scalar<Bf16>(float value) {
  return {simt::to_bf16(value)};
}
template <>
VARLSTM_DEVICE F16 store_scalar<F16>(float value) {
  return {simt::to_f16(value)};
}

// body(T()) with T the type of `dtype`: float, double, Bf16 or F16. body returns a status.
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
