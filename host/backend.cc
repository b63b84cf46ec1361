// The host's table: contexts, memory and batch plans. The operations are in backend_ops.cc. Every allocation uses the
// nothrow form of operator new; the memory of varlstm_alloc is aligned.
// SPDX-License-Identifier: Apache-2.0
#include "capi/contract/backend.h"

#include <cstdio>
#include <cstring>
#include <new>

#include "host/backend_ops.h"
#include "host/ops/segments.h"
#include "host/simd/row_kernel.h"
#include "host/state.h"
#include "host/threads/parallel.h"
#include "varlstm.h"

namespace varlstm {
namespace {

constexpr std::align_val_t kAlignment{256};

int32_t device_count(int32_t* count) {
  *count = 1;
  return VARLSTM_OK;
}

int32_t open(int32_t device, BackendState** state) {
  if (device != 0) return VARLSTM_ERROR_INVALID_ARGUMENT;
  *state = new (std::nothrow) host::State;
  return *state ? VARLSTM_OK : VARLSTM_ERROR_OUT_OF_MEMORY;
}

void close(BackendState* state) {
  delete host::host_state(state);
}

int32_t set_i64(BackendState* state, int32_t key, int64_t value) {
  if (key == VARLSTM_KEY_THREADS) {
    host::host_state(state)->threads = value;
  } else if (key == VARLSTM_KEY_BATCH_INVARIANT) {
    host::host_state(state)->batch_invariant = value;
  } else if (key == VARLSTM_KEY_MATH) {
    host::host_state(state)->math = value;
  } else {
    return VARLSTM_ERROR_INVALID_ARGUMENT;
  }
  return VARLSTM_OK;
}

int32_t get_i64(const BackendState* state, int32_t key, int64_t* value) {
  if (key == VARLSTM_KEY_THREADS) {
    *value = host::host_state(state)->threads;
  } else if (key == VARLSTM_KEY_BATCH_INVARIANT) {
    *value = host::host_state(state)->batch_invariant;
  } else if (key == VARLSTM_KEY_MATH) {
    *value = host::host_state(state)->math;
  } else {
    return VARLSTM_ERROR_INVALID_ARGUMENT;
  }
  return VARLSTM_OK;
}

int32_t device_status(BackendState* state, bool reset, int64_t* bits, int64_t* first_index, void*) {
  host::host_state(state)->read_status(bits, first_index, reset);
  return VARLSTM_OK;
}

int32_t allocate(BackendState*, int64_t bytes, void** ptr) {
  *ptr = nullptr;
  if (bytes == 0) return VARLSTM_OK;
  *ptr = operator new(static_cast<size_t>(bytes), kAlignment, std::nothrow);
  return *ptr ? VARLSTM_OK : VARLSTM_ERROR_OUT_OF_MEMORY;
}

int32_t release(BackendState*, void* ptr) {
  operator delete(ptr, kAlignment);
  return VARLSTM_OK;
}

int32_t copy(BackendState*, void* dst, const void* src, int64_t bytes, int32_t, void*) {
  if (bytes > 0) std::memcpy(dst, src, static_cast<size_t>(bytes));
  return VARLSTM_OK;
}

int32_t zero(BackendState* state, void* ptr, int64_t bytes, void*) {
  constexpr int64_t kGrain = 1 << 20;
  host::parallel_ranges(host::host_state(state)->threads, bytes, kGrain, [&](int64_t begin, int64_t end) {
    std::memset(static_cast<char*>(ptr) + begin, 0, static_cast<size_t>(end - begin));
  });
  return VARLSTM_OK;
}

int32_t sync(BackendState*, void*) {
  return VARLSTM_OK;
}

// The arrays of a plan and the bound of each.
struct PlanArray {
  int64_t* BatchPlan::*data;
  int64_t BatchBounds::*bound;  // or null: 0
  int64_t extra;                // elements beyond the bound
};

constexpr PlanArray kPlanArrays[] = {
    {&BatchPlan::lengths, &BatchBounds::max_batch, 0},
    {&BatchPlan::batch_sizes, &BatchBounds::max_len, 0},
    {&BatchPlan::step_offsets, &BatchBounds::max_len, 1},
    {&BatchPlan::sorted_indices, &BatchBounds::max_batch, 0},
    {&BatchPlan::unsorted_indices, &BatchBounds::max_batch, 0},
    {&BatchPlan::cu_seqlens, &BatchBounds::max_batch, 1},
    {&BatchPlan::packed_to_ragged, &BatchBounds::max_tokens, 0},
    {&BatchPlan::ragged_to_packed, &BatchBounds::max_tokens, 0},
    {&BatchPlan::lengths_hash, nullptr, 1},
};

void plan_destroy(BackendState*, BatchPlan* plan) {
  for (const PlanArray& array : kPlanArrays) {
    int64_t*& data = plan->*array.data;
    delete[] data;
    data = nullptr;
  }
  delete[] plan->reset_memory;
  plan->reset_memory = nullptr;
}

// If one array cannot be allocated, all are freed.
int32_t plan_create(BackendState* state, BatchPlan* plan) {
  constexpr int64_t kMaxElements = INT64_MAX / 16;
  for (const PlanArray& array : kPlanArrays) plan->*array.data = nullptr;
  plan->reset_memory = nullptr;
  for (const PlanArray& array : kPlanArrays) {
    const int64_t bound = array.bound == nullptr ? 0 : plan->bounds.*array.bound;
    int64_t*& data = plan->*array.data;
    if (bound <= kMaxElements) data = new (std::nothrow) int64_t[bound + array.extra];
    if (!data) {
      plan_destroy(state, plan);
      return VARLSTM_ERROR_OUT_OF_MEMORY;
    }
  }
  host::plan_from_lengths(*plan, nullptr, 0);
  return VARLSTM_OK;
}

int32_t plan_lengths(BackendState* state, BatchPlan* plan, const int64_t* lengths, int64_t count, int32_t, void*) {
  host::host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_LENGTH, host::plan_from_lengths(*plan, lengths, count));
  return VARLSTM_OK;
}

int32_t plan_batch_sizes(BackendState*, BatchPlan* plan, const int64_t* batch_sizes, int64_t steps,
                         const int64_t* sorted_indices, void*) {
  host::plan_from_batch_sizes(*plan, batch_sizes, steps, sorted_indices);
  return VARLSTM_OK;
}

int32_t plan_resets(BackendState* state, BatchPlan* plan, const ResetArgs& args, void*) {
  if (args.resets == nullptr || plan->batch == 0) {
    *plan->lengths_hash = static_cast<int64_t>(host::hash_of_lengths(*plan));
    host::take_sequences_as_segments(*plan);
    return VARLSTM_OK;
  }
  if (plan->reset_memory == nullptr)
    plan->reset_memory = new (std::nothrow) int64_t[host::reset_memory_elements(plan->bounds)];
  if (plan->reset_memory == nullptr) return VARLSTM_ERROR_OUT_OF_MEMORY;
  host::host_state(state)->flag_if_any(VARLSTM_DEVICE_STATUS_RESET, host::plan_resets(*plan, args));
  return VARLSTM_OK;
}

// The GEMM and the instruction set that are used, such as "host (OpenBLAS, avx2)".
const char* describe() {
#ifdef VARLSTM_HAVE_CBLAS
  constexpr const char* kGemm = "OpenBLAS";
#else
  constexpr const char* kGemm = "own GEMM";
#endif
  static char text[64];
  std::snprintf(text, sizeof text, "host (%s, %s)", kGemm, host::row_kernels().name);
  return text;
}

Backend make_table() {
  Backend table = {};
  table.name = describe();
  table.device_count = device_count;
  table.open = open;
  table.close = close;
  table.set_i64 = set_i64;
  table.get_i64 = get_i64;
  table.device_status = device_status;
  table.alloc = allocate;
  table.free = release;
  table.copy = copy;
  table.zero = zero;
  table.sync = sync;
  table.plan_create = plan_create;
  table.plan_destroy = plan_destroy;
  table.plan_lengths = plan_lengths;
  table.plan_batch_sizes = plan_batch_sizes;
  table.plan_resets = plan_resets;
  host::set_operations(table);
  return table;
}

}  // namespace

const Backend* host_backend() {
  static const Backend table = make_table();
  return &table;
}

}  // namespace varlstm
