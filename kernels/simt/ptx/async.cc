// PTX's asynchronous copies and mbarriers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/async_copy.h"
#include "kernels/simt/mbarrier.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

void require_operands(const Instruction& i, int count) {
  if (i.operand_count != count) defect("the instruction at " + describe(i.site) + " has an operand too many");
}

// cp.async [to], [from], bytes
void copy(Frame& f, const Instruction& i) {
  require_operands(i, 3);
  const auto* from = reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1));
  cp_async(address_of(f, i, 0), from, operand<uint32_t>(f, i, 2), i.site);
}
void commit_group(Frame&, const Instruction&) {
  cp_async_commit();
}
void wait_group(Frame& f, const Instruction& i) {
  wait_copies(operand<uint32_t>(f, i, 0));
}
void wait_all(Frame&, const Instruction&) {
  land_copies();
}

// st.async [to], value, [mbarrier]
template <class T>
void store(Frame& f, const Instruction& i) {
  require_operands(i, 3);
  auto* mbarrier = reinterpret_cast<uint64_t*>(shared_pointer(operand<uint32_t>(f, i, 2)));
  store_async(address_of(f, i, 0), operand<T>(f, i, 1), sizeof(T), mbarrier, i.site);
}

uint64_t* mbarrier_of(const Frame& f, const Instruction& i, int index) {
  return reinterpret_cast<uint64_t*>(address_of(f, i, index));
}

void init(Frame& f, const Instruction& i) {
  mbarrier_init(mbarrier_of(f, i, 0), operand<uint32_t>(f, i, 1), i.site);
}

// The state that an arrival gives is not kept: waits name the parity.
void require_sink(const Instruction& i) {
  if (i.operands[0] != kSink) defect("the mbarrier's state is wanted at " + describe(i.site) + ": it has none here");
}
void arrive(Frame& f, const Instruction& i) {
  require_operands(i, 2);
  require_sink(i);
  mbarrier_arrive(mbarrier_of(f, i, 1), i.site);
}
void arrive_expect_tx(Frame& f, const Instruction& i) {
  require_operands(i, 3);
  require_sink(i);
  mbarrier_arrive_expect_tx(mbarrier_of(f, i, 1), operand<uint32_t>(f, i, 2), i.site);
}
void try_wait(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], mbarrier_try_wait(mbarrier_of(f, i, 1), operand<uint32_t>(f, i, 2), i.site));
}

}  // namespace

void add_async(Handlers& h) {
  h["cp.async.ca.global"] = h["cp.async.cg.global"] = copy;
  h["cp.async.commit_group"] = commit_group;
  h["cp.async.wait_group"] = wait_group;
  h["cp.async.wait_all"] = wait_all;
  h["st.async.mbarrier::complete_tx::bytes.b32"] = h["st.async.mbarrier::complete_tx::bytes.u32"] = store<uint32_t>;
  h["st.async.mbarrier::complete_tx::bytes.b64"] = h["st.async.mbarrier::complete_tx::bytes.u64"] = store<uint64_t>;
  h["mbarrier.init.b64"] = init;
  h["mbarrier.arrive.b64"] = arrive;
  h["mbarrier.arrive.expect_tx.b64"] = arrive_expect_tx;
  h["mbarrier.try_wait.parity.b64"] = h["mbarrier.test_wait.parity.b64"] = try_wait;
}

}  // namespace varlstm::simt::ptx
