// PTX's barriers: of a warp, a block and a cluster.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/barrier.h"

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

// bar.sync id, threads; all threads of the block if no number is given.
void barrier(Frame& f, const Instruction& i) {
  barrier_vote(operand<uint32_t>(f, i, 0), i.operand_count > 1 ? operand<uint32_t>(f, i, 1) : 0, false, i.site);
}
// bar.arrive id, threads
void arrive(Frame& f, const Instruction& i) {
  barrier_arrive(operand<uint32_t>(f, i, 0), operand<uint32_t>(f, i, 1), i.site);
}

// bar.red d, id, threads, p, likewise: the number of threads whose p is `wanted`.
unsigned count_votes(const Frame& f, const Instruction& i, bool wanted) {
  const int last = i.operand_count - 1;
  const uint32_t threads = last == 3 ? operand<uint32_t>(f, i, 2) : 0;
  const bool predicate = operand<uint64_t>(f, i, last) != 0;
  return barrier_vote(operand<uint32_t>(f, i, 1), threads, predicate == wanted, i.site);
}
void count(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], count_votes(f, i, true));
}
void all(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], count_votes(f, i, false) == 0);
}
void any(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], count_votes(f, i, true) != 0);
}

void warp_barrier(Frame& f, const Instruction& i) {
  warp_sync(operand<uint32_t>(f, i, 0), i.site);
}
template <bool kReleases>
void arrive_of_cluster(Frame&, const Instruction& i) {
  arrive_at_cluster(kReleases, i.site);
}
void wait_for_cluster(Frame&, const Instruction& i) {
  cluster_wait(i.site);
}

}  // namespace

void add_barriers(Handlers& h) {
  for (const std::string name : {"bar", "bar.cta", "barrier", "barrier.cta"}) {
    for (const std::string aligned : {"", ".aligned"}) {
      h[name + ".sync" + aligned] = barrier;
      h[name + ".arrive" + aligned] = arrive;
      h[name + ".red.popc" + aligned + ".u32"] = count;
      h[name + ".red.and" + aligned + ".pred"] = all;
      h[name + ".red.or" + aligned + ".pred"] = any;
    }
  }
  h["bar.warp.sync"] = warp_barrier;
  for (const std::string aligned : {"", ".aligned"}) {
    for (const char* order : {"", ".release"})
      h["barrier.cluster.arrive" + std::string(order) + aligned] = arrive_of_cluster<true>;
    h["barrier.cluster.arrive.relaxed" + aligned] = arrive_of_cluster<false>;
    for (const char* order : {"", ".acquire"})
      h["barrier.cluster.wait" + std::string(order) + aligned] = wait_for_cluster;
  }
}

}  // namespace varlstm::simt::ptx
