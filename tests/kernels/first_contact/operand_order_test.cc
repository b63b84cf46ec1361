// 9. A product on tensor cores gives the same bits with the weights as A and as B: stacked layers multiply W_ih as A,
// gemm as B, and both must agree. linear_forward of x and W, and of W and x in each other's place.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "support/buffer.h"
#include "tests/kernels/first_contact/scale.h"

namespace varlstm_test {
namespace {

// a [m, k] times b [n, k] transposed: [m, n].
std::vector<unsigned char> multiply(varlstm_ctx* ctx, const Precision& precision, int64_t m, int64_t n, int64_t k,
                                    const ByteBuffer& a, const ByteBuffer& b) {
  const int32_t dtype = precision.stored.dtype;
  const int64_t size = dtype == VARLSTM_DTYPE_F32 ? 4 : 2;
  int64_t bytes = 0;
  REQUIRE_OK(varlstm_op_workspace(ctx, VARLSTM_OP_LINEAR_FORWARD, dtype, m, k, n, &bytes));
  ByteBuffer c(ctx, m * n * size), workspace(ctx, bytes);
  REQUIRE_OK(varlstm_linear_forward(ctx, dtype, m, k, n, a.data(), b.data(), nullptr, c.data(), workspace.data(), bytes,
                                    nullptr));
  REQUIRE_OK(varlstm_sync(ctx, nullptr));
  return c.get();
}

std::vector<unsigned char> values(const Precision& precision, Random& random, int64_t count) {
  std::vector<unsigned char> bytes;
  for (int64_t k = 0; k < count; ++k) {
    const double value = precision.stored.round(random.uniform(-1, 1));
    const float stored = static_cast<float>(value);
    const uint16_t half = precision.stored.dtype == VARLSTM_DTYPE_F32 ? 0 : precision.stored.encode(value);
    const size_t size = precision.stored.dtype == VARLSTM_DTYPE_F32 ? sizeof stored : sizeof half;
    const size_t at = bytes.size();
    bytes.resize(at + size);
    std::memcpy(&bytes[at], size == sizeof half ? static_cast<const void*>(&half) : &stored, size);
  }
  return bytes;
}

void check(varlstm_ctx* ctx, const Precision& precision, int64_t m, int64_t n, int64_t k) {
  SCOPED_TRACE(std::string(precision.name) + " " + std::to_string(m) + " x " + std::to_string(n) + " x " +
               std::to_string(k));
  Random random(static_cast<uint64_t>(m * 1000 + n));
  const std::vector<unsigned char> a = values(precision, random, m * k), b = values(precision, random, n * k);
  ByteBuffer of_a(ctx, static_cast<int64_t>(a.size())), of_b(ctx, static_cast<int64_t>(b.size()));
  of_a.set(a), of_b.set(b);
  const std::vector<unsigned char> c = multiply(ctx, precision, m, n, k, of_a, of_b),
                                   transposed = multiply(ctx, precision, n, m, k, of_b, of_a);
  const size_t size = c.size() / static_cast<size_t>(m * n);
  int64_t different = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j)
      different += std::memcmp(&c[static_cast<size_t>(i * n + j) * size],
                               &transposed[static_cast<size_t>(j * m + i) * size], size) != 0;
  EXPECT_EQ(different, 0) << "of " << m * n << " elements";
}

TEST(OperandOrder, DoesNotMoveABitOnTensorCores) {
  ASSERT_EQ(setenv("VARLSTM_GEMM_POLICY", "tensor", 1), 0);
  for (const MathIndex math : {kMathTf32, kMathBf16, kMathF16}) {
    const Context ctx = make_context(way_of(VARLSTM_RECURRENCE_AUTO, math));
    check(ctx.get(), kPrecisions[math], 8, 32, 32);
    check(ctx.get(), kPrecisions[math], 24, 66, 80);
    if (scale().tile_hidden > 64) check(ctx.get(), kPrecisions[math], 200, 1024, 256);
  }
  ASSERT_EQ(unsetenv("VARLSTM_GEMM_POLICY"), 0);
}

}  // namespace
}  // namespace varlstm_test
