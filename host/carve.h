// Divides one buffer into aligned arrays. The same code hands out the arrays and counts their bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

namespace varlstm::host {

class Carver {
 public:
  // If base is null, the carver only counts.
  explicit Carver(void* base) : base_(static_cast<char*>(base)) {}

  template <class T>
  T* take(int64_t a, int64_t b = 1, int64_t c = 1) {
    T* const array = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + bytes_);
    int64_t size;
    if (__builtin_mul_overflow(a, b, &size) || __builtin_mul_overflow(size, c, &size) ||
        __builtin_mul_overflow(size, static_cast<int64_t>(sizeof(T)), &size) ||
        __builtin_add_overflow(bytes_, size, &size) || size > kTooMany)
      bytes_ = kTooMany;
    else
      bytes_ = (size + kAlignment - 1) / kAlignment * kAlignment;
    return array;
  }

  // The bytes taken so far; INT64_MAX if no memory can hold them.
  int64_t bytes() const { return bytes_ >= kTooMany ? INT64_MAX : bytes_; }

 private:
  static constexpr int64_t kAlignment = 64;
  static constexpr int64_t kTooMany = INT64_MAX / 2;
  char* base_;
  int64_t bytes_ = 0;
};

}  // namespace varlstm::host
