// Barriers of kernels: of a warp, a block, a cluster and the grid.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/site.h"

namespace varlstm::simt {

// Every thread of the block, from one place in the program; none may have ended (Options::strict).
void block_sync(Site site = Site::here());

// Barrier `id` from 1 to 15, for `threads` threads of the block, a multiple of 32.
void named_barrier_sync(unsigned id, unsigned threads, Site site = Site::here());

// Emulator's own, bar.red of PTX: the same for barrier `id` from 0 to 15; 0 threads stand for the whole block, of which
// the last warp may have fewer than 32. Gives how many of them came with a predicate that holds.
unsigned barrier_vote(unsigned id, unsigned threads, bool predicate, Site site);
// Emulator's own, bar.arrive: counts as one of the threads of such a barrier, and goes on.
void barrier_arrive(unsigned id, unsigned threads, Site site);

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

// Emulator's own, barrier.cluster.arrive of PTX: a relaxed arrival shows the cluster only what fences have released.
void arrive_at_cluster(bool releases, Site site);

// Every thread of a cooperative launch.
void grid_sync(Site site = Site::here());

}  // namespace varlstm::simt
