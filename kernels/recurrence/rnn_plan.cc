// The plan of a recurrent network: what forward and backward choose for every batch within the bounds.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include <algorithm>

#include "capi/contract/environment.h"
#include "kernels/core/scalar_dispatch.h"
#include "kernels/core/state.h"
#include "kernels/core/status.h"
#include "kernels/recurrence/layer_norm/norm_layout.h"
#include "kernels/recurrence/layer_recurrence.h"
#include "kernels/recurrence/rnn.h"
#include "kernels/recurrence/stepwise/step_shape.h"
#include "kernels/selection/batch_selection.h"
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

// The varlstm_recurrence that the rnn's key or the environment asks for.
int32_t forced_recurrence(const RnnShape& shape) {
  return shape.recurrence == VARLSTM_RECURRENCE_AUTO ? policy_of_environment() : shape.recurrence;
}

// Returns null if the shape's layers may run in one launch, otherwise the reason against it.
const char* why_not_layers(const State& state, const RnnShape& shape, const RnnPlan& plan, RecurrencePolicy policy) {
  if (!shape.layers_together) return "VARLSTM_KEY_LAYERS_TOGETHER is 0";
  return why_not_together(policy, recurrence_shape(state, shape, plan), shape.layers, state.facts);
}

long long printable(int64_t value) {
  return value;
}

// Of a policy: the reason against it, or its tile for each number of slots with the clocks that the choice is made by.
void print_policy(RecurrencePolicy policy, const RecurrenceShape& shape, const DeviceFacts& facts) {
  const char* const name = recurrence_policy_name(policy);
  if (const char* reason = why_not(policy, shape, facts)) {
    fprintf(stderr, "varlstm:   not %s: %s\n", name, reason);
    return;
  }
  if (policy == RecurrencePolicy::kStepwise) return;
  for (const int64_t slots : {8, 16}) {
    RecurrenceShape of_slots = shape;
    of_slots.team_slots = slots;
    const RecurrenceChoice choice = choose_tile(policy, of_slots, kReferenceBatch, facts);
    if (choice.tile->slots() != slots) continue;
    const TileStep step = step_of_tile(policy, choice.math, *choice.tile);
    const int64_t blocks = choice.tile->blocks() * choice.teams * choice.directions;
    fprintf(
        stderr,
        "varlstm:   %s, tile of H = %d: teams of %d blocks and %d slots, up to %lld; a step takes %lld modelled clocks "
        "forward and %lld backward, a step of %lld sequences %lld\n",
        name, choice.tile->hidden, choice.tile->blocks(), choice.tile->slots(),
        printable(resident_teams(policy, *choice.tile, facts)), printable(step_clocks(step.forward, blocks)),
        printable(step_clocks(step.backward, blocks)), printable(kReferenceBatch), printable(choice.clocks));
  }
}

void print_wide(WidePass pass, RecurrencePolicy policy, const RecurrenceShape& shape, const DeviceFacts& facts) {
  const char* const name = pass == WidePass::kForward ? "forward" : "backward";
  if (const char* reason = why_not_wide(pass, policy, shape, facts)) {
    fprintf(stderr, "varlstm:   no wide teams %s: %s\n", name, reason);
    return;
  }
  const WideSizes sizes = wide_sizes(pass, policy, shape);
  RecurrenceShape all_teams = shape;
  all_teams.team_slots = kWideTeamSlots;
  const WideChoice most = choose_wide(pass, policy, all_teams, of_one_length(INT32_MAX), facts);
  const auto clocks = [&](int64_t teams_of_block, int64_t blocks) {
    if (sizes.weight_bytes > 0) return streamed_step_clocks(streamed_figures(pass, shape), kWideTeamSlots, blocks);
    return wide_step_clocks(wide_figures(pass, policy, shape), teams_of_block, blocks);
  };
  fprintf(stderr,
          "varlstm:   wide teams %s where they are faster: up to %lld of %lld blocks and %d slots; a step takes "
          "%lld modelled clocks with one team, %lld with all\n",
          name, printable(most.teams), printable(sizes.blocks), kWideTeamSlots, printable(clocks(1, sizes.blocks)),
          printable(clocks(sizes.teams_of_block, sizes.blocks * most.sets * most.directions)));
}

void print_choice(const RecurrenceShape& shape, const DeviceFacts& facts, RecurrencePolicy chosen, int64_t layers,
                  const char* why_not_together) {
  const char* wish = environment(kPrintPolicyVariable);
  if (wish == nullptr || strcmp(wish, "1") != 0) return;
  fprintf(stderr, "varlstm: recurrence of H = %lld, dtype %d%s, D = %lld: %s\n", printable(shape.hidden),
          static_cast<int>(shape.dtype), shape.tf32 ? " (TF32)" : "", printable(shape.directions),
          recurrence_policy_name(chosen));
  for (const RecurrencePolicy policy : kPolicies) print_policy(policy, shape, facts);
  print_wide(WidePass::kForward, chosen, shape, facts);
  print_wide(WidePass::kBackward, chosen, shape, facts);
  if (layers < 2) return;
  if (why_not_together != nullptr)
    fprintf(stderr, "varlstm:   %lld layers one after the other: %s\n", printable(layers), why_not_together);
  else
    fprintf(stderr, "varlstm:   %lld layers in one launch forward, but for calls with dropout or a large batch\n",
            printable(layers));
}

// The largest number of slots and of bytes of area that any batch of up to so many sequences takes. `any` is the choice
// for one of these batches.
RecurrenceNeeds needs_of(const RecurrenceChoice& any, int64_t batch, int64_t layers, const DeviceFacts& facts) {
  RecurrenceNeeds needs{0, 0};
  const TileRows table = tile_rows(any.policy, any.math);
  for (int k = 0; k < table.count; ++k) {
    const TileShape& tile = table.rows[k];
    if (tile.hidden != any.tile->hidden || !has_kernels(any.cell, table, k)) continue;
    if (layers > 1 && !stacks_layers(any.policy, any.math, tile)) continue;
    const int64_t sets = any.directions * layers;
    const int64_t teams =
        std::min(resident_teams(any.policy, tile, facts) / sets, (batch + tile.slots() - 1) / tile.slots());
    needs.slots = std::max(needs.slots, teams * tile.slots());
    if (any.policy == RecurrencePolicy::kGrid)
      needs.area_bytes = std::max(needs.area_bytes, teams * sets * grid_area_bytes(any.math, tile));
  }
  return needs;
}

// Chooses the policy: the rnn's key decides, then VARLSTM_RECURRENCE_POLICY, then the selection. If the requested
// policy is not legal, stepwise is used. A selection for a context without batch invariance depends on the largest
// batch too. VARLSTM_PRINT_POLICY=1 prints the choice to stderr, and what decides it.
RecurrencePolicy choose_recurrence(const State& state, const RnnShape& shape, const RnnPlan& plan) {
  const int32_t forced = forced_recurrence(shape);
  const RecurrenceShape of_layer = recurrence_shape(state, shape, plan);
  RecurrencePolicy policy = select_recurrence(of_layer, state.facts, forced);
  if (forced == VARLSTM_RECURRENCE_AUTO && state.batch_invariant == 0 && policy != RecurrencePolicy::kStepwise) {
    const int64_t batch = segment_bound(shape, plan.bounds.max_batch, plan.bounds.max_tokens);
    if (is_faster_stepwise(policy, of_layer, batch, state.facts)) policy = RecurrencePolicy::kStepwise;
  }
  print_choice(of_layer, state.facts, policy, shape.layers, why_not_layers(state, shape, plan, policy));
  return policy;
}

void choose(const State& state, const RnnShape& shape, RnnPlan* plan) {
  const char* slots = environment(kRecurrenceSlotsVariable);
  plan->team_slots = slots == nullptr ? 0 : positive_number(slots);
  // Who asks for steps or clusters asks for launches that are not cooperative, and gets no wide team, unless he also
  // asks for a team's slots.
  const int32_t forced = forced_recurrence(shape);
  const bool is_cooperative = forced == VARLSTM_RECURRENCE_AUTO || forced == VARLSTM_RECURRENCE_GRID;
  if (!is_cooperative && plan->team_slots == 0) plan->team_slots = kNoTeams;
  const RecurrencePolicy policy = choose_recurrence(state, shape, *plan);
  plan->recurrence = static_cast<int64_t>(policy);
  if (policy == RecurrencePolicy::kStepwise) return;
  const RecurrenceShape of_layer = recurrence_shape(state, shape, *plan);
  // At most so many segments, which slots may take.
  const int64_t batch = std::max<int64_t>(segment_bound(shape, plan->bounds.max_batch, plan->bounds.max_tokens), 1);
  plan->one_layer = needs_of(choose_tile(policy, of_layer, batch, state.facts), batch, 1, state.facts);
  if (why_not_layers(state, shape, *plan, policy) != nullptr) return;
  const RecurrenceChoice together = choose_tile(policy, of_layer, batch, state.facts, shape.layers);
  plan->most_together = most_together(together, shape.layers);
  plan->all_layers = needs_of(together, batch, shape.layers, state.facts);
}

// The bytes that one call takes, laid out as the call does it. `batch` sequences, whose forward runs `layers` in one
// launch.
template <class T>
struct Bytes {
  using C = ComputeType<T>;
  const State& state;
  const RnnShape& shape;
  const RnnPlan& plan;

  RnnSizes forward(const RnnRows& rows, bool save, int64_t layers, TeamKind teams = TeamKind::kOfPolicy) const {
    Carver workspace(nullptr), reserve(nullptr);
    const BatchBounds extent{rows.segments, plan.bounds.max_len, rows.tokens};
    const ForwardWorkspace<T, C> tensors(shape, rows, save, layers > 1, workspace);
    const NormForwardWorkspace<C> norm(shape, rows, save, workspace);
    const Reserve<T, C> saved(shape, rows, reserve);
    const NormReserve<C> norm_saved(shape, rows, reserve);
    const bool kept = save && teams == TeamKind::kOfPolicy && schedule_may_be_kept(plan, rows.segments);
    const LayerRecurrence recurrence(state, shape, plan, teams, layers, extent, kept ? reserve : workspace, workspace);
    return {workspace.bytes(), save ? reserve.bytes() : 0};
  }
  // An upper bound: the schedule is counted in the workspace, also if forward has kept it.
  int64_t backward(const RnnRows& rows, TeamKind teams = TeamKind::kOfPolicy) const {
    Carver workspace(nullptr);
    const BatchBounds extent{rows.segments, plan.bounds.max_len, rows.tokens};
    const BackwardWorkspace<T, C> tensors(shape, rows, workspace);
    const NormBackwardWorkspace<T, C> norm(shape, rows, workspace);
    const LayerRecurrence recurrence(state, shape, plan, teams, 1, extent, workspace, workspace);
    return workspace.bytes();
  }
};

template <class T>
void add_sizes(const State& state, const RnnShape& shape, RnnPlan* plan) {
  const Bytes<T> bytes{state, shape, *plan};
  const BatchBounds& bounds = plan->bounds;
  const RnnRows most{bounds.max_batch, bounds.max_tokens, segment_bound(shape, bounds.max_batch, bounds.max_tokens)};
  const auto keep_larger = [](const RnnSizes& other, RnnSizes* sizes) {
    sizes->workspace_bytes = std::max(sizes->workspace_bytes, other.workspace_bytes);
    sizes->reserve_bytes = std::max(sizes->reserve_bytes, other.reserve_bytes);
  };
  RnnSizes infer = bytes.forward(most, false, 1), save = bytes.forward(most, true, 1);
  keep_larger({bytes.backward(most), 0}, &save);
  // Some batches run by wide teams.
  if (wide_needs(WidePass::kForward, state, shape, *plan).slots > 0) {
    keep_larger(bytes.forward(most, false, 1, TeamKind::kWideForward), &infer);
    keep_larger(bytes.forward(most, true, 1, TeamKind::kWideForward), &save);
  }
  if (wide_needs(WidePass::kBackward, state, shape, *plan).slots > 0)
    keep_larger({bytes.backward(most, TeamKind::kWideBackward), 0}, &save);
  // The largest batch whose layers run in one launch.
  const RnnRows together = fewest_rows({std::min(bounds.max_batch, plan->most_together), bounds.max_tokens,
                                        std::min(most.segments, plan->most_together)},
                                       bounds);
  if (together.batch > 0) {
    keep_larger(bytes.forward(together, false, shape.layers), &infer);
    keep_larger(bytes.forward(together, false, shape.layers), &save);  // laid out without save, which takes more
    keep_larger(bytes.forward(together, true, 1), &save);              // with dropout
  }
  plan->infer = infer;
  plan->save = save;
}

}  // namespace

int32_t check_shape(const RnnShape& shape) {
  if (shape.hidden > kMostUnits)
    return fail(VARLSTM_ERROR_UNSUPPORTED, "hidden_size = %lld is more than %lld", static_cast<long long>(shape.hidden),
                static_cast<long long>(kMostUnits));
  return VARLSTM_OK;
}

int32_t make_rnn_plan(const BackendState* base, const RnnShape& shape, RnnPlan* plan) {
  const State& state = *static_cast<const State*>(base);
  constexpr int64_t kMostSteps = int64_t{1} << 40;  // the bytes of a schedule can be counted in 64 bits up to here
  if (plan->bounds.max_len > kMostSteps)
    return fail(VARLSTM_ERROR_UNSUPPORTED, "max_len = %lld is more than %lld",
                static_cast<long long>(plan->bounds.max_len), static_cast<long long>(kMostSteps));
  VARLSTM_CUDA_TRY(check_shape(shape));
  choose(state, shape, plan);
  return with_scalar(shape.dtype, [&](auto scalar) -> int32_t {
    add_sizes<decltype(scalar)>(state, shape, plan);
    return VARLSTM_OK;
  });
}

}  // namespace varlstm::cuda
