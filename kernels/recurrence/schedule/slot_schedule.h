// The schedule of a resident recurrence: which token each slot works on at each step. It is built on the device from
// the lengths (slot_schedule.cu).
//
// Example: P = 4 slots, that is 2 teams of 2 slots, and sequences A to E of 5, 3, 2, 2 and 1 tokens. Forward, `entries`
// is
//
//   step         0   1   2   3   4
//   slot 0       A0  A1  A2  A3  A4     team 0: slots 0 and 1, steps[0] = 5
//   slot 1       C0  C1  E0  -   -      E takes slot 1 when C ends; then the slot is idle
//   slot 2       B0  B1  B2             team 1: slots 2 and 3, steps[1] = 3
//   slot 3       D0  D1  -
// The entry of C0 is {row of C0, sequence of C, kFirstToken}, and a dash is {-1, 0, 0}. The backward direction has the
// same slots and starts, but visits each sequence from its end: its slot 1 is C1 C0 E0 - -, and C1 has kFirstToken.
// max_steps is 13 / 4 rounded up, plus 5, that is 9.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "kernels/core/carve.h"
#include "kernels/core/stream.h"
#include "kernels/recurrence/rnn_layout.h"

namespace varlstm::cuda {

// Of a token: it is the first or the last of its segment, in the order in which the direction visits it; the segment
// starts from the initial state of its sequence rather than from zeros; it gives the sequence's final state.
constexpr uint32_t kFirstToken = 1, kLastToken = 2, kTakesInitial = 4, kGivesFinal = 8;

// What one slot does at one step.
struct alignas(16) SlotStep {
  int64_t row;        // the row of the token in the requested row order, or -1: the slot is idle
  uint32_t sequence;  // the caller's index b of the sequence that the segment begins or ends; otherwise 0
  uint32_t marks;
};

// The work of P slots in each direction. Longer sequences are taken first. When the sequence of a slot ends, the slot
// takes the next one, so a slot is idle only after its last sequence.
struct SlotSchedule {
  int64_t slots;       // P = teams * team_slots, at most kMaxSlots
  int64_t team_slots;  // slots that advance together
  int64_t max_steps;   // rows of `entries`: an upper bound of the steps of every team
  SlotStep* entries;   // [D][max_steps][P]; entries after a team's last step are neither written nor read
  int64_t* steps;      // [P / team_slots]: steps of a team = the largest load of its slots, in both directions
  // [D][tokens]: the row that the direction visits before a row, kInitialRow - b if the row starts from the initial
  // state of sequence b, or kNoRow (gemm.h).
  int64_t* before;
  int64_t tokens;
};

// Memory that is needed only while the schedule is built.
struct SlotScratch {
  int64_t* starts;    // by rank: the step at which its slot takes the segment
  uint32_t* slots;    // by rank: the segment's slot
  int64_t* loads;     // [P] the load of a slot: the steps at which it is not idle
  int64_t* extremes;  // [2] the least and the largest of the loads
};

constexpr int64_t kMaxSlots = 16384;  // their keys fill 128 KiB of one block's shared memory

// A slot takes another sequence only when it has the least load, and the least load is at most N / P. So the last
// sequence to end starts by step N / P and takes at most T steps.
inline int64_t schedule_max_steps(const BatchBounds& bounds, int64_t slots) {
  return (bounds.max_tokens + slots - 1) / slots + bounds.max_len;
}

// A schedule of `slots` slots. There are at most max_tokens + slots (max_len + 1) entries in each direction. So more
// tokens, a larger length or more slots never take fewer bytes.
inline SlotSchedule carve_slots(const BatchBounds& bounds, int64_t directions, int64_t slots, int64_t team_slots,
                                Carver& carver) {
  SlotSchedule schedule = {slots, team_slots, schedule_max_steps(bounds, slots), nullptr, nullptr, nullptr, 0};
  schedule.entries = carver.take<SlotStep>(directions * (bounds.max_tokens + slots * (bounds.max_len + 1)));
  schedule.steps = carver.take<int64_t>(slots);
  schedule.before = carver.take<int64_t>(directions * bounds.max_tokens);
  schedule.tokens = bounds.max_tokens;
  return schedule;
}

// The same, in as many bytes as a schedule of most_slots takes. Where its arrays are does not depend on most_slots:
// that of a backward may differ from that of the forward that filled them.
inline SlotSchedule carve_slot_schedule(const BatchBounds& bounds, int64_t directions, int64_t slots,
                                        int64_t team_slots, int64_t most_slots, Carver& carver) {
  Carver own(nullptr), most(nullptr);
  carve_slots(bounds, directions, slots, team_slots, own);
  carve_slots(bounds, directions, most_slots, team_slots, most);
  const SlotSchedule schedule = carve_slots(bounds, directions, slots, team_slots, carver);
  carver.take<char>(most.bytes() - own.bytes());
  return schedule;
}

// segments: at most so many.
inline SlotScratch carve_slot_scratch(int64_t segments, int64_t slots, Carver& carver) {
  SlotScratch scratch;
  scratch.starts = carver.take<int64_t>(segments);
  scratch.slots = carver.take<uint32_t>(segments);
  scratch.loads = carver.take<int64_t>(slots);
  scratch.extremes = carver.take<int64_t>(2);
  return scratch;
}

// Fills the arrays of the schedule, and writes the header unless header.to is null. The launches depend only on the
// plan's bounds, its number of segments and the number of slots.
int32_t build_slot_schedule(Stream stream, const BatchPlan& plan, RowOrder order, int64_t directions,
                            const SlotSchedule& schedule, const SlotScratch& scratch, const HeaderToWrite& header);

}  // namespace varlstm::cuda
