// Products of a warpgroup in every layout of their operands, and bulk copies. They exist on sm_90a alone; elsewhere
// these cases fail.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "tests/simt/conformance_case.h"

namespace varlstm::test {

// An operand of `Lines` rows of A or columns of B, and 128 bytes of k, in shared memory: k is contiguous, or lines are
// (Transposed). The swizzled pattern is `Width` bytes wide, 16 without swizzle.
template <int Lines, bool Transposed, int Width, class T>
struct OperandLayout {
  static constexpr int kDepth = 128 / static_cast<int>(sizeof(T));
  static constexpr int kGroup = 8 * Width;  // bytes of 8 lines, or of 8 values of k
  // Of the next part of the pattern along its contiguous side.
  static constexpr int kNext = Transposed ? kDepth / 8 * kGroup : Lines / 8 * kGroup;
  static constexpr bool kExchanged = Transposed && Width == 16;

  VARLSTM_DEVICE static int place(int line, int k) {
    const int outer = Transposed ? k : line, inner = (Transposed ? line : k) * static_cast<int>(sizeof(T));
    const int place = inner / Width * kNext + outer / 8 * kGroup + outer % 8 * Width + inner % Width;
    return place ^ (place >> 7 & (Width / 16 - 1)) << 4;
  }
  // The descriptor for the step of 32 bytes of k (16 values, or 8 of TF32) from `k` on.
  VARLSTM_DEVICE static uint64_t descriptor(const unsigned char* operand, int k) {
    constexpr MatrixSwizzle kSwizzle = Width == 128  ? MatrixSwizzle::k128
                                       : Width == 64 ? MatrixSwizzle::k64
                                       : Width == 32 ? MatrixSwizzle::k32
                                                     : MatrixSwizzle::kNone;
    const int bytes = k * static_cast<int>(sizeof(T));
    const int begin = Transposed ? k / 8 * kGroup : bytes / Width * kNext + bytes % Width;
    return matrix_descriptor(operand + begin, kExchanged ? kGroup : kNext, kExchanged ? kNext : kGroup, kSwizzle);
  }
};

template <MatrixType kType>
VARLSTM_DEVICE auto narrow(float value) {
  if constexpr (kType == MatrixType::kTf32)
    return to_tf32(value);
  else if constexpr (kType == MatrixType::kBf16)
    return to_bf16(value);
  else
    return to_f16(value);
}

template <class Layout, class Element>
VARLSTM_DEVICE void fill(unsigned char* operand, int lines, const Element& element) {
  for (int i = static_cast<int>(threadIdx.x); i < lines * Layout::kDepth; i += kWarpgroup) {
    const auto value = element(i / Layout::kDepth, i % Layout::kDepth);
    memcpy(operand + Layout::place(i / Layout::kDepth, i % Layout::kDepth), &value, sizeof value);
  }
}

// The warp's rows of A, for one step of k.
template <MatrixType kType>
VARLSTM_DEVICE b32x4 a_in_registers(int k0) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  b32x4 a;
  for (int i = 0; i < 4; ++i) {
    const int row = 16 * warp + lane / 4 + i % 2 * 8;
    if constexpr (kType == MatrixType::kTf32) {
      a.r[i] = narrow<kType>(element_a(row, k0 + lane % 4 + i / 2 * 4));
    } else {
      const int k = k0 + lane % 4 * 2 + i / 2 * 8;
      a.r[i] = narrow<kType>(element_a(row, k)) | static_cast<uint32_t>(narrow<kType>(element_a(row, k + 1))) << 16;
    }
  }
  return a;
}

// Two groups of products, the second of which adds to the sums of the first.
template <MatrixType kType, int kColumns, int kWidthA, bool kTransposeA, int kWidthB, bool kTransposeB>
VARLSTM_KERNEL void warpgroup_product_kernel(uint32_t* words) {
  using T = decltype(narrow<kType>(0.0f));
  using A = OperandLayout<64, kTransposeA, kWidthA == 0 ? 16 : kWidthA, T>;
  using B = OperandLayout<kColumns, kTransposeB, kWidthB, T>;
  constexpr int kStep = 32 / static_cast<int>(sizeof(T));
  unsigned char* a = shared_memory<unsigned char>();
  unsigned char* b = a + 64 * 128;
  fill<A>(a, 64, [](int row, int k) { return narrow<kType>(element_a(row, k)); });
  fill<B>(b, kColumns, [](int column, int k) { return narrow<kType>(element_b(k, column)); });
  async_proxy_fence();
  block_sync();
  float sums[kColumns / 2];
  b32x4 registers[4];
  for (int step = 0; step < 4; ++step) registers[step] = a_in_registers<kType>(step * kStep);
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    if (step % 2 == 0) wgmma_fence();
    const uint64_t of_b = B::descriptor(b, step * kStep);
    if constexpr (kWidthA == 0)
      wgmma<kType, kTransposeB>(sums, registers[step], of_b, step != 0);
    else
      wgmma<kType, kTransposeA, kTransposeB>(sums, A::descriptor(a, step * kStep), of_b, step != 0);
    if (step % 2 == 1) wgmma_commit();
  }
  wgmma_wait<1>();
  wgmma_wait<0>(sums);
  uint32_t mixed = 0;
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) mixed = mixed * 31 + static_cast<uint32_t>(static_cast<int>(sums[i]) + 1000);
  words[blockIdx.x * kWarpgroup + threadIdx.x] = mixed;
}

uint32_t warpgroup_expected(unsigned word, int columns, int depth) {
  const int warp = static_cast<int>(word % kWarpgroup / 32), lane = static_cast<int>(word % 32);
  uint32_t mixed = 0;
  for (int i = 0; i < columns / 2; ++i) {
    const int row = 16 * warp + lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
    float sum = 0;
    for (int k = 0; k < depth; ++k) sum += element_a(row, k) * element_b(k, column);
    mixed = mixed * 31 + static_cast<uint32_t>(static_cast<int>(sum) + 1000);
  }
  return mixed;
}
template <int kColumns, int kDepth>
uint32_t warpgroup_expected_of(unsigned word) {
  return warpgroup_expected(word, kColumns, kDepth);
}

template <MatrixType kType, int kColumns, int kWidthA, bool kTransposeA, int kWidthB, bool kTransposeB>
ConformanceCase product_case(const char* name) {
  return {name,
          warpgroup_product_kernel<kType, kColumns, kWidthA, kTransposeA, kWidthB, kTransposeB>,
          warpgroup_expected_of < kColumns,
          kType == MatrixType::kTf32 ? 32 : 64 >
          , false, true};
}

// Numbers that are not exact in a sum: an element's bits must depend neither on the number of columns of the
// instruction, because a product that is cut into other tiles must give the same bits, nor on whether a warpgroup or a
// warp multiplies, because a layer in a stack's one launch must have the bits of a layer whose input is multiplied by
// gemm.
VARLSTM_DEVICE float rough(int a, int b) {
  return static_cast<float>((a * 37 + b * 101) % 255 - 127) * 0.01171875f;
}
template <int kColumns>
VARLSTM_DEVICE uint32_t bits_of_columns(unsigned char* a, unsigned char* b, int first) {
  using A = OperandLayout<64, false, 128, uint16_t>;
  using B = OperandLayout<kColumns, false, 128, uint16_t>;
  block_sync();
  fill<A>(a, 64, [](int row, int k) { return to_bf16(rough(row, k)); });
  fill<B>(b, kColumns, [=](int column, int k) { return to_bf16(rough(k, column + first)); });
  async_proxy_fence();
  block_sync();
  float sums[kColumns / 2];
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step)
    wgmma<MatrixType::kBf16>(sums, A::descriptor(a, 16 * step), B::descriptor(b, 16 * step), step != 0);
  wgmma_commit();
  wgmma_wait<0>(sums);
  uint32_t mixed = 0;
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) {
    uint32_t bits;
    memcpy(&bits, &sums[i], sizeof bits);
    mixed = mixed + bits * static_cast<uint32_t>(2 * (first / 2 + i) + 1);
  }
  return mixed;
}
// The same by products of a warp.
VARLSTM_DEVICE uint32_t bits_of_warps() {
  const int lane = static_cast<int>(threadIdx.x % 32), row0 = static_cast<int>(threadIdx.x / 32) * 16 + lane / 4;
  const auto two = [](float low, float high) { return to_bf16x2(low, high); };
  uint32_t mixed = 0;
  for (int j = 0; j < 256 / 8; ++j) {
    f32x4 sums = {};
    for (int k0 = 0; k0 < 64; k0 += 16) {
      b32x4 a;
      b32x2 b;
      for (int i = 0; i < 4; ++i) {
        const int row = row0 + i % 2 * 8, k = k0 + lane % 4 * 2 + i / 2 * 8;
        a.r[i] = two(rough(row, k), rough(row, k + 1));
      }
      for (int i = 0; i < 2; ++i) {
        const int column = 8 * j + lane / 4, k = k0 + lane % 4 * 2 + i * 8;
        b.r[i] = two(rough(k, column), rough(k + 1, column));
      }
      sums = mma_bf16_16816(a, b, sums);
    }
    for (int i = 0; i < 4; ++i) {
      uint32_t bits;
      memcpy(&bits, &sums.r[i], sizeof bits);
      mixed += bits * static_cast<uint32_t>(2 * (4 * j + i) + 1);
    }
  }
  return mixed;
}
VARLSTM_KERNEL void same_bits_kernel(uint32_t* words) {
  unsigned char* a = shared_memory<unsigned char>();
  unsigned char* b = a + 64 * 128;
  const uint32_t wide = bits_of_columns<256>(a, b, 0);
  uint32_t middle = 0, narrow = 0;
  for (int first = 0; first < 256; first += 128) middle += bits_of_columns<128>(a, b, first);
  for (int first = 0; first < 256; first += 64) narrow += bits_of_columns<64>(a, b, first);
  words[blockIdx.x * kWarpgroup + threadIdx.x] =
      (wide == middle ? 1u : 0u) | (wide == narrow ? 2u : 0u) | (wide == bits_of_warps() ? 4u : 0u);
}
uint32_t same_bits_expected(unsigned) {
  return 7;
}

// Each block loads 512 bytes, its peer loads as many into both, and it sends what it has stored itself.
VARLSTM_KERNEL void bulk_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  uint64_t* mbarrier = reinterpret_cast<uint64_t*>(shared + 4 * kWarpgroup);
  uint32_t* source = words + 512 + blockIdx.x * kWarpgroup;
  source[threadIdx.x] = 3 * threadIdx.x + blockIdx.x;
  shared[2 * kWarpgroup + threadIdx.x] = 5 * threadIdx.x + blockIdx.x;
  async_proxy_fence_device();
  async_proxy_fence();
  if (threadIdx.x == 0) mbarrier_init(mbarrier, 1);
  cluster_sync();
  constexpr unsigned kBytes = 4 * kWarpgroup;
  if (threadIdx.x == 0) {
    const unsigned peer = cluster_rank() ^ 1;
    mbarrier_arrive_expect_tx(mbarrier, 3 * kBytes);
    bulk_load(shared, source, kBytes, mbarrier);
    if (cluster_rank() == 1) bulk_load_multicast(shared + kWarpgroup, source, kBytes, mbarrier, 3);
    bulk_push(cluster_address(shared + 3 * kWarpgroup, peer), shared + 2 * kWarpgroup, kBytes,
              cluster_address(mbarrier, peer));
  }
  mbarrier_wait_bytes(mbarrier, 0);
  const unsigned other = kWarpgroup - 1 - threadIdx.x;
  words[blockIdx.x * kWarpgroup + threadIdx.x] =
      shared[other] + (shared[kWarpgroup + other] << 10) + (shared[3 * kWarpgroup + other] << 20);
  cluster_sync();
}
uint32_t bulk_expected(unsigned word) {
  const unsigned other = kWarpgroup - 1 - word % kWarpgroup, block = word / kWarpgroup;
  return 3 * other + block + ((3 * other + 1) << 10) + ((5 * other + (block ^ 1)) << 20);
}

std::vector<ConformanceCase> warpgroup_cases() {
  constexpr MatrixType kBf16 = MatrixType::kBf16, kF16 = MatrixType::kF16, kTf32 = MatrixType::kTf32;
  return {product_case<kBf16, 64, 128, false, 128, false>("wgmma of bfloat16"),
          product_case<kF16, 8, 16, false, 16, false>("wgmma of binary16 without swizzle"),
          product_case<kF16, 16, 32, false, 64, false>("wgmma of binary16, 32 and 64 bytes wide"),
          product_case<kBf16, 128, 128, true, 128, true>("wgmma, both transposed"),
          product_case<kF16, 64, 64, true, 32, true>("wgmma, both transposed, 64 and 32 bytes wide"),
          product_case<kBf16, 32, 16, true, 16, true>("wgmma, both transposed, without swizzle"),
          product_case<kBf16, 32, 128, true, 128, false>("wgmma, A transposed"),
          product_case<kBf16, 256, 128, false, 128, false>("wgmma of 256 columns"),
          product_case<kBf16, 64, 0, false, 128, true>("wgmma with A in registers"),
          product_case<kF16, 8, 0, false, 16, false>("wgmma of binary16 with A in registers"),
          product_case<kTf32, 64, 128, false, 128, false>("wgmma of TF32"),
          product_case<kTf32, 16, 32, false, 64, false>("wgmma of TF32, 32 and 64 bytes wide"),
          product_case<kTf32, 8, 0, false, 16, false>("wgmma of TF32 with A in registers"),
          {"wgmma gives the same bits in other tiles, and those of a warp's product", same_bits_kernel,
           same_bits_expected, false, true},
          {"bulk copies", bulk_kernel, bulk_expected, false, true}};
}

}  // namespace varlstm::test
