// What the products of warpgroups share, however their stages come to shared memory: the products of a stage, and the
// way of the sums to C. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm_operands.h"
#include "kernels/gemm/wgmma_tiles.h"

namespace varlstm::cuda {

template <class T>
constexpr simt::MatrixType kMatrixType = simt::MatrixType::kTf32;
template <>
constexpr simt::MatrixType kMatrixType<Bf16> = simt::MatrixType::kBf16;
template <>
constexpr simt::MatrixType kMatrixType<F16> = simt::MatrixType::kF16;

// The steps of k of a stage, 32 bytes of k each, of the warpgroup's 64 rows. A and B begin at multiples of 1024 bytes.
template <class T, bool kTransposeA, bool kTransposeB, int kSums>
VARLSTM_DEVICE void start_products(const unsigned char* a, const unsigned char* b, float (&sums)[kSums]) {
  constexpr int kSteps = 4;
  constexpr unsigned kPart = 8 * kGroupBytes;  // 64 lines of a transposed tile
  constexpr auto kSwizzle = simt::MatrixSwizzle::k128;
  const uint64_t of_a = simt::matrix_descriptor(a, kPart, kGroupBytes, kSwizzle);
  const uint64_t of_b = simt::matrix_descriptor(b, kPart, kGroupBytes, kSwizzle);
#pragma unroll
  for (unsigned step = 0; step < kSteps; ++step)
    simt::wgmma<kMatrixType<T>, kTransposeA, kTransposeB>(
        sums, simt::advance_descriptor(of_a, step * (kTransposeA ? 2 * kGroupBytes : 32)),
        simt::advance_descriptor(of_b, step * (kTransposeB ? 2 * kGroupBytes : 32)), true);
}

// Four neighbouring elements of C from their sums, of which `counted` are inside.
template <class TC, class T>
VARLSTM_DEVICE void store_four(const GemmOperands<T, void>& p, int64_t row, int64_t column, int counted,
                               const float (&sums)[4], const float (&bias)[4], const float (&bias2)[4]) {
  struct alignas(4 * sizeof(TC)) Four {
    TC of[4];
  };
  TC* const target = static_cast<TC*>(p.c) + row * p.ldc + column;
  const bool at_once = counted == 4 && reinterpret_cast<uintptr_t>(target) % sizeof(Four) == 0;
  Four value = {};
  if (p.accumulate) {
    if (at_once)
      value = *reinterpret_cast<const Four*>(target);
    else
      for (int e = 0; e < 4; ++e)
        if (e < counted) value.of[e] = target[e];
  }
  for (int e = 0; e < 4; ++e) {
    float sum = sums[e] + 0.0f;  // a padded tile turns a sum of -0 into 0, so every tile does
    if (p.bias != nullptr) sum += bias[e];
    if (p.bias2 != nullptr) sum += bias2[e];
    if (p.accumulate) sum += load_scalar(value.of[e]);
    value.of[e] = store_scalar<TC>(sum);
  }
  if (at_once)
    *reinterpret_cast<Four*>(target) = value;
  else
    for (int e = 0; e < 4; ++e)
      if (e < counted) target[e] = value.of[e];
}

// The shared memory through which store_sums brings the sums of a block to C.
template <class Tile>
constexpr size_t kSumsBytes = size_t{Tile::kRows} * (Tile::kColumns + 8) * sizeof(float);

// Stores the sums of a warp, its 16 rows of the tile. They go through shared memory, from which each lane takes four
// neighbours at a time, so that a warp stores whole rows.
template <class Tile, class T>
VARLSTM_DEVICE void store_sums(const GemmOperands<T, void>& p, bool narrow, const TileExtent& extent,
                               const float (&sums)[Tile::kColumns / 2]) {
  constexpr int kRows = 16, kPitch = Tile::kColumns + 8;  // 8 rows of pairs fall on all banks
  constexpr int kLanesOfRow = Tile::kColumns / 4 < 32 ? Tile::kColumns / 4 : 32;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  float* const mine = simt::shared_memory<float>() + warp * kRows * kPitch;
#pragma unroll
  for (int i = 0; i < Tile::kColumns / 2; ++i)
    mine[(lane / 4 + i / 2 % 2 * 8) * kPitch + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
  simt::warp_sync();
  const int rows = clamped(extent.m - extent.row0 - warp * kRows, kRows);
#pragma unroll 1
  for (int across = lane % kLanesOfRow * 4; across < Tile::kColumns; across += kLanesOfRow * 4) {
    const int64_t column = extent.column0 + across;
    const int counted = clamped(p.n - column, 4);
    float bias[4] = {}, bias2[4] = {};
    for (int e = 0; e < counted; ++e) {
      if (p.bias != nullptr) bias[e] = load_scalar(p.bias[column + e]);
      if (p.bias2 != nullptr) bias2[e] = load_scalar(p.bias2[column + e]);
    }
#pragma unroll 1
    for (int row = lane / kLanesOfRow; row < rows; row += 32 / kLanesOfRow) {
      float four[4];
      for (int e = 0; e < 4; ++e) four[e] = mine[row * kPitch + across + e];
      const int64_t c_row = extent.row0 + warp * kRows + row;
      if (narrow)
        store_four<T>(p, c_row, column, counted, four, bias, bias2);
      else
        store_four<float>(p, c_row, column, counted, four, bias, bias2);
    }
  }
}

}  // namespace varlstm::cuda
