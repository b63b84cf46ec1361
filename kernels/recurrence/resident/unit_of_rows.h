// One unit's elements in the rows of a tensor, for a loop that goes from row to row.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <type_traits>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

// The place of a unit in each row of a tensor. Rows below 2^32 take one multiplication with addition.
template <class T>
class UnitOfRows {
 public:
  UnitOfRows() = default;
  // width: of a row, in values. The tensor may be null if no row is asked for.
  VARLSTM_DEVICE UnitOfRows(T* tensor, int64_t width, int64_t unit)
      : first_(reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(tensor) + static_cast<uint64_t>(unit) * sizeof(T))),
        bytes_(static_cast<uint32_t>(width * static_cast<int64_t>(sizeof(T)))) {
    simt::keep_global(first_);
    simt::keep(bytes_);
  }
  VARLSTM_DEVICE T* of(uint32_t row) const { return at(simt::multiply_wide(row, bytes_)); }
  VARLSTM_DEVICE T* of(int64_t row) const { return at(static_cast<uint64_t>(row) * bytes_); }

 private:
  using Byte = std::conditional_t<std::is_const<T>::value, const char, char>;
  VARLSTM_DEVICE T* at(uint64_t offset) const { return reinterpret_cast<T*>(reinterpret_cast<Byte*>(first_) + offset); }
  T* first_;
  uint32_t bytes_;
};

}  // namespace varlstm::cuda
