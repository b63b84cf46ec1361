// Kernels of wgmma and bulk copies with one planted defect each, and correct ones.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/arch/device.h"
#include "simt/case_table.h"

namespace varlstm::test {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

constexpr unsigned kWarpgroup = 128;
constexpr unsigned kMatrixA = 2048, kMatrixB = 256;  // bytes of 64 x 16 and 8 x 16

// A [64, 16] and B [16, 8] in bfloat16, all elements 1 at first, in shared memory without swizzle; and the sums.
struct Operands {
  unsigned thread = threadIdx.x;
  unsigned word = blockIdx.x * kWarpgroup + threadIdx.x;
  uint32_t* a = shared_memory<uint32_t>();
  uint32_t* b = a + kMatrixA / 4;
  float sums[4] = {};

  VARLSTM_DEVICE void store(uint32_t bits = 0x3f803f80) {
    for (unsigned i = thread; i < (kMatrixA + kMatrixB) / 4; i += kWarpgroup) a[i] = bits;
  }
  VARLSTM_DEVICE void start() {
    wgmma<MatrixType::kBf16>(sums, matrix_descriptor(a, 1024, 128, MatrixSwizzle::kNone),
                             matrix_descriptor(b, 128, 128, MatrixSwizzle::kNone), true);
  }
  VARLSTM_DEVICE void put_out(uint32_t* words) {
    words[word] = static_cast<uint32_t>(sums[0] + sums[1] + sums[2] + sums[3]);
  }
};

VARLSTM_KERNEL void no_proxy_fence(uint32_t* words) {
  Operands operands;
  operands.store();
  block_sync();
  wgmma_fence();
  operands.start();
  wgmma_commit();
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

VARLSTM_KERNEL void proxy_fence_before_the_stores(uint32_t* words) {
  Operands operands;
  async_proxy_fence();
  operands.store();
  block_sync();
  wgmma_fence();
  operands.start();
  wgmma_commit();
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

VARLSTM_KERNEL void no_barrier_before_product(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  wgmma_fence();
  operands.start();
  wgmma_commit();
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

VARLSTM_KERNEL void no_register_fence(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  block_sync();
  operands.start();
  wgmma_commit();
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

VARLSTM_KERNEL void no_register_fence_after_a_wait(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  block_sync();
  wgmma_fence();
  for (int step = 0; step < 2; ++step) {
    operands.start();
    wgmma_commit();
    wgmma_wait<0>(operands.sums);
    operands.sums[0] += 1;
  }
  operands.put_out(words);
}

VARLSTM_KERNEL void operands_stored_too_early(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  block_sync();
  wgmma_fence();
  operands.start();
  wgmma_commit();
  if (operands.thread == 0) operands.a[0] = 0;
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

VARLSTM_KERNEL void wait_for_the_older_group(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  block_sync();
  wgmma_fence();
  operands.start();
  wgmma_commit();
  operands.start();
  wgmma_commit();
  wgmma_wait<1>();
  block_sync();
  operands.store(0);
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

VARLSTM_KERNEL void no_wait_for_the_product(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  block_sync();
  wgmma_fence();
  operands.start();
  wgmma_commit();
  words[operands.word] = 1;
}

VARLSTM_KERNEL void a_warp_leaves_out_a_product(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  block_sync();
  wgmma_fence();
  operands.start();
  if (operands.thread < 96) operands.start();
  wgmma_commit();
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

VARLSTM_KERNEL void warps_with_other_operands(uint32_t* words) {
  Operands operands;
  operands.store();
  async_proxy_fence();
  block_sync();
  if (operands.thread >= 64) operands.b = operands.a;
  wgmma_fence();
  operands.start();
  wgmma_commit();
  wgmma_wait<0>(operands.sums);
  operands.put_out(words);
}

// The mbarrier and 512 bytes for the copy, and 512 bytes of device memory.
struct Copied {
  unsigned thread = threadIdx.x;
  unsigned word = blockIdx.x * kWarpgroup + threadIdx.x;
  uint32_t* to = shared_memory<uint32_t>();
  uint64_t* mbarrier = shared_memory<uint64_t>() + 256;
  uint32_t* from;

  VARLSTM_DEVICE explicit Copied(uint32_t* words) : from(words + 512 + blockIdx.x * kWarpgroup) {
    if (thread == 0) mbarrier_init(mbarrier, 1);
  }
  VARLSTM_DEVICE void start() {
    if (thread != 0) return;
    mbarrier_arrive_expect_tx(mbarrier, 4 * kWarpgroup);
    bulk_load(to, from, 4 * kWarpgroup, mbarrier);
  }
};

VARLSTM_KERNEL void bulk_copy_without_a_fence(uint32_t* words) {
  Copied copied(words);
  copied.from[copied.thread] = copied.thread;
  block_sync();
  copied.start();
  mbarrier_wait_bytes(copied.mbarrier, 0);
  words[copied.word] = copied.to[copied.thread];
}

VARLSTM_KERNEL void bulk_copy_over_unfenced_stores(uint32_t* words) {
  Copied copied(words);
  copied.to[copied.thread] = copied.thread;
  block_sync();
  copied.start();
  mbarrier_wait_bytes(copied.mbarrier, 0);
  words[copied.word] = copied.to[copied.thread];
}

VARLSTM_KERNEL void no_wait_for_the_bulk_copy(uint32_t* words) {
  Copied copied(words);
  block_sync();
  copied.start();
  block_sync();
  words[copied.word] = copied.to[copied.thread];
  mbarrier_wait_bytes(copied.mbarrier, 0);
}

VARLSTM_KERNEL void a_bulk_copy_while_others_read(uint32_t* words) {
  Copied copied(words);
  async_proxy_fence();
  block_sync();
  copied.start();
  mbarrier_wait_bytes(copied.mbarrier, 0);
  words[copied.word] = copied.to[copied.thread ^ 1];
  copied.start();
  mbarrier_wait_bytes(copied.mbarrier, 1);
}

VARLSTM_KERNEL void a_misaligned_bulk_copy(uint32_t* words) {
  Copied copied(words);
  block_sync();
  if (copied.thread == 0) bulk_load(copied.to + 1, copied.from, 16, copied.mbarrier);
}

std::vector<KernelCase> defective_warpgroups() {
  const char* const fence = "no fence of the async proxy";
  return {
      {"operands without a proxy fence", no_proxy_fence, fence, true, kWarpgroup},
      {"the proxy fence before the stores", proxy_fence_before_the_stores, fence, true, kWarpgroup},
      {"no barrier before a product", no_barrier_before_product, "", true, kWarpgroup},
      {"no fence of the sums", no_register_fence, "no wgmma_fence", false, kWarpgroup},
      {"no fence of the sums after a wait", no_register_fence_after_a_wait, "no wgmma_fence", false, kWarpgroup},
      {"operands stored too early", operands_stored_too_early, "race", true, kWarpgroup},
      {"a wait for the older product", wait_for_the_older_group, "race", true, kWarpgroup},
      {"no wait for the product", no_wait_for_the_product, "missing wait", false, kWarpgroup},
      {"a warp leaves out a product", a_warp_leaves_out_a_product, "divergent warpgroup", false, kWarpgroup},
      {"warps with other operands", warps_with_other_operands, "divergent warpgroup", true, kWarpgroup},
      {"a bulk copy without a fence", bulk_copy_without_a_fence, fence, true, kWarpgroup},
      {"a bulk copy over unfenced stores", bulk_copy_over_unfenced_stores, fence, true, kWarpgroup},
      {"no wait for the bulk copy", no_wait_for_the_bulk_copy, "race", true, kWarpgroup},
      {"a bulk copy while others read", a_bulk_copy_while_others_read, "race", true, kWarpgroup},
      {"a misaligned bulk copy", a_misaligned_bulk_copy, "misaligned", false, kWarpgroup},
  };
}

// A ring of two stages that bulk copies fill with A and B: one lane of each warp says when the warp has done with a
// stage.
VARLSTM_KERNEL void ring_of_products(uint32_t* words) {
  constexpr unsigned kStage = (kMatrixA + kMatrixB) / 4;
  constexpr int kSteps = 5;
  uint32_t* shared = shared_memory<uint32_t>();
  uint64_t* full = shared_memory<uint64_t>() + 2 * kStage / 2;
  uint64_t* empty = full + 2;
  uint32_t* source = words + 512;
  Operands operands;
  if (blockIdx.x == 0)
    for (unsigned i = threadIdx.x; i < 512; i += kWarpgroup) source[i] = i % 3 == 0 ? 0x3f803f80 : 0x40003f80;
  async_proxy_fence_device();
  grid_sync();
  if (threadIdx.x == 0)
    for (int stage = 0; stage < 2; ++stage) {
      mbarrier_init(full + stage, 1);
      mbarrier_init(empty + stage, 4);
    }
  block_sync();
  for (int step = -1; step < kSteps; ++step) {
    const int next = step + 1;
    if (threadIdx.x == 0 && next < kSteps) {
      if (next >= 2) mbarrier_wait(empty + next % 2, static_cast<unsigned>(next / 2 - 1) % 2);
      mbarrier_announce(full + next % 2, kMatrixA + kMatrixB);
      bulk_load(shared + next % 2 * kStage, source, kMatrixA, full + next % 2);
      bulk_load(shared + next % 2 * kStage + kMatrixA / 4, source, kMatrixB, full + next % 2);
    }
    warp_sync();
    if (step < 0) continue;
    mbarrier_wait_bytes(full + step % 2, static_cast<unsigned>(step / 2) % 2);
    operands.a = shared + step % 2 * kStage;
    operands.b = operands.a + kMatrixA / 4;
    wgmma_fence();
    operands.start();
    wgmma_commit();
    wgmma_wait<0>(operands.sums);
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty + step % 2);
  }
  operands.put_out(words);
}

std::vector<KernelCase> correct_warpgroups() {
  return {{"a ring of products", ring_of_products, nullptr, false, kWarpgroup}};
}

}  // namespace varlstm::test
