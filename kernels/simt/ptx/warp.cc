// PTX's instructions of a whole warp: shuffles, votes, matches and reductions.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/collective.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

// shfl.sync d|p, a, lanes, bounds, mask; p: whether the source lane is in bounds.
template <ShuffleKind kKind>
void shuffle_lanes(Frame& f, const Instruction& i) {
  const int first = i.destinations;  // d, or d and p
  const ShuffleRequest request{kKind, operand<uint32_t>(f, i, first + 1), operand<uint32_t>(f, i, first + 2)};
  const Shuffled got =
      shuffle_in_bounds(request, operand<uint32_t>(f, i, first + 3), operand<uint32_t>(f, i, first), i.site);
  set<uint32_t>(f, i.operands[0], static_cast<uint32_t>(got.bits));
  if (first == 2) set<uint64_t>(f, i.operands[1], got.in_bounds);
}

// The lanes of the mask that have the same value as this one, and all lanes that have arrived.
struct Matches {
  unsigned lanes;
  unsigned all;
};
void match(void* const* in, void* const* out, unsigned mask) {
  for (unsigned a = mask; a != 0; a &= a - 1) {
    const int lane = __builtin_ctz(a);
    unsigned same = 0;
    for (unsigned b = mask; b != 0; b &= b - 1)
      if (*static_cast<const uint64_t*>(in[__builtin_ctz(b)]) == *static_cast<const uint64_t*>(in[lane]))
        same |= b & -b;
    *static_cast<Matches*>(out[lane]) = {same, mask};
  }
}
Matches match_lanes(unsigned mask, uint64_t value, Site site) {
  Matches result{};
  run_collective("match", mask, &value, &result, match, site);
  return result;
}

// match.any.sync d, a, mask: the lanes with the same a.
template <class T>
void match_any(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], match_lanes(operand<uint32_t>(f, i, 2), operand<T>(f, i, 1), i.site).lanes);
}
// match.all.sync d|p, a, mask: p is whether a is the same in all lanes; d is then the mask of these lanes.
template <class T>
void match_all(Frame& f, const Instruction& i) {
  const int first = i.destinations;
  const Matches found = match_lanes(operand<uint32_t>(f, i, first + 1), operand<T>(f, i, first), i.site);
  const bool all = found.lanes == found.all;
  set<uint32_t>(f, i.operands[0], all ? found.all : 0);
  if (first == 2) set<uint64_t>(f, i.operands[1], all);
}

// elect.sync d|p, mask: elects one lane, here the first. d is its number, and its p is true.
void elect(Frame& f, const Instruction& i) {
  const int first = i.destinations;
  const auto leader = static_cast<unsigned>(__builtin_ctz(ballot(operand<uint32_t>(f, i, first), 1, i.site)));
  set<uint32_t>(f, i.operands[0], leader);
  if (first == 2) set<uint64_t>(f, i.operands[1], leader == current_thread->lane);
}

// vote.sync d, predicate, mask
void vote_ballot(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], ballot(operand<uint32_t>(f, i, 2), operand<uint64_t>(f, i, 1) != 0, i.site));
}
void vote_any(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], any(operand<uint32_t>(f, i, 2), operand<uint64_t>(f, i, 1) != 0, i.site) != 0);
}
void vote_all(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], all(operand<uint32_t>(f, i, 2), operand<uint64_t>(f, i, 1) != 0, i.site) != 0);
}
void vote_same(Frame& f, const Instruction& i) {
  const bool mine = operand<uint64_t>(f, i, 1) != 0;
  const Matches same = match_lanes(operand<uint32_t>(f, i, 2), mine ? 1 : 0, i.site);
  set<uint64_t>(f, i.operands[0], same.lanes == same.all);
}
// The hardware chooses which lanes run together. Here each lane runs alone.
void active_mask(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], 1u << current_thread->lane);
}

enum class Reduction { kAdd, kMin, kMax, kAnd, kOr, kXor };

template <Reduction kKind, class T>
T reduced(T a, T b) {
  switch (kKind) {
    case Reduction::kAdd:
      return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
    case Reduction::kMin:
      return a < b ? a : b;
    case Reduction::kMax:
      return a > b ? a : b;
    case Reduction::kAnd:
      return a & b;
    case Reduction::kOr:
      return a | b;
    case Reduction::kXor:
      return a ^ b;
  }
  return a;
}
template <Reduction kKind, class T>
void reduce_lanes(void* const* in, void* const* out, unsigned mask) {
  T result = *static_cast<const T*>(in[__builtin_ctz(mask)]);
  for (unsigned rest = mask & (mask - 1); rest != 0; rest &= rest - 1)
    result = reduced<kKind, T>(result, *static_cast<const T*>(in[__builtin_ctz(rest)]));
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) *static_cast<T*>(out[__builtin_ctz(rest)]) = result;
}
// redux.sync d, a, mask
template <Reduction kKind, class T>
void reduce(Frame& f, const Instruction& i) {
  auto value = operand<T>(f, i, 1);
  T result = 0;
  run_collective("redux", operand<uint32_t>(f, i, 2), &value, &result, reduce_lanes<kKind, T>, i.site);
  set<T>(f, i.operands[0], result);
}

// The kind of a shuffle or vote is before or after .sync.
void add_in_both_orders(Handlers& h, const std::string& name, const std::string& kind, const std::string& type,
                        Handler handler) {
  h[name + ".sync." + kind + "." + type] = handler;
  h[name + "." + kind + ".sync." + type] = handler;
}

}  // namespace

void add_warp(Handlers& h) {
  add_in_both_orders(h, "shfl", "idx", "b32", shuffle_lanes<ShuffleKind::kIndex>);
  add_in_both_orders(h, "shfl", "bfly", "b32", shuffle_lanes<ShuffleKind::kXor>);
  add_in_both_orders(h, "shfl", "down", "b32", shuffle_lanes<ShuffleKind::kDown>);
  add_in_both_orders(h, "shfl", "up", "b32", shuffle_lanes<ShuffleKind::kUp>);
  add_in_both_orders(h, "vote", "ballot", "b32", vote_ballot);
  add_in_both_orders(h, "vote", "any", "pred", vote_any);
  add_in_both_orders(h, "vote", "all", "pred", vote_all);
  add_in_both_orders(h, "vote", "uni", "pred", vote_same);
  add_in_both_orders(h, "match", "any", "b32", match_any<uint32_t>);
  add_in_both_orders(h, "match", "any", "b64", match_any<uint64_t>);
  add_in_both_orders(h, "match", "all", "b32", match_all<uint32_t>);
  add_in_both_orders(h, "match", "all", "b64", match_all<uint64_t>);
  h["elect.sync"] = elect;
  h["activemask.b32"] = active_mask;
  h["redux.sync.add.u32"] = h["redux.sync.add.s32"] = reduce<Reduction::kAdd, uint32_t>;
  h["redux.sync.min.u32"] = reduce<Reduction::kMin, uint32_t>;
  h["redux.sync.min.s32"] = reduce<Reduction::kMin, int32_t>;
  h["redux.sync.max.u32"] = reduce<Reduction::kMax, uint32_t>;
  h["redux.sync.max.s32"] = reduce<Reduction::kMax, int32_t>;
  h["redux.sync.and.b32"] = reduce<Reduction::kAnd, uint32_t>;
  h["redux.sync.or.b32"] = reduce<Reduction::kOr, uint32_t>;
  h["redux.sync.xor.b32"] = reduce<Reduction::kXor, uint32_t>;
}

}  // namespace varlstm::simt::ptx
