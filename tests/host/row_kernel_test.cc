// The inner loops of every instruction set that this machine runs, and of the widest vectors as the compiler lowers
// them for any machine, against loops in double.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "host/simd/row_kernel_impl.h"
#include "support/random.h"

namespace varlstm::host {
namespace {

using varlstm_test::Random;

// 64-byte vectors without AVX-512: the code of row_kernel_avx512.cc on any machine.
const RowKernels kLowered512 = make_row_kernels<64, 24>("lowered512");

std::vector<const RowKernels*> runnable_kernels() {
  std::vector<const RowKernels*> kernels = {&kRowKernelsBaseline, &kLowered512};
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels.push_back(&kRowKernelsAvx2);
  if (__builtin_cpu_supports("avx512f")) kernels.push_back(&kRowKernelsAvx512);
#endif
  return kernels;
}

template <class T>
const RowKernel<T>& kernel_of(const RowKernels& kernels) {
  if constexpr (sizeof(T) == 4)
    return kernels.f32;
  else
    return kernels.f64;
}

// Error of a chain of k additions of terms below 1: k rounding errors of sums below k.
template <class T>
double chain_tolerance(int64_t k) {
  return static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>((k + 1) * (k + 1)) / 4;
}

template <class T>
void check_product(const RowKernels& kernels, Random& random) {
  const RowKernel<T>& kernel = kernel_of<T>(kernels);
  for (int round = 0; round < 60; ++round) {
    const int64_t rows = random.integer(1, 40), k = random.integer(1, round % 10 == 0 ? 700 : 70);
    const int vectors = static_cast<int>(random.integer(1, kPanelVectors));
    const int64_t lda = k + random.integer(0, 9), width = vectors * kernel.lanes, ldc = width + random.integer(0, 9);
    const bool from_init = random.coin();
    const std::vector<T> a = random.vector<T>(rows * lda), panel = random.vector<T>(k * width);
    const std::vector<T> init = random.vector<T>(width), before = random.vector<T>(rows * ldc);
    std::vector<T> c = before;
    PanelProduct<T> p{rows,     k,   a.data(),    lda, panel.data(), vectors, from_init ? init.data() : nullptr,
                      c.data(), ldc, kernel.lanes};
    kernel.product(p);
    std::vector<T> alone = before;
    for (int64_t r = 0; r < rows; ++r) {
      p.rows = 1;
      p.a = a.data() + r * lda;
      p.c = alone.data() + r * ldc;
      kernel.product(p);
      for (int64_t j = 0; j < ldc; ++j) {
        double sum = j >= width || !from_init ? before[r * ldc + j] : init[j];
        for (int64_t s = 0; s < k && j < width; ++s) sum += static_cast<double>(a[r * lda + s]) * panel[s * width + j];
        ASSERT_NEAR(c[r * ldc + j], sum, chain_tolerance<T>(k)) << kernels.name << " row " << r << " column " << j;
      }
    }
    EXPECT_EQ(c, alone) << kernels.name << ": a row's result depends on the rows beside it";
  }
}

TEST(RowKernelTest, ProductEqualsLoopsAndEachRowStandsAlone) {
  Random random(1);
  for (const RowKernels* kernels : runnable_kernels()) {
    check_product<float>(*kernels, random);
    check_product<double>(*kernels, random);
  }
}

// Units in the last place of float between y and the exact value.
double ulps(float y, double exact) {
  const double spacing = std::abs(static_cast<double>(std::nextafter(static_cast<float>(exact), INFINITY)) -
                                  static_cast<double>(static_cast<float>(exact)));
  return std::abs(y - exact) / spacing;
}

TEST(RowKernelTest, FloatActivationsAreWithinFourUnitsInTheLastPlace) {
  double worst_sigmoid = 0, worst_tanh = 0;
  const auto check = [&](float x) {
    const Vec<float, 4> v = broadcast<float, 4>(x);
    worst_tanh = std::max(worst_tanh, ulps(tanh_of<float, 4>(v)[1], std::tanh(static_cast<double>(x))));
    if (x > -80) worst_sigmoid = std::max(worst_sigmoid, ulps(sigmoid<float, 4>(v)[2], 1 / (1 + std::exp(-double{x}))));
  };
  for (float x = -90; x < 90; x += 0.00371f) check(x);
  for (float x = 1e-30f; x < 1; x *= 1.03f) {
    check(x);
    check(-x);
  }
  EXPECT_LT(worst_sigmoid, 4.0);
  EXPECT_LT(worst_tanh, 4.0);
}

TEST(RowKernelTest, FloatActivationsAtTheEnds) {
  const float inf = std::numeric_limits<float>::infinity();
  const Vec<float, 4> x = {inf, -inf, std::nanf(""), 0.0f};
  const Vec<float, 4> s = sigmoid<float, 4>(x), t = tanh_of<float, 4>(x);
  EXPECT_EQ(s[0], 1.0f);
  EXPECT_NEAR(s[1], 0.0f, 1e-37);
  EXPECT_TRUE(std::isnan(s[2]));
  EXPECT_EQ(s[3], 0.5f);
  EXPECT_EQ(t[0], 1.0f);
  EXPECT_EQ(t[1], -1.0f);
  EXPECT_TRUE(std::isnan(t[2]));
  EXPECT_EQ(t[3], 0.0f);
}

// One step of the cell in double, as varlstm.h writes it, for float and double kernels of every set.
template <class T>
void check_cell(const RowKernels& kernels, Random& random, double tolerance) {
  const RowKernel<T>& kernel = kernel_of<T>(kernels);
  const int64_t rows = 3, units = 2 * kernel.lanes, valid = units - 1;
  const std::vector<T> sums = random.vector<T>(rows * 4 * units, -3, 3), c_prev = random.vector<T>(rows * units);
  const std::vector<T> dh = random.vector<T>(rows * units), dy = random.vector<T>(rows * valid);
  const std::vector<T> dc_in = random.vector<T>(rows * units);
  std::vector<T> gates = sums, c(rows * units), h(rows * valid, T(7)), dc = dc_in, dgates(rows * 4 * units);
  kernel.cell_forward(
      {rows, units, valid, gates.data(), 4 * units, units, c_prev.data(), units, c.data(), units, h.data(), valid});
  kernel.cell_backward({rows, units, valid, gates.data(), 4 * units, units, c.data(), units, c_prev.data(), units,
                        dh.data(), units, dy.data(), valid, dc.data(), units, dgates.data(), 4 * units});
  const auto sigmoid_of = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t u = 0; u < valid; ++u) {
      const T* const sum = sums.data() + r * 4 * units + u;
      const double i = sigmoid_of(sum[0]), f = sigmoid_of(sum[units]), g = std::tanh(double{sum[2 * units]}),
                   o = sigmoid_of(sum[3 * units]), before = c_prev[r * units + u];
      const double next = f * before + i * g, tanh_next = std::tanh(next);
      EXPECT_NEAR(c[r * units + u], next, tolerance) << kernels.name;
      EXPECT_NEAR(h[r * valid + u], o * tanh_next, tolerance) << kernels.name;
      const double d_h = double{dh[r * units + u]} + dy[r * valid + u];
      const double d_c = dc_in[r * units + u] + d_h * o * (1 - tanh_next * tanh_next);
      const T* const dsum = dgates.data() + r * 4 * units + u;
      EXPECT_NEAR(dsum[0], d_c * g * i * (1 - i), tolerance) << kernels.name;
      EXPECT_NEAR(dsum[units], d_c * before * f * (1 - f), tolerance) << kernels.name;
      EXPECT_NEAR(dsum[2 * units], d_c * i * (1 - g * g), tolerance) << kernels.name;
      EXPECT_NEAR(dsum[3 * units], d_h * tanh_next * o * (1 - o), tolerance) << kernels.name;
      EXPECT_NEAR(dc[r * units + u], d_c * f, tolerance) << kernels.name;
    }
}

TEST(RowKernelTest, CellEqualsItsFormulas) {
  Random random(2);
  for (const RowKernels* kernels : runnable_kernels()) {
    check_cell<float>(*kernels, random, 4e-6);
    check_cell<double>(*kernels, random, 1e-14);
  }
}

}  // namespace
}  // namespace varlstm::host
