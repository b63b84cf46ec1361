// The schedule of a resident recurrence: the sequences, longest first, are list-scheduled on the slots. With resets the
// segments are, in the place of the sequences.
//
//   Rank j = 0, 1, ... (longest first, without sequences of length 0) goes to the slot with the least load. Among equal
//   loads the slot that is first in the order o = 0 .. P-1 gets it. The sequence starts at that load, which then grows
//   by the sequence's length.
//   slot of o = (o % teams) * team_slots + o / teams
//   entries[0][start + t][slot]                for token t of the sequence; its row: row_of(order, t, rank) of steps.h
//   entries[1][start + length - 1 - t][slot]   likewise: both directions have the same slots, starts and steps
//   steps[team] = the largest load of its slots; entries from a slot's load up to its team's steps are {-1, 0, 0}
//
// The order o gives neighbouring ranks to different teams. If the batch leaves slots free, every team gets its share:
// all teams work with few slots, rather than some with all their slots and others with none. Each team also gets long
// and short sequences. The largest load does not depend on the order; it is at most 4/3 - 1/(3P) of that of the best
// schedule.
//
// assign_slots_kernel (one block) works in rounds instead of single picks. A slot's key is load << 16 | order, so
// comparing keys breaks ties as above. The keys are sorted; in a round, position i is offered rank `first + i`, and
//   bound = min over i of the new key, which is the key that position i would have if it took its rank.
// The sequential algorithm gives position i its rank if the key of i is then the least: less than the keys of later
// positions, which holds because keys are sorted, and less than the new keys of earlier positions. The key of i is less
// than its own new key and those of later positions in any case. So position i takes its rank if and only if its key is
// less than the bound. The first position always does. Each round raises the least load by at least the shortest length
// that it assigned, so there are about as many rounds as the fullest slot has sequences. A batch of at most P sequences
// takes one round, without a sort.
//   S1: after the sort's last barrier every thread sees sorted keys. S2: after the reduction's barriers no thread reads
//   another thread's keys, so each may update its own. S3: after the next reduction's barriers the updates are visible.
//   S4: after its barriers the load of every slot is visible.
// fill_slots_kernel (the whole device) fills one token per thread, and then the idle entries of one step per block.
//
// If the batch has at most as many segments as slots, rank j simply gets order j: then fill_slots_kernel alone makes
// the schedule, in one launch. It also writes the reserve's header.
//
// In the example of slot_schedule.h the orders 0, 1, 2, 3 are the slots 0, 2, 1, 3. The first round offers A, B, C, D;
// the bound is load 2, order 2, so all four are assigned. The sorted keys are then (load, order) = (2, 2), (2, 3), (3,
// 1), (5, 0), and the second round gives E to order 2, that is slot 1, from step 2.
//
// Bytes: 16 B in and 12 B out for each sequence; 24 D N B out, and 16 D B for each idle entry. If there are several
// rounds, their latency is the bound: a bitonic sort has log2(P)^2 / 2 stages, with block barriers only around stages
// whose partners are 64 keys or more apart, because a warp sorts 64 keys alone. Not measured on a GPU. Shared memory:
// 8 B for each slot, with the number of slots rounded up to a power of two, and 256 B. Only integers: exact, and the
// same from run to run. No host function mirrors this, because the host has no slots.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/schedule/slot_schedule.h"

#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"
#include "kernels/core/rows.h"
#include "kernels/gemm/gemm.h"
#include "kernels/recurrence/reserve_header.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr int64_t kMaxAssignThreads = 1024;
constexpr int64_t kWarpKeys = 64;  // keys that a warp sorts alone: two for each lane
constexpr int kOrderBits = 16;
constexpr int64_t kMaxLoad = int64_t{1} << (64 - kOrderBits);  // a plan of so many tokens does not fit in any memory
constexpr uint64_t kNoSlot = ~uint64_t{0};
static_assert(kMaxSlots <= int64_t{1} << kOrderBits, "an order fits its bits");

struct AssignShared {
  uint64_t* words;  // [32] for reductions
  uint64_t* keys;   // [padded] a power of two of keys; those after the slots' keys are kNoSlot
};

VARLSTM_DEVICE int64_t load_of(uint64_t key) {
  return static_cast<int64_t>(key >> kOrderBits);
}
VARLSTM_DEVICE uint32_t slot_of(uint64_t key, uint32_t teams, uint32_t team_slots) {
  const uint32_t order = static_cast<uint32_t>(key) & ((1u << kOrderBits) - 1);
  return order % teams * team_slots + order / teams;
}

// Bitonic sort, ascending. `padded` and blockDim.x are powers of two, padded >= kWarpKeys and 2 * blockDim.x <= padded.
// If the partners of a stage are `distance` <= 32 apart, each warp stays inside its own kWarpKeys keys.
VARLSTM_DEVICE void sort_keys(uint64_t* keys, uint32_t padded) {
  for (uint32_t size = 2; size <= padded; size *= 2) {
    for (uint32_t distance = size / 2; distance > 0; distance /= 2) {
      for (uint32_t pair = threadIdx.x; pair < padded / 2; pair += blockDim.x) {
        const uint32_t low = 2 * pair - (pair & (distance - 1)), high = low + distance;
        const bool ascending = (low & size) == 0;
        const uint64_t a = keys[low], b = keys[high];
        if ((a > b) == ascending) {
          keys[low] = b;
          keys[high] = a;
        }
      }
      const uint32_t next = distance > 1 ? distance / 2 : size;
      if (distance >= kWarpKeys || next >= kWarpKeys) {
        simt::block_sync();  // S1, after the last stage
      } else {
        simt::warp_sync();
      }
    }
  }
}

// The tokens of the segment of rank j.
VARLSTM_DEVICE int64_t length_of(const BatchPlan& plan, int64_t j) {
  return plan.segments.lengths == nullptr ? plan.lengths[plan.sorted_indices[j]] : plan.segments.lengths[j];
}

// Assigns ranks from `first` on to slots, as many as this round decides, and returns how many.
VARLSTM_DEVICE int64_t assign_round(const BatchPlan& plan, const SlotSchedule& schedule, const SlotScratch& scratch,
                                    const AssignShared& shared, int64_t first, int64_t ranks) {
  const uint32_t team_slots = static_cast<uint32_t>(schedule.team_slots);
  const uint32_t teams = static_cast<uint32_t>(schedule.slots) / team_slots;
  const int64_t offered = ranks - first < schedule.slots ? ranks - first : schedule.slots;
  const auto key_after = [&](int64_t i) {
    const int64_t length = length_of(plan, first + i);
    return shared.keys[i] + (static_cast<uint64_t>(length) << kOrderBits);
  };
  uint64_t bound = kNoSlot;
  for (int64_t i = threadIdx.x; i < offered; i += blockDim.x) {
    const uint64_t after = key_after(i);
    bound = after < bound ? after : bound;
  }
  bound = block_reduce(bound, MinOf(), shared.words);  // S2
  uint64_t taken = 0;
  for (int64_t i = threadIdx.x; i < offered && shared.keys[i] < bound; i += blockDim.x) {
    scratch.starts[first + i] = load_of(shared.keys[i]);
    scratch.slots[first + i] = slot_of(shared.keys[i], teams, team_slots);
    shared.keys[i] = key_after(i);
    ++taken;
  }
  return static_cast<int64_t>(block_sum(taken, shared.words));  // S3
}

// Writes scratch.loads, scratch.extremes and schedule.steps from the keys, which may be in any order.
VARLSTM_DEVICE void write_loads(const SlotSchedule& schedule, const SlotScratch& scratch, const AssignShared& shared) {
  const uint32_t team_slots = static_cast<uint32_t>(schedule.team_slots);
  const uint32_t teams = static_cast<uint32_t>(schedule.slots) / team_slots;
  uint64_t least = kNoSlot, largest = 0;
  for (int64_t i = threadIdx.x; i < schedule.slots; i += blockDim.x) {
    const uint64_t key = shared.keys[i];
    scratch.loads[slot_of(key, teams, team_slots)] = load_of(key);
    least = key < least ? key : least;
    largest = key > largest ? key : largest;
  }
  least = block_reduce(least, MinOf(), shared.words);  // S4
  largest = block_reduce(largest, MaxOf(), shared.words);
  if (threadIdx.x == 0) {
    scratch.extremes[0] = load_of(least);
    scratch.extremes[1] = load_of(largest);
  }
  for (int64_t team = threadIdx.x; team < teams; team += blockDim.x) {
    int64_t steps = 0;
    for (int64_t k = 0; k < team_slots; ++k) {
      const int64_t load = scratch.loads[team * team_slots + k];
      steps = load > steps ? load : steps;
    }
    schedule.steps[team] = steps;
  }
}

VARLSTM_KERNEL void __launch_bounds__(kMaxAssignThreads)
    assign_slots_kernel(BatchPlan plan, SlotSchedule schedule, SlotScratch scratch, uint32_t padded) {
  uint64_t* words = simt::shared_memory<uint64_t>();
  const AssignShared shared = {words, words + 32};
  // No barrier is needed here: in the first round a thread reads only its own keys.
  for (uint32_t i = threadIdx.x; i < padded; i += blockDim.x)
    shared.keys[i] = i < schedule.slots ? uint64_t{i} : kNoSlot;
  const int64_t ranks = plan.bounds.max_len > 0 ? plan.segments.sizes[0] : 0;
  for (int64_t first = 0; first < ranks;) {
    if (first > 0) sort_keys(shared.keys, padded);
    first += assign_round(plan, schedule, scratch, shared, first, ranks);
  }
  write_loads(schedule, scratch, shared);
}

// Where a segment goes: as assign_slots_kernel has written it.
struct AssignedSlots {
  SlotSchedule schedule;
  SlotScratch scratch;

  VARLSTM_DEVICE int64_t start(int64_t rank) const { return scratch.starts[rank]; }
  VARLSTM_DEVICE uint32_t slot(int64_t rank) const { return scratch.slots[rank]; }
  VARLSTM_DEVICE int64_t load(const BatchPlan&, uint32_t slot) const { return scratch.loads[slot]; }
  VARLSTM_DEVICE int64_t steps(const BatchPlan&, uint32_t team) const { return schedule.steps[team]; }
  VARLSTM_DEVICE int64_t least_load(const BatchPlan&) const { return scratch.extremes[0]; }
  VARLSTM_DEVICE int64_t largest_load(const BatchPlan&) const { return scratch.extremes[1]; }
  VARLSTM_DEVICE void store_steps(const BatchPlan&) const {}
};

// The same if there are as many slots as segments: rank j has order j, and starts at step 0.
struct OwnSlots {
  SlotSchedule schedule;

  VARLSTM_DEVICE uint32_t team_slots() const { return static_cast<uint32_t>(schedule.team_slots); }
  VARLSTM_DEVICE uint32_t teams() const { return static_cast<uint32_t>(schedule.slots) / team_slots(); }
  // The tokens of the segment of that order, 0 if there is none.
  VARLSTM_DEVICE int64_t tokens_of(const BatchPlan& plan, int64_t order) const {
    const int64_t ranks = plan.bounds.max_len > 0 ? plan.segments.sizes[0] : 0;
    return order < ranks ? length_of(plan, order) : 0;
  }

  VARLSTM_DEVICE int64_t start(int64_t) const { return 0; }
  VARLSTM_DEVICE uint32_t slot(int64_t rank) const {
    return slot_of(static_cast<uint64_t>(rank), teams(), team_slots());
  }
  VARLSTM_DEVICE int64_t load(const BatchPlan& plan, uint32_t slot) const {
    return tokens_of(plan, static_cast<int64_t>(slot % team_slots()) * teams() + slot / team_slots());
  }
  VARLSTM_DEVICE int64_t steps(const BatchPlan& plan, uint32_t team) const { return tokens_of(plan, team); }
  VARLSTM_DEVICE int64_t least_load(const BatchPlan& plan) const { return tokens_of(plan, schedule.slots - 1); }
  VARLSTM_DEVICE int64_t largest_load(const BatchPlan& plan) const { return tokens_of(plan, 0); }
  VARLSTM_DEVICE void store_steps(const BatchPlan& plan) const {
    for (uint32_t team = threadIdx.x; team < teams(); team += blockDim.x) schedule.steps[team] = steps(plan, team);
  }
};

// Writes the entry of each token in every direction, and its row in `before`. Token k in the order of steps and ranks
// has its row in `order`.
template <class Slots>
VARLSTM_DEVICE void fill_tokens(const BatchPlan& plan, RowOrder order, int64_t directions, const SlotSchedule& schedule,
                                const Slots& slots) {
  const int64_t tokens = plan.segments.offsets[plan.bounds.max_len];
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < tokens; k += stride) {
    const int64_t t = count_not_above(plan.segments.offsets, plan.bounds.max_len + 1, k) - 1;
    const int64_t rank = k - plan.segments.offsets[t];
    const int64_t row = row_of(plan, order, t, rank);
    const int64_t length = length_of(plan, rank);
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t visit = d == 0 ? t : length - 1 - t;
      const int64_t from = visit == 0 ? initial_of(plan, d == 1, rank) : -1;
      const int64_t to = visit == length - 1 ? final_of(plan, d == 1, rank) : -1;
      const uint32_t marks = (visit == 0 ? kFirstToken : 0) | (visit == length - 1 ? kLastToken : 0) |
                             (from >= 0 ? kTakesInitial : 0) | (to >= 0 ? kGivesFinal : 0);
      const uint32_t sequence = static_cast<uint32_t>(from >= 0 ? from : to >= 0 ? to : 0);
      const int64_t step = d * schedule.max_steps + slots.start(rank) + visit;
      schedule.entries[step * schedule.slots + slots.slot(rank)] = SlotStep{row, sequence, marks};
      const int64_t no_row = from >= 0 ? kInitialRow - from : kNoRow;
      schedule.before[d * schedule.tokens + row] = visit == 0 ? no_row : row_before(plan, order, d == 1, t, rank);
    }
  }
}

// Writes the idle entries: those between the load of a slot and the steps of its team.
template <class Slots>
VARLSTM_DEVICE void fill_idle(const BatchPlan& plan, int64_t directions, const SlotSchedule& schedule,
                              const Slots& slots) {
  const uint32_t count = static_cast<uint32_t>(schedule.slots), team_slots = static_cast<uint32_t>(schedule.team_slots);
  const int64_t end = slots.largest_load(plan);
  for (int64_t step = slots.least_load(plan) + blockIdx.x; step < end; step += gridDim.x) {
    for (uint32_t slot = threadIdx.x; slot < count; slot += blockDim.x) {
      if (step < slots.load(plan, slot) || step >= slots.steps(plan, slot / team_slots)) continue;
      for (int64_t d = 0; d < directions; ++d)
        schedule.entries[(d * schedule.max_steps + step) * schedule.slots + slot] = {-1, 0, 0};
    }
  }
}

template <class Slots>
VARLSTM_KERNEL void fill_slots_kernel(BatchPlan plan, RowOrder order, int64_t directions, SlotSchedule schedule,
                                      Slots slots, HeaderToWrite header) {
  if (blockIdx.x == 0) {
    write_header(plan, header);
    slots.store_steps(plan);
  }
  fill_tokens(plan, order, directions, schedule, slots);
  fill_idle(plan, directions, schedule, slots);
}

int32_t build_slot_schedule(Stream stream, const BatchPlan& plan, RowOrder order, int64_t directions,
                            const SlotSchedule& schedule, const SlotScratch& scratch, const HeaderToWrite& header) {
  if (schedule.slots > kMaxSlots || plan.bounds.max_tokens >= kMaxLoad) {
    return fail(VARLSTM_ERROR_UNSUPPORTED, "slots = %lld of %lld tokens: at most %lld of %lld",
                static_cast<long long>(schedule.slots), static_cast<long long>(plan.bounds.max_tokens),
                static_cast<long long>(kMaxSlots), static_cast<long long>(kMaxLoad));
  }
  const LaunchShape filling = elementwise_shape(stream, plan.bounds.max_tokens > 0 ? plan.bounds.max_tokens : 1);
  if (plan.segments.count <= schedule.slots)
    return launch<fill_slots_kernel<OwnSlots>>(stream, "fill_slots", filling, plan, order, directions, schedule,
                                               OwnSlots{schedule}, header);
  int64_t padded = kWarpKeys;
  while (padded < schedule.slots) padded *= 2;
  LaunchShape shape;
  shape.block = dim3(static_cast<unsigned>(padded / 2 < kMaxAssignThreads ? padded / 2 : kMaxAssignThreads));
  shape.shared_bytes = static_cast<size_t>(32 + padded) * sizeof(uint64_t);
  VARLSTM_CUDA_TRY(launch<assign_slots_kernel>(stream, "assign_slots", shape, plan, schedule, scratch,
                                               static_cast<uint32_t>(padded)));
  return launch<fill_slots_kernel<AssignedSlots>>(stream, "fill_slots", filling, plan, order, directions, schedule,
                                                  AssignedSlots{schedule, scratch}, header);
}

}  // namespace varlstm::cuda
