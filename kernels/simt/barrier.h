// Barriers of kernels: of a warp, a block, a cluster and the grid.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/site.h"

namespace varlstm::simt {

// Every thread of the block, from one place in the program; none may have ended.
void block_sync(Site site = Site::here());

// Barrier `id` from 1 to 15, for `threads` threads of the block, a multiple of 32.
void named_barrier_sync(unsigned id, unsigned threads, Site site = Site::here());

// The lanes of the mask, all of which name the same mask.
void warp_sync(unsigned mask = 0xffffffffu, Site site = Site::here());

// Every thread of the cluster that has not ended. What stands before an arrival is seen after the wait; between the two
// only the thread's own work may be touched.
void cluster_arrive(Site site = Site::here());
void cluster_wait(Site site = Site::here());
inline void cluster_sync(Site site = Site::here()) {
  cluster_arrive(site);
  cluster_wait(site);
}

// Every thread of a cooperative launch.
void grid_sync(Site site = Site::here());

}  // namespace varlstm::simt
