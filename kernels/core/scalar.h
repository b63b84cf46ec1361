// Loads and stores elements of tensors on the device. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/arch/device.h"
#include "kernels/core/scalar_dispatch.h"

namespace varlstm::cuda {

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

// Returns the value rounded to T, to nearest even.
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

}  // namespace varlstm::cuda
