// Products of a warpgroup, which run asynchronously: wgmma of the PTX ISA (section «Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate Instructions»). A warpgroup is four warps, the first of which is a multiple of four.
//
// Until wgmma_wait the sums are NaN in the thread's memory, and the operands may be read at any time. What the emulator
// reports: a product without wgmma_fence, sums that are used while a product is under way, warps of a warpgroup that
// start different products, and operands in shared memory that were stored without async_proxy_fence.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/arch/fragments.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// Called by each warp of the group before its first product, and again before a product if the thread has touched the
// sums, or the registers of A, since the last one.
void wgmma_fence();
// Ends the group of products that were started since the last call; waits until at most the `pending` newest groups are
// still under way. Sums that are used afterwards are named in the wait; otherwise nvcc may use them before it.
void wgmma_commit();
void wait_products(unsigned pending, Site site);
template <int kPending>
void wgmma_wait(Site site = Site::here()) {
  wait_products(kPending, site);
}
template <int kPending, size_t kSums>
void wgmma_wait(float (&)[kSums], Site site = Site::here()) {
  wait_products(kPending, site);
}

// Makes what this thread has stored in shared memory, or in device memory, visible to wgmma and to bulk copies of
// threads that come after it.
void async_proxy_fence();
void async_proxy_fence_device();

// A matrix descriptor («Matrix Descriptor Format»). start: in the block's shared memory, aligned to 16 bytes. The
// operand consists of core matrices of 8 lines x 16 bytes; a line is a row of A or a column of B. If k is contiguous
// («K-major») and the layout is not swizzled, a core matrix is 128 contiguous bytes, the next one along k is
// `leading_bytes` further on, and the next 8 lines `stride_bytes`. If it is swizzled to s bytes, a line has a pitch of
// s bytes, the next 8 lines are `stride_bytes` further on, and the next 16 bytes along k are the next in the line. If
// lines are contiguous («MN-major»), the roles are: 8 values of k have a pitch of s bytes (16 if not swizzled), the
// next 8 of k are `stride_bytes` further on, and the next s bytes of lines `leading_bytes`; without swizzle these two
// are exchanged. A swizzled layout begins at a multiple of 8 s bytes, from which start may be a step along k away.
uint64_t matrix_descriptor(const void* start, unsigned leading_bytes, unsigned stride_bytes, MatrixSwizzle swizzle,
                           Site site = Site::here());
// The descriptor of the operand that begins `bytes` further on.
inline uint64_t advance_descriptor(uint64_t descriptor, unsigned bytes) {
  return descriptor + (bytes >> 4);
}

// Emulator's own: one product, as a thread starts it.
struct WarpgroupProduct {
  MatrixType type;
  int columns;  // 8 to 256, a multiple of 8
  bool transpose_a, transpose_b;
  bool a_in_registers;
  uint64_t a, b;
  b32x4 a_registers;
  bool accumulate;
};
// sums: the addresses of columns / 2 numbers.
void start_product(const WarpgroupProduct& product, float* const* sums, Site site, uintptr_t pc);
// Emulator's own: called when the current thread has ended.
void leave_products();

// sums [64, 2 kSums] (+)= a [64, k] * b [k, 2 kSums], k = 16, or 8 in TF32. Sum i of a lane is in row 16 (warp % 4) +
// lane / 4 + 8 (i / 2 % 2) and column 8 (i / 4) + 2 (lane % 4) + i % 2. If kTransposeA, rows of A are contiguous in
// shared memory, if kTransposeB, columns of B; otherwise k is. TF32 has no transposition.
template <MatrixType kType, bool kTransposeA = false, bool kTransposeB = false, size_t kSums>
__attribute__((noinline)) void wgmma(float (&sums)[kSums], uint64_t a, uint64_t b, bool accumulate,
                                     Site site = Site::here()) {
  static_assert(kType != MatrixType::kTf32 || (!kTransposeA && !kTransposeB), "TF32 is not transposed");
  float* pointers[kSums];
  for (size_t i = 0; i < kSums; ++i) pointers[i] = sums + i;
  start_product({kType, 2 * kSums, kTransposeA, kTransposeB, false, a, b, {}, accumulate}, pointers, site,
                reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
}
// The same with A in registers: the warp's 16 rows, as in a product of a warp (m16n8k16 or m16n8k8).
template <MatrixType kType, bool kTransposeB = false, size_t kSums>
__attribute__((noinline)) void wgmma(float (&sums)[kSums], const b32x4& a, uint64_t b, bool accumulate,
                                     Site site = Site::here()) {
  static_assert(kType != MatrixType::kTf32 || !kTransposeB, "TF32 is not transposed");
  float* pointers[kSums];
  for (size_t i = 0; i < kSums; ++i) pointers[i] = sums + i;
  start_product({kType, 2 * kSums, false, kTransposeB, true, 0, b, a, accumulate}, pointers, site,
                reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
}

}  // namespace varlstm::simt
