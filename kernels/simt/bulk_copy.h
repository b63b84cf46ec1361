// Bulk copies of one dimension: cp.async.bulk of the PTX ISA (section «Data Movement and Conversion Instructions: Bulk
// copy»). One thread starts a copy of any length, and an mbarrier counts its bytes. Bulk copies belong to the async
// proxy: what they read must have been written before an async_proxy_fence (or async_proxy_fence_device) of the writer.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/simt/coordinates.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// Copies from device memory to this block's shared memory. Addresses and `bytes` are multiples of 16. The mbarrier,
// which is in this block, counts the bytes; whoever waits for its phase sees them. Until then neither side may be
// touched.
void bulk_load(void* to, const void* from, unsigned bytes, uint64_t* mbarrier, Site site = Site::here());

// The same to each block of the cluster whose bit is in `blocks`, at the same place of its shared memory. Each of these
// blocks counts the bytes at the same place as `mbarrier`.
void bulk_load_multicast(void* to, const void* from, unsigned bytes, uint64_t* mbarrier, uint16_t blocks,
                         Site site = Site::here());

// Copies from this block's shared memory to that of a block of the cluster, where the mbarrier is as well.
void bulk_push(ClusterAddress to, const void* from, unsigned bytes, ClusterAddress mbarrier, Site site = Site::here());

// Emulator's own: the agent of the race detector for the copies that one mbarrier counts. Those of wgmma have smaller
// numbers.
uint64_t agent_of_bulk_copies(const uint64_t* mbarrier);

}  // namespace varlstm::simt
