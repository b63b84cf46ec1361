// Builds the plan of a batch on the device. Nothing is copied back, and the launches depend only on the bounds.
//
//   lengths[b]        the given length clamped to [0, max_len], and cut off when the sum of lengths exceeds max_tokens
//   cu_seqlens[b]     sum of the lengths before b; N from entry B on
//   sorted_indices    stable, longest first: pairs (max_len - length, b) sorted by key
//   unsorted_indices  the inverse of sorted_indices
//   batch_sizes[t]    number of lengths > t: a binary search in the sorted keys; 0 from T on
//   step_offsets[t]   sum of the batch sizes before t; N from entry T on
//   packed_to_ragged  row r = step_offsets[t] + j  <->  cu_seqlens[sorted_indices[j]] + t, and its inverse; -1 from N
//                     on
//   lengths_hash      sum over all sequences of a mix of index and length
//
// Example: lengths 1, 3, 2 give sorted_indices 1, 2, 0 and batch_sizes 3, 2, 1. The packed rows are the tokens (b, t) =
// (1, 0), (2, 0), (0, 0), (1, 1), (2, 1), (1, 2); the ragged rows are (0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1).
// So packed_to_ragged is 1, 4, 0, 2, 5, 3.
//
// Bytes moved: about 100 B + 16 max_len + 16 N (8-byte entries), and the sort's 32 B for each digit of 8 bits: far less
// than one feature row for each token. Bound by launch latency: 4 kernels and those of the sort. A batch of at most
// kMostOfOneBlock lengths and kMostStepsOfOneBlock steps takes 2 kernels: one block computes everything up to
// step_offsets, and ranks each sequence by comparing it with all others, which are in shared memory.
//   S1: after it the lengths are in shared memory. S2: after it their keys are there, by rank.
// Scans run in one block of kScanBlock threads. Each thread sums a contiguous piece (phase 1), the sums are scanned
// (phase 2, with the barriers of core/scan.h), and each thread goes through its piece again from its start value (phase
// 3). All integers have 64 bits and are exact, so the order of additions does not matter. Mirrored by
// host/ops/batch_plan.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_plan/batch_plan.h"

#include "kernels/core/bad_value.h"
#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"
#include "kernels/core/rows.h"
#include "kernels/core/scan.h"
#include "kernels/sort/sort.h"
#include "varlstm.h"

namespace varlstm::cuda {

// Not measured on a GPU. The lengths of one block are arguments of its kernel, which may have 4 KiB.
constexpr int64_t kMostOfOneBlock = 896, kMostStepsOfOneBlock = 8192;

VARLSTM_DEVICE int64_t clamped(int64_t length, int64_t max_len) {
  return length < 0 ? 0 : length > max_len ? max_len : length;
}

// Mixes the index and the length of a sequence (the finisher of SplitMix64).
VARLSTM_DEVICE uint64_t mixed(int64_t sequence, int64_t length) {
  uint64_t z = static_cast<uint64_t>(sequence) * 0x9E3779B97F4A7C15ULL + static_cast<uint64_t>(length) + 1;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

struct ScanShared {
  int64_t sums[kScanBlock / 32];
  uint64_t hashes[kScanBlock / 32];
};

// raw [B] -> lengths, lengths_hash, cu_seqlens, in one block. each(b, length) is called for every sequence.
template <class Raw, class Each>
VARLSTM_DEVICE void take_lengths(const BatchPlan& plan, const Raw& raw, ScanShared& shared, DeviceStatus* status,
                                 const Each& each) {
  const int64_t piece = (plan.batch + kScanBlock - 1) / kScanBlock;
  const int64_t begin = piece * threadIdx.x < plan.batch ? piece * threadIdx.x : plan.batch;
  const int64_t end = begin + piece < plan.batch ? begin + piece : plan.batch;

  int64_t sum = 0;
  for (int64_t b = begin; b < end; ++b) sum += clamped(raw[b], plan.bounds.max_len);
  int64_t before = exclusive_block_sum(sum, shared.sums);  // tokens requested before b
  uint64_t hash = 0;
  for (int64_t b = begin; b < end; ++b) {
    const int64_t wanted = clamped(raw[b], plan.bounds.max_len);
    const int64_t left = before < plan.bounds.max_tokens ? plan.bounds.max_tokens - before : 0;
    const int64_t length = wanted < left ? wanted : left;
    if (length != raw[b]) flag_bad_value(status, BadValue::kLength, b);
    plan.lengths[b] = length;
    plan.cu_seqlens[b] = before < plan.bounds.max_tokens ? before : plan.bounds.max_tokens;
    each(b, length);
    hash += mixed(b, length);
    before += wanted;
  }
  hash = block_sum(hash, shared.hashes);
  if (threadIdx.x == 0) *plan.lengths_hash = static_cast<int64_t>(hash);
  if (threadIdx.x + 1 != kScanBlock) return;
  // The last thread ends at the end of the batch.
  const int64_t tokens = before < plan.bounds.max_tokens ? before : plan.bounds.max_tokens;
  for (int64_t b = plan.batch; b <= plan.bounds.max_batch; ++b) plan.cu_seqlens[b] = tokens;
}

// step_offsets <- the sums of size_of(t), in one block. size_of is called once for each step.
template <class SizeOf>
VARLSTM_DEVICE void sum_batch_sizes(const BatchPlan& plan, ScanShared& shared, const SizeOf& size_of) {
  const int64_t count = plan.bounds.max_len;
  const int64_t piece = (count + kScanBlock - 1) / kScanBlock;
  const int64_t begin = piece * threadIdx.x < count ? piece * threadIdx.x : count;
  const int64_t end = begin + piece < count ? begin + piece : count;
  int64_t sum = 0;
  for (int64_t t = begin; t < end; ++t) sum += size_of(t);
  int64_t before = exclusive_block_sum(sum, shared.sums);
  for (int64_t t = begin; t < end; ++t) {
    plan.step_offsets[t] = before;
    before += plan.batch_sizes[t];
  }
  if (threadIdx.x + 1 == kScanBlock) plan.step_offsets[count] = before;
}

// raw lengths -> lengths, lengths_hash, cu_seqlens, keys, and the identity, which is sorted along with the keys.
VARLSTM_KERNEL void __launch_bounds__(kScanBlock)
    plan_lengths_kernel(BatchPlan plan, PlanScratch scratch, DeviceStatus* status) {
  const int64_t* const raw = scratch.raw_lengths;
  take_lengths(plan, raw, *simt::shared_memory<ScanShared>(), status, [&](int64_t b, int64_t length) {
    scratch.keys[b] = static_cast<uint64_t>(plan.bounds.max_len - length);
    scratch.identity[b] = b;
  });
}

struct PlanShared {
  ScanShared scan;
  int64_t lengths[kMostOfOneBlock];
  int64_t keys[kMostOfOneBlock];  // max_len - length, by rank
};

// Lengths as arguments of the kernel. They are at most
// kMostStepsOfOneBlock.
struct LengthArguments {
  int32_t lengths[kMostOfOneBlock];

  VARLSTM_DEVICE int64_t operator[](int64_t b) const { return lengths[b]; }
};

// raw [B] -> everything up to step_offsets. One block. Raw: LengthArguments, or a pointer to device memory.
template <class Raw>
VARLSTM_KERNEL void __launch_bounds__(kScanBlock) plan_kernel(BatchPlan plan, Raw raw, DeviceStatus* status) {
  auto& shared = *simt::shared_memory<PlanShared>();
  take_lengths(plan, raw, shared.scan, status, [&](int64_t b, int64_t length) { shared.lengths[b] = length; });
  simt::block_sync();  // S1
  for (int64_t b = threadIdx.x; b < plan.batch; b += kScanBlock) {
    const int64_t length = shared.lengths[b];
    int64_t rank = 0;
    for (int64_t other = 0; other < plan.batch; ++other) {
      const int64_t of_other = shared.lengths[other];
      if (of_other > length || (of_other == length && other < b)) ++rank;
    }
    plan.sorted_indices[rank] = b;
    plan.unsorted_indices[b] = rank;
    shared.keys[rank] = plan.bounds.max_len - length;
  }
  simt::block_sync();  // S2
  // length > t  <=>  key = max_len - length <= max_len - t - 1
  sum_batch_sizes(plan, shared.scan, [&](int64_t t) {
    return plan.batch_sizes[t] = count_not_above(shared.keys, plan.batch, plan.bounds.max_len - t - 1);
  });
}

// lengths -> lengths_hash, after resets have changed it. One block.
VARLSTM_KERNEL void __launch_bounds__(kScanBlock) plan_lengths_hash_kernel(BatchPlan plan) {
  uint64_t* hashes = simt::shared_memory<ScanShared>()->hashes;
  uint64_t hash = 0;
  for (int64_t b = threadIdx.x; b < plan.batch; b += kScanBlock) hash += mixed(b, plan.lengths[b]);
  hash = block_sum(hash, hashes);
  if (threadIdx.x == 0) *plan.lengths_hash = static_cast<int64_t>(hash);
}

// sorted keys -> batch_sizes; sorted_indices -> unsorted_indices.
VARLSTM_KERNEL void plan_order_kernel(BatchPlan plan, PlanScratch scratch) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t j = first; j < plan.batch; j += stride) plan.unsorted_indices[plan.sorted_indices[j]] = j;
  // length > t  <=>  key = max_len - length <= max_len - t - 1
  const int64_t* keys = reinterpret_cast<const int64_t*>(scratch.sorted_keys);
  for (int64_t t = first; t < plan.bounds.max_len; t += stride)
    plan.batch_sizes[t] = count_not_above(keys, plan.batch, plan.bounds.max_len - t - 1);
}

// batch_sizes -> step_offsets.
VARLSTM_KERNEL void __launch_bounds__(kScanBlock) plan_offsets_kernel(BatchPlan plan) {
  sum_batch_sizes(plan, *simt::shared_memory<ScanShared>(), [&](int64_t t) { return plan.batch_sizes[t]; });
}

// step_offsets, cu_seqlens, sorted_indices -> both index maps.
VARLSTM_KERNEL void plan_maps_kernel(BatchPlan plan) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t tokens = plan.step_offsets[plan.bounds.max_len];
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; row < plan.bounds.max_tokens;
       row += stride) {
    if (row >= tokens) {
      plan.packed_to_ragged[row] = plan.ragged_to_packed[row] = -1;
      continue;
    }
    const int64_t t = count_not_above(plan.step_offsets, plan.bounds.max_len + 1, row) - 1;
    const int64_t ragged = plan.cu_seqlens[plan.sorted_indices[row - plan.step_offsets[t]]] + t;
    plan.packed_to_ragged[row] = ragged;
    plan.ragged_to_packed[ragged] = row;
  }
}

// batch_sizes, sorted_indices -> raw lengths: the length of rank j is the number of steps whose batch size is larger
// than j.
VARLSTM_KERNEL void plan_lengths_of_ranks_kernel(BatchPlan plan, PlanScratch scratch) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t j = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; j < plan.batch; j += stride) {
    int64_t low = 0, high = plan.bounds.max_len;  // batch_sizes do not increase
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (plan.batch_sizes[middle] > j) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    scratch.raw_lengths[plan.sorted_indices[j]] = low;
    plan.unsorted_indices[plan.sorted_indices[j]] = j;
  }
}

VARLSTM_KERNEL void plan_identity_kernel(BatchPlan plan) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t j = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; j < plan.batch; j += stride)
    plan.sorted_indices[j] = j;
}

namespace {

LaunchShape scan_shape() {
  LaunchShape shape;
  shape.block = dim3(kScanBlock);
  shape.shared_bytes = sizeof(ScanShared);
  return shape;
}

int32_t map_rows(Stream stream, const BatchPlan& plan) {
  return launch<plan_maps_kernel>(stream, "plan_maps", elementwise_shape(stream, plan.bounds.max_tokens), plan);
}

int32_t lay_out_rows(Stream stream, const BatchPlan& plan) {
  VARLSTM_CUDA_TRY(launch<plan_offsets_kernel>(stream, "plan_offsets", scan_shape(), plan));
  return map_rows(stream, plan);
}

template <class Raw>
int32_t plan_in_one_block(Stream stream, const BatchPlan& plan, const Raw& raw) {
  LaunchShape shape = scan_shape();
  shape.shared_bytes = sizeof(PlanShared);
  VARLSTM_CUDA_TRY(launch<plan_kernel<Raw>>(stream, "plan", shape, plan, raw, stream.state->status));
  return map_rows(stream, plan);
}

bool fits_one_block(const BatchPlan& plan) {
  return plan.batch <= kMostOfOneBlock && plan.bounds.max_len <= kMostStepsOfOneBlock;
}

int32_t take_raw_lengths(Stream stream, const BatchPlan& plan, const int64_t* lengths, int32_t space, int64_t* raw) {
  if (plan.batch == 0) return VARLSTM_OK;
  if (space == VARLSTM_SPACE_HOST) return plan_upload(stream, lengths, plan.batch, plan.bounds.max_len, raw);
  return check_runtime(cudaMemcpyAsync(raw, lengths, static_cast<size_t>(plan.batch) * sizeof(int64_t),
                                       cudaMemcpyDeviceToDevice, stream.handle),
                       "cudaMemcpyAsync");
}

}  // namespace

int32_t plan_from_lengths(Stream stream, const BatchPlan& plan, const int64_t* lengths, int32_t space,
                          const PlanScratch& scratch) {
  if (fits_one_block(plan) && space == VARLSTM_SPACE_HOST) {
    LengthArguments arguments = {};
    for (int64_t b = 0; b < plan.batch; ++b) arguments.lengths[b] = static_cast<int32_t>(lengths[b]);
    return plan_in_one_block(stream, plan, arguments);
  }
  // A copy takes any pointer, while a kernel that reads one of another memory ends the context.
  VARLSTM_CUDA_TRY(take_raw_lengths(stream, plan, lengths, space, scratch.raw_lengths));
  if (fits_one_block(plan)) return plan_in_one_block(stream, plan, static_cast<const int64_t*>(scratch.raw_lengths));
  VARLSTM_CUDA_TRY(
      launch<plan_lengths_kernel>(stream, "plan_lengths", scan_shape(), plan, scratch, stream.state->status));
  VARLSTM_CUDA_TRY(stable_sort_pairs(stream, plan.batch, plan.bounds.max_len, scratch.keys, scratch.sorted_keys,
                                     scratch.identity, plan.sorted_indices, scratch.sort_workspace,
                                     scratch.sort_workspace_bytes));
  const int64_t entries = plan.batch > plan.bounds.max_len ? plan.batch : plan.bounds.max_len;
  VARLSTM_CUDA_TRY(launch<plan_order_kernel>(stream, "plan_order", elementwise_shape(stream, entries), plan, scratch));
  return lay_out_rows(stream, plan);
}

int32_t plan_from_batch_sizes(Stream stream, const BatchPlan& plan, const PlanScratch& scratch) {
  VARLSTM_CUDA_TRY(launch<plan_lengths_of_ranks_kernel>(stream, "plan_lengths_of_ranks",
                                                        elementwise_shape(stream, plan.batch), plan, scratch));
  VARLSTM_CUDA_TRY(
      launch<plan_lengths_kernel>(stream, "plan_lengths", scan_shape(), plan, scratch, stream.state->status));
  return lay_out_rows(stream, plan);
}

int32_t plan_lengths_hash(Stream stream, const BatchPlan& plan) {
  return launch<plan_lengths_hash_kernel>(stream, "plan_lengths_hash", scan_shape(), plan);
}

int32_t plan_identity_order(Stream stream, const BatchPlan& plan) {
  return launch<plan_identity_kernel>(stream, "plan_identity", elementwise_shape(stream, plan.batch), plan);
}

}  // namespace varlstm::cuda
