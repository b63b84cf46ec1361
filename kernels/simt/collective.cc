// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/collective.h"

#include <algorithm>

#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

struct ShuffleInput {
  ShuffleRequest request;
  uint64_t bits;
};

constexpr uint64_t kPoison = 0xdbdbdbdbdbdbdbdb;

// The lane that `lane` reads from, and whether it is in bounds: the PTX ISA's definition of shfl.sync.
struct Source {
  unsigned lane;
  bool in_bounds;
};
Source source_of(const ShuffleRequest& request, unsigned lane) {
  const unsigned lanes = request.lanes & 31, clamp = request.bounds & 31, segment = request.bounds >> 8 & 31;
  const unsigned bound = (lane & segment) | (clamp & ~segment);
  switch (request.kind) {
    case ShuffleKind::kIndex: {
      const unsigned source = (lane & segment) | (lanes & ~segment);
      return {source, source <= bound};
    }
    case ShuffleKind::kXor:
      return {lane ^ lanes, (lane ^ lanes) <= bound};
    case ShuffleKind::kDown:
      return {lane + lanes, lane + lanes <= bound};
    case ShuffleKind::kUp:
      return {lane - lanes, lane >= lanes + bound};
  }
  return {lane, false};
}

void shuffle_lanes(void* const* in, void* const* out, unsigned mask) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const Source named = source_of(static_cast<const ShuffleInput*>(in[lane])->request, lane);
    const unsigned source = named.in_bounds ? named.lane : lane;
    const bool present = (mask >> source & 1) != 0;
    *static_cast<Shuffled*>(out[lane]) = {present ? static_cast<const ShuffleInput*>(in[source])->bits : kPoison,
                                          named.in_bounds};
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

// Finds the pending collective of these lanes, or makes a new one. Two lanes that wait for each other at different
// collectives never continue. But a lane may wait at one that the others reach after another: a half's shuffle before
// the whole warp's.
size_t find_collective(std::vector<Collective>& pending, const char* what, unsigned mask, Site site) {
  const unsigned lane = current_thread->lane;
  size_t found = pending.size();
  for (size_t i = 0; i < pending.size(); ++i) {
    if (pending[i].mask == mask && strcmp(pending[i].what, what) == 0)
      found = i;
    else if ((pending[i].mask >> lane & 1) != 0 && (pending[i].present & mask) != 0)
      defect("divergent warp: " + describe(*current_thread) + " is at " + what + " " + describe(site) +
             " while lanes of its mask wait at " + pending[i].what + " with another mask or kind");
  }
  if (found == pending.size()) pending.push_back({mask, 0, what, nullptr, {}, {}, {}});
  return found;
}

unsigned present_lanes(const Thread& thread) {
  const unsigned lanes = std::min(32u, thread.block->threads - thread.warp * 32);
  return lanes == 32 ? ~0u : (1u << lanes) - 1;
}

// Runs it for the lanes that have arrived, which then continue; the current thread continues by itself.
void complete(std::vector<Collective>& pending, size_t index) {
  const Collective done = pending[index];
  pending.erase(pending.begin() + static_cast<ptrdiff_t>(index));
  done.function(done.in, done.out, done.present);
  for (unsigned lane = 0; lane < 32; ++lane)
    if ((done.present >> lane & 1) != 0 && done.threads[lane] != current_thread) make_ready(done.threads[lane]);
}

}  // namespace

void run_collective(const char* what, unsigned mask, void* in, void* out, CollectiveFunction function, Site site) {
  Thread* me = current_thread;
  ++counters().collectives;
  const bool strict = launch_state().options.strict;
  const unsigned full = present_lanes(*me);
  if (mask == ~0u || !strict) mask &= full;
  if ((mask >> me->lane & 1) == 0 || (mask & ~full) != 0)
    defect("wrong mask: " + describe(*me) + " at " + what + " " + describe(site) +
           ": the mask leaves out the calling lane or names an absent one");
  std::vector<Collective>& pending = me->block->collectives[me->warp];
  const size_t found = find_collective(pending, what, mask, site);
  Collective& mine = pending[found];
  mine.in[me->lane] = in;
  mine.out[me->lane] = out;
  mine.threads[me->lane] = me;
  mine.function = function;
  mine.present |= 1u << me->lane;
  const unsigned awaited = strict ? mask : mask & ~me->block->ended_lanes[me->warp];
  if (mine.present != awaited) {
    block_on(what, mask, site);
    return;
  }
  complete(pending, found);
  yield_thread();
}

void leave_collectives() {
  const Thread& me = *current_thread;
  unsigned& ended = me.block->ended_lanes[me.warp];
  ended |= 1u << me.lane;
  if (launch_state().options.strict) return;
  std::vector<Collective>& pending = me.block->collectives[me.warp];
  for (size_t i = pending.size(); i-- > 0;)
    if (pending[i].present == (pending[i].mask & ~ended)) complete(pending, i);
}

Shuffled shuffle_in_bounds(const ShuffleRequest& request, unsigned mask, uint64_t bits, Site site) {
  static const char* const names[] = {"shfl", "shfl_xor", "shfl_down", "shfl_up"};
  ShuffleInput input{request, bits};
  Shuffled result{};
  run_collective(names[static_cast<int>(request.kind)], mask, &input, &result, shuffle_lanes, site);
  return result;
}

uint64_t shuffle_bits(ShuffleKind kind, unsigned mask, uint64_t bits, unsigned operand, Site site) {
  return shuffle_in_bounds({kind, operand, kWholeWarp}, mask, bits, site).bits;
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
