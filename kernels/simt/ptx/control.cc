// PTX's branches, fences and timers.
// SPDX-License-Identifier: Apache-2.0
#include <time.h>

#include "kernels/simt/mbarrier.h"
#include "kernels/simt/order.h"
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

template <Order kOrder, Scope kScope, bool kSequential>
void order_accesses(Frame&, const Instruction&) {
  fence({kOrder, kScope}, kSequential);
}
void order_mbarriers(Frame&, const Instruction&) {
  announce_mbarriers();
}

// Launches of one stream do not overlap here.
void depend_on_launch(Frame&, const Instruction&) {}

// Other threads run during the sleep.
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

template <Scope kScope>
void add_fences_of(Handlers& h, const std::string& scope) {
  h["fence.sc." + scope] = order_accesses<Order::kAcquireRelease, kScope, true>;
  h["fence.acq_rel." + scope] = order_accesses<Order::kAcquireRelease, kScope, false>;
  h["fence.acquire." + scope] = order_accesses<Order::kAcquire, kScope, false>;
  h["fence.release." + scope] = order_accesses<Order::kRelease, kScope, false>;
}

void add_fences(Handlers& h) {
  add_fences_of<kBlock>(h, "cta");
  add_fences_of<kCluster>(h, "cluster");
  for (const char* scope : {"gpu", "sys"}) add_fences_of<kGrid>(h, scope);
  h["membar.cta"] = h["fence.sc.cta"];
  h["membar.gl"] = h["membar.sys"] = h["fence.sc.gpu"];
  h["fence.mbarrier_init.release.cluster"] = order_mbarriers;
}

}  // namespace

void add_control(Handlers& h) {
  h["bra"] = h["bra.uni"] = branch;
  h["ret"] = h["exit"] = end;
  h["trap"] = trap;
  add_fences(h);
  h["griddepcontrol.wait"] = h["griddepcontrol.launch_dependents"] = depend_on_launch;
  h["nanosleep.u32"] = sleep;
  h["mov.u64.%globaltimer"] = h["mov.u64.%clock64"] = read_timer<uint64_t>;
  h["mov.u32.%clock"] = h["mov.u32.%globaltimer_lo"] = read_timer<uint32_t>;
}

}  // namespace varlstm::simt::ptx
