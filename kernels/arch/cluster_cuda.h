// The vocabulary of kernels on a GPU, continued: clusters of blocks, mbarriers and stores to a peer. They need sm_90.
// If an architecture lacks them, a kernel that uses them must not be launched on it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cooperative_groups.h>
#include <stdint.h>
#include <string.h>

#include "kernels/arch/device_cuda.h"

namespace varlstm::simt {

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900

// Called by every thread of the cluster that has not ended. Writes before an arrival are visible after the wait.
// Between the two a thread may only touch its own data.
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
// Returns the same place in the shared memory of the cluster's block `rank`, which must still be running when the
// pointer is used.
template <class T>
VARLSTM_DEVICE T* cluster_map(T* pointer, unsigned rank) {
  return cooperative_groups::this_cluster().map_shared_rank(pointer, rank);
}

// An address in the shared memory of a block of the cluster. Bytes can be added to it.
using ClusterAddress = uint32_t;

// cluster_map in that form.
VARLSTM_DEVICE ClusterAddress cluster_address(const void* pointer, unsigned rank) {
  ClusterAddress address;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(address) : "r"(shared_window(pointer)), "r"(rank));
  return address;
}

// load_acquire and store_release between the blocks of a cluster.
VARLSTM_DEVICE uint32_t load_acquire_cluster(const uint32_t* address) {
  uint32_t value;
  asm volatile("ld.acquire.cluster.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
}
VARLSTM_DEVICE void store_release_cluster(uint32_t* address, uint32_t value) {
  asm volatile("st.release.cluster.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}

// Initialises an mbarrier for `arrivals` arrivals in each phase. One thread calls this; others may use the mbarrier
// after a barrier, which must be of the cluster for peers.
VARLSTM_DEVICE void mbarrier_init(uint64_t* mbarrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_window(mbarrier)), "r"(arrivals) : "memory");
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// One arrival at this block's or a peer's mbarrier. Threads that wait there see what this thread did before.
VARLSTM_DEVICE void mbarrier_arrive(uint64_t* mbarrier) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(shared_window(mbarrier))
               : "memory");
}
// The same, if this thread has only read what those who wait will overwrite: they need not see what it did before,
// which spares a fence of the whole device. CUTLASS releases the stages of a ring in the same way. It may also have
// stored there, if those who wait overwrite it by the async proxy, and its stores are behind a fence of that proxy and
// a barrier of the block.
VARLSTM_DEVICE void mbarrier_arrive_reader(uint64_t* mbarrier) {
  asm volatile("mbarrier.arrive.release.cta.shared::cluster.b64 _, [%0];" ::"r"(shared_window(mbarrier)) : "memory");
}
// The same at this block's own mbarrier. It also announces `bytes` more of asynchronous stores for this phase.
VARLSTM_DEVICE void mbarrier_arrive_expect_tx(uint64_t* mbarrier, unsigned bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(shared_window(mbarrier)),
      "r"(bytes)
      : "memory");
}
// The same, if waiters only need the announced bytes. Only this block sees what this thread did before, which avoids a
// fence of the whole device.
VARLSTM_DEVICE void mbarrier_announce(uint64_t* mbarrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_window(mbarrier)),
               "r"(bytes)
               : "memory");
}
// Returns whether the phase of that parity has ended: false for the parity of the current phase, true for the other.
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

// The same, if this thread then reads only what the announced asynchronous stores brought, or what threads of its own
// block did before they arrived. Of peers' other writes, which it may not see, it reads none, so that it need not drop
// what the multiprocessor holds of global memory. Asynchronous stores are counted after they have been made in this
// block's shared memory, which has no copies elsewhere; CUTLASS waits for them in the same way. By the letter of the
// PTX ISA the counting is a release to the cluster, and this an acquire in the block alone.
VARLSTM_DEVICE bool mbarrier_try_wait_bytes(uint64_t* mbarrier, unsigned parity) {
  uint32_t done;
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n"
      "}\n"
      : "=r"(done)
      : "r"(shared_window(mbarrier)), "r"(parity & 1)
      : "memory");
  return done != 0;
}

// Stores 4 or 8 bytes in the shared memory of a block of the cluster. When they have arrived, the mbarrier, which is in
// the same block, counts them.
template <class T>
VARLSTM_DEVICE void st_async(ClusterAddress to, T value, ClusterAddress mbarrier) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "st.async stores 4 or 8 bytes");
  if constexpr (sizeof(T) == 4) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(to), "r"(bits),
                 "r"(mbarrier)
                 : "memory");
  } else {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [%0], %1, [%2];" ::"r"(to), "l"(bits),
                 "r"(mbarrier)
                 : "memory");
  }
}
// The same with addresses from cluster_map.
template <class T>
VARLSTM_DEVICE void st_async(T* to, T value, uint64_t* mbarrier) {
  st_async(shared_window(to), value, shared_window(mbarrier));
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
using ClusterAddress = uint32_t;
VARLSTM_DEVICE ClusterAddress cluster_address(const void*, unsigned) {
  return 0;
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
VARLSTM_DEVICE void mbarrier_arrive_reader(uint64_t*) {
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
VARLSTM_DEVICE bool mbarrier_try_wait_bytes(uint64_t*, unsigned) {
  __trap();
  return true;
}
template <class T>
VARLSTM_DEVICE void st_async(ClusterAddress, T, ClusterAddress) {
  __trap();
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
