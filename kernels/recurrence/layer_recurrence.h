// The recurrence of a layer, or of several layers in one launch, by any policy. It holds what the layers of one call
// share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/carve.h"
#include "kernels/recurrence/resident/resident.h"
#include "kernels/recurrence/wide/wide.h"
#include "kernels/selection/recurrence_selection.h"
#include "varlstm.h"

namespace varlstm::cuda {

// What the selection needs to know of a layer.
RecurrenceShape recurrence_shape(const State& state, const RnnShape& shape, const RnnPlan& plan);

// Whether forward without dropout runs all layers of a batch of so many segments in one launch.
inline bool runs_together(const RnnPlan& plan, int64_t segments) {
  return plan.most_together > 0 && segments <= plan.most_together;
}

// What a pass of a layer by wide teams takes for any batch within the plan's bounds; zeros if none runs by them.
struct WideNeeds {
  int64_t slots, area_bytes, weight_bytes;
};
WideNeeds wide_needs(WidePass pass, const State& state, const RnnShape& shape, const RnnPlan& plan);

// Whether a pass of a layer in a launch of its own runs by wide teams. extent: scheduled_extent of the batch.
bool runs_wide(WidePass pass, const State& state, const RnnShape& shape, const RnnPlan& plan,
               const BatchBounds& extent);

// Whether forward with save leaves its schedule in the reserve for backward. It does if its layers run one after the
// other whatever the dropout, and neither pass runs by wide teams; otherwise the teams of forward and backward may
// differ. The first function asks it of any batch of so many segments.
inline bool schedule_may_be_kept(const RnnPlan& plan, int64_t segments) {
  return plan.recurrence != VARLSTM_RECURRENCE_STEPWISE && !runs_together(plan, segments);
}
inline bool schedule_is_kept(const State& state, const RnnShape& shape, const RnnPlan& plan,
                             const BatchBounds& extent) {
  return schedule_may_be_kept(plan, extent.max_batch) && !runs_wide(WidePass::kForward, state, shape, plan, extent) &&
         !runs_wide(WidePass::kBackward, state, shape, plan, extent);
}

// What the layers of a call run by, besides the policy.
enum class TeamKind { kOfPolicy, kWideForward, kWideBackward };

class LayerRecurrence {
 public:
  // Takes scratch, weights and area from `carver`, large enough for any batch within the plan's bounds; the handover
  // from there and the schedule from the carver `schedule`, both for a batch of this extent. With carvers over nullptr
  // it only counts bytes. layers: the number of layers in one launch. Wide teams run one layer.
  LayerRecurrence(const State& state, const RnnShape& shape, const RnnPlan& plan, TeamKind teams, int64_t layers,
                  const BatchBounds& extent, Carver& schedule, Carver& carver);

  // Builds the schedule, and writes the header unless header.to is null. Called once a call, before the layers; not by
  // a backward whose forward has kept the schedule.
  int32_t prepare(Stream stream, const BatchPlan& plan, const HeaderToWrite& header) const;

  // Checks the header of a reserve (check.status is filled in): the next run() does it, if it has a kernel for it.
  int32_t check(Stream stream, const BatchPlan& plan, HeaderToCheck check);

  // Where the product with W_hh of each row of a direction finds its state, as GemmArgs::b_rows; null in the stepwise
  // recurrence, which has no schedule.
  const int64_t* rows_before(int64_t direction) const {
    return schedule().before == nullptr ? nullptr : schedule().before + direction * schedule().tokens;
  }

  // For a schedule in the reserve: changes `hash` so that it is a forward's with the same slots, and returns what
  // backward has to take from there (check_reserve_header). From then on this object reads the steps that were taken.
  KeptSteps take_kept_schedule(uint64_t* hash);
  // The same change of a hash.
  void add_schedule_to(uint64_t* hash) const;

  // Runs all steps of a layer, which is a LayerForward or a LayerBackward; then forward writes h_n and c_n, and
  // backward dh0 and dc0. Options that act are there in the stepwise recurrence only.
  template <class Layer>
  int32_t run(Stream stream, const Layer& layer, const LayerOptions<typename Layer::Compute>& options);

  // Runs all steps of a stack of layers, then writes h_n and c_n of each. The handover memory belongs to this object.
  template <class T>
  int32_t run_together(Stream stream, StackForward<T> stack) const;

 private:
  bool is_scheduled() const { return wide_ || policy_ != RecurrencePolicy::kStepwise; }
  const SlotSchedule& schedule() const { return wide_ ? wide_run_.schedule : run_.schedule; }
  template <class Layer>
  int32_t run_wide(Stream stream, const Layer& layer) const;

  RecurrencePolicy policy_;
  Cell cell_;
  int64_t directions_;
  RowOrder row_order_;
  const bool wide_;
  ResidentRun run_{};
  WideRun wide_run_{};
  SlotScratch scratch_{};
  int64_t* taken_steps_ = nullptr;
  simt::b32x2* handover_ = nullptr;
  int64_t handover_rows_ = 0;
};

}  // namespace varlstm::cuda
