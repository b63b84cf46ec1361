// Schedule of a resident recurrence: list scheduling of the sequences, longest first, on the batch slots.
//
//   rank j = 0, 1, ... (longest first; length 0 is left out) goes to the slot with the least load, ties to the slot
//   that comes first in the order o = 0 .. P-1; it starts at that load, which grows by its length
//   slot of o = (o % teams) * team_slots + o / teams
//   entries[0][start + t][slot]                of its token t: row_of(order, t, rank) of steps.h
//   entries[1][start + length - 1 - t][slot]   likewise: both directions have the same slots, starts and steps
//   steps[team] = the largest load of its slots; {-1, 0, 0} from a slot's load on, up to its team's steps
//
// The order deals neighbouring ranks to different teams: of a batch that leaves slots free every team gets its share,
// so that all of them work with few slots rather than some with all and others with none, and long and short sequences
// mix in each. The largest load does not depend on it. That load is at most 4/3 - 1/(3P) of the best schedule's.
//
// Assigning (one block) repeats rounds instead of single picks. A slot's key is load << 16 | order, so that comparing
// keys breaks ties as above. With the keys sorted, position i of a round is offered rank `first + i`, and
//   bound = min over i of the key that position i would have afterwards.
// The sequential algorithm gives position i that rank if its key is the least then: less than every later position's
// (sorted) and less than what each earlier position has become. Each key is less than what it would become, so those
// that count are the earlier ones in any case: position i is given its rank where its key is below the bound. The first
// position always is. A round lifts the least load by at least the shortest length that it gave out, so there are about
// as many rounds as the fullest slot has sequences; a batch of at most P sequences takes one, without a sort.
//   S1: after the sort's last barrier everybody sees sorted keys. S2: after the reduction's barriers nobody reads
//   another thread's keys, so each may update its own. S3: after the next one's barriers the updates are visible.
//   S4: after them every slot's load is visible.
// Filling (the whole device): a thread a token, then a row of slots a block for the idle entries.
//
// Bytes: 16 B in, 12 B out a sequence; 16 D N B out, and 16 D B an idle entry. Bound by latency of the rounds where
// there are several: a bitonic sort of log2(P)^2 / 2 stages, block barriers only where partners are more than a warp's
// 64 keys apart. Not measured on a GPU. Shared memory: 8 B a slot, rounded up to a power of two of slots, and 256 B.
// Integers: exact and the same from run to run. Mirrored by no host function: the host has no slots.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/schedule/slot_schedule.h"

#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"
#include "kernels/core/rows.h"
#include "kernels/recurrence/stepwise/steps.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr int64_t kMaxAssignThreads = 1024;
constexpr int64_t kWarpKeys = 64;  // that a warp sorts with nobody else: two a lane
constexpr int kOrderBits = 16;
constexpr int64_t kMaxLoad = int64_t{1} << (64 - kOrderBits);  // a plan of so many tokens fits no memory
constexpr uint64_t kNoSlot = ~uint64_t{0};
static_assert(kMaxSlots <= int64_t{1} << kOrderBits, "an order fits its bits");

struct AssignShared {
  uint64_t* words;  // [32] of reductions
  uint64_t* keys;   // [padded] a power of two, kNoSlot behind the slots
};

VARLSTM_DEVICE int64_t load_of(uint64_t key) {
  return static_cast<int64_t>(key >> kOrderBits);
}
VARLSTM_DEVICE uint32_t slot_of(uint64_t key, uint32_t teams, uint32_t team_slots) {
  const uint32_t order = static_cast<uint32_t>(key) & ((1u << kOrderBits) - 1);
  return order % teams * team_slots + order / teams;
}

// Bitonic, ascending. `padded` and blockDim.x are powers of two, padded >= kWarpKeys, 2 * blockDim.x <= padded. A stage
// whose partners are `distance` <= 32 apart stays inside kWarpKeys keys of each warp.
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

// Gives ranks from `first` on to slots, as many as the sorted keys decide; returns how many.
VARLSTM_DEVICE int64_t assign_round(const BatchPlan& plan, const SlotSchedule& schedule, const SlotScratch& scratch,
                                    const AssignShared& shared, int64_t first, int64_t ranks) {
  const uint32_t team_slots = static_cast<uint32_t>(schedule.team_slots);
  const uint32_t teams = static_cast<uint32_t>(schedule.slots) / team_slots;
  const int64_t offered = ranks - first < schedule.slots ? ranks - first : schedule.slots;
  const auto key_after = [&](int64_t i) {
    const int64_t length = plan.lengths[plan.sorted_indices[first + i]];
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

// keys, in any order -> scratch.loads, scratch.extremes, schedule.steps.
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
  // The first round reads a thread's own keys alone: no barrier.
  for (uint32_t i = threadIdx.x; i < padded; i += blockDim.x)
    shared.keys[i] = i < schedule.slots ? uint64_t{i} : kNoSlot;
  const int64_t ranks = plan.bounds.max_len > 0 ? plan.batch_sizes[0] : 0;
  for (int64_t first = 0; first < ranks;) {
    if (first > 0) sort_keys(shared.keys, padded);
    first += assign_round(plan, schedule, scratch, shared, first, ranks);
  }
  write_loads(schedule, scratch, shared);
}

// The token of each packed row, in every direction, by its row in `order`.
VARLSTM_DEVICE void fill_tokens(const BatchPlan& plan, RowOrder order, int64_t directions, const SlotSchedule& schedule,
                                const SlotScratch& scratch) {
  const int64_t tokens = plan.step_offsets[plan.bounds.max_len];
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < tokens; k += stride) {
    const int64_t t = count_not_above(plan.step_offsets, plan.bounds.max_len + 1, k) - 1;
    const int64_t rank = k - plan.step_offsets[t];
    const int64_t row = row_of(plan, order, t, rank);
    const int64_t sequence = plan.sorted_indices[rank];
    const int64_t length = plan.lengths[sequence];
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t visit = d == 0 ? t : length - 1 - t;
      const uint32_t marks = (visit == 0 ? kFirstToken : 0) | (visit == length - 1 ? kLastToken : 0);
      const int64_t step = d * schedule.max_steps + scratch.starts[rank] + visit;
      schedule.entries[step * schedule.slots + scratch.slots[rank]] = {row, static_cast<uint32_t>(sequence), marks};
    }
  }
}

// Every entry between a slot's load and its team's steps.
VARLSTM_DEVICE void fill_idle(int64_t directions, const SlotSchedule& schedule, const SlotScratch& scratch) {
  const uint32_t slots = static_cast<uint32_t>(schedule.slots), team_slots = static_cast<uint32_t>(schedule.team_slots);
  for (int64_t step = scratch.extremes[0] + blockIdx.x; step < scratch.extremes[1]; step += gridDim.x) {
    for (uint32_t slot = threadIdx.x; slot < slots; slot += blockDim.x) {
      if (step < scratch.loads[slot] || step >= schedule.steps[slot / team_slots]) continue;
      for (int64_t d = 0; d < directions; ++d)
        schedule.entries[(d * schedule.max_steps + step) * schedule.slots + slot] = {-1, 0, 0};
    }
  }
}

VARLSTM_KERNEL void fill_slots_kernel(BatchPlan plan, RowOrder order, int64_t directions, SlotSchedule schedule,
                                      SlotScratch scratch) {
  fill_tokens(plan, order, directions, schedule, scratch);
  fill_idle(directions, schedule, scratch);
}

int32_t build_slot_schedule(Stream stream, const BatchPlan& plan, RowOrder order, int64_t directions,
                            const SlotSchedule& schedule, const SlotScratch& scratch) {
  if (schedule.slots > kMaxSlots || plan.bounds.max_tokens >= kMaxLoad) {
    return fail(VARLSTM_ERROR_UNSUPPORTED, "slots = %lld of %lld tokens: at most %lld of %lld",
                static_cast<long long>(schedule.slots), static_cast<long long>(plan.bounds.max_tokens),
                static_cast<long long>(kMaxSlots), static_cast<long long>(kMaxLoad));
  }
  int64_t padded = kWarpKeys;
  while (padded < schedule.slots) padded *= 2;
  LaunchShape shape;
  shape.block = dim3(static_cast<unsigned>(padded / 2 < kMaxAssignThreads ? padded / 2 : kMaxAssignThreads));
  shape.shared_bytes = static_cast<size_t>(32 + padded) * sizeof(uint64_t);
  VARLSTM_CUDA_TRY(launch<assign_slots_kernel>(stream, "assign_slots", shape, plan, schedule, scratch,
                                               static_cast<uint32_t>(padded)));
  return launch<fill_slots_kernel>(stream, "fill_slots", elementwise_shape(stream, plan.bounds.max_tokens), plan, order,
                                   directions, schedule, scratch);
}

}  // namespace varlstm::cuda
