// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/barrier.h"

#include <string.h>

#include <algorithm>

#include "kernels/simt/async_copy.h"
#include "kernels/simt/collective.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"
#include "kernels/simt/wgmma.h"

namespace varlstm::simt {
namespace {

// Afterwards all of the threads know what any of them knew.
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

// Lets the threads that wait at a barrier continue. The current thread, if it is among them, continues by itself.
void open(Barrier& barrier, Scope scope) {
  if (scope == kBlock) ++counters().block_barriers;
  share_knowledge(barrier.waiting);
  for (Thread* thread : barrier.waiting) {
    thread->passed[scope] = thread->arrivals[scope];
    thread->segment = 0;
    thread->votes = barrier.votes;
    if (thread != current_thread) make_ready(thread);
  }
  barrier.waiting.clear();
  barrier.votes = 0;
}

// Waits until `needed` threads have arrived.
void meet(Barrier& barrier, Scope scope, const char* what, size_t needed, Site site) {
  Thread* me = current_thread;
  ++counters().barriers;
  if (launch_state().options.strict) require_same_place(barrier, what, site);
  ++me->arrivals[scope];
  me->segment = 0;
  barrier.waiting.push_back(me);
  if (barrier.waiting.size() < needed) {
    block_on(what, ~0u, site);
    return;
  }
  open(barrier, scope);
  yield_thread();
}

void require_whole_block(const char* what, Site site) {
  const Block& block = *current_thread->block;
  if (block.live == block.threads) return;
  defect("early exit: " + describe(*current_thread) + " is at " + what + " " + describe(site) + " after " +
         std::to_string(block.threads - block.live) + " threads of its block have ended");
}

// The same, with what threads with releasing arrivals knew, and what the fences of the others had released.
void share_released(const std::vector<Thread*>& threads) {
  Knowledge all;
  for (const Thread* thread : threads)
    all = join(all, thread->arrival_releases ? thread->knowledge : thread->patterns.fenced.known[kCluster]);
  if (all == nullptr) return;
  for (Thread* thread : threads) thread->knowledge = join(thread->knowledge, all);
}

// Opens the cluster's barrier if all live threads have arrived.
void open_cluster(Cluster& cluster) {
  if (cluster.arrived == 0 || cluster.arrived != cluster.live) return;
  share_released(cluster.arrivals);
  cluster.arrived = 0;
  cluster.arrivals.clear();
  ++cluster.phase;
  for (Thread* thread : cluster.waiting) make_ready(thread);
  cluster.waiting.clear();
}

// The current thread arrives at barrier `id` for that many threads.
NamedBarrier& come_to(unsigned id, unsigned threads, const char* what, Site site) {
  Thread* me = current_thread;
  Block& block = *me->block;
  const unsigned whole = (block.threads + 31) / 32 * 32;
  if (id > 15 || threads % 32 != 0 || threads > whole)
    defect(std::string(what) + " " + describe(site) + ": barrier " + std::to_string(id) + " of " +
           std::to_string(threads) + " threads: the barrier is from 0 to 15, its threads a multiple of 32, at most " +
           std::to_string(whole) + " here");
  NamedBarrier& barrier = block.named[id];
  const unsigned count = threads == 0 || threads == whole ? block.threads : threads;
  const bool begun = barrier.arrived != 0 || !barrier.waiting.empty();
  if ((begun && barrier.count != count) || (id == 0 && !block.barrier.waiting.empty()))
    defect(std::string(what) + " " + describe(site) + ": another thread named another number of threads");
  ++counters().barriers;
  barrier.count = count;
  release_into(barrier.known);
  return barrier;
}

// Returns whether all have arrived. For a barrier of the whole block these are all threads that have not ended, if
// ended threads are permitted.
bool complete(const NamedBarrier& barrier, const Block& block) {
  const bool without_ended = barrier.count == block.threads && !launch_state().options.strict;
  return barrier.waiting.size() + barrier.arrived >= (without_ended ? block.live : barrier.count);
}

void open(NamedBarrier& barrier) {
  const Knowledge all = std::make_shared<Epochs>(std::move(barrier.known));
  barrier.known.clear();
  for (Thread* thread : barrier.waiting) {
    thread->knowledge = all;
    thread->votes = barrier.votes;
    if (thread != current_thread) make_ready(thread);
  }
  barrier.waiting.clear();
  barrier.votes = barrier.arrived = 0;
}

unsigned meet_named(unsigned id, unsigned threads, bool predicate, const char* what, Site site) {
  Thread* me = current_thread;
  NamedBarrier& barrier = come_to(id, threads, what, site);
  barrier.votes += predicate ? 1 : 0;
  barrier.waiting.push_back(me);
  if (complete(barrier, *me->block)) {
    open(barrier);
    yield_thread();
  } else {
    block_on(what, ~0u, site);
  }
  return me->votes;
}

// Opens the barriers that waited only for this thread, which has ended.
void leave_barriers(Block& block) {
  if (block.live == 0) return;
  if (block.barrier.waiting.size() == block.live) open(block.barrier, kBlock);
  for (auto& [id, barrier] : block.named)
    if (barrier.waiting.size() + barrier.arrived != 0 && complete(barrier, block)) open(barrier);
}

unsigned block_vote(bool predicate, const char* what, Site site) {
  Block& block = *current_thread->block;
  const bool strict = launch_state().options.strict;
  if (strict) require_whole_block(what, site);
  if (const auto zero = block.named.find(0);
      zero != block.named.end() && zero->second.waiting.size() + zero->second.arrived != 0)
    defect(std::string(what) + " " + describe(site) + ": another thread named another number of threads");
  block.barrier.votes += predicate ? 1 : 0;
  meet(block.barrier, kBlock, what, strict ? block.threads : block.live, site);
  return current_thread->votes;
}

}  // namespace

void block_sync(Site site) {
  block_vote(false, "block_sync", site);
}

void named_barrier_sync(unsigned id, unsigned threads, Site site) {
  if (id == 0 || threads == 0)
    defect("named_barrier_sync " + describe(site) + ": no such barrier or number of threads");
  meet_named(id, threads, false, "named_barrier_sync", site);
}

unsigned barrier_vote(unsigned id, unsigned threads, bool predicate, Site site) {
  const bool whole = threads == 0 || threads == (current_thread->block->threads + 31) / 32 * 32;
  if (id == 0 && whole) return block_vote(predicate, "block_sync", site);
  return meet_named(id, threads, predicate, "named_barrier_sync", site);
}

void barrier_arrive(unsigned id, unsigned threads, Site site) {
  NamedBarrier& barrier = come_to(id, threads, "bar.arrive", site);
  ++barrier.arrived;
  if (complete(barrier, *current_thread->block)) open(barrier);
  yield_thread();
}

void warp_sync(unsigned mask, Site site) {
  Thread* me = current_thread;
  const unsigned lanes = std::min(32u, me->block->threads - me->warp * 32);
  const unsigned full = lanes == 32 ? ~0u : (1u << lanes) - 1;
  if ((mask & full) != full || !launch_state().options.strict) {
    partial_warp_sync(mask, site);
    return;
  }
  if (mask != ~0u && mask != full) defect("warp_sync " + describe(site) + ": the mask names absent lanes");
  meet(me->block->warp_barriers[me->warp], kWarp, "warp_sync", lanes, site);
}

void cluster_arrive(Site site) {
  arrive_at_cluster(true, site);
}

void arrive_at_cluster(bool releases, Site site) {
  Thread* me = current_thread;
  Cluster& cluster = *me->block->cluster;
  if (me->arrived) defect("double arrival: " + describe(*me) + " at cluster_arrive " + describe(site));
  ++counters().barriers;
  if (releases)
    me->since_release.clear();
  else
    withhold_from_cluster();
  me->arrived = true;
  me->arrival_releases = releases;
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
  leave_products();
  if (stack_overflowed(*me)) defect("stack overflow: " + describe(*me));
  const bool strict = launch_state().options.strict;
  if (strict && !block.barrier.waiting.empty())
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
               ", ends before the asynchronous store " + describe(store.site) + " has landed in its shared memory");
  --block.cluster->live;
  open_cluster(*block.cluster);
  leave_collectives();
  if (!strict) leave_barriers(block);
}

}  // namespace varlstm::simt
