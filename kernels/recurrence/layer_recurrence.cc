// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/layer_recurrence.h"

#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <type_traits>

#include "capi/contract/environment.h"
#include "kernels/core/status.h"
#include "kernels/recurrence/empty_sequences.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

constexpr RecurrencePolicy kPolicies[] = {RecurrencePolicy::kCluster, RecurrencePolicy::kGrid,
                                          RecurrencePolicy::kStepwise};

// Returns a varlstm_recurrence.
int32_t policy_of_environment() {
  const char* name = environment(kRecurrencePolicyVariable);
  for (const RecurrencePolicy candidate : kPolicies)
    if (name != nullptr && strcmp(name, recurrence_policy_name(candidate)) == 0) return static_cast<int32_t>(candidate);
  return VARLSTM_RECURRENCE_AUTO;
}

RecurrenceShape recurrence_shape(const State& state, const RnnShape& shape) {
  return {shape.cell, shape.dtype, state.math == VARLSTM_MATH_TF32, shape.hidden, shape.directions};
}

// Returns null if the shape's layers may run in one launch, otherwise the reason against it.
const char* why_not_layers(const State& state, const RnnShape& shape, RecurrencePolicy policy) {
  if (!shape.layers_together) return "VARLSTM_KEY_LAYERS_TOGETHER is 0";
  return why_not_together(policy, recurrence_shape(state, shape), shape.layers, state.facts);
}

// The choice for a batch whose layers run in one launch.
RecurrenceChoice choose_together(const State& state, const RnnShape& shape, RecurrencePolicy policy, int64_t batch) {
  return choose_tile(policy, recurrence_shape(state, shape), batch, state.facts, shape.layers);
}

void print_choice(const RecurrenceShape& shape, const DeviceFacts& facts, RecurrencePolicy chosen, int64_t layers,
                  const char* why_not_layers) {
  const char* wish = environment(kPrintPolicyVariable);
  if (wish == nullptr || strcmp(wish, "1") != 0) return;
  fprintf(stderr, "varlstm: recurrence of H = %lld, dtype %d%s, D = %lld: %s\n", static_cast<long long>(shape.hidden),
          static_cast<int>(shape.dtype), shape.tf32 ? " (TF32)" : "", static_cast<long long>(shape.directions),
          recurrence_policy_name(chosen));
  for (const RecurrencePolicy policy : kPolicies) {
    const char* reason = why_not(policy, shape, facts);
    if (reason != nullptr) fprintf(stderr, "varlstm:   not %s: %s\n", recurrence_policy_name(policy), reason);
  }
  if (layers < 2) return;
  if (why_not_layers != nullptr)
    fprintf(stderr, "varlstm:   %lld layers one after the other: %s\n", static_cast<long long>(layers), why_not_layers);
  else
    fprintf(stderr, "varlstm:   %lld layers in one launch forward, but for calls with dropout or a large batch\n",
            static_cast<long long>(layers));
}

// The largest number of slots and of bytes of area that any batch of at most `batch` sequences takes.
struct Needs {
  int64_t slots, area;
};

Needs needs_of(const RecurrenceChoice& most, int64_t layers, const DeviceFacts& facts) {
  Needs needs{most.slots(), 0};
  if (most.policy != RecurrencePolicy::kGrid) return needs;
  const TileRows table = tile_rows(most.policy, most.math);
  for (int k = 0; k < table.count; ++k) {
    const TileShape& tile = table.rows[k];
    if (tile.hidden != most.tile->hidden) continue;
    const int64_t sets = most.directions * layers;
    const int64_t teams =
        std::min(resident_teams(most.policy, tile, facts) / sets, (most.slots() + tile.slots() - 1) / tile.slots());
    needs.area = std::max(needs.area, teams * sets * grid_area_bytes(most.math, tile));
  }
  return needs;
}

// Runs all steps of both directions: at once, or one direction after the other.
template <class Layer>
int32_t run_directions(Stream stream, const ResidentRun& run, const Layer& layer) {
  if (run.choice.directions == layer.directions) return run_resident(stream, run, layer);
  for (int64_t d = 0; d < layer.directions; ++d) {
    ResidentRun run_of_one = run;
    run_of_one.schedule.entries += d * run.schedule.max_steps * run.schedule.slots;
    Layer one = layer;
    one.directions = 1;
    one.direction[0] = layer.direction[d];
    VARLSTM_CUDA_TRY(run_resident(stream, run_of_one, one));
  }
  return VARLSTM_OK;
}

}  // namespace

RecurrencePolicy choose_recurrence(const State& state, const RnnShape& shape) {
  int32_t forced = shape.recurrence;
  if (forced == VARLSTM_RECURRENCE_AUTO) forced = policy_of_environment();
  const RecurrenceShape of_layer = recurrence_shape(state, shape);
  const RecurrencePolicy policy = select_recurrence(of_layer, state.facts, forced);
  print_choice(of_layer, state.facts, policy, shape.layers, why_not_layers(state, shape, policy));
  return policy;
}

int64_t layers_in_one_launch(const State& state, const RnnShape& shape, RecurrencePolicy policy, int64_t batch,
                             uint64_t dropout_seed) {
  if (shape.dropout > 0 && dropout_seed != 0) return 1;
  if (why_not_layers(state, shape, policy) != nullptr) return 1;
  return batch <= most_together(choose_together(state, shape, policy, batch), shape.layers) ? shape.layers : 1;
}

RnnRows most_rows_in_one_launch(const State& state, const RnnShape& shape, RecurrencePolicy policy,
                                const BatchBounds& bounds) {
  if (why_not_layers(state, shape, policy) != nullptr) return {0, 0};
  const RecurrenceChoice most = choose_together(state, shape, policy, bounds.max_batch);
  const int64_t batch = std::min(bounds.max_batch, most_together(most, shape.layers));
  return fewest_rows({batch, bounds.max_tokens}, bounds);
}

LayerRecurrence::LayerRecurrence(const State& state, const RnnShape& shape, RecurrencePolicy policy, int64_t layers,
                                 const BatchBounds& bounds, const RnnRows& rows, Carver& carver)
    : policy_(policy), cell_(shape.cell), directions_(shape.directions), row_order_(shape.row_order) {
  if (policy == RecurrencePolicy::kStepwise) return;
  const RecurrenceShape of_layer = recurrence_shape(state, shape);
  const RecurrenceChoice most = choose_tile(policy, of_layer, bounds.max_batch, state.facts, layers);
  const Needs needs = needs_of(most, layers, state.facts);
  run_.choice = choose_tile(policy, of_layer, rows.batch, state.facts, layers);
  run_.schedule = carve_slot_schedule(bounds, directions_, needs.slots, run_.choice.tile->slots(), carver);
  run_.schedule.use_slots(bounds, run_.choice.slots());
  scratch_ = carve_slot_scratch(bounds, needs.slots, carver);
  const int64_t matrices = layers > 1 ? 2 * layers - 1 : run_.choice.directions;
  run_.weights = carver.take<char>(matrices * recurrent_weight_bytes(run_.choice.math, *run_.choice.tile));
  if (needs.area > 0) run_.area = carver.take<char>(needs.area);
  if (layers < 2) return;
  handover_rows_ = rows.tokens;
  const int64_t words = handover_words(run_.choice.math, run_.choice.tile->hidden);
  handover_ = carver.take<simt::b32x2>((layers - 1) * handover_rows_ * words + 1);
}

int32_t LayerRecurrence::prepare(Stream stream, const BatchPlan& plan) const {
  if (policy_ == RecurrencePolicy::kStepwise || plan.batch == 0) return VARLSTM_OK;
  return build_slot_schedule(stream, plan, row_order_, directions_, run_.schedule, scratch_);
}

template <class T, class C>
int32_t LayerRecurrence::forward(Stream stream, const LayerForward<T, C>& layer) const {
  if (layer.plan.batch == 0) return VARLSTM_OK;
  if constexpr (std::is_same<C, float>::value) {
    if (policy_ != RecurrencePolicy::kStepwise) {
      VARLSTM_CUDA_TRY(run_directions(stream, run_, layer));
      EmptyStates<T> states;
      for (int64_t d = 0; d < layer.directions; ++d) {
        states.add(layer.direction[d].h0, layer.direction[d].h_n);
        states.add(layer.direction[d].c0, layer.direction[d].c_n);
      }
      return pass_empty_sequences(stream, layer.plan, layer.hidden, states);
    }
  }
  return stepwise_forward(stream, cell_, layer);
}

template <class T, class C>
int32_t LayerRecurrence::backward(Stream stream, const LayerBackward<T, C>& layer) const {
  if (layer.plan.batch == 0) return VARLSTM_OK;
  if constexpr (std::is_same<C, float>::value) {
    if (policy_ != RecurrencePolicy::kStepwise) {
      VARLSTM_CUDA_TRY(run_directions(stream, run_, layer));
      EmptyStates<T> states;
      for (int64_t d = 0; d < layer.directions; ++d) {
        states.add(layer.direction[d].dh_n, layer.direction[d].dh0);
        states.add(layer.direction[d].dc_n, layer.direction[d].dc0);
      }
      return pass_empty_sequences(stream, layer.plan, layer.hidden, states);
    }
  }
  return stepwise_backward(stream, cell_, layer);
}

template <class T>
int32_t LayerRecurrence::forward(Stream stream, StackForward<T> stack) const {
  const LayerForward<T, float>& lowest = stack.layers[0];
  if (lowest.plan.batch == 0) return VARLSTM_OK;
  stack.handover = handover_;
  stack.rows = handover_rows_;
  VARLSTM_CUDA_TRY(run_resident(stream, run_, stack));
  EmptyStates<T> states;
  for (int64_t l = 0; l < stack.count; ++l) {
    const DirectionForward<T, float>& direction = stack.layers[l].direction[0];
    states.add(direction.h0, direction.h_n);
    states.add(direction.c0, direction.c_n);
  }
  return pass_empty_sequences(stream, lowest.plan, lowest.hidden, states);
}

template int32_t LayerRecurrence::forward(Stream, StackForward<float>) const;
template int32_t LayerRecurrence::forward(Stream, StackForward<Bf16>) const;
template int32_t LayerRecurrence::forward(Stream, StackForward<F16>) const;

#define VARLSTM_INSTANTIATE(T, C)                                                     \
  template int32_t LayerRecurrence::forward(Stream, const LayerForward<T, C>&) const; \
  template int32_t LayerRecurrence::backward(Stream, const LayerBackward<T, C>&) const
VARLSTM_INSTANTIATE(float, float);
VARLSTM_INSTANTIATE(double, double);
VARLSTM_INSTANTIATE(Bf16, float);
VARLSTM_INSTANTIATE(F16, float);
#undef VARLSTM_INSTANTIATE

}  // namespace varlstm::cuda
