// Stepping: one token of each of B streams, whose states are in rows of a table. A step is a forward of B sequences of
// length 1 over the states of the streams' slots, which are copied from the table and back. So it is, bit for bit, what
// forward does between two tokens: for 16 bits h is rounded when it is stored, and c stays a float. A stream's result
// does not depend on the others.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/carve.h"
#include "host/cells/cells.h"
#include "host/rnn/prepared_weights.h"
#include "host/rnn/rnn.h"
#include "host/rnn/rnn_forward.h"
#include "host/simd/scalar16.h"

namespace varlstm::host {

// The first stream whose slot is not in [0, S) or is that of an earlier stream; -1 if there is none. stream_of [S] may
// hold anything before: an entry counts only if it is an earlier stream that does have the slot.
inline int64_t first_bad_slot(const RnnStepArgs& args, int64_t* stream_of) {
  for (int64_t k = 0; k < args.streams; ++k) {
    const int64_t slot = args.slots[k];
    if (slot < 0 || slot >= args.table_slots) return k;
    const int64_t earlier = stream_of[slot];
    if (earlier >= 0 && earlier < k && args.slots[earlier] == slot) return k;
    stream_of[slot] = k;
  }
  return -1;
}

// What a step has in the workspace before that of forward. C is the type that T is computed in.
template <class T, class C = ComputeType<T>>
struct StepWorkspace {
  int64_t* stream_of;   // [S] the stream that was seen last with each slot
  int64_t* ones;        // [B]
  int64_t* ranks;       // [B + 1] 0, 1, ...
  C* h;                 // [L, B, R] the states of this call's slots, before and after the step
  C* c;                 // [L, B, H] likewise; null if the cell has no c
  C* params = nullptr;  // copies, if C is not T: the flat buffer,
  C* x = nullptr;       // [B, I]
  C* y = nullptr;       // and [B, R]

  StepWorkspace(const RnnShape& shape, int64_t streams, int64_t table_slots, Carver& carver) {
    stream_of = carver.take<int64_t>(table_slots);
    ones = carver.take<int64_t>(streams);
    ranks = carver.take<int64_t>(streams + 1);
    h = carver.take<C>(shape.layers, streams, state_width(shape));
    c = kCellTraits[shape.cell].has_c ? carver.take<C>(shape.layers, streams, shape.hidden) : nullptr;
    if (!kIs16Bit<T>) return;
    params = carver.take<C>(param_elements(shape));
    x = carver.take<C>(streams, shape.input);
    y = carver.take<C>(streams, state_width(shape));
  }
};

// The shape of the forward that makes a step: without dropout, and with adjacent rows.
inline RnnShape shape_of_step(RnnShape shape) {
  shape.dropout = 0;
  shape.row_order = RowOrder::kPacked;
  shape.resets = false;
  shape.cell_states = false;
  return shape;
}

// INT64_MAX if the bytes overflow.
template <class T>
int64_t rnn_step_bytes(const RnnShape& shape, int64_t streams, int64_t table_slots) {
  Carver carver(nullptr);
  const StepWorkspace<T> workspace(shape, streams, table_slots, carver);
  int64_t bytes = rnn_sizes<ComputeType<T>>(shape_of_step(shape), {streams, 1, streams}, false).workspace_bytes;
  return __builtin_add_overflow(bytes, carver.bytes(), &bytes) ? INT64_MAX : bytes;
}

template <class T>
class RnnStep {
  using C = ComputeType<T>;

 public:
  RnnStep(const RnnStepArgs& args, const PreparedRnn& prepared)
      : args_(args),
        prepared_(prepared),
        floats_(args.shape, kIs16Bit<T> ? prepared : PreparedRnn{}),
        carver_(args.workspace),
        workspace_(args.shape, args.streams, args.table_slots, carver_) {}

  // Returns what first_bad_slot does; then nothing but the workspace has been written.
  int64_t run(int64_t threads) {
    const int64_t bad = first_bad_slot(args_, workspace_.stream_of);
    if (bad >= 0 || args_.streams == 0) return bad;
    fill_plan();
    const int64_t of_h = state_width(args_.shape), of_c = args_.shape.hidden;
    for_states(of_h, static_cast<const T*>(args_.h), workspace_.h,
               [](int64_t count, const T* row, C* copy) { convert(count, row, copy); });
    for_states(of_c, static_cast<const C*>(args_.c), workspace_.c,
               [](int64_t count, const C* row, C* copy) { convert(count, row, copy); });
    run_forward(threads);
    for_states(of_h, static_cast<T*>(args_.h), workspace_.h,
               [](int64_t count, T* row, const C* copy) { convert(count, copy, row); });
    for_states(of_c, static_cast<C*>(args_.c), workspace_.c,
               [](int64_t count, C* row, const C* copy) { convert(count, copy, row); });
    return -1;
  }

 private:
  void fill_plan() {
    const int64_t streams = args_.streams;
    for (int64_t k = 0; k < streams; ++k) workspace_.ones[k] = 1;
    for (int64_t k = 0; k <= streams; ++k) workspace_.ranks[k] = k;
    sizes_[0] = offsets_[1] = streams;
    plan_.bounds = {streams, 1, streams};
    plan_.batch = plan_.tokens = streams;
    plan_.steps = 1;
    plan_.lengths = workspace_.ones;
    plan_.batch_sizes = sizes_;
    plan_.step_offsets = offsets_;
    plan_.sorted_indices = plan_.unsorted_indices = plan_.cu_seqlens = workspace_.ranks;
    plan_.packed_to_ragged = plan_.ragged_to_packed = workspace_.ranks;
    take_sequences_as_segments(plan_);
  }

  // Calls body(width, row of the table, row of the copies) for each layer and stream.
  template <class Row, class Copy, class Body>
  void for_states(int64_t width, Row* table, Copy* copies, const Body& body) const {
    if (table == nullptr) return;
    for (int64_t layer = 0; layer < args_.shape.layers; ++layer)
      for (int64_t k = 0; k < args_.streams; ++k, copies += width)
        body(width, table + (layer * args_.table_slots + args_.slots[k]) * width, copies);
  }

  void run_forward(int64_t threads) {
    RnnForwardArgs forward{};
    forward.shape = shape_of_step(args_.shape);
    forward.batch = &plan_;
    forward.params = args_.params;
    forward.x = args_.x;
    forward.y = args_.y;
    if constexpr (kIs16Bit<T>) {
      if (floats_.params == nullptr)
        convert(param_elements(args_.shape), static_cast<const T*>(args_.params), workspace_.params);
      convert(args_.streams * args_.shape.input, static_cast<const T*>(args_.x), workspace_.x);
      forward.params = floats_.params != nullptr ? floats_.params : workspace_.params;
      forward.x = workspace_.x;
      forward.y = workspace_.y;
    }
    // A layer reads its initial states before it writes its final ones.
    forward.h0 = forward.h_n = workspace_.h;
    forward.c0 = forward.c_n = workspace_.c;
    forward.workspace = static_cast<char*>(args_.workspace) + carver_.bytes();
    RnnForward<C>(threads, forward, kIs16Bit<T> ? floats_.prepared : prepared_).run();
    if constexpr (kIs16Bit<T>)
      convert(args_.streams * state_width(args_.shape), workspace_.y, static_cast<T*>(args_.y));
  }

  const RnnStepArgs& args_;
  const PreparedRnn& prepared_;
  const PreparedFloats floats_;
  Carver carver_;
  const StepWorkspace<T> workspace_;
  int64_t sizes_[1] = {0}, offsets_[2] = {0, 0};
  BatchPlan plan_{};
};

}  // namespace varlstm::host
