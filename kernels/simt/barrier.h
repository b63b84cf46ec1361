// Barriers of kernels: of a warp, a block, a cluster and the grid.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/site.h"

namespace varlstm::simt {

// Called by every thread of the block at one place of the program. No thread of the block may have ended
// (Options::strict).
void block_sync(Site site = Site::here());

// Barrier `id` from 1 to 15, for `threads` threads of the block, which is a multiple of 32.
void named_barrier_sync(unsigned id, unsigned threads, Site site = Site::here());

// Emulator's own, for bar.red of PTX: the same for barrier `id` from 0 to 15. 0 threads mean the whole block, whose
// last warp may have fewer than 32. Returns how many of the threads had a true predicate.
unsigned barrier_vote(unsigned id, unsigned threads, bool predicate, Site site);
// Emulator's own, for bar.arrive: counts as one of the threads of such a barrier, and does not wait.
void barrier_arrive(unsigned id, unsigned threads, Site site);

// Called by the lanes of the mask, all of which pass the same mask.
void warp_sync(unsigned mask = 0xffffffffu, Site site = Site::here());

// Called by every thread of the cluster that has not ended. Writes before an arrival are visible after the wait.
// Between the two a thread may only touch its own data.
void cluster_arrive(Site site = Site::here());
void cluster_wait(Site site = Site::here());
inline void cluster_sync(Site site = Site::here()) {
  cluster_arrive(site);
  cluster_wait(site);
}

// Emulator's own, for barrier.cluster.arrive of PTX: a relaxed arrival shows the cluster only what fences have
// released.
void arrive_at_cluster(bool releases, Site site);

// Called by every thread of a cooperative launch.
void grid_sync(Site site = Site::here());

}  // namespace varlstm::simt
