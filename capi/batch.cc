// Batches: the plan of one mini-batch.
// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "capi/check.h"

using namespace varlstm;

namespace {

long long ll(int64_t value) {
  return static_cast<long long>(value);
}

// The call writes the arrays of the plan and reads the caller's arrays, so they may not overlap.
void add_plan_arrays(const BatchPlan& plan, BufferCheck* buffers) {
  const BatchBounds& bounds = plan.bounds;
  buffers->write_or_null("the batch's lengths", plan.lengths, {{"max_batch", bounds.max_batch}});
  buffers->write_or_null("the batch's batch_sizes", plan.batch_sizes, {{"max_len", bounds.max_len}});
  buffers->write_or_null("the batch's step_offsets", plan.step_offsets, {{"max_len + 1", bounds.max_len + 1}});
  buffers->write_or_null("the batch's sorted_indices", plan.sorted_indices, {{"max_batch", bounds.max_batch}});
  buffers->write_or_null("the batch's unsorted_indices", plan.unsorted_indices, {{"max_batch", bounds.max_batch}});
  buffers->write_or_null("the batch's cu_seqlens", plan.cu_seqlens, {{"max_batch + 1", bounds.max_batch + 1}});
  buffers->write_or_null("the batch's packed_to_ragged", plan.packed_to_ragged, {{"max_tokens", bounds.max_tokens}});
  buffers->write_or_null("the batch's ragged_to_packed", plan.ragged_to_packed, {{"max_tokens", bounds.max_tokens}});
}

// Checks low <= name[index] = value <= high; high_name is the name of the upper bound.
int32_t check_entry(const char* name, int64_t index, int64_t value, int64_t low, const char* high_name, int64_t high) {
  if (value < low) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s[%lld] = %lld is smaller than %lld", name, ll(index), ll(value),
                     ll(low));
  }
  if (value > high) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "%s[%lld] = %lld is larger than %s = %lld", name, ll(index),
                     ll(value), high_name, ll(high));
  }
  return VARLSTM_OK;
}

// Adds name[index] = value to *tokens; a sum above max_tokens is an error.
int32_t add_tokens(const char* name, int64_t index, int64_t value, const BatchBounds& bounds, int64_t* tokens) {
  if (value > bounds.max_tokens - *tokens) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                     "%s[%lld] = %lld makes the sum %lld, which is larger than max_tokens = %lld", name, ll(index),
                     ll(value), ll(*tokens + value), ll(bounds.max_tokens));
  }
  *tokens += value;
  return VARLSTM_OK;
}

int32_t check_lengths(const BatchBounds& bounds, const int64_t* lengths, int64_t count) {
  int64_t tokens = 0;
  for (int64_t b = 0; b < count; ++b) {
    VARLSTM_TRY(check_entry("lengths", b, lengths[b], 0, "max_len", bounds.max_len));
    VARLSTM_TRY(add_tokens("lengths", b, lengths[b], bounds, &tokens));
  }
  return VARLSTM_OK;
}

int32_t check_batch_sizes(const BatchBounds& bounds, const int64_t* batch_sizes, int64_t steps) {
  int64_t tokens = 0;
  for (int64_t t = 0; t < steps; ++t) {
    VARLSTM_TRY(check_entry("batch_sizes", t, batch_sizes[t], 1, "max_batch", bounds.max_batch));
    if (t > 0 && batch_sizes[t] > batch_sizes[t - 1]) {
      return set_error(VARLSTM_ERROR_INVALID_ARGUMENT,
                       "batch_sizes[%lld] = %lld is larger than batch_sizes[%lld] = %lld", ll(t), ll(batch_sizes[t]),
                       ll(t - 1), ll(batch_sizes[t - 1]));
    }
    VARLSTM_TRY(add_tokens("batch_sizes", t, batch_sizes[t], bounds, &tokens));
  }
  return VARLSTM_OK;
}

// Checks that sorted_indices [count] is a permutation; `seen` has a bit for each sequence.
int32_t check_permutation(const int64_t* sorted_indices, int64_t count, uint64_t* seen) {
  memset(seen, 0, static_cast<size_t>((count + 63) / 64) * sizeof(uint64_t));
  for (int64_t j = 0; j < count; ++j) {
    const int64_t b = sorted_indices[j];
    VARLSTM_TRY(check_entry("sorted_indices", j, b, 0, "the last sequence", count - 1));
    const uint64_t bit = uint64_t{1} << (b % 64);
    if ((seen[b / 64] & bit) != 0) {
      return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "sorted_indices[%lld] = %lld stands there twice", ll(j), ll(b));
    }
    seen[b / 64] |= bit;
  }
  return VARLSTM_OK;
}

int32_t unknown_to_host(int32_t key) {
  return set_error(VARLSTM_ERROR_UNSUPPORTED, "key = %d (%s): only the device knows the lengths of this batch", key,
                   key_name(key));
}

struct PlanArray {
  const int64_t* data;
  int64_t count;
};

// After the back end failed, the arrays of the plan belong to no lengths.
void make_empty(BatchPlan* plan) {
  plan->batch = plan->tokens = plan->steps = 0;
  plan->segments = {};
}

// Checks the number of flags of varlstm_batch_set_resets, and the flags themselves if they are in host memory.
int32_t check_resets(const BatchPlan& plan, const ResetArgs& args) {
  const int64_t rows = packed_rows(plan), steps = plan.steps >= 0 ? plan.steps : plan.bounds.max_len;
  if (args.layout == Layout::kRagged) {
    if (args.count != rows) {
      return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "count = %lld is not the number of rows, %lld", ll(args.count),
                       ll(rows));
    }
  } else {
    if (args.padded_len < steps) {
      return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "padded_len = %lld is smaller than the longest length, %lld",
                       ll(args.padded_len), ll(steps));
    }
    int64_t places = 0;
    if (__builtin_mul_overflow(plan.batch, args.padded_len, &places) || places != args.count) {
      return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "count = %lld is not batch = %lld times padded_len = %lld",
                       ll(args.count), ll(plan.batch), ll(args.padded_len));
    }
  }
  for (int64_t k = 0; k < args.count && args.space == VARLSTM_SPACE_HOST; ++k) {
    if (args.resets[k] > 1) {
      return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "resets[%lld] = %d is neither 0 nor 1", ll(k), args.resets[k]);
    }
  }
  return VARLSTM_OK;
}

void destroy_plan(const varlstm_ctx* ctx, BatchPlan* plan) {
  release_in_backend(ctx, [plan](const Backend& b, BackendState* state) { b.plan_destroy(state, plan); });
}

PlanArray plan_array(const BatchPlan& plan, int32_t array) {
  const int64_t tokens = packed_rows(plan);
  const int64_t steps = plan.steps >= 0 ? plan.steps : plan.bounds.max_len;
  switch (array) {
    case VARLSTM_BATCH_LENGTHS:
      return {plan.lengths, plan.batch};
    case VARLSTM_BATCH_BATCH_SIZES:
      return {plan.batch_sizes, steps};
    case VARLSTM_BATCH_STEP_OFFSETS:
      return {plan.step_offsets, steps + 1};
    case VARLSTM_BATCH_SORTED_INDICES:
      return {plan.sorted_indices, plan.batch};
    case VARLSTM_BATCH_UNSORTED_INDICES:
      return {plan.unsorted_indices, plan.batch};
    case VARLSTM_BATCH_CU_SEQLENS:
      return {plan.cu_seqlens, plan.batch + 1};
    case VARLSTM_BATCH_PACKED_TO_RAGGED:
      return {plan.packed_to_ragged, tokens};
    default:  // VARLSTM_BATCH_RAGGED_TO_PACKED
      return {plan.ragged_to_packed, tokens};
  }
}

}  // namespace

int32_t varlstm_batch_create(varlstm_ctx* ctx, int64_t max_batch, int64_t max_len, int64_t max_tokens,
                             varlstm_batch** batch) {
  VARLSTM_TRY(check_usable("ctx", ctx));
  const BatchBounds bounds{max_batch, max_len, max_tokens};
  VARLSTM_TRY(check_bounds(bounds));
  BufferCheck buffers(sizeof(varlstm_batch*));
  buffers.write("batch", batch, {});
  VARLSTM_TRY(buffers.finish());

  std::unique_ptr<varlstm_batch> made(new (std::nothrow) varlstm_batch);
  if (made) made->seen.reset(new (std::nothrow) uint64_t[static_cast<size_t>(max_batch) / 64 + 1]);
  if (!made || !made->seen) return set_error(VARLSTM_ERROR_OUT_OF_MEMORY, "no memory for a varlstm_batch");
  made->ctx = ctx;
  made->plan.bounds = bounds;
  const int32_t status = call_backend(ctx, "plan_create", &Backend::plan_create, &made->plan);
  if (status != VARLSTM_OK) {
    destroy_plan(ctx, &made->plan);  // frees what was allocated before the failure
    return status;
  }
  ctx->children.fetch_add(1);
  *batch = made.release();
  return VARLSTM_OK;
}

int32_t varlstm_batch_set_lengths(varlstm_batch* batch, const int64_t* lengths, int64_t count, int32_t space,
                                  void* stream) {
  VARLSTM_TRY(check_usable("batch", batch, stream));
  BatchPlan& plan = batch->plan;
  if (count < 0 || count > plan.bounds.max_batch) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "count = %lld is not in 0 ... max_batch = %lld", ll(count),
                     ll(plan.bounds.max_batch));
  }
  VARLSTM_TRY(check_enum("space", "varlstm_space", space, VARLSTM_SPACE_BACKEND));
  BufferCheck buffers(sizeof(int64_t));
  add_plan_arrays(plan, &buffers);
  buffers.read("lengths", lengths, {{"count", count}});
  VARLSTM_TRY(buffers.finish());
  if (space == VARLSTM_SPACE_HOST) VARLSTM_TRY(check_lengths(plan.bounds, lengths, count));
  const int32_t status =
      call_backend(batch->ctx, "plan_lengths", &Backend::plan_lengths, &plan, lengths, count, space, stream);
  if (status != VARLSTM_OK) make_empty(&plan);
  return status;
}

int32_t varlstm_batch_from_batch_sizes(varlstm_batch* batch, const int64_t* batch_sizes, int64_t steps,
                                       const int64_t* sorted_indices, void* stream) {
  VARLSTM_TRY(check_usable("batch", batch, stream));
  BatchPlan& plan = batch->plan;
  if (steps < 0 || steps > plan.bounds.max_len) {
    return set_error(VARLSTM_ERROR_INVALID_ARGUMENT, "steps = %lld is not in 0 ... max_len = %lld", ll(steps),
                     ll(plan.bounds.max_len));
  }
  BufferCheck buffers(sizeof(int64_t));
  add_plan_arrays(plan, &buffers);
  buffers.read("batch_sizes", batch_sizes, {{"steps", steps}});
  VARLSTM_TRY(buffers.status());
  VARLSTM_TRY(check_batch_sizes(plan.bounds, batch_sizes, steps));
  const int64_t sequences = steps > 0 ? batch_sizes[0] : 0;
  buffers.read_or_null("sorted_indices", sorted_indices, {{"batch_sizes[0]", sequences}});
  VARLSTM_TRY(buffers.finish());
  if (sorted_indices != nullptr) VARLSTM_TRY(check_permutation(sorted_indices, sequences, batch->seen.get()));
  const int32_t status = call_backend(batch->ctx, "plan_batch_sizes", &Backend::plan_batch_sizes, &plan, batch_sizes,
                                      steps, sorted_indices, stream);
  if (status != VARLSTM_OK) make_empty(&plan);
  return status;
}

int32_t varlstm_batch_set_resets(varlstm_batch* batch, const uint8_t* resets, int64_t count, int32_t layout,
                                 int64_t padded_len, int32_t space, void* stream) {
  VARLSTM_TRY(check_usable("batch", batch, stream));
  BatchPlan& plan = batch->plan;
  VARLSTM_TRY(check_at_least("count", count, 0));
  VARLSTM_TRY(check_enum("layout", "varlstm_layout", layout, VARLSTM_LAYOUT_RAGGED));
  VARLSTM_TRY(check_enum("space", "varlstm_space", space, VARLSTM_SPACE_BACKEND));
  BufferCheck buffers(sizeof(int64_t));
  add_plan_arrays(plan, &buffers);
  buffers.read("resets", resets, {{"count", count}}, 1);
  VARLSTM_TRY(buffers.finish());
  const ResetArgs args{static_cast<Layout>(layout), padded_len, resets, count, space};
  if (resets != nullptr) VARLSTM_TRY(check_resets(plan, args));
  return call_backend(batch->ctx, "plan_resets", &Backend::plan_resets, &plan, args, stream);
}

int32_t varlstm_batch_get_i64(const varlstm_batch* batch, int32_t key, int64_t* value) {
  VARLSTM_TRY(check_usable("batch", batch));
  if (key < VARLSTM_KEY_MAX_BATCH || key > VARLSTM_KEY_STEPS) {
    return bad_key(varlstm_batch::kTypeName, "an int64", key);
  }
  BufferCheck buffers(sizeof(int64_t));
  buffers.write("value", value, {});
  VARLSTM_TRY(buffers.finish());
  const BatchPlan& plan = batch->plan;
  switch (key) {
    case VARLSTM_KEY_MAX_BATCH:
      *value = plan.bounds.max_batch;
      break;
    case VARLSTM_KEY_MAX_LEN:
      *value = plan.bounds.max_len;
      break;
    case VARLSTM_KEY_MAX_TOKENS:
      *value = plan.bounds.max_tokens;
      break;
    case VARLSTM_KEY_BATCH:
      *value = plan.batch;
      break;
    case VARLSTM_KEY_TOKENS:
      if (plan.tokens < 0) return unknown_to_host(key);
      *value = plan.tokens;
      break;
    default:  // VARLSTM_KEY_STEPS
      if (plan.steps < 0) return unknown_to_host(key);
      *value = plan.steps;
  }
  return VARLSTM_OK;
}

int32_t varlstm_batch_get_array(const varlstm_batch* batch, int32_t array, const int64_t** data, int64_t* count) {
  VARLSTM_TRY(check_usable("batch", batch));
  VARLSTM_TRY(check_enum("array", "varlstm_batch_array", array, VARLSTM_BATCH_RAGGED_TO_PACKED));
  BufferCheck buffers(sizeof(void*));
  buffers.write("data", data, {});
  buffers.write_or_null("count", count, {}, sizeof(int64_t));
  VARLSTM_TRY(buffers.finish());
  const PlanArray found = plan_array(batch->plan, array);
  *data = found.data;
  if (count != nullptr) *count = found.count;
  return VARLSTM_OK;
}

int32_t varlstm_batch_destroy(varlstm_batch* batch) {
  if (batch == nullptr) return VARLSTM_OK;
  VARLSTM_TRY(check_handle("batch", batch));
  if (!retire(batch, varlstm_batch::kMagic)) return check_handle("batch", batch);
  destroy_plan(batch->ctx, &batch->plan);
  batch->seen.reset();
  batch->ctx->children.fetch_sub(1);
  bury(batch);
  return VARLSTM_OK;
}
