// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/layer_recurrence.h"

#include <type_traits>

#include "kernels/core/status.h"
#include "kernels/recurrence/empty_sequences.h"
#include "varlstm.h"

namespace varlstm::cuda {

RecurrenceShape recurrence_shape(const State& state, const RnnShape& shape, const RnnPlan& plan) {
  return {shape.cell,
          shape.dtype,
          state.math == VARLSTM_MATH_TF32,
          shape.hidden,
          shape.directions,
          shape.projection > 0,
          shape.cell_states,
          options_act(shape),
          shape.layer_norm,
          plan.bounds.max_tokens,
          plan.team_slots};
}

WideNeeds wide_needs(WidePass pass, const State& state, const RnnShape& shape, const RnnPlan& plan) {
  const RecurrenceShape of_layer = recurrence_shape(state, shape, plan);
  const auto policy = static_cast<RecurrencePolicy>(plan.recurrence);
  if (why_not_wide(pass, policy, of_layer, state.facts) != nullptr) return {};
  const int64_t segments = segment_bound(shape, plan.bounds.max_batch, plan.bounds.max_tokens);
  const WideSizes sizes = wide_sizes(pass, policy, of_layer);
  const int64_t teams = most_wide_teams(sizes, of_layer, segments, state.facts);
  const int64_t at_once = choose_wide(pass, policy, of_layer, plan.bounds, state.facts).directions;
  return {teams * kWideTeamSlots, teams * shape.directions * sizes.area_bytes, at_once * sizes.weight_bytes};
}

bool runs_wide(WidePass pass, const State& state, const RnnShape& shape, const RnnPlan& plan,
               const BatchBounds& extent) {
  if (wide_needs(pass, state, shape, plan).slots == 0) return false;
  return is_wide_faster(pass, static_cast<RecurrencePolicy>(plan.recurrence), recurrence_shape(state, shape, plan),
                        extent, state.facts);
}

LayerRecurrence::LayerRecurrence(const State& state, const RnnShape& shape, const RnnPlan& plan, TeamKind teams,
                                 int64_t layers, const BatchBounds& extent, Carver& schedule, Carver& carver)
    : policy_(static_cast<RecurrencePolicy>(plan.recurrence)),
      cell_(shape.cell),
      directions_(shape.directions),
      row_order_(shape.row_order),
      wide_(teams != TeamKind::kOfPolicy) {
  const int64_t segments = segment_bound(shape, plan.bounds.max_batch, plan.bounds.max_tokens);
  if (wide_) {
    const WidePass pass = teams == TeamKind::kWideForward ? WidePass::kForward : WidePass::kBackward;
    const WideNeeds needs = wide_needs(pass, state, shape, plan);
    wide_run_.choice = choose_wide(pass, policy_, recurrence_shape(state, shape, plan), extent, state.facts);
    wide_run_.resident = policy_ != RecurrencePolicy::kStepwise;
    wide_run_.schedule = carve_slot_schedule(extent, directions_, wide_run_.choice.slots(), wide_run_.choice.team_slots,
                                             needs.slots, schedule);
    scratch_ = carve_slot_scratch(segments, needs.slots, carver);
    wide_run_.area = carver.take<char>(needs.area_bytes);
    if (needs.weight_bytes > 0) wide_run_.weights = carver.take<unsigned char>(needs.weight_bytes);
    return;
  }
  if (policy_ == RecurrencePolicy::kStepwise) return;
  const RecurrenceNeeds& needs = layers > 1 ? plan.all_layers : plan.one_layer;
  run_.choice = choose_tile(policy_, recurrence_shape(state, shape, plan), extent, state.facts, layers);
  run_.schedule =
      carve_slot_schedule(extent, directions_, run_.choice.slots(), run_.choice.tile->slots(), needs.slots, schedule);
  scratch_ = carve_slot_scratch(segments, needs.slots, carver);
  taken_steps_ = carver.take<int64_t>(needs.slots);
  const int64_t matrices = layers > 1 ? 2 * layers - 1 : run_.choice.directions;
  run_.weights = carver.take<char>(matrices * recurrent_weight_bytes(run_.choice.math, cell_, *run_.choice.tile));
  if (needs.area_bytes > 0) run_.area = carver.take<char>(needs.area_bytes);
  if (layers < 2) return;
  handover_rows_ = extent.max_tokens;
  const int64_t words = handover_words(run_.choice.math, run_.choice.tile->hidden);
  handover_ = carver.take<simt::b32x2>((layers - 1) * handover_rows_ * words + 1);
}

int32_t LayerRecurrence::prepare(Stream stream, const BatchPlan& plan, const HeaderToWrite& header) const {
  if (!is_scheduled() || plan.batch == 0)
    return header.to == nullptr ? VARLSTM_OK : write_reserve_header(stream, plan, header);
  return build_slot_schedule(stream, plan, row_order_, directions_, schedule(), scratch_, header);
}

int32_t LayerRecurrence::check(Stream stream, const BatchPlan& plan, HeaderToCheck check) {
  check.status = stream.state->status;
  if (wide_ || policy_ == RecurrencePolicy::kStepwise || plan.batch == 0) return check_reserve_header(stream, check);
  run_.check = check;
  return VARLSTM_OK;
}

void LayerRecurrence::add_schedule_to(uint64_t* hash) const {
  *hash = add_to_hash(add_to_hash(*hash, run_.schedule.slots), run_.schedule.team_slots);
}

KeptSteps LayerRecurrence::take_kept_schedule(uint64_t* hash) {
  add_schedule_to(hash);
  const KeptSteps steps{run_.schedule.steps, taken_steps_, run_.choice.teams};
  run_.schedule.steps = taken_steps_;
  return steps;
}

namespace {

template <class T, class C>
int32_t run_steps(Stream stream, Cell cell, const LayerForward<T, C>& layer, const LayerOptions<C>& options) {
  return stepwise_forward(stream, cell, layer, options);
}
template <class T, class C>
int32_t run_steps(Stream stream, Cell cell, const LayerBackward<T, C>& layer, const LayerOptions<C>& options) {
  return stepwise_backward(stream, cell, layer, options);
}

template <class T>
int32_t run_wide_teams(Stream stream, Cell cell, const WideRun& run, const LayerForward<T, float>& layer) {
  return wide_forward(stream, cell, run, layer);
}
template <class T>
int32_t run_wide_teams(Stream stream, Cell cell, const WideRun& run, const LayerBackward<T, float>& layer) {
  return wide_backward(stream, cell, run, layer);
}

template <class T>
void add_states(const DirectionForward<T, float>& direction, EmptyStates<T>* states) {
  states->add(direction.h0, direction.h_n);
  states->add(direction.c0, direction.c_n);
}
template <class T>
void add_states(const DirectionBackward<T, float>& direction, EmptyStates<T>* states) {
  states->add(direction.dh_n, direction.dh0);
  states->add(direction.dc_n, direction.dc0);
}

// Calls launch_steps(run, directions) for `at_once` directions of the layer after the other.
template <class Run, class Layer, class Launch>
int32_t run_directions(const Run& run, int64_t at_once, const Layer& layer, const Launch& launch_steps) {
  for (int64_t first = 0; first < layer.directions; first += at_once) {
    Run of_these = run;
    of_these.schedule.entries += first * run.schedule.max_steps * run.schedule.slots;
    Layer these = layer;
    these.directions = at_once;
    for (int64_t d = 0; d < at_once; ++d) these.direction[d] = layer.direction[first + d];
    VARLSTM_CUDA_TRY(launch_steps(of_these, these));
  }
  return VARLSTM_OK;
}

}  // namespace

template <class Layer>
int32_t LayerRecurrence::run_wide(Stream stream, const Layer& layer) const {
  if constexpr (std::is_same<typename Layer::Compute, float>::value) {
    const auto launch_steps = [&](const WideRun& run, const Layer& these) {
      return run_wide_teams(stream, cell_, run, these);
    };
    return run_directions(wide_run_, wide_run_.choice.directions, layer, launch_steps);
  }
  return fail(VARLSTM_ERROR_INTERNAL, "wide teams multiply 16 bits or TF32");
}

template <class Layer>
int32_t LayerRecurrence::run(Stream stream, const Layer& layer, const LayerOptions<typename Layer::Compute>& options) {
  if (layer.plan.batch == 0) return VARLSTM_OK;
  if constexpr (std::is_same<typename Layer::Compute, float>::value) {
    if (is_scheduled()) {
      if (wide_) {
        VARLSTM_CUDA_TRY(run_wide(stream, layer));
      } else {
        const LaunchOf<Layer> launch_of_tile = resident_launcher<Layer>(run_.choice);
        const auto launch_steps = [&](ResidentRun run, const Layer& these) {
          run.check = run_.check;
          run_.check.header = nullptr;  // once is enough
          return launch_of_tile(stream, run, these);
        };
        VARLSTM_CUDA_TRY(run_directions(run_, run_.choice.directions, layer, launch_steps));
      }
      EmptyStates<typename Layer::Scalar> states;
      for (int64_t d = 0; d < layer.directions; ++d) add_states(layer.direction[d], &states);
      return pass_empty_sequences(stream, layer.plan, layer.hidden, states);
    }
  }
  return run_steps(stream, cell_, layer, options);
}

template <class T>
int32_t LayerRecurrence::run_together(Stream stream, StackForward<T> stack) const {
  const LayerForward<T, float>& lowest = stack.layers[0];
  if (lowest.plan.batch == 0) return VARLSTM_OK;
  stack.handover = handover_;
  stack.rows = handover_rows_;
  VARLSTM_CUDA_TRY(resident_launcher<StackForward<T>>(run_.choice)(stream, run_, stack));
  EmptyStates<T> states;
  for (int64_t l = 0; l < stack.count; ++l) add_states(stack.layers[l].direction[0], &states);
  return pass_empty_sequences(stream, lowest.plan, lowest.hidden, states);
}

template int32_t LayerRecurrence::run_together(Stream, StackForward<float>) const;
template int32_t LayerRecurrence::run_together(Stream, StackForward<Bf16>) const;
template int32_t LayerRecurrence::run_together(Stream, StackForward<F16>) const;

#define VARLSTM_INSTANTIATE(T, C)                                                                   \
  template int32_t LayerRecurrence::run(Stream, const LayerForward<T, C>&, const LayerOptions<C>&); \
  template int32_t LayerRecurrence::run(Stream, const LayerBackward<T, C>&, const LayerOptions<C>&)
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
