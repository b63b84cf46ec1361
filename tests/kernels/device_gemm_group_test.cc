// Several products in one launch, rows of B that an array names, and the sums of A: the bits of products alone, of the
// gathered rows and of the column sums, for every dtype and policy.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "kernels/gemm/column_sum.h"
#include "support/gemm_product.h"

#if VARLSTM_EMULATED
#include "kernels/simt/runtime_control.h"
#endif

namespace varlstm::cuda {
namespace {

using namespace varlstm_test;

template <class T>
class DeviceGemmGroup : public ::testing::Test {
 protected:
  using Input = typename T::Input;
  using Output = typename T::Output;
  using Products = std::vector<Product<Input, Output>>;

  // Calls body(policy's name) with each policy of our tiles, in a context that has tensor cores for F32, too.
  template <class Body>
  void with_each_policy(const Body& body) {
    context_.state().math = VARLSTM_MATH_TF32;
    for (const GemmPolicy policy : kGemmPolicies) {
      if (policy == GemmPolicy::kCublas && !context_.usable()) continue;
      SCOPED_TRACE(gemm_policy_name(policy));
      const ForcedPolicy forced(policy);
      body(policy);
    }
  }

  Stream stream() { return context_.stream(); }

  WithBlas context_;
};
using Combinations =
    ::testing::Types<ProductTypes<float, float>, ProductTypes<double, double>, ProductTypes<Bf16, Bf16>,
                     ProductTypes<F16, F16>, ProductTypes<Bf16, float>, ProductTypes<F16, float>>;
TYPED_TEST_SUITE(DeviceGemmGroup, Combinations);

template <class T>
::testing::AssertionResult same_bits(const std::vector<T>& actual, const std::vector<T>& expected) {
  if (actual.size() == expected.size() && std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(T)) == 0)
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "other bits";
}

TYPED_TEST(DeviceGemmGroup, OfProductsOfAnyShapeGivesTheirBits) {
  using P = Product<typename TypeParam::Input, typename TypeParam::Output>;
  Random random(81);
  this->with_each_policy([&](GemmPolicy) {
    for (int round = 0; round < 4; ++round) {
      std::vector<P> products;
      std::vector<std::unique_ptr<ProductOnDevice<typename TypeParam::Input, typename TypeParam::Output>>> there;
      std::vector<GemmArgs> args;
      for (int k = 0; k < 3; ++k) {
        const int64_t m = random.integer(k == 1 ? 0 : 1, 90), depth = random.integer(1, 40);
        products.emplace_back(random, m, random.integer(1, 90), depth, -1);
        products.back().trans_a = products[0].trans_a, products.back().trans_b = products[0].trans_b;
        products.back().lda = products.back().ldb = 100;
        products.back().fill(random);
        there.push_back(std::make_unique<typename decltype(there)::value_type::element_type>(products.back(), 0));
        args.push_back(there.back()->args);
      }
      ASSERT_EQ(gemm_group(this->stream(), args.data(), 3, GemmOrder::kIndependent), VARLSTM_OK);
      for (size_t k = 0; k < products.size(); ++k)
        EXPECT_TRUE(same_bits(there[k]->c(), run_on_device(this->stream(), products[k], 0))) << products[k].shape();
    }
  });
}

// The second product is added to the rounded first one, as by two calls.
TYPED_TEST(DeviceGemmGroup, OfAChainGivesTheBitsOfOneAfterTheOther) {
  using P = Product<typename TypeParam::Input, typename TypeParam::Output>;
  using There = ProductOnDevice<typename TypeParam::Input, typename TypeParam::Output>;
  Random random(82);
  this->with_each_policy([&](GemmPolicy) {
    P first(random, 70, 65, 33, -1), second(random, 70, 65, 50, -1);
    first.accumulate = false, second.accumulate = true, second.with_bias = second.with_bias2 = false;
    first.trans_a = second.trans_a = false;
    second.trans_b = first.trans_b;
    first.lda = first.ldb = second.lda = second.ldb = 72, first.ldc = second.ldc = 67;
    first.fill(random), second.fill(random);
    const auto run = [&](bool together) {
      There a(first, 0), b(second, 0);
      GemmArgs args[] = {a.args, b.args};
      args[1].c = args[0].c;
      if (together) {
        EXPECT_EQ(gemm_group(this->stream(), args, 2, GemmOrder::kChain), VARLSTM_OK);
      } else {
        for (const GemmArgs& one : args) EXPECT_EQ(gemm(this->stream(), one), VARLSTM_OK);
      }
      return a.c();
    };
    EXPECT_TRUE(same_bits(run(true), run(false)));
  });
}

TYPED_TEST(DeviceGemmGroup, SumsOfAAreTheColumnSums) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  Random random(83);
  this->with_each_policy([&](GemmPolicy) {
    for (const int64_t rows : {-1, 0, 21}) {
      Product<T, TC> product(random, 75, 70, 53, rows);
      product.trans_a = true, product.trans_b = false, product.with_bias = product.with_bias2 = false;
      product.lda = 77, product.ldb = 70;
      product.fill(random);
      const std::vector<TC> before = random_values<TC>(random, product.m);
      OnDevice<TC> sums(before), expected(before);
      ProductOnDevice<T, TC> there(product, 1);
      there.args.sums = sums.data();
      ASSERT_EQ(gemm(this->stream(), there.args), VARLSTM_OK);
      ASSERT_EQ(add_column_sums(this->stream(), there.args.dtype, there.args.dtype_c, product.k, product.m,
                                there.args.a, product.lda, there.args.rows, expected.data(), nullptr),
                VARLSTM_OK);
      EXPECT_TRUE(same_bits(sums.get(), expected.get())) << product.shape();
      EXPECT_TRUE(same_bits(there.c(), run_on_device(this->stream(), product, 1))) << product.shape();
    }
  });
}

// Rows of B from anywhere, from the initial ones, and none; with and without whole words.
TYPED_TEST(DeviceGemmGroup, RowsOfBThatAnArrayNames) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  Random random(84);
  this->with_each_policy([&](GemmPolicy policy) {
    if (policy == GemmPolicy::kCublas || policy == GemmPolicy::kWgmma) return;  // they cannot
    for (const int64_t n : {64, 37}) {
      for (const bool has_initial : {true, false}) {
        constexpr int64_t kTokens = 45, kStates = 4;
        Product<T, TC> product(random, 66, n, kTokens, has_initial ? 40 : -1);
        product.trans_a = true, product.trans_b = false;
        product.lda = 72, product.ldb = n + 8;
        product.fill(random);
        const std::vector<T> initial = random_values<T>(random, kStates * n);
        std::vector<int64_t> rows = random.integers(kTokens, kInitialRow - kStates + 2, kTokens - 1);
        rows[3] = kTokens, rows[5] = INT64_MAX, rows[7] = INT64_MIN,
        rows[9] = kInitialRow - kStates + 1;  // out of bounds
        Product<T, TC> gathered = product;
        for (int64_t k = 0; k < kTokens; ++k) {
          for (int64_t j = 0; j < n; ++j) {
            T value{};
            if (rows[k] >= 0 && rows[k] < kTokens) value = product.b[rows[k] * product.ldb + j];
            if (rows[k] <= kInitialRow && rows[k] > kInitialRow - kStates + 1 && has_initial)
              value = initial[(kInitialRow - rows[k]) * n + j];
            gathered.b[k * product.ldb + j] = value;
          }
        }
        for (int64_t k = product.counted(); k < kTokens; ++k) rows[k] = INT64_MAX / 2;  // never read
        OnDevice<int64_t> named(rows);
        OnDevice<T> states(initial);
        ProductOnDevice<T, TC> there(product, 0);
        there.args.b_rows = named.data();
        there.args.b_initial = has_initial ? states.data() : nullptr;
        there.args.b_initials = has_initial ? kStates - 1 : 0;
        ASSERT_EQ(gemm(this->stream(), there.args), VARLSTM_OK);
        EXPECT_TRUE(same_bits(there.c(), run_on_device(this->stream(), gathered, 0))) << product.shape();
      }
    }
  });
}

#if VARLSTM_EMULATED

int64_t kernels_of(Stream stream, const GemmArgs* products, int count) {
  simt::record_enqueued_work(true);
  EXPECT_EQ(gemm_group(stream, products, count, GemmOrder::kIndependent), VARLSTM_OK);
  const auto kernels = static_cast<int64_t>(simt::enqueued_work().size());
  simt::record_enqueued_work(false);
  return kernels;
}

TEST(DeviceGemmLaunches, OfAGroupAreOneIfOneKernelRunsAll) {
  Random random(85);
  WithBlas context;
  std::vector<std::unique_ptr<ProductOnDevice<float, float>>> there;
  std::vector<GemmArgs> args;
  for (int k = 0; k < kMostProducts + 1; ++k) {
    Product<float, float> product(random, 9 + 20 * k, 8, 7, -1);
    product.trans_a = false, product.trans_b = k == 1;
    product.lda = 7, product.ldb = product.trans_b ? 7 : 8;
    product.fill(random);
    there.push_back(std::make_unique<ProductOnDevice<float, float>>(product, 0));
    args.push_back(there.back()->args);
  }
  setenv("VARLSTM_EMULATOR_CUBLAS", "missing", 1);
  WithBlas without;
  unsetenv("VARLSTM_EMULATOR_CUBLAS");
  EXPECT_EQ(kernels_of(without.stream(), args.data(), kMostProducts), 1);
  EXPECT_EQ(kernels_of(without.stream(), args.data(), kMostProducts + 1), kMostProducts + 1);
  const ForcedPolicy forced(GemmPolicy::kTensor);
  without.state().math = VARLSTM_MATH_TF32;
  EXPECT_EQ(kernels_of(without.stream(), args.data(), 2), 2) << "other transpositions are other kernels";
  EXPECT_EQ(kernels_of(without.stream(), args.data() + 2, 2), 1);
}

#endif

}  // namespace
}  // namespace varlstm::cuda
