// PTX's branches, barriers and shuffles.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/barrier.h"
#include "kernels/simt/collective.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

void branch(Frame& f, const Instruction& i) {
  f.next = static_cast<size_t>(i.target);
}

void end(Frame& f, const Instruction&) {
  f.next = kEnd;
}

void barrier(Frame&, const Instruction& i) {
  block_sync(i.site);
}

void warp_barrier(Frame& f, const Instruction& i) {
  warp_sync(operand<uint32_t>(f, i, 0), i.site);
}

// shfl.sync.bfly.b32 d|p, a, lanes, c, mask; c names segments of a warp, of which kernels use whole ones.
void shuffle_xor(Frame& f, const Instruction& i) {
  const int first = i.destinations;  // d, or d and p
  const auto bits = operand<uint32_t>(f, i, first);
  const auto lanes = operand<uint32_t>(f, i, first + 1), mask = operand<uint32_t>(f, i, first + 3);
  set<uint32_t>(f, i.operands[0], static_cast<uint32_t>(shuffle_bits(ShuffleKind::kXor, mask, bits, lanes, i.site)));
  if (first == 2) set<uint64_t>(f, i.operands[1], 1);
}

}  // namespace

void add_control(Handlers& h) {
  h["bra"] = h["bra.uni"] = branch;
  h["ret"] = end;
  h["bar.sync"] = barrier;
  h["bar.warp.sync"] = warp_barrier;
  h["shfl.sync.bfly.b32"] = shuffle_xor;
}

}  // namespace varlstm::simt::ptx
