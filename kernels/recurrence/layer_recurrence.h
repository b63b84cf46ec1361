// The recurrence of a layer, or of several in one launch, whichever way it runs: what the layers of one call share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/carve.h"
#include "kernels/recurrence/resident/resident.h"

namespace varlstm::cuda {

// The policy for that shape: the rnn's key, else VARLSTM_RECURRENCE_POLICY, else the selection. A policy that is asked
// for but not legal gives stepwise. With VARLSTM_PRINT_POLICY=1 the choice goes to stderr, with the reason against each
// other.
int32_t choose_recurrence(const State& state, const RnnShape& shape, RecurrencePolicy* policy);

// How many of a forward's layers run in one launch for `batch` sequences: all of them, or 1 where they run one after
// the other.
int64_t layers_in_one_launch(const State& state, const RnnShape& shape, RecurrencePolicy policy, int64_t batch,
                             uint64_t dropout_seed);

// What the largest batch that runs so within the bounds is laid out for; no sequences where none does.
RnnRows most_rows_in_one_launch(const State& state, const RnnShape& shape, RecurrencePolicy policy,
                                const BatchBounds& bounds);

class LayerRecurrence {
 public:
  // Takes schedule, scratch, weights and area from the carver for any batch within the bounds; over nullptr it only
  // counts. layers: that run in one launch.
  LayerRecurrence(const State& state, const RnnShape& shape, RecurrencePolicy policy, int64_t layers,
                  const BatchBounds& bounds, const RnnRows& rows, Carver& carver);

  // Once a call, before the layers: builds the schedule.
  int32_t prepare(Stream stream, const BatchPlan& plan) const;

  // All steps of a layer, then h_n and c_n; dh0 and dc0.
  template <class T, class C>
  int32_t forward(Stream stream, const LayerForward<T, C>& layer) const;
  template <class T, class C>
  int32_t backward(Stream stream, const LayerBackward<T, C>& layer) const;

  // All steps of a stack of layers, then h_n and c_n of each. Its handover is this recurrence's.
  template <class T>
  int32_t forward(Stream stream, StackForward<T> stack) const;

 private:
  RecurrencePolicy policy_;
  int64_t directions_;
  RowOrder row_order_;
  ResidentRun run_{};
  SlotScratch scratch_{};
  simt::b32x2* handover_ = nullptr;
  int64_t handover_rows_ = 0;
};

}  // namespace varlstm::cuda
