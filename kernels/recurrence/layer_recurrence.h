// The recurrence of a layer, or of several layers in one launch, by any policy. It holds what the layers of one call
// share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/carve.h"
#include "kernels/recurrence/resident/resident.h"

namespace varlstm::cuda {

// Chooses the policy for that shape: the rnn's key decides, then VARLSTM_RECURRENCE_POLICY, then the selection. If the
// requested policy is not legal, stepwise is used. VARLSTM_PRINT_POLICY=1 prints the choice to stderr, with the reason
// against each other policy.
RecurrencePolicy choose_recurrence(const State& state, const RnnShape& shape);

// How many layers of a forward run in one launch for `batch` sequences: all of them, or 1 if they run one after the
// other.
int64_t layers_in_one_launch(const State& state, const RnnShape& shape, RecurrencePolicy policy, int64_t batch,
                             uint64_t dropout_seed);

// The rows of the largest batch within the bounds whose layers run in one launch; the batch is 0 if there is none.
RnnRows most_rows_in_one_launch(const State& state, const RnnShape& shape, RecurrencePolicy policy,
                                const BatchBounds& bounds);

class LayerRecurrence {
 public:
  // Takes the schedule, scratch, weights and area from the carver, large enough for any batch within the bounds. With a
  // carver over nullptr it only counts bytes. layers: the number of layers in one launch.
  LayerRecurrence(const State& state, const RnnShape& shape, RecurrencePolicy policy, int64_t layers,
                  const BatchBounds& bounds, const RnnRows& rows, Carver& carver);

  // Builds the schedule. Called once a call, before the layers.
  int32_t prepare(Stream stream, const BatchPlan& plan) const;

  // Forward runs all steps of a layer, then writes h_n and c_n; backward likewise writes dh0 and dc0.
  template <class T, class C>
  int32_t forward(Stream stream, const LayerForward<T, C>& layer) const;
  template <class T, class C>
  int32_t backward(Stream stream, const LayerBackward<T, C>& layer) const;

  // Runs all steps of a stack of layers, then writes h_n and c_n of each. The handover memory belongs to this object.
  template <class T>
  int32_t forward(Stream stream, StackForward<T> stack) const;

 private:
  RecurrencePolicy policy_;
  Cell cell_;
  int64_t directions_;
  RowOrder row_order_;
  ResidentRun run_{};
  SlotScratch scratch_{};
  simt::b32x2* handover_ = nullptr;
  int64_t handover_rows_ = 0;
};

}  // namespace varlstm::cuda
