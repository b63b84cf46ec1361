// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/collective.h"

#include <algorithm>

#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

struct ShuffleInput {
  ShuffleKind kind;
  uint64_t bits;
  unsigned operand;
};

constexpr uint64_t kPoison = 0xdbdbdbdbdbdbdbdb;

unsigned source_lane(const ShuffleInput& input, unsigned lane) {
  switch (input.kind) {
    case ShuffleKind::kIndex:
      return input.operand % 32;
    case ShuffleKind::kXor:
      return (lane ^ input.operand) < 32 ? lane ^ input.operand : lane;
    case ShuffleKind::kDown:
      return lane + input.operand < 32 ? lane + input.operand : lane;
  }
  return lane;
}

void shuffle_lanes(void* const* in, void* const* out, unsigned mask) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const unsigned source = source_lane(*static_cast<const ShuffleInput*>(in[lane]), lane);
    *static_cast<uint64_t*>(out[lane]) =
        (mask >> source & 1) != 0 ? static_cast<const ShuffleInput*>(in[source])->bits : kPoison;
  }
}

void vote_lanes(void* const* in, void* const* out, unsigned mask) {
  unsigned votes = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0 && *static_cast<const int*>(in[lane]) != 0) votes |= 1u << lane;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0) *static_cast<unsigned*>(out[lane]) = votes;
}

void join_lanes(void* const* in, void* const* out, unsigned mask) {
  Epochs known;
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0) learn(known, *static_cast<const Epochs*>(in[lane]));
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0) *static_cast<Epochs*>(out[lane]) = known;
}

// The pending collective of these lanes, or a new one.
size_t find_collective(std::vector<Collective>& pending, const char* what, unsigned mask, Site site) {
  for (size_t i = 0; i < pending.size(); ++i) {
    if ((pending[i].mask & mask) == 0) continue;
    if (pending[i].mask == mask && strcmp(pending[i].what, what) == 0) return i;
    defect("divergent warp: " + describe(*current_thread) + " is at " + what + " " + describe(site) +
           " while lanes of its mask wait at " + pending[i].what + " with another mask or kind");
  }
  pending.push_back({mask, 0, what, {}, {}, {}});
  return pending.size() - 1;
}

}  // namespace

void run_collective(const char* what, unsigned mask, void* in, void* out, CollectiveFunction function, Site site) {
  Thread* me = current_thread;
  ++counters().collectives;
  const unsigned lanes = std::min(32u, me->block->threads - me->warp * 32);
  const unsigned full = lanes == 32 ? ~0u : (1u << lanes) - 1;
  if (mask == ~0u) mask = full;
  if ((mask >> me->lane & 1) == 0 || (mask & ~full) != 0)
    defect("wrong mask: " + describe(*me) + " at " + what + " " + describe(site) +
           ": the mask leaves out the calling lane or names an absent one");
  std::vector<Collective>& pending = me->block->collectives[me->warp];
  const size_t found = find_collective(pending, what, mask, site);
  Collective& mine = pending[found];
  mine.in[me->lane] = in;
  mine.out[me->lane] = out;
  mine.threads[me->lane] = me;
  mine.present |= 1u << me->lane;
  if (mine.present != mask) {
    block_on(what, mask, site);
    return;
  }
  const Collective complete = mine;
  pending.erase(pending.begin() + static_cast<ptrdiff_t>(found));
  function(complete.in, complete.out, mask);
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((mask >> lane & 1) != 0 && complete.threads[lane] != me) make_ready(complete.threads[lane]);
  yield_thread();
}

uint64_t shuffle_bits(ShuffleKind kind, unsigned mask, uint64_t bits, unsigned operand, Site site) {
  static const char* const names[] = {"shfl", "shfl_xor", "shfl_down"};
  ShuffleInput input{kind, bits, operand};
  uint64_t result = 0;
  run_collective(names[static_cast<int>(kind)], mask, &input, &result, shuffle_lanes, site);
  return result;
}

unsigned ballot(unsigned mask, int predicate, Site site) {
  unsigned votes = 0;
  run_collective("ballot", mask, &predicate, &votes, vote_lanes, site);
  return votes;
}

void partial_warp_sync(unsigned mask, Site site) {
  Epochs known;
  release_into(known);
  Epochs all;
  run_collective("warp_sync", mask, &known, &all, join_lanes, site);
  acquire_from(all);
}

}  // namespace varlstm::simt
