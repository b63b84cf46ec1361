// Batch plans, pack and unpack of the CUDA back end.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/backend_ops.h"
#include "kernels/batch_plan/batch_plan.h"
#include "kernels/batch_plan/segments.h"
#include "kernels/core/capture_mode.h"
#include "kernels/core/carve.h"
#include "kernels/core/status.h"
#include "kernels/pack/pack.h"
#include "kernels/sort/sort.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

// Lays out the plan's arrays and its scratch from `base` on, and returns the bytes that they take.
int64_t carve_plan(void* base, BatchPlan* plan, PlanScratch* scratch, int64_t sort_bytes) {
  const BatchBounds& bounds = plan->bounds;
  Carver carver(base);
  plan->lengths = carver.take<int64_t>(bounds.max_batch);
  plan->batch_sizes = carver.take<int64_t>(bounds.max_len);
  plan->step_offsets = carver.take<int64_t>(bounds.max_len + 1);
  plan->sorted_indices = carver.take<int64_t>(bounds.max_batch);
  plan->unsorted_indices = carver.take<int64_t>(bounds.max_batch);
  plan->cu_seqlens = carver.take<int64_t>(bounds.max_batch + 1);
  plan->packed_to_ragged = carver.take<int64_t>(bounds.max_tokens);
  plan->ragged_to_packed = carver.take<int64_t>(bounds.max_tokens);
  plan->lengths_hash = carver.take<int64_t>(1);
  scratch->raw_lengths = carver.take<int64_t>(bounds.max_batch);
  scratch->keys = carver.take<uint64_t>(bounds.max_batch);
  scratch->sorted_keys = carver.take<uint64_t>(bounds.max_batch);
  scratch->identity = carver.take<int64_t>(bounds.max_batch);
  scratch->sort_workspace = carver.take<unsigned char>(sort_bytes);
  scratch->sort_workspace_bytes = sort_bytes;
  return carver.bytes();
}

// Finds the scratch of an existing plan, whose first array begins the allocation.
int32_t scratch_of(const BatchPlan& plan, PlanScratch* scratch) {
  int64_t sort_bytes = 0;
  VARLSTM_CUDA_TRY(sort_workspace(plan.bounds.max_batch, &sort_bytes));
  BatchPlan same = plan;
  carve_plan(plan.lengths, &same, scratch, sort_bytes);
  return VARLSTM_OK;
}

void plan_destroy(BackendState*, BatchPlan* plan) {
  const RelaxedCapture relaxed;
  ignore_failure(cudaFree(plan->lengths));
  plan->lengths = nullptr;
  ignore_failure(cudaFree(plan->reset_memory));
  plan->reset_memory = nullptr;
}

int32_t set_plan(Stream stream, BatchPlan* plan, const int64_t* lengths, int64_t count, int32_t space) {
  PlanScratch scratch;
  VARLSTM_CUDA_TRY(scratch_of(*plan, &scratch));
  plan->batch = count;
  return plan_from_lengths(stream, *plan, lengths, space, scratch);
}

int32_t plan_create(BackendState* state, BatchPlan* plan) {
  constexpr int64_t kMaxElements = INT64_MAX / 256;
  const BatchBounds& bounds = plan->bounds;
  plan->lengths = nullptr;
  if (bounds.max_batch > kMaxElements || bounds.max_len > kMaxElements || bounds.max_tokens > kMaxElements)
    return VARLSTM_ERROR_OUT_OF_MEMORY;
  int64_t sort_bytes = 0;
  VARLSTM_CUDA_TRY(sort_workspace(bounds.max_batch, &sort_bytes));
  PlanScratch scratch;
  const int64_t bytes = carve_plan(nullptr, plan, &scratch, sort_bytes);
  void* base = nullptr;
  plan->lengths = nullptr;
  VARLSTM_CUDA_TRY(check_runtime(cudaMalloc(&base, static_cast<size_t>(bytes)), "cudaMalloc"));
  carve_plan(base, plan, &scratch, sort_bytes);
  plan->tokens = plan->steps = 0;
  plan->reset_memory = nullptr;
  take_sequences_as_segments(plan);
  VARLSTM_CUDA_TRY(set_plan(make_stream(state, nullptr), plan, nullptr, 0, VARLSTM_SPACE_HOST));
  // The caller's streams need not wait for the default stream, so its work must be done before the caller gets the
  // handle.
  return check_runtime(cudaStreamSynchronize(nullptr), "cudaStreamSynchronize");
}

int32_t plan_lengths(BackendState* state, BatchPlan* plan, const int64_t* lengths, int64_t count, int32_t space,
                     void* stream) {
  const bool on_host = space == VARLSTM_SPACE_HOST;
  VARLSTM_CUDA_TRY(set_plan(make_stream(state, stream), plan, lengths, count, space));
  plan->tokens = plan->steps = on_host ? 0 : -1;
  for (int64_t b = 0; on_host && b < count; ++b) {
    plan->tokens += lengths[b];
    plan->steps = std::max(plan->steps, lengths[b]);
  }
  take_sequences_as_segments(plan);
  return VARLSTM_OK;
}

int32_t plan_batch_sizes(BackendState* state, BatchPlan* plan, const int64_t* batch_sizes, int64_t steps,
                         const int64_t* sorted_indices, void* raw_stream) {
  const Stream stream = make_stream(state, raw_stream);
  PlanScratch scratch;
  VARLSTM_CUDA_TRY(scratch_of(*plan, &scratch));
  plan->batch = steps > 0 ? batch_sizes[0] : 0;
  plan->steps = steps;
  plan->tokens = 0;
  for (int64_t t = 0; t < steps; ++t) plan->tokens += batch_sizes[t];
  take_sequences_as_segments(plan);
  if (plan->bounds.max_len > 0) {
    VARLSTM_CUDA_TRY(check_runtime(
        cudaMemsetAsync(plan->batch_sizes, 0, static_cast<size_t>(plan->bounds.max_len) * 8, stream.handle),
        "cudaMemsetAsync"));
  }
  VARLSTM_CUDA_TRY(plan_upload(stream, batch_sizes, steps, plan->bounds.max_batch, plan->batch_sizes));
  if (sorted_indices != nullptr) {
    VARLSTM_CUDA_TRY(plan_upload(stream, sorted_indices, plan->batch, plan->bounds.max_batch, plan->sorted_indices));
  } else {
    VARLSTM_CUDA_TRY(plan_identity_order(stream, *plan));
  }
  return plan_from_batch_sizes(stream, *plan, scratch);
}

int32_t plan_resets(BackendState* state, BatchPlan* plan, const ResetArgs& args, void* raw_stream) {
  const Stream stream = make_stream(state, raw_stream);
  take_sequences_as_segments(plan);
  VARLSTM_CUDA_TRY(plan_lengths_hash(stream, *plan));
  if (args.resets == nullptr) return VARLSTM_OK;
  int64_t sort_bytes = 0;
  VARLSTM_CUDA_TRY(sort_workspace(plan->bounds.max_tokens + plan->bounds.max_batch, &sort_bytes));
  BatchPlan cut = *plan;
  SegmentScratch scratch;
  if (cut.reset_memory == nullptr) {
    void* memory = nullptr;
    const int64_t bytes = carve_segments(&cut, &scratch, sort_bytes);
    VARLSTM_CUDA_TRY(check_runtime(cudaMalloc(&memory, static_cast<size_t>(bytes)), "cudaMalloc"));
    cut.reset_memory = plan->reset_memory = static_cast<int64_t*>(memory);
  }
  if (plan->batch == 0) return VARLSTM_OK;
  carve_segments(&cut, &scratch, sort_bytes);
  VARLSTM_CUDA_TRY(cut_segments(stream, &cut, args, scratch));
  *plan = cut;
  return VARLSTM_OK;
}

int32_t pack_call(BackendState* state, const PackArgs& args, const void* src, void* packed, void* stream) {
  return pack(make_stream(state, stream), args, src, packed);
}

int32_t unpack_call(BackendState* state, const PackArgs& args, double pad_value, const void* packed, void* dst,
                    void* stream) {
  return unpack(make_stream(state, stream), args, pad_value, packed, dst);
}

}  // namespace

void set_batch_operations(Backend& table) {
  table.plan_create = plan_create;
  table.plan_destroy = plan_destroy;
  table.plan_lengths = plan_lengths;
  table.plan_batch_sizes = plan_batch_sizes;
  table.plan_resets = plan_resets;
  table.pack = pack_call;
  table.unpack = unpack_call;
}

}  // namespace varlstm::cuda
