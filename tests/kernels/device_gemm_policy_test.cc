// Who runs a matrix product of the CUDA back end, our own tiles, tensor cores or cuBLAS: by its shape, by what the
// context wants, and where cuBLAS is missing or fails.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/gemm_product.h"

#if VARLSTM_EMULATED
#include "kernels/simt/runtime_control.h"
#endif

namespace varlstm::cuda {
namespace {

using namespace varlstm_test;

// A product that every policy could run, of tokens or of what is summed over them.
GemmShape shape_for(DType dtype, bool rows_are_tokens) {
  GemmShape shape{};
  shape.dtype = shape.dtype_c = dtype;
  shape.m = 300, shape.n = 200, shape.k = 2000, shape.longest_line = 2000;
  shape.rows_are_tokens = rows_are_tokens;
  shape.workspace_bytes = gemm_workspace_bytes(300, 200);
  return shape;
}

TEST(GemmPolicies, TokensRunInCublasOnlyWhereTheyMayDependOnEachOther) {
  for (const DType dtype : {DType::kF32, DType::kF64, DType::kBF16, DType::kF16}) {
    for (const bool tokens : {false, true}) {
      const GemmShape shape = shape_for(dtype, tokens);
      EXPECT_EQ(select_gemm(shape, {false, false, true, true, true}), GemmPolicy::kCublas);
      EXPECT_EQ(select_gemm(shape, {true, false, true, true, true}) == GemmPolicy::kCublas, !tokens);
      EXPECT_NE(select_gemm(shape, {false, false, true, false, true}), GemmPolicy::kCublas);
    }
  }
}

TEST(GemmPolicies, SmallGradientsOfWeightsRunOnOurTiles) {
  const auto select = [](int64_t m, int64_t n, int64_t k, bool tokens) {
    GemmShape shape = shape_for(DType::kF32, tokens);
    shape.m = m, shape.n = n, shape.k = k;
    return select_gemm(shape, {false, false, true, true, false});
  };
  EXPECT_NE(select(512, 128, 1024, false), GemmPolicy::kCublas);
  EXPECT_EQ(select(512, 128, 1025, false), GemmPolicy::kCublas);
  EXPECT_NE(select(1024, 512, 1024, false), GemmPolicy::kCublas);
  EXPECT_EQ(select(1024, 513, 1024, false), GemmPolicy::kCublas);
  EXPECT_EQ(select(1, int64_t{1} << 20, 1, false), GemmPolicy::kCublas);
  EXPECT_EQ(select(512, 128, 100, true), GemmPolicy::kCublas);
}

TEST(GemmPolicies, TensorCoresTakeWhatTheyMayWhateverTheShape) {
  for (const bool wgmma : {false, true}) {
    const GemmPolicy of_tensor_cores = wgmma ? GemmPolicy::kWgmma : GemmPolicy::kTensor;
    for (const int64_t m : {1, 16, 17, 1000}) {
      const auto is_taken = [&](DType dtype, bool tf32, bool tensor_cores) {
        GemmShape shape = shape_for(dtype, true);
        shape.m = m;
        return select_gemm(shape, {true, tf32, tensor_cores, true, wgmma && tensor_cores}) == of_tensor_cores;
      };
      for (const DType dtype : {DType::kBF16, DType::kF16}) {
        EXPECT_TRUE(is_taken(dtype, false, true));
        EXPECT_FALSE(is_taken(dtype, true, false));
      }
      EXPECT_TRUE(is_taken(DType::kF32, true, true));
      EXPECT_FALSE(is_taken(DType::kF32, false, true));
      EXPECT_FALSE(is_taken(DType::kF32, true, false));
      EXPECT_FALSE(is_taken(DType::kF64, true, true));
    }
  }
}

TEST(GemmPolicies, TilesFillTheDeviceAndGrowWithTheProduct) {
  constexpr int kMultiprocessors = 132;
  const auto select = [](int64_t m, int64_t n, TensorTile largest = TensorTile::k128x256) {
    return select_tensor_tile(m, n, kMultiprocessors, largest);
  };
  EXPECT_EQ(select(32768, 2048), TensorTile::k128x256);
  EXPECT_EQ(select(32768, 2048, TensorTile::k256x256), TensorTile::k256x256);
  EXPECT_EQ(select(128, 32768, TensorTile::k256x256), TensorTile::k128x256);
  EXPECT_EQ(select(32768, 2048, TensorTile::k128x128), TensorTile::k128x128);
  EXPECT_EQ(select(32768, 128), TensorTile::k128x128);
  EXPECT_EQ(select(32768, 64), TensorTile::k64x64);
  EXPECT_EQ(select(16, 4096), TensorTile::k64x64);
  EXPECT_EQ(select(1, 1), TensorTile::k64x64);
}

TEST(GemmPolicies, CublasGetsNothingThatItCannotDo) {
  const auto is_refused = [](const auto& change) {
    GemmShape shape = shape_for(DType::kBF16, false);
    change(shape);
    return !is_legal(GemmPolicy::kCublas, shape, {false, false, true, true, true});
  };
  EXPECT_FALSE(is_refused([](GemmShape&) {}));
  EXPECT_FALSE(is_refused([](GemmShape& s) { s.biases = 1; }));
  EXPECT_FALSE(is_refused([](GemmShape& s) { s.biases = 2, s.dtype_c = DType::kF32; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.biases = 2; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.biases = 1, s.accumulate = true; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.rows_on_device = true; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.b_by_index = true; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.workspace_bytes = 0; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.workspace_bytes = (16 << 10) + 256; }));
  EXPECT_FALSE(is_refused([](GemmShape& s) { s.workspace_bytes = (64 << 10) + 256; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.k = 0; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.k = INT64_C(1) << 31; }));
  EXPECT_TRUE(is_refused([](GemmShape& s) { s.longest_line = INT64_C(1) << 31; }));
}

TEST(GemmPolicies, WorkspaceGrowsWithTheProductBetweenItsLimits) {
  EXPECT_EQ(gemm_workspace_bytes(0, 0), (64 << 10) + 256);
  EXPECT_EQ(gemm_workspace_bytes(5, 7), (64 << 10) + 256);
  EXPECT_EQ(gemm_workspace_bytes(64, 64), (64 << 10) + 256);
  EXPECT_EQ(gemm_workspace_bytes(64, 65), 16 * 64 * 65 + 256);
  EXPECT_EQ(gemm_workspace_bytes(INT64_C(1) << 40, INT64_C(1) << 40), (32 << 20) + 256);
}

TEST(GemmPolicies, ForcedCublasThatIsMissingIsNamed) {
  const ForcedPolicy forced(GemmPolicy::kCublas);
  State state;
  char unused = 0;
  GemmArgs args{};
  args.dtype = args.dtype_c = DType::kF32;
  args.m = args.n = args.k = args.lda = args.ldb = args.ldc = 1;
  args.a = args.b = args.c = &unused;
  EXPECT_EQ(gemm({&state, nullptr}, args), VARLSTM_ERROR_UNSUPPORTED);
  EXPECT_STREQ(take_failure_text(),
               "VARLSTM_GEMM_POLICY = cublas, but there is no cuBLAS: the context opened no cuBLAS");
}

#if VARLSTM_EMULATED

// The kernels, copies and calls of cuBLAS that a product enqueues.
std::vector<std::string> enqueued_by(Stream stream, const Product<float, float>& product) {
  simt::record_enqueued_work(true);
  run_on_device(stream, product, 0);
  std::vector<std::string> names;
  for (const simt::EnqueuedWork& work : simt::enqueued_work())
    if (work.name != "cudaMemcpyAsync") names.push_back(work.name);
  simt::record_enqueued_work(false);
  return names;
}

TEST(GemmPolicies, ContextDecidesWhoRunsAProduct) {
  Random random(74);
  Product<float, float> product(random, 9, 8, 7, -1);
  product.trans_a = false, product.trans_b = true, product.accumulate = product.with_bias2 = false;
  product.with_bias = true;
  product.lda = product.ldb = 7, product.ldc = 8;
  product.fill(random);
  using Names = std::vector<std::string>;
  WithBlas context;
  EXPECT_EQ(enqueued_by(context.stream(), product), Names{"gemm"});
  context.state().batch_invariant = 0;
  EXPECT_EQ(enqueued_by(context.stream(), product), (Names{"bias_rows", "cublasGemmEx"}));
  product.trans_a = true, product.lda = 9, product.with_bias = false;
  product.k = product.ldb = 1025;  // tokens: no longer a small gradient
  product.fill(random);
  context.state().batch_invariant = 1;
  EXPECT_EQ(enqueued_by(context.stream(), product), Names{"cublasGemmEx"});

  setenv("VARLSTM_EMULATOR_CUBLAS", "missing", 1);
  WithBlas without;
  unsetenv("VARLSTM_EMULATOR_CUBLAS");
  EXPECT_FALSE(without.usable());
  EXPECT_EQ(enqueued_by(without.stream(), product), Names{"gemm"});
}

TEST(GemmPolicies, TheStandInTakesNoUnknownValue) {
  setenv("VARLSTM_EMULATOR_CUBLAS", "gone", 1);
  EXPECT_DEATH(WithBlas(), "VARLSTM_EMULATOR_CUBLAS = gone is none of: missing");
  unsetenv("VARLSTM_EMULATOR_CUBLAS");
}

// As cuBLAS may, the stand-in refuses less than 16 KiB; so every product that goes there gets more.
TEST(GemmPolicies, CublasRefusesASmallWorkspaceButGetsNone) {
  WithBlas context;
  OnDevice<float> a(std::vector<float>{3}), b(std::vector<float>{5}), c(std::vector<float>{0});
  OnDevice<char> workspace(std::vector<char>((64 << 10) + 256));
  GemmArgs args{};
  args.dtype = args.dtype_c = DType::kF32;
  args.m = args.n = args.k = args.lda = args.ldb = args.ldc = 1;
  args.a = a.data(), args.b = b.data(), args.c = c.data();
  args.workspace = workspace.data();
  const ForcedPolicy forced(GemmPolicy::kCublas);
  for (const int64_t bytes : {int64_t{0}, int64_t{256}, int64_t{272}, int64_t{16 << 10}, gemm_workspace_bytes(1, 1)}) {
    args.workspace_bytes = bytes;
    EXPECT_EQ(gemm(context.stream(), args), VARLSTM_OK) << bytes << ": " << take_failure_text();
    EXPECT_EQ(c.get()[0], 15);
  }
  args.workspace_bytes = (16 << 10) - 1;
  EXPECT_EQ(run_blas_gemm(context.state().blas, nullptr, args, false), VARLSTM_ERROR_OUT_OF_MEMORY);
  EXPECT_STREQ(take_failure_text(), "cublasGemmEx failed with cublasStatus_t 3: CUBLAS_STATUS_ALLOC_FAILED");
}

TEST(GemmPolicies, CallOfCublasThatFailsIsNamed) {
  Random random(75);
  WithBlas context;
  OnDevice<float> a(random_values<float>(random, 4)), c(random_values<float>(random, 4));
  OnDevice<char> workspace(std::vector<char>(static_cast<size_t>(gemm_workspace_bytes(2, 2))));
  GemmArgs args{};
  args.dtype = args.dtype_c = DType::kF32;
  args.m = args.n = args.k = args.lda = args.ldb = args.ldc = 2;
  args.a = args.b = a.data(), args.c = c.data(), args.transpose_a = true;
  args.workspace = workspace.data(), args.workspace_bytes = gemm_workspace_bytes(2, 2);
  const std::vector<float> before = c.get();
  const ForcedPolicy forced(GemmPolicy::kCublas);
  simt::set_runtime_fault({1, cudaErrorUnknown, false});
  EXPECT_EQ(gemm(context.stream(), args), VARLSTM_ERROR_BACKEND);
  simt::set_runtime_fault({});
  EXPECT_EQ(std::string(take_failure_text()).rfind("cublasGemmEx failed with cudaErrorUnknown", 0), 0u);
  EXPECT_EQ(c.get(), before);
}

#endif

}  // namespace
}  // namespace varlstm::cuda
