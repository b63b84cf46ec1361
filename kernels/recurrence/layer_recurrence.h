// The recurrence of a layer, whichever way it runs: what the layers of one call share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/carve.h"
#include "kernels/recurrence/resident.h"

namespace varlstm::cuda {

// The policy for that shape: the rnn's key, else VARLSTM_RECURRENCE_POLICY, else the selection. A policy that is asked
// for but not legal gives stepwise. With VARLSTM_PRINT_POLICY=1 the choice goes to stderr, with the reason against each
// other.
int32_t choose_recurrence(const State& state, const RnnShape& shape, RecurrencePolicy* policy);

class LayerRecurrence {
 public:
  // Takes schedule, scratch and area from the carver for any batch within the bounds; over nullptr it only counts.
  LayerRecurrence(const State& state, const RnnShape& shape, RecurrencePolicy policy, const BatchBounds& bounds,
                  int64_t batch, Carver& carver);

  // Once a call, before the layers: builds the schedule.
  int32_t prepare(Stream stream, const BatchPlan& plan) const;

  // All steps of a layer, then h_n and c_n; dh0 and dc0.
  template <class T, class C>
  int32_t forward(Stream stream, const LayerForward<T, C>& layer) const;
  template <class T, class C>
  int32_t backward(Stream stream, const LayerBackward<T, C>& layer) const;

 private:
  RecurrencePolicy policy_;
  int64_t directions_;
  RowOrder row_order_;
  ResidentRun run_{};
  SlotScratch scratch_{};
};

}  // namespace varlstm::cuda
