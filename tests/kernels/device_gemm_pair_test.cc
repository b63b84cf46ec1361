// Products whose tiles are shared by two blocks give the bits of one block's tiles: every edge, depth, layout of B,
// dtype of C and order of a group. They run by themselves where they fit, and refuse what tensor copies cannot read.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/core/tensor_map.h"
#include "kernels/gemm/wgmma_gemm.h"
#include "kernels/gemm/wgmma_pair.h"
#include "support/gemm_product.h"

namespace varlstm::cuda {
namespace {

using namespace varlstm_test;

template <class T>
class DeviceGemmPair : public ::testing::Test {
 protected:
  using P = Product<typename T::Input, typename T::Output>;
  using There = ProductOnDevice<typename T::Input, typename T::Output>;

  void SetUp() override {
    ASSERT_EQ(ask_device_facts(0, &state_.facts), VARLSTM_OK);
    if (state_.facts.capability != 90) GTEST_SKIP() << "wgmma needs a device of capability 9.0";
  }

  // Its pitches are whole words of 16 bytes, as tensor copies need them.
  P product(int64_t m, int64_t n, int64_t k, bool transpose_b) {
    constexpr int64_t kWord = 16 / static_cast<int64_t>(sizeof(typename T::Input));
    const auto words = [](int64_t inner) { return (inner / kWord + 1) * kWord; };
    P made(random_, m, n, k, -1);
    made.trans_a = false, made.trans_b = transpose_b;
    made.lda = words(k), made.ldb = words(transpose_b ? k : n);
    made.fill(random_);
    return made;
  }

  // C of each product after a launch of all of them; in a chain each C is the first one's.
  std::vector<std::vector<typename T::Output>> run(const std::vector<P>& products, GemmOrder order, TensorTile tile) {
    std::vector<std::unique_ptr<There>> there;
    std::vector<GemmArgs> args;
    for (const P& one : products) {
      there.push_back(std::make_unique<There>(one, 0));
      args.push_back(there.back()->args);
      EXPECT_TRUE(takes_pairs(args.back())) << one.shape();
      if (order == GemmOrder::kChain) args.back().c = args[0].c;
    }
    const auto count = static_cast<int>(args.size());
    EXPECT_EQ(wgmma_gemm({&state_, nullptr}, args.data(), count, order, tile), VARLSTM_OK) << take_failure_text();
    std::vector<std::vector<typename T::Output>> results;
    for (const auto& one : there) results.push_back(one->c());
    return results;
  }

  void expect_same_bits(const std::vector<P>& products, GemmOrder order) {
    const auto expected = run(products, order, TensorTile::k64x64), actual = run(products, order, TensorTile::k256x256);
    for (size_t i = 0; i < products.size(); ++i)
      EXPECT_EQ(std::memcmp(actual[i].data(), expected[i].data(), sizeof(expected[i][0]) * expected[i].size()), 0)
          << "product " << i << ": " << products[i].shape();
  }

  // wgmma reads TF32 along k alone.
  static constexpr bool kIsTf32 = sizeof(typename T::Input) == 4;
  static inline const std::vector<bool> kTransposes = kIsTf32 ? std::vector{true} : std::vector{false, true};
  static constexpr double kRounding = kIsTf32 ? 1.0 / 2048 : 0;  // half an ulp of TF32

  State state_;
  Random random_{91};
};
using Combinations = ::testing::Types<ProductTypes<Bf16, Bf16>, ProductTypes<F16, F16>, ProductTypes<Bf16, float>,
                                      ProductTypes<F16, float>, ProductTypes<float, float>>;
TYPED_TEST_SUITE(DeviceGemmPair, Combinations);

// Rows for both blocks and for one alone; columns of both halves and of one; more stages than slots of the ring, one
// that is not full, and none.
TYPED_TEST(DeviceGemmPair, HasTheBitsOfOneBlock) {
  for (const bool transpose_b : this->kTransposes) {
    for (const auto& [m, n, k] :
         {std::array<int64_t, 3>{150, 136, 6 * 64 + 7}, {20, 264, 61}, {260, 40, 3}, {5, 9, 0}}) {
      const auto product = this->product(m, n, k, transpose_b);
      this->expect_same_bits({product}, GemmOrder::kIndependent);
      expect_close(product, this->run({product}, GemmOrder::kIndependent, TensorTile::k256x256)[0], this->kRounding);
    }
  }
}

// Each product of a launch has a ring that goes on where the one before left it.
TYPED_TEST(DeviceGemmPair, GroupsHaveThem) {
  for (const bool transpose_b : this->kTransposes) {
    auto first = this->product(140, 130, 5 * 64, transpose_b), second = this->product(140, 130, 70, transpose_b);
    this->expect_same_bits({first, second, this->product(20, 8, 130, transpose_b)}, GemmOrder::kIndependent);
    first.ldc = second.ldc = 132, second.accumulate = true, second.with_bias = second.with_bias2 = false;
    first.fill(this->random_), second.fill(this->random_);
    this->expect_same_bits({first, second, second}, GemmOrder::kChain);
  }
}

TYPED_TEST(DeviceGemmPair, RefuseWhatTensorCopiesCannotRead) {
  const auto product = this->product(9, 24, 30, true);
  ProductOnDevice<typename TypeParam::Input, typename TypeParam::Output> there(product, 0);
  EXPECT_TRUE(takes_pairs(there.args));
  const auto is_refused = [&](const auto& change) {
    GemmArgs args = there.args;
    change(args);
    return !takes_pairs(args);
  };
  const int64_t rows = 0;
  const auto behind = [](const void* address) { return static_cast<const char*>(address) + 2; };
  EXPECT_TRUE(is_refused([&](GemmArgs& args) { args.a = behind(args.a); }));
  EXPECT_TRUE(is_refused([&](GemmArgs& args) { args.b = behind(args.b); }));
  EXPECT_TRUE(is_refused([](GemmArgs& args) { args.lda += 1; }));
  EXPECT_TRUE(is_refused([](GemmArgs& args) { args.ldb += 1; }));
  EXPECT_TRUE(is_refused([](GemmArgs& args) { args.transpose_a = true; }));
  EXPECT_TRUE(is_refused([&](GemmArgs& args) { args.rows = &rows; }));
  EXPECT_TRUE(is_refused([](GemmArgs& args) { args.dtype = DType::kF32, args.transpose_b = false; }));
  EXPECT_TRUE(is_refused([](GemmArgs& args) { args.dtype = DType::kF64; }));
  EXPECT_TRUE(is_refused([](GemmArgs& args) { args.k = INT64_C(1) << 31; }));
}

// The driver's refusal is an error that names the matrix.
TEST(TensorMaps, AreRefusedWithTheirShape) {
  CUtensorMap map;
  alignas(16) const Bf16 values[64] = {};
  EXPECT_EQ(make_tensor_map(&map, DType::kBF16, values, {8, 8, 16}, {8, 64}), VARLSTM_OK);
  EXPECT_EQ(make_tensor_map(&map, DType::kBF16, values, {7, 5, 18}, {8, 64}), VARLSTM_ERROR_BACKEND);
  EXPECT_NE(strstr(take_failure_text(), "[7, 5] with a pitch of 18 bytes"), nullptr);
}

}  // namespace
}  // namespace varlstm::cuda
