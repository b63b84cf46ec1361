// The products and activations of every instruction set against loops in double.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "host/every_isa.h"
#include "support/random.h"

namespace varlstm::host {
namespace {

using varlstm_test::Random;

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
    const int64_t width = vectors * kernel.lanes, ldc = width + random.integer(0, 9);
    const bool from_init = random.coin(), from_before = random.coin(), transposed = random.coin();
    const int64_t lda = (transposed ? rows : k) + random.integer(0, 9), next_row = transposed ? 1 : lda;
    const std::vector<T> a = random.vector<T>((transposed ? k : rows) * lda), panel = random.vector<T>(k * width);
    const std::vector<T> init = random.vector<T>(width), before = random.vector<T>(rows * ldc);
    std::vector<T> c = from_before ? random.vector<T>(rows * ldc) : before, alone = c;
    const auto sum_before = [&](int64_t r, int64_t j) {
      return j >= width ? c[r * ldc + j] : from_init ? init[j] : before[r * ldc + j];
    };
    PanelProduct<T> p{};
    p.rows = rows;
    p.k = k;
    p.a = a.data();
    p.lda = lda;
    p.transposed_a = transposed;
    p.panel = panel.data();
    p.vectors = vectors;
    p.init = from_init ? init.data() : nullptr;
    p.c = c.data();
    p.ldc = ldc;
    p.vector_stride = kernel.lanes;
    if (from_before) {
      p.before = before.data();
      p.before_ld = ldc;
      p.before_stride = kernel.lanes;
    }
    kernel.product(p);
    for (int64_t r = 0; r < rows; ++r) {
      p.rows = 1;
      p.a = a.data() + r * next_row;
      p.c = alone.data() + r * ldc;
      if (from_before) p.before = before.data() + r * ldc;
      kernel.product(p);
      for (int64_t j = 0; j < ldc; ++j) {
        double sum = sum_before(r, j);
        for (int64_t s = 0; s < k && j < width; ++s)
          sum += static_cast<double>(a[transposed ? s * lda + r : r * lda + s]) * panel[s * width + j];
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

// Rows by a list, and rows of sums that are apart, as a recurrence has them.
template <class T>
void check_few_rows(const RowKernels& kernels, Random& random) {
  const RowKernel<T>& kernel = kernel_of<T>(kernels);
  for (int round = 0; round < 200; ++round) {
    const int64_t rows = random.integer(1, kFewRows), k = random.integer(1, 40), panels = random.integer(1, 9);
    const int vectors = static_cast<int>(random.integer(1, kPanelVectors));
    const int64_t width = vectors * kernel.lanes, stride = (k + random.integer(0, 3)) * width;
    const bool from_init = random.coin();
    const std::vector<T> a = random.vector<T>(rows * k), weights = random.vector<T>(panels * stride);
    const std::vector<T> init = random.vector<T>(width), before = random.vector<T>(rows * panels * width);
    std::vector<int64_t> list;
    for (int64_t r = 0; r < rows; ++r) list.push_back(rows - 1 - r);
    PanelProduct<T> p{};
    p.rows = rows;
    p.k = k;
    p.a = a.data();
    p.lda = k;
    if (random.coin()) p.a_rows.list = list.data();
    p.panel = weights.data();
    p.vectors = vectors;
    p.init = from_init ? init.data() : nullptr;
    p.ldc = panels * width;
    if (random.coin()) p.c_rows.list = list.data();
    p.vector_stride = kernel.lanes;
    p.panels = panels;
    p.panel_stride = stride;
    p.c_panel_stride = width;
    p.from_last = random.coin();
    std::vector<T> together = before, one_by_one = before;
    p.c = together.data();
    kernel.few_rows(p);
    for (int64_t q = 0; q < panels; ++q) {
      p.panel = weights.data() + q * stride;
      p.c = one_by_one.data() + q * width;
      kernel.product(p);
    }
    ASSERT_EQ(together, one_by_one) << kernels.name << ": " << rows << " rows, " << panels << " panels of " << vectors;
  }
}

TEST(RowKernelTest, FewRowsHaveTheBitsOfProduct) {
  Random random(3);
  for (const RowKernels* kernels : runnable_kernels()) {
    check_few_rows<float>(*kernels, random);
    check_few_rows<double>(*kernels, random);
  }
}

template <class T>
void check_transpose(const RowKernels& kernels, Random& random) {
  const RowKernel<T>& kernel = kernel_of<T>(kernels);
  for (int round = 0; round < 100; ++round) {
    const int64_t k = random.integer(0, 3 * kernel.lanes), valid = random.integer(0, kernel.lanes);
    const int64_t ld = k + random.integer(0, 9), step = kernel.lanes + random.integer(0, 9);
    // Exactly the elements that may be read, and one vector more than may be written.
    const std::vector<T> weight = random.vector<T>(valid == 0 ? 0 : (valid - 1) * ld + k);
    const std::vector<T> before = random.vector<T>(k * step + kernel.lanes);
    std::vector<T> expected = before, out = before;
    for (int64_t s = 0; s < k; ++s)
      for (int64_t lane = 0; lane < kernel.lanes; ++lane)
        expected[s * step + lane] = lane < valid ? weight[lane * ld + s] : T(0);
    kernel.transpose(weight.data(), ld, valid, k, out.data(), step);
    ASSERT_EQ(out, expected) << kernels.name << " k " << k << " valid " << valid;
  }
}

TEST(RowKernelTest, TransposeMovesEachElement) {
  Random random(2);
  for (const RowKernels* kernels : runnable_kernels()) {
    check_transpose<float>(*kernels, random);
    check_transpose<double>(*kernels, random);
  }
}

// Units in the last place of float between y and the exact value.
double ulps(float y, double exact) {
  const double spacing = std::abs(static_cast<double>(std::nextafter(static_cast<float>(exact), INFINITY)) -
                                  static_cast<double>(static_cast<float>(exact)));
  return std::abs(y - exact) / spacing;
}

// Values of few kinds, so that there are ties; now and then a NaN.
template <class T>
void check_column_maxima(const RowKernels& kernels, Random& random) {
  const RowKernel<T>& kernel = kernel_of<T>(kernels);
  for (int round = 0; round < 40; ++round) {
    const int64_t rows = random.integer(1, 12), columns = kernel.lanes * random.integer(1, 4), ld = columns + 1;
    std::vector<T> values(rows * ld), largest(columns);
    for (T& value : values)
      value = random.integer(0, 19) == 0 ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(random.integer(-3, 3));
    std::vector<int64_t> at(columns);
    kernel.column_maxima({values.data(), rows, ld, columns, largest.data(), at.data()});
    for (int64_t j = 0; j < columns; ++j) {
      int64_t best = 0;
      for (int64_t r = 1; r < rows; ++r) {
        const T value = values[r * ld + j], before = values[best * ld + j];
        if (value > before || (std::isnan(value) && !std::isnan(before))) best = r;
      }
      ASSERT_EQ(at[j], best) << kernels.name << " column " << j << " of " << rows << " rows";
      const T expected = values[best * ld + j];
      ASSERT_TRUE(largest[j] == expected || (std::isnan(largest[j]) && std::isnan(expected))) << kernels.name;
    }
  }
}

// Whole numbers, whose sums are exact. Windows reach beyond their word, at either end or at both.
template <class T>
void check_window_gradients(const RowKernels& kernels, Random& random) {
  for (int round = 0; round < 60; ++round) {
    const int64_t filters = random.integer(1, 5), width = random.integer(1, 5), in = random.integer(1, 40);
    const int64_t rows = 9, begin = 2, end = begin + random.integer(1, 5), size = filters * width * in;
    std::vector<T> x = random.vector<T>(rows * in, -9, 9), weight = random.vector<T>(size, -9, 9);
    std::vector<T> gradients = random.vector<T>(filters, -2, 2), dx(rows * in, T(1)), dweight(size, T(1));
    for (std::vector<T>* values : {&x, &weight, &gradients})
      for (T& value : *values) value = std::round(value);
    std::vector<T> dx_expected = dx, dweight_expected = dweight;
    std::vector<int64_t> windows;
    for (int64_t f = 0; f < filters; ++f) {
      windows.push_back(random.integer(begin, end - 1) - (width - 1) / 2);
      for (int64_t k = 0; k < width; ++k)
        for (int64_t i = 0; i < in; ++i) {
          const int64_t row = windows[f] + k;
          if (row < begin || row >= end) continue;
          dx_expected[row * in + i] += gradients[f] * weight[(f * width + k) * in + i];
          dweight_expected[(f * width + k) * in + i] += gradients[f] * x[row * in + i];
        }
    }
    kernel_of<T>(kernels).window_gradients({filters, width, in, begin, end, windows.data(), gradients.data(), x.data(),
                                            weight.data(), dx.data(), dweight.data()});
    ASSERT_EQ(dx, dx_expected) << kernels.name << ": in " << in << ", width " << width;
    ASSERT_EQ(dweight, dweight_expected) << kernels.name << ": in " << in << ", width " << width;
  }
}

TEST(RowKernelTest, ColumnMaximaAreTheFirstOfEqualOnesAndTheFirstNaN) {
  for (const RowKernels* kernels : runnable_kernels()) {
    Random random(65);
    check_column_maxima<float>(*kernels, random);
    check_column_maxima<double>(*kernels, random);
  }
}

TEST(RowKernelTest, WindowGradientsStayInsideTheirWord) {
  for (const RowKernels* kernels : runnable_kernels()) {
    Random random(66);
    check_window_gradients<float>(*kernels, random);
    check_window_gradients<double>(*kernels, random);
  }
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

}  // namespace
}  // namespace varlstm::host
