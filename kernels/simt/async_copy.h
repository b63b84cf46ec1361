// Copies that run asynchronously to the threads: cp.async, and st.async to a peer's shared memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels/simt/coordinates.h"
#include "kernels/simt/knowledge.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// Copies from device memory to shared memory, both aligned to the number of bytes, which is 4, 8 or 16. This thread
// sees the bytes after a cp_async_wait, other threads after a barrier as well. Until then neither side may be touched.
void cp_async(void* to, const void* from, unsigned bytes, Site site);
// Emulator's own: the same with the first `source_bytes`, followed by zeros.
void cp_async_filled(void* to, const void* from, unsigned bytes, unsigned source_bytes, Site site);
inline void cp_async4(void* to, const void* from, Site site = Site::here()) {
  cp_async(to, from, 4, site);
}
inline void cp_async8(void* to, const void* from, Site site = Site::here()) {
  cp_async(to, from, 8, site);
}
inline void cp_async16(void* to, const void* from, Site site = Site::here()) {
  cp_async(to, from, 16, site);
}
// The same with the first `source_bytes` of the 16; the rest becomes zeros.
inline void cp_async16_filled(void* to, const void* from, unsigned source_bytes, Site site = Site::here()) {
  cp_async_filled(to, from, 16, source_bytes, site);
}
// Ends this thread's group of copies; waits until at most the `pending` newest groups are still under way.
void cp_async_commit();
void wait_copies(unsigned pending);
template <int kPending>
void cp_async_wait() {
  wait_copies(kPending);
}

// Stores `value`, of 4 or 8 bytes, in the shared memory of a block of the cluster. When the bytes have arrived, the
// mbarrier, which is in the same block, counts them. Both addresses come from cluster_map or cluster_address.
void store_async(void* to, uint64_t bits, unsigned bytes, uint64_t* mbarrier, Site site);
template <class T>
void st_async(T* to, T value, uint64_t* mbarrier, Site site = Site::here()) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "st.async stores 4 or 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  store_async(to, bits, sizeof(T), mbarrier, site);
}
template <class T>
void st_async(ClusterAddress to, T value, ClusterAddress mbarrier, Site site = Site::here()) {
  st_async(reinterpret_cast<T*>(to), value, reinterpret_cast<uint64_t*>(mbarrier), site);
}

// Emulator's own: the store of a bulk copy, which has been checked (bulk_copy.h).
void start_bulk_store(void* to, const void* from, unsigned bytes, uint64_t* mbarrier, const Epoch& epoch, Site site);

// Emulator's own: completes all copies of the current thread.
void land_copies();

}  // namespace varlstm::simt
