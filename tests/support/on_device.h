// Values of the CUDA back end's dtypes, and device memory that holds them, for tests that call its launchers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <type_traits>
#include <vector>

#include "kernels/core/scalar_types.h"
#include "kernels/core/status.h"
#include "support/random.h"

namespace varlstm_test {

using varlstm::Bf16;
using varlstm::DType;
using varlstm::F16;

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
constexpr DType kType = std::is_same_v<T, float>    ? DType::kF32
                        : std::is_same_v<T, double> ? DType::kF64
                        : std::is_same_v<T, Bf16>   ? DType::kBF16
                                                    : DType::kF16;

inline float widen(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}
inline float widen(F16 value) {
  _Float16 half;
  std::memcpy(&half, &value, sizeof half);
  return static_cast<float>(half);
}
template <class T>
T widen(T value) {
  return value;
}

// To nearest, ties to even; for finite values.
template <class T>
T narrow(Wide<T> value) {
  if constexpr (std::is_same_v<T, Bf16>) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return Bf16{static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
  } else if constexpr (std::is_same_v<T, F16>) {
    const _Float16 half = static_cast<_Float16>(value);
    F16 stored;
    std::memcpy(&stored, &half, sizeof stored);
    return stored;
  } else {
    return value;
  }
}

// Device memory with the values of a vector, `skip` elements behind its aligned start.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values, size_t skip = 0) : count_(values.size()), skip_(skip) {
    EXPECT_EQ(cudaMalloc(&block_, (count_ + skip) * sizeof(T) + 1), cudaSuccess);
    if (count_ > 0) {
      EXPECT_EQ(cudaMemcpyAsync(data(), values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice, nullptr),
                cudaSuccess);
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { EXPECT_EQ(cudaFree(block_), cudaSuccess); }

  T* data() { return static_cast<T*>(block_) + skip_; }
  std::vector<T> get() {
    std::vector<T> values(count_);
    EXPECT_EQ(cudaMemcpyAsync(values.data(), data(), count_ * sizeof(T), cudaMemcpyDeviceToHost, nullptr), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
    return values;
  }

 private:
  void* block_ = nullptr;
  size_t count_, skip_;
};

template <class T>
std::vector<T> random_values(Random& random, int64_t count) {
  std::vector<T> values;
  for (const float value : random.vector<float>(count)) values.push_back(narrow<T>(value));
  return values;
}

template <class T>
std::vector<T> nans(int64_t count) {
  T nan;
  std::memset(&nan, 0xff, sizeof nan);
  return std::vector<T>(static_cast<size_t>(count), nan);
}

// Values as wide as they are added, so that == compares them: zeros of either sign are equal.
template <class T>
std::vector<Wide<T>> widened(const std::vector<T>& values) {
  std::vector<Wide<T>> wide;
  for (const T& value : values) wide.push_back(widen(value));
  return wide;
}

}  // namespace varlstm_test
