// What every batch slot of a resident recurrence does at each of its steps, built on the device from the lengths. See
// slot_schedule.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/core/carve.h"
#include "kernels/core/stream.h"

namespace varlstm::cuda {

constexpr uint32_t kFirstToken = 1, kLastToken = 2;

// What one batch slot does at one step.
struct alignas(16) SlotStep {
  int64_t row;        // row of the token in the order of rows asked for, or -1: the slot idles
  uint32_t sequence;  // caller's index b of the sequence; 0 where the slot idles
  uint32_t marks;     // kFirstToken | kLastToken, in the order in which this direction visits the sequence
};

// The work of P slots of each direction: sequences longest first, and when a slot's sequence ends it takes the next
// one. A slot idles behind its last sequence alone.
struct SlotSchedule {
  int64_t slots;       // P = teams * team_slots, at most kMaxSlots
  int64_t team_slots;  // slots that advance together
  int64_t max_steps;   // rows of `entries`: an upper bound of every team's steps
  SlotStep* entries;   // [D][max_steps][P]; behind a team's steps nothing is written or read
  int64_t* steps;      // [P / team_slots]: steps of a team = the most that one of its slots does, in both directions

  // Fewer slots in the same arrays.
  void use_slots(const BatchBounds& bounds, int64_t fewer);
};

// What building one needs; free again when it is built.
struct SlotScratch {
  int64_t* starts;    // [max_batch] by rank: the step at which its slot takes the sequence
  uint32_t* slots;    // [max_batch] by rank: its slot
  int64_t* loads;     // [P] steps that a slot works
  int64_t* extremes;  // [2] the least and the largest of the loads
};

constexpr int64_t kMaxSlots = 16384;  // their keys fill 128 KiB of one block's shared memory

// No slot takes a sequence before every slot is busy, so the last one to end starts by N / P and takes at most T steps.
inline int64_t schedule_max_steps(const BatchBounds& bounds, int64_t slots) {
  return (bounds.max_tokens + slots - 1) / slots + bounds.max_len;
}

inline void SlotSchedule::use_slots(const BatchBounds& bounds, int64_t fewer) {
  slots = fewer;
  max_steps = schedule_max_steps(bounds, fewer);
}

// For any number of slots up to `slots`: their entries are at most max_tokens + slots (max_len + 1).
inline SlotSchedule carve_slot_schedule(const BatchBounds& bounds, int64_t directions, int64_t slots,
                                        int64_t team_slots, Carver& carver) {
  SlotSchedule schedule = {slots, team_slots, schedule_max_steps(bounds, slots), nullptr, nullptr};
  schedule.entries = carver.take<SlotStep>(directions * (bounds.max_tokens + slots * (bounds.max_len + 1)));
  schedule.steps = carver.take<int64_t>(slots);
  return schedule;
}

inline SlotScratch carve_slot_scratch(const BatchBounds& bounds, int64_t slots, Carver& carver) {
  SlotScratch scratch;
  scratch.starts = carver.take<int64_t>(bounds.max_batch);
  scratch.slots = carver.take<uint32_t>(bounds.max_batch);
  scratch.loads = carver.take<int64_t>(slots);
  scratch.extremes = carver.take<int64_t>(2);
  return scratch;
}

// Fills schedule.entries and schedule.steps. The launches depend on the plan's bounds and the number of slots alone.
int32_t build_slot_schedule(Stream stream, const BatchPlan& plan, RowOrder order, int64_t directions,
                            const SlotSchedule& schedule, const SlotScratch& scratch);

}  // namespace varlstm::cuda
