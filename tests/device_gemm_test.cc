// Matrix products and column sums of the CUDA back end against the chains of additions that their headers promise: each
// bit, for every dtype, policy, transposition and pitch.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/core/scalar_types.h"
#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_tuning.h"
#include "support/random.h"

namespace varlstm::cuda {
namespace {

using varlstm_test::Random;

template <class T>
constexpr bool kIs16Bit = sizeof(T) == 2;
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
constexpr DType kType = std::is_same_v<T, float>    ? DType::kF32
                        : std::is_same_v<T, double> ? DType::kF64
                        : std::is_same_v<T, Bf16>   ? DType::kBF16
                                                    : DType::kF16;

float widen(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}
float widen(F16 value) {
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

Stream default_stream() {
  static State state;
  return {&state, nullptr};
}

template <class TInput, class TOutput>
struct Types {
  using Input = TInput;
  using Output = TOutput;
};

template <class T>
class DeviceGemm : public ::testing::Test {};
using Combinations = ::testing::Types<Types<float, float>, Types<double, double>, Types<Bf16, Bf16>, Types<F16, F16>,
                                      Types<Bf16, float>, Types<F16, float>>;
TYPED_TEST_SUITE(DeviceGemm, Combinations);

// One product of a random shape under every policy, `rows` of its rows counting (those behind are NaN), or all for -1.
template <class T, class TC>
void check_product(Random& random, int64_t m, int64_t n, int64_t k, int64_t rows) {
  using C = Wide<T>;
  const bool trans_a = random.coin(), trans_b = random.coin(), accumulate = random.coin();
  const bool with_bias = random.coin(), with_bias2 = with_bias && random.coin();
  const int64_t lda = (trans_a ? m : k) + random.integer(0, 3), ldb = (trans_b ? k : n) + random.integer(0, 3);
  const int64_t ldc = n + random.integer(0, 3);
  std::vector<T> a = random_values<T>(random, (trans_a ? k : m) * lda);
  const auto b = random_values<T>(random, (trans_b ? n : k) * ldb);
  const auto bias = random_values<T>(random, n), bias2 = random_values<T>(random, n);
  const auto before = accumulate ? random_values<TC>(random, m * ldc) : nans<TC>(m * ldc);
  const int64_t counted = rows < 0 ? (trans_a ? k : m) : rows;
  const auto tail = nans<T>(static_cast<int64_t>(a.size()) - counted * lda);
  std::copy(tail.begin(), tail.end(), a.begin() + counted * lda);

  std::vector<TC> expected = before;
  for (int64_t i = 0; i < (trans_a ? m : counted); ++i)
    for (int64_t j = 0; j < n; ++j) {
      C sum = 0;
      for (int64_t s = 0; s < (trans_a ? counted : k); ++s)
        sum = std::fma(static_cast<C>(widen(a[trans_a ? s * lda + i : i * lda + s])),
                       static_cast<C>(widen(b[trans_b ? j * ldb + s : s * ldb + j])), sum);
      if (with_bias) sum += widen(bias[j]);
      if (with_bias2) sum += widen(bias2[j]);
      if (accumulate) sum += static_cast<C>(widen(expected[i * ldc + j]));
      expected[i * ldc + j] = narrow<TC>(sum);
    }

  const size_t skip = static_cast<size_t>(random.integer(0, 3));
  OnDevice<T> a_there(a, skip), b_there(b, skip), bias_there(bias, skip), bias2_there(bias2, skip);
  OnDevice<int64_t> rows_there({rows});
  for (const GemmPolicy policy : kGemmPolicies) {
    SCOPED_TRACE(gemm_policy_name(policy));
    setenv("VARLSTM_GEMM_POLICY", gemm_policy_name(policy), 1);
    OnDevice<TC> c_there(before, skip);
    const GemmArgs args{kType<T>,
                        kType<TC>,
                        m,
                        n,
                        k,
                        a_there.data(),
                        lda,
                        trans_a,
                        b_there.data(),
                        ldb,
                        trans_b,
                        c_there.data(),
                        ldc,
                        accumulate,
                        with_bias ? bias_there.data() : nullptr,
                        with_bias2 ? bias2_there.data() : nullptr,
                        rows < 0 ? nullptr : rows_there.data()};
    ASSERT_EQ(gemm(default_stream(), args), 0);
    const auto actual = widened(c_there.get()), wanted = widened(expected);
    for (size_t e = 0; e < wanted.size(); ++e)
      ASSERT_TRUE(actual[e] == wanted[e] || (std::isnan(actual[e]) && std::isnan(wanted[e])))
          << "element " << e << ": " << actual[e] << " instead of " << wanted[e] << "; m " << m << " n " << n << " k "
          << k << " rows " << rows << " transposed " << trans_a << trans_b << " accumulate " << accumulate;
  }
  unsetenv("VARLSTM_GEMM_POLICY");
}

TYPED_TEST(DeviceGemm, IsTheChainOfItsHeader) {
  Random random(71);
  for (int round = 0; round < 24; ++round) {
    const bool large = round % 8 == 0;
    const int64_t m = random.integer(0, large ? 140 : 40), n = random.integer(0, large ? 130 : 40);
    const int64_t k = round % 5 == 1 ? 0 : random.integer(1, 70);
    check_product<typename TypeParam::Input, typename TypeParam::Output>(random, m, n, k, -1);
  }
}

TYPED_TEST(DeviceGemm, CountsTheRowsThatOnlyTheDeviceKnows) {
  Random random(72);
  for (int round = 0; round < 16; ++round) {
    const int64_t m = random.integer(1, 80), n = random.integer(1, 40), k = m;  // rows of A either way
    check_product<typename TypeParam::Input, typename TypeParam::Output>(random, m, n, k, random.integer(0, m));
  }
}

template <class T>
class ColumnSum : public ::testing::Test {};
TYPED_TEST_SUITE(ColumnSum, Combinations);

// Eight lanes, each its rows in order, then the lanes in order, all in double: as the kernel's comment says.
TYPED_TEST(ColumnSum, AddsTheRowsThatCount) {
  using T = typename TypeParam::Input;
  using Out = typename TypeParam::Output;
  Random random(73);
  for (int round = 0; round < 20; ++round) {
    const int64_t m = random.integer(0, 90), n = random.integer(1, 70), ldx = n + random.integer(0, 3);
    const bool on_device = random.coin();
    const int64_t counted = on_device ? random.integer(0, m) : m;
    std::vector<T> x = random_values<T>(random, m * ldx);
    const auto tail = nans<T>((m - counted) * ldx);
    std::copy(tail.begin(), tail.end(), x.begin() + counted * ldx);
    const auto before = random_values<Out>(random, n), before2 = random_values<Out>(random, n);
    std::vector<Out> expected = before, expected2 = before2;
    for (int64_t j = 0; j < n; ++j) {
      double total = 0;
      for (int64_t lane = 0; lane < 8; ++lane) {
        double sum = 0;
        for (int64_t i = lane; i < counted; i += 8) sum += static_cast<double>(widen(x[i * ldx + j]));
        total += sum;
      }
      expected[j] = narrow<Out>(static_cast<Wide<Out>>(static_cast<double>(widen(before[j])) + total));
      expected2[j] = narrow<Out>(static_cast<Wide<Out>>(static_cast<double>(widen(before2[j])) + total));
    }
    OnDevice<T> x_there(x, 1);
    OnDevice<Out> out(before), out2(before2);
    OnDevice<int64_t> rows({counted});
    ASSERT_EQ(add_column_sums(default_stream(), kType<T>, kType<Out>, m, n, x_there.data(), ldx,
                              on_device ? rows.data() : nullptr, out.data(), out2.data()),
              0);
    EXPECT_EQ(widened(out.get()), widened(expected)) << "m " << m << " n " << n << " counted " << counted;
    EXPECT_EQ(widened(out2.get()), widened(expected2));
  }
}

}  // namespace
}  // namespace varlstm::cuda
