// The vocabulary of kernels on a GPU, continued: clusters of blocks, mbarriers and stores to a peer. They need sm_90;
// where an architecture lacks them, a kernel that uses them must not be launched.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cooperative_groups.h>
#include <stdint.h>
#include <string.h>

#include "kernels/arch/device_cuda.h"

namespace varlstm::simt {

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

// Every thread of the cluster that has not ended. What stands before an arrival is seen after the wait; between the two
// only the thread's own work may be touched.
VARLSTM_DEVICE void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
VARLSTM_DEVICE void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
VARLSTM_DEVICE unsigned cluster_rank() {
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// The same place in the shared memory of the cluster's block `rank`, which must still run when it is used.
template <class T>
VARLSTM_DEVICE T* cluster_map(T* pointer, unsigned rank) {
  return cooperative_groups::this_cluster().map_shared_rank(pointer, rank);
}

// load_acquire and store_release among the blocks of a cluster.
VARLSTM_DEVICE uint32_t load_acquire_cluster(const uint32_t* address) {
  uint32_t value;
  asm volatile("ld.acquire.cluster.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}
VARLSTM_DEVICE void store_release_cluster(uint32_t* address, uint32_t value) {
  asm volatile("st.release.cluster.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}

// An mbarrier for `arrivals` arrivals in each phase. One thread calls; others may use it after a barrier, of the
// cluster for peers.
VARLSTM_DEVICE void mbarrier_init(uint64_t* mbarrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_window(mbarrier)), "r"(arrivals) : "memory");
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// One arrival at this block's or a peer's mbarrier; what this thread did before is seen by those that wait.
VARLSTM_DEVICE void mbarrier_arrive(uint64_t* mbarrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(shared_window(mbarrier))
               : "memory");
}
// The same at this block's own, announcing `bytes` more of asynchronous stores for this phase.
VARLSTM_DEVICE void mbarrier_arrive_expect_tx(uint64_t* mbarrier, unsigned bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(shared_window(mbarrier)),
      "r"(bytes)
      : "memory");
}
// The same where only its bytes are awaited: what this thread did before is seen by its own block alone, which spares a
// fence of the whole device.
VARLSTM_DEVICE void mbarrier_announce(uint64_t* mbarrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_window(mbarrier)),
               "r"(bytes)
               : "memory");
}
// Whether the phase of that parity has ended: for the current phase's parity false, for the other one true.
VARLSTM_DEVICE bool mbarrier_try_wait(uint64_t* mbarrier, unsigned parity) {
  uint32_t done;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n"
      "}\n"
      : "=r"(done)
      : "r"(shared_window(mbarrier)), "r"(parity & 1)
      : "memory");
  return done != 0;
}

// Stores 4 or 8 bytes in the shared memory of a block of the cluster; when they have landed, they count as come at the
// mbarrier, which lies in the same block. Both addresses are cluster_map's.
template <class T>
VARLSTM_DEVICE void st_async(T* to, T value, uint64_t* mbarrier) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "st.async stores 4 or 8 bytes");
  if constexpr (sizeof(T) == 4) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(shared_window(to)),
                 "r"(bits), "r"(shared_window(mbarrier))
                 : "memory");
  } else {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [%0], %1, [%2];" ::"r"(shared_window(to)),
                 "l"(bits), "r"(shared_window(mbarrier))
                 : "memory");
  }
}

#else

VARLSTM_DEVICE void cluster_arrive() {
  __trap();
}
VARLSTM_DEVICE void cluster_wait() {
  __trap();
}
VARLSTM_DEVICE unsigned cluster_rank() {
  return 0;
}
template <class T>
VARLSTM_DEVICE T* cluster_map(T* pointer, unsigned) {
  return pointer;
}
VARLSTM_DEVICE uint32_t load_acquire_cluster(const uint32_t* address) {
  return load_acquire(address);
}
VARLSTM_DEVICE void store_release_cluster(uint32_t* address, uint32_t value) {
  store_release(address, value);
}
VARLSTM_DEVICE void mbarrier_init(uint64_t*, unsigned) {
  __trap();
}
VARLSTM_DEVICE void mbarrier_arrive(uint64_t*) {
  __trap();
}
VARLSTM_DEVICE void mbarrier_arrive_expect_tx(uint64_t*, unsigned) {
  __trap();
}
VARLSTM_DEVICE void mbarrier_announce(uint64_t*, unsigned) {
  __trap();
}
VARLSTM_DEVICE bool mbarrier_try_wait(uint64_t*, unsigned) {
  __trap();
  return true;
}
template <class T>
VARLSTM_DEVICE void st_async(T*, T, uint64_t*) {
  __trap();
}

#endif

VARLSTM_DEVICE void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

}  // namespace varlstm::simt
