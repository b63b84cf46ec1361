// PTX's mbarriers.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/mbarrier.h"

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

uint64_t* mbarrier_of(const Frame& f, const Instruction& i, int index) {
  return reinterpret_cast<uint64_t*>(address_of(f, i, index));
}

// Returns the operand after the address if there is one. In the form without a state the address is the first operand.
uint32_t operand_behind(const Frame& f, const Instruction& i, int index, uint32_t otherwise) {
  return i.operand_count > index ? operand<uint32_t>(f, i, index) : otherwise;
}

void init(Frame& f, const Instruction& i) {
  initialise_mbarrier(mbarrier_of(f, i, 0), operand<uint32_t>(f, i, 1), i.site, 0);
}
void invalidate(Frame& f, const Instruction& i) {
  invalidate_mbarrier(mbarrier_of(f, i, 0), i.site);
}

// mbarrier.arrive state, [mbarrier], count; mbarrier.arrive.expect_tx state, [mbarrier], bytes
template <bool kAnnounces, bool kDrops>
void arrive(Frame& f, const Instruction& i) {
  Arrival arrival;
  const uint32_t number = operand_behind(f, i, 2, kAnnounces ? 0 : 1);
  (kAnnounces ? arrival.bytes : arrival.count) = number;
  arrival.drops = kDrops;
  arrival.releases = i.order != Order::kRelaxed;
  set<uint64_t>(f, i.operands[0], arrive_at_mbarrier(mbarrier_of(f, i, 1), arrival, i.site));
}
void expect(Frame& f, const Instruction& i) {
  expect_transaction(mbarrier_of(f, i, 0), operand<uint32_t>(f, i, 1), i.site);
}
// cp.async.mbarrier.arrive [mbarrier]; .noinc: it is one of the arrivals that the phase expects.
template <bool kExpected>
void arrive_of_copies(Frame& f, const Instruction& i) {
  arrive_with_copies(mbarrier_of(f, i, 0), kExpected, i.site);
}

// mbarrier.test_wait p, [mbarrier], state or parity, time
template <bool kParity>
void wait(Frame& f, const Instruction& i) {
  const unsigned parity = kParity ? operand<uint32_t>(f, i, 2) : parity_of_state(operand<uint64_t>(f, i, 2));
  const bool acquires = i.order != Order::kRelaxed;
  set<uint64_t>(f, i.operands[0], test_mbarrier(mbarrier_of(f, i, 1), parity, acquires, i.site));
}

}  // namespace

void add_mbarriers(Handlers& h) {
  h["mbarrier.init.b64"] = init;
  h["mbarrier.inval.b64"] = invalidate;
  h["mbarrier.arrive.b64"] = h["mbarrier.arrive.noComplete.b64"] = arrive<false, false>;
  h["mbarrier.arrive.expect_tx.b64"] = arrive<true, false>;
  h["mbarrier.arrive_drop.b64"] = h["mbarrier.arrive_drop.noComplete.b64"] = arrive<false, true>;
  h["mbarrier.arrive_drop.expect_tx.b64"] = arrive<true, true>;
  h["mbarrier.expect_tx.b64"] = expect;
  h["cp.async.mbarrier.arrive.b64"] = arrive_of_copies<false>;
  h["cp.async.mbarrier.arrive.noinc.b64"] = arrive_of_copies<true>;
  h["mbarrier.try_wait.b64"] = h["mbarrier.test_wait.b64"] = wait<false>;
  h["mbarrier.try_wait.parity.b64"] = h["mbarrier.test_wait.parity.b64"] = wait<true>;
}

}  // namespace varlstm::simt::ptx
