// GEMM's fast face, the product for gradients of weights and the row product against GEMM's plain loops.
// SPDX-License-Identifier: Apache-2.0
#include "host/gemm/gemm.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "host/gemm/gradient_product.h"
#include "host/gemm/row_product.h"
#include "support/compare.h"
#include "support/random.h"

namespace varlstm::host {
namespace {

using varlstm_test::bitwise_equal;
using varlstm_test::Random;

template <class T>
double tolerance(int64_t k) {
  return 2 * static_cast<double>(std::numeric_limits<T>::epsilon()) * static_cast<double>(k + 1);
}

template <class T>
class GemmTest : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(GemmTest, Scalars);

TYPED_TEST(GemmTest, EqualsLoopsForAnyShapeAndThreads) {
  using T = TypeParam;
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    const int64_t m = random.integer(0, round % 6 == 0 ? 600 : 40), n = random.integer(0, round % 6 == 1 ? 400 : 50),
                  k = random.integer(0, 60);
    const Transpose trans_a = random.coin() ? Transpose::kYes : Transpose::kNo;
    const Transpose trans_b = random.coin() ? Transpose::kYes : Transpose::kNo;
    const int64_t lda = (trans_a == Transpose::kYes ? m : k) + 1, ldb = (trans_b == Transpose::kYes ? k : n) + 2;
    const int64_t ldc = n + 3;
    const auto a = random.vector<T>((m + k + 1) * lda), b = random.vector<T>((n + k + 1) * ldb);
    const auto before = random.vector<T>((m + 1) * ldc);
    const T beta = random.coin() ? 1 : 0;
    std::vector<T> expected = before, one = before;
    gemm_loops<T>(trans_a, trans_b, m, n, k, a.data(), lda, b.data(), ldb, beta, expected.data(), ldc);
    gemm<T>(1, trans_a, trans_b, m, n, k, a.data(), lda, b.data(), ldb, beta, one.data(), ldc);
    for (size_t e = 0; e < one.size(); ++e) ASSERT_NEAR(one[e], expected[e], tolerance<T>(k)) << "element " << e;
    for (const int64_t threads : {2, 3, 5}) {
      std::vector<T> many = before;
      gemm<T>(threads, trans_a, trans_b, m, n, k, a.data(), lda, b.data(), ldb, beta, many.data(), ldc);
      ASSERT_TRUE(bitwise_equal(many, one)) << threads << " threads";
    }
  }
}

// Calls of the BLAS side by side on several threads, as backward makes them.
TYPED_TEST(GemmTest, MayRunOnManyThreadsAtATime) {
  using T = TypeParam;
  Random random(4);
  const int64_t m = 1040, n = 100, k = 120;
  const auto a = random.vector<T>(m * k), b = random.vector<T>(k * n);
  std::vector<T> one(m * n), many(m * n);
  gemm<T>(1, Transpose::kNo, Transpose::kNo, m, n, k, a.data(), k, b.data(), n, 0, one.data(), n);
  for (int round = 0; round < 200; ++round) {
    many.assign(m * n, -1);
    gemm<T>(2, Transpose::kNo, Transpose::kNo, m, n, k, a.data(), k, b.data(), n, 0, many.data(), n);
    ASSERT_TRUE(bitwise_equal(many, one)) << "round " << round;
  }
}

// Blocks of columns and of tokens, one and several, whole and in part. gemm takes this product on some machines only.
TYPED_TEST(GemmTest, GradientProductEqualsLoops) {
  using T = TypeParam;
  Random random(6);
  for (int round = 0; round < 40; ++round) {
    const int64_t m = random.integer(1, round % 4 == 0 ? 300 : 40), n = random.integer(1, 150);
    const int64_t k = random.integer(1, round % 4 == 1 ? 600 : 60);
    const T beta = T(round % 3 == 0 ? 0 : 1);
    const int64_t lda = m + random.integer(0, 3), ldb = n + random.integer(0, 3), ldc = n + random.integer(0, 3);
    const auto a = random.vector<T>((k + 1) * lda), b = random.vector<T>((k + 1) * ldb);
    std::vector<T> expected = random.vector<T>(m * ldc), actual = expected;
    gemm_loops<T>(Transpose::kYes, Transpose::kNo, m, n, k, a.data(), lda, b.data(), ldb, beta, expected.data(), ldc);
    gradient_product<T>(m, n, k, a.data(), lda, b.data(), ldb, beta == 1, actual.data(), ldc);
    for (size_t e = 0; e < actual.size(); ++e) ASSERT_NEAR(actual[e], expected[e], tolerance<T>(k)) << "element " << e;
  }
}

// Groups on the output side, segments on the input side, both in any slots, biases, accumulation: all against one GEMM
// each.
TYPED_TEST(GemmTest, RowProductEqualsLoops) {
  using T = TypeParam;
  Random random(5);
  for (int round = 0; round < 80; ++round) {
    RowProduct<T> p;
    p.rows = random.integer(1, round % 8 == 0 ? 1300 : 30);
    p.columns = random.integer(1, 70);
    std::vector<int> group_slots = {0, 1, 2, 3}, segment_slots = group_slots;
    for (std::vector<int>* slots : {&group_slots, &segment_slots})
      for (int k = 0; k < 4; ++k) std::swap((*slots)[k], (*slots)[random.integer(k, 3)]);
    p.groups = random.integer(1, 4);
    if (p.groups > 1) p.group_slots = group_slots.data();
    p.group_stride = p.columns + random.integer(0, 5);
    p.segments = random.integer(1, 4);
    p.segment_slots = segment_slots.data();
    p.segment = random.integer(1, 40);
    p.segment_stride = p.segment + random.integer(0, 5);
    p.lda = 4 * p.segment_stride;
    p.ldc = 4 * p.group_stride;
    p.transposed_weight = random.coin();
    p.accumulate = random.coin();
    const int64_t n = p.groups * p.columns, k = p.segments * p.segment;
    const auto a = random.vector<T>(p.rows * p.lda), weight = random.vector<T>(n * k), bias = random.vector<T>(n),
               bias2 = random.vector<T>(n), before = random.vector<T>(p.rows * p.ldc);
    p.a = a.data();
    p.weight = weight.data();
    const bool with_bias = !p.accumulate && random.coin();
    if (with_bias) p.bias = bias.data();
    if (with_bias && random.coin()) p.bias2 = bias2.data();
    p.bias2_groups = random.integer(1, p.groups);

    std::vector<T> expected = before;
    for (int64_t r = 0; r < p.rows; ++r)
      for (int64_t j = 0; j < n; ++j) {
        T& out = expected[r * p.ldc + p.group_slots[j / p.columns] * p.group_stride + j % p.columns];
        double sum = p.accumulate ? out : 0.0;
        if (p.bias) sum += bias[j];
        if (p.bias2 && j / p.columns < p.bias2_groups) sum += bias2[j];
        for (int64_t s = 0; s < k; ++s)
          sum += static_cast<double>(a[r * p.lda + p.segment_slots[s / p.segment] * p.segment_stride + s % p.segment]) *
                 (p.transposed_weight ? weight[j * k + s] : weight[s * n + j]);
        out = static_cast<T>(sum);
      }
    std::vector<T> one = before;
    p.c = one.data();
    row_product(1, p);
    for (size_t e = 0; e < one.size(); ++e) ASSERT_NEAR(one[e], expected[e], tolerance<T>(k + 2)) << "element " << e;
    std::vector<T> many = before;
    p.c = many.data();
    row_product(3, p);
    ASSERT_TRUE(bitwise_equal(many, one));
  }
}

}  // namespace
}  // namespace varlstm::host
