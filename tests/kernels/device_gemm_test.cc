// Matrix products and column sums of the CUDA back end against the chains of additions that their headers promise: each
// bit, for every dtype, policy, transposition and pitch.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/tensor_gemm.h"
#include "kernels/gemm/wgmma_gemm.h"
#include "support/gemm_product.h"

namespace varlstm::cuda {
namespace {

using namespace varlstm_test;

template <class T>
class DeviceGemm : public ::testing::Test {};
using Combinations =
    ::testing::Types<ProductTypes<float, float>, ProductTypes<double, double>, ProductTypes<Bf16, Bf16>,
                     ProductTypes<F16, F16>, ProductTypes<Bf16, float>, ProductTypes<F16, float>>;
TYPED_TEST_SUITE(DeviceGemm, Combinations);

// Half an ulp of TF32.
constexpr double kTf32 = 1.0 / 2048;

// One product of a random shape under every policy that is there, of F32 with either math.
template <class T, class TC>
void check_product(Random& random, int64_t m, int64_t n, int64_t k, int64_t rows) {
  const Product<T, TC> product(random, m, n, k, rows);
  const size_t skip = static_cast<size_t>(random.integer(0, 3));
  WithBlas context;
  for (const int64_t math : {VARLSTM_MATH_F32, VARLSTM_MATH_TF32}) {
    context.state().math = math;
    for (const GemmPolicy policy : kGemmPolicies) {
      if (policy == GemmPolicy::kCublas && !context.usable()) continue;
      SCOPED_TRACE(std::string(gemm_policy_name(policy)) + ", math " + std::to_string(math));
      const ForcedPolicy forced(policy);
      const std::vector<TC> result = run_on_device(context.stream(), product, skip);
      if (policy == GemmPolicy::kWide || policy == GemmPolicy::kFlat)
        expect_chain(product, result);
      else
        expect_close(product, result, std::is_same_v<T, float> && math == VARLSTM_MATH_TF32 ? kTf32 : 0);
    }
    if (!std::is_same_v<T, float>) break;
  }
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

// Rows `first` to `first + m` of a product, with the alignment that they happen to have.
template <class T, class TC>
Product<T, TC> some_rows(const Product<T, TC>& whole, int64_t first, int64_t m) {
  Product<T, TC> part = whole;
  part.m = m;
  part.a.assign(whole.a.begin() + first * whole.lda, whole.a.begin() + (first + m) * whole.lda);
  part.before.assign(whole.before.begin() + first * whole.ldc, whole.before.begin() + (first + m) * whole.ldc);
  return part;
}

// What the context keeps for tokens: a row's bits, whatever rows stand beside it.
TYPED_TEST(DeviceGemm, RowsDoNotDependOnEachOther) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  Random random(76);
  WithBlas context;
  context.state().math = VARLSTM_MATH_TF32;
  for (int round = 0; round < 6; ++round) {
    Product<T, TC> whole(random, 90, random.integer(1, 80), random.integer(1, 100), -1);
    whole.trans_a = false, whole.lda = whole.k + random.integer(0, 3);
    whole.fill(random);
    const std::vector<TC> expected = run_on_device(context.stream(), whole, 0);
    for (const int64_t m : {1, 15, 17, 64}) {
      const int64_t first = random.integer(0, whole.m - m);
      const std::vector<TC> rows = run_on_device(context.stream(), some_rows(whole, first, m), round % 3);
      EXPECT_EQ(std::memcmp(rows.data(), expected.data() + first * whole.ldc, rows.size() * sizeof(TC)), 0)
          << m << " rows from " << first << " of " << whole.shape();
    }
  }
}

// A context without cuBLAS whose products may run on tensor cores: what is not told of the device has none.
State with_tensor_cores() {
  State state;
  EXPECT_EQ(ask_device_facts(0, &state.facts), VARLSTM_OK);
  EXPECT_GE(state.facts.capability, 80);
  state.math = VARLSTM_MATH_TF32;
  return state;
}

// A product by wgmma or by mma.sync on a tile of the caller's choice.
template <class T, class TC>
std::vector<TC> run_on_tile(Stream stream, const Product<T, TC>& product, size_t skip, TensorTile tile, bool wgmma) {
  return run_on_device(product, skip, [&](const GemmArgs& args) {
    return wgmma ? wgmma_gemm(stream, &args, 1, GemmOrder::kIndependent, tile)
                 : tensor_gemm(stream, &args, 1, GemmOrder::kIndependent, tile);
  });
}

// Every tile of one block, with several stages and edges on all sides: each gives the same bits, from aligned operands
// and others.
TYPED_TEST(DeviceGemm, TilesGiveTheSameBits) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  if (sizeof(T) == 8) return;  // tensor cores have no F64 here
  Random random(79);
  State state = with_tensor_cores();
  const Stream stream{&state, nullptr};
  constexpr int64_t kStage = 128 / static_cast<int64_t>(sizeof(T));
  for (int layouts = 0; layouts < 4; ++layouts) {
    for (const int64_t k : {kStage - 3, 5 * kStage + 7}) {
      Product<T, TC> product(random, 67, 136, k, -1);
      product.rows = layouts == 1 ? k / 2 : layouts == 2 ? 50 : -1;
      product.trans_a = layouts % 2 == 1, product.trans_b = layouts / 2 == 1;
      product.lda = product.trans_a ? 72 : (k / 8 + 1) * 8, product.ldb = product.trans_b ? (k / 8 + 1) * 8 : 136;
      product.ldc = 136 + layouts;
      product.fill(random);
      for (const bool wgmma : {false, true}) {
        const std::vector<TC> expected = run_on_tile(stream, product, 0, TensorTile::k64x64, wgmma);
        expect_close(product, expected, std::is_same_v<T, float> ? kTf32 : 0);
        for (const TensorTile tile : kTensorTiles) {
          if (blocks_of(tile) > 1) continue;  // device_gemm_pair_test
          const size_t skip = (static_cast<size_t>(layouts) + static_cast<size_t>(tile)) % 2;
          EXPECT_EQ(std::memcmp(run_on_tile(stream, product, skip, tile, wgmma).data(), expected.data(),
                                expected.size() * sizeof(TC)),
                    0)
              << (wgmma ? "wgmma " : "mma.sync ") << rows_of(tile) << " x " << columns_of(tile) << ", skip " << skip
              << ", " << product.shape();
        }
      }
    }
  }
}

// Pitches of whole words of 16 bytes, in which rows end: what lies behind a row's end, NaN, does not count.
TYPED_TEST(DeviceGemm, WordsAcrossAnEdgeEndThere) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  Random random(78);
  State state = with_tensor_cores();
  const Stream stream{&state, nullptr};
  constexpr int64_t kWord = 16 / static_cast<int64_t>(sizeof(T));
  for (int layouts = 0; layouts < 4; ++layouts) {
    for (const int64_t k : {int64_t{3}, 4 * kWord + 1, 5 * kWord - 1}) {
      Product<T, TC> product(random, 19, 21, k, -1);
      product.trans_a = layouts % 2 == 1, product.trans_b = layouts / 2 == 1;
      const auto words = [](int64_t inner) { return (inner / kWord + 1) * kWord; };
      product.lda = words(product.trans_a ? product.m : k), product.ldb = words(product.trans_b ? k : product.n);
      product.fill(random);
      SCOPED_TRACE(product.shape());
      for (const GemmPolicy policy : {GemmPolicy::kTensor, GemmPolicy::kWgmma}) {
        const ForcedPolicy forced(policy);
        expect_close(product, run_on_device(stream, product, 0), std::is_same_v<T, float> ? kTf32 : 0);
      }
    }
  }
}

// Large enough for every stage, and aligned so that every word comes by cp.async.
TYPED_TEST(DeviceGemm, AlignedOperandsGiveTheBitsOfOthers) {
  using T = typename TypeParam::Input;
  using TC = typename TypeParam::Output;
  Random random(77);
  State state = with_tensor_cores();
  for (int transposes = 0; transposes < 4; ++transposes) {
    Product<T, TC> product(random, 72, 136, 104, -1);
    product.trans_a = transposes % 2 == 1, product.trans_b = transposes / 2 == 1;
    product.lda = product.trans_a ? 72 : 104, product.ldb = product.trans_b ? 104 : 136;
    product.fill(random);
    for (const GemmPolicy policy : {GemmPolicy::kTensor, GemmPolicy::kWgmma}) {
      const ForcedPolicy forced(policy);
      const std::vector<TC> aligned = run_on_device(Stream{&state, nullptr}, product, 0);
      expect_close(product, aligned, std::is_same_v<T, float> ? kTf32 : 0);
      const std::vector<TC> others = run_on_device(Stream{&state, nullptr}, product, 1);
      EXPECT_EQ(std::memcmp(aligned.data(), others.data(), aligned.size() * sizeof(TC)), 0) << product.shape();
    }
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
    State state;
    ASSERT_EQ(add_column_sums({&state, nullptr}, kType<T>, kType<Out>, m, n, x_there.data(), ldx,
                              on_device ? rows.data() : nullptr, out.data(), out2.data()),
              0);
    EXPECT_EQ(widened(out.get()), widened(expected)) << "m " << m << " n " << n << " counted " << counted;
    EXPECT_EQ(widened(out2.get()), widened(expected2));
  }
}

}  // namespace
}  // namespace varlstm::cuda
