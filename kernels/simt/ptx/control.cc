// PTX's branches, barriers, fences and timers.
// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include "kernels/simt/barrier.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

void branch(Frame& f, const Instruction& i) {
  f.next = static_cast<size_t>(i.target);
}

void end(Frame& f, const Instruction&) {
  f.next = kEnd;
}

void trap(Frame&, const Instruction& i) {
  defect("trap: " + describe(*current_thread) + " at " + describe(i.site));
}

// bar.sync id, threads; all threads of the block where no number is given.
void barrier(Frame& f, const Instruction& i) {
  const unsigned all = current_thread->block->threads;
  const auto id = operand<uint32_t>(f, i, 0), threads = i.operand_count > 1 ? operand<uint32_t>(f, i, 1) : all;
  if (id == 0 && threads == all)
    block_sync(i.site);
  else
    named_barrier_sync(id, threads, i.site);
}

void warp_barrier(Frame& f, const Instruction& i) {
  warp_sync(operand<uint32_t>(f, i, 0), i.site);
}
void arrive_at_cluster(Frame&, const Instruction& i) {
  cluster_arrive(i.site);
}
void wait_for_cluster(Frame&, const Instruction& i) {
  cluster_wait(i.site);
}

// Every access is in order already.
void fence(Frame&, const Instruction&) {}

// Others run meanwhile.
void sleep(Frame&, const Instruction& i) {
  spin(i.site);
}

// mov from %clock64 or %globaltimer, in nanoseconds here.
template <class T>
void read_timer(Frame& f, const Instruction& i) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  set<T>(f, i.operands[0],
         static_cast<T>(static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec)));
}

void add_fences(Handlers& h) {
  h["membar.cta"] = h["membar.gl"] = h["membar.sys"] = h["fence.mbarrier_init.release.cluster"] = fence;
  for (const std::string order : {"sc", "acq_rel"})
    for (const std::string scope : {"cta", "cluster", "gpu", "sys"}) h["fence." + order + "." + scope] = fence;
}

}  // namespace

void add_control(Handlers& h) {
  h["bra"] = h["bra.uni"] = branch;
  h["ret"] = h["exit"] = end;
  h["trap"] = trap;
  for (const char* name : {"bar.sync", "bar.cta.sync", "barrier.sync", "barrier.cta.sync"})
    h[name] = h[std::string(name) + ".aligned"] = barrier;
  h["bar.warp.sync"] = warp_barrier;
  for (const char* aligned : {"", ".aligned"}) {
    h[std::string("barrier.cluster.arrive") + aligned] = arrive_at_cluster;
    h[std::string("barrier.cluster.arrive.release") + aligned] = arrive_at_cluster;
    h[std::string("barrier.cluster.wait") + aligned] = wait_for_cluster;
    h[std::string("barrier.cluster.wait.acquire") + aligned] = wait_for_cluster;
  }
  add_fences(h);
  h["nanosleep.u32"] = sleep;
  h["mov.u64.%globaltimer"] = h["mov.u64.%clock64"] = read_timer<uint64_t>;
  h["mov.u32.%clock"] = h["mov.u32.%globaltimer_lo"] = read_timer<uint32_t>;
}

}  // namespace varlstm::simt::ptx
