// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/barrier.h"

#include <string.h>

#include <algorithm>

#include "kernels/simt/async_copy.h"
#include "kernels/simt/collective.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

// What any of them knew, all of them know.
void share_knowledge(const std::vector<Thread*>& threads) {
  Knowledge all;
  for (const Thread* thread : threads) all = join(all, thread->knowledge);
  if (all == nullptr) return;
  for (Thread* thread : threads) thread->knowledge = all;
}

void require_same_place(const Barrier& barrier, const char* what, Site site) {
  if (barrier.waiting.empty()) return;
  const Thread& other = *barrier.waiting.front();
  if (other.site.line == site.line && strcmp(other.site.file, site.file) == 0) return;
  defect("divergent barrier: " + describe(*current_thread) + " is at " + what + " " + describe(site) + " while " +
         describe(other) + " waits at " + describe(other.site));
}

// Blocks until `needed` threads have come.
void meet(Barrier& barrier, Scope scope, const char* what, size_t needed, Site site) {
  Thread* me = current_thread;
  ++counters().barriers;
  require_same_place(barrier, what, site);
  ++me->arrivals[scope];
  me->segment = 0;
  barrier.waiting.push_back(me);
  if (barrier.waiting.size() < needed) {
    block_on(what, ~0u, site);
    return;
  }
  if (scope == kBlock) ++counters().block_barriers;
  share_knowledge(barrier.waiting);
  for (Thread* thread : barrier.waiting) {
    thread->passed[scope] = thread->arrivals[scope];
    thread->segment = 0;
    if (thread != me) make_ready(thread);
  }
  barrier.waiting.clear();
  yield_thread();
}

void require_whole_block(const char* what, Site site) {
  const Block& block = *current_thread->block;
  if (block.live == block.threads) return;
  defect("early exit: " + describe(*current_thread) + " is at " + what + " " + describe(site) + " after " +
         std::to_string(block.threads - block.live) + " threads of its block have ended");
}

// Opens the cluster's barrier where all live threads have arrived.
void open_cluster(Cluster& cluster) {
  if (cluster.arrived == 0 || cluster.arrived != cluster.live) return;
  share_knowledge(cluster.arrivals);
  cluster.arrived = 0;
  cluster.arrivals.clear();
  ++cluster.phase;
  for (Thread* thread : cluster.waiting) make_ready(thread);
  cluster.waiting.clear();
}

}  // namespace

void block_sync(Site site) {
  Block& block = *current_thread->block;
  require_whole_block("block_sync", site);
  meet(block.barrier, kBlock, "block_sync", block.threads, site);
}

void named_barrier_sync(unsigned id, unsigned threads, Site site) {
  Thread* me = current_thread;
  if (id == 0 || id > 15 || threads == 0 || threads % 32 != 0 || threads > me->block->threads)
    defect("named_barrier_sync " + describe(site) + ": no such barrier or number of threads");
  NamedBarrier& barrier = me->block->named[id];
  if (!barrier.waiting.empty() && barrier.count != threads)
    defect("named_barrier_sync " + describe(site) + ": another thread named another number of threads");
  ++counters().barriers;
  barrier.count = threads;
  release_into(barrier.known);
  barrier.waiting.push_back(me);
  if (barrier.waiting.size() < threads) {
    block_on("named_barrier_sync", ~0u, site);
    return;
  }
  const Knowledge all = std::make_shared<Epochs>(std::move(barrier.known));
  barrier.known.clear();
  for (Thread* thread : barrier.waiting) {
    thread->knowledge = all;
    if (thread != me) make_ready(thread);
  }
  barrier.waiting.clear();
  yield_thread();
}

void warp_sync(unsigned mask, Site site) {
  Thread* me = current_thread;
  const unsigned lanes = std::min(32u, me->block->threads - me->warp * 32);
  const unsigned full = lanes == 32 ? ~0u : (1u << lanes) - 1;
  if ((mask & full) != full) {
    partial_warp_sync(mask, site);
    return;
  }
  if (mask != ~0u && mask != full) defect("warp_sync " + describe(site) + ": the mask names absent lanes");
  meet(me->block->warp_barriers[me->warp], kWarp, "warp_sync", lanes, site);
}

void cluster_arrive(Site site) {
  Thread* me = current_thread;
  Cluster& cluster = *me->block->cluster;
  if (me->arrived) defect("double arrival: " + describe(*me) + " at cluster_arrive " + describe(site));
  ++counters().barriers;
  me->arrived = true;
  me->arrival_site = site;
  me->cluster_phase = cluster.phase;
  ++me->arrivals[kCluster];
  me->segment = 0;
  ++cluster.arrived;
  cluster.arrivals.push_back(me);
  open_cluster(cluster);
}

void cluster_wait(Site site) {
  Thread* me = current_thread;
  Cluster& cluster = *me->block->cluster;
  if (!me->arrived) defect("missing arrival: " + describe(*me) + " at cluster_wait " + describe(site));
  if (cluster.phase == me->cluster_phase) {
    cluster.waiting.push_back(me);
    block_on("cluster_wait", ~0u, site);
  } else {
    yield_thread();
  }
  me->arrived = false;
  me->passed[kCluster] = me->arrivals[kCluster];
  me->segment = 0;
}

void grid_sync(Site site) {
  Launch& launch = launch_state();
  if (!launch.shape->cooperative) defect("grid_sync " + describe(site) + " in a launch that is not cooperative");
  require_whole_block("grid_sync", site);
  meet(launch.grid_barrier, kGrid, "grid_sync", launch.threads.size(), site);
}

void leave_kernel() {
  Thread* me = current_thread;
  Block& block = *me->block;
  land_copies();
  if (stack_overflowed(*me)) defect("stack overflow: " + describe(*me));
  if (!block.barrier.waiting.empty())
    defect("early exit: " + describe(*me) + " ends while " + std::to_string(block.barrier.waiting.size()) +
           " threads of its block wait at block_sync " + describe(block.barrier.waiting.front()->site));
  if (me->arrived)
    defect("missing wait: " + describe(*me) + " ends between cluster_arrive " + describe(me->arrival_site) +
           " and cluster_wait");
  check_visitors();
  me->done = true;
  ++launch_state().done;
  if (--block.live == 0)
    for (const AsyncStore& store : launch_state().stores)
      if (store.target == &block)
        defect("early exit: the last thread of block " + std::to_string(block.number) + ", " + describe(*me) +
               ", ends before st_async " + describe(store.site) + " has landed in its shared memory");
  --block.cluster->live;
  open_cluster(*block.cluster);
}

}  // namespace varlstm::simt
