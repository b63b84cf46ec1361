// Cuts the sequences of a batch into segments at its resets. Nothing is copied back, and the launches depend only on
// the bounds, the batch and, if they are in host memory, the flags.
//
//   candidates     the ragged rows, and the sequences, which stand for themselves if they have no token. A row begins a
//                  segment if it is the first of its sequence or its flag is set
//   keys           max_len - length of the segment that the candidate begins, or max_len + 1 if it begins none
//   ranked         the candidates in the order of their keys, stable: rank j begins at candidate ranked[j]
//   sizes[t]       number of keys <= max_len - t - 1: the segments longer than t
//   offsets[t]     sum of the sizes before t; N from entry T on
//   ragged_rows    at offsets[t] + j: ranked[j] + t; packed_rows: the packed row of that; -1 from N on
//   firsts, lasts  the sequence of which rank j is the first or the last segment, or -1
//   begins         firsts, but -1 if there is a reset at the sequence's first row
//   lengths_hash   sum over the sequences of a mix of index and length, and over the resets of a mix of the row
//
// host/ops/segments.h has an example. find_segments: a thread for each candidate, which walks to the end of the segment
// that it begins; so its time grows with the longest segment. The sort is that of the plan. The scan of the sizes runs
// in one block, as in batch_plan.cu. Everything is integers: exact, and the same from run to run.
// Bytes: 1 for each flag, 32 (N + B) for the sort's pairs, and 56 (N + B). Bound by launch latency and by the sort. Not
// measured on a GPU. Mirrored by host/ops/segments.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/batch_plan/segments.h"

#include <algorithm>

#include "kernels/batch_plan/batch_plan.h"
#include "kernels/core/bad_value.h"
#include "kernels/core/carve.h"
#include "kernels/core/launch.h"
#include "kernels/core/reduce.h"
#include "kernels/core/rows.h"
#include "kernels/core/scan.h"
#include "kernels/sort/sort.h"
#include "varlstm.h"

namespace varlstm::cuda {

// Flags in the back end's memory, in a layout of the caller's.
struct ResetFlags {
  const uint8_t* of;
  Layout layout;
  int64_t padded_len;
};

VARLSTM_DEVICE int64_t place_of(const BatchPlan& plan, const ResetFlags& flags, int64_t b, int64_t t) {
  if (flags.layout == Layout::kBatchFirst) return b * flags.padded_len + t;
  if (flags.layout == Layout::kTimeMajor) return t * plan.batch + b;
  return plan.cu_seqlens[b] + t;
}

VARLSTM_DEVICE int flag_of(const BatchPlan& plan, const ResetFlags& flags, int64_t b, int64_t t) {
  return flags.of[place_of(plan, flags, b, t)];
}

// Flags from host memory, as bits: as many as the arguments of a kernel hold.
struct FlagChunk {
  static constexpr int64_t kCount = 28 * 1024;
  uint32_t bits[kCount / 32];
};

// to [max_tokens] by ragged row <- the chunk, whose first flag is at `begin` of `length` flags for each sequence. If
// the flags are ragged, they are one line.
VARLSTM_KERNEL void reset_upload_kernel(BatchPlan plan, FlagChunk chunk, int64_t begin, int64_t count, int64_t length,
                                        bool ragged, uint8_t* to) {
  for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count;
       k += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    const int64_t b = (begin + k) / length, t = (begin + k) % length;
    if (!ragged && t >= plan.lengths[b]) continue;
    to[ragged ? t : plan.cu_seqlens[b] + t] = chunk.bits[k / 32] >> (k % 32) & 1;
  }
}

// A mix of a ragged row, which differs from those of sequences in batch_plan.cu by its constant.
VARLSTM_DEVICE uint64_t mixed_reset(int64_t row) {
  uint64_t z = (static_cast<uint64_t>(row) + 1) * 0xD1B54A32D192ED03ULL;
  z = (z ^ (z >> 32)) * 0xAEF17502108EF2D9ULL;
  return z ^ (z >> 29);
}

VARLSTM_KERNEL void find_segments_kernel(BatchPlan plan, ResetFlags flags, SegmentScratch scratch,
                                         DeviceStatus* status) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t tokens = plan.cu_seqlens[plan.batch];
  const uint64_t none = static_cast<uint64_t>(plan.bounds.max_len) + 1;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       at < plan.bounds.max_tokens + plan.batch; at += stride) {
    scratch.candidates[at] = at;
    scratch.keys[at] = none;
    if (at >= plan.bounds.max_tokens) {
      if (plan.lengths[at - plan.bounds.max_tokens] == 0) scratch.keys[at] = static_cast<uint64_t>(plan.bounds.max_len);
      continue;
    }
    if (at >= tokens) continue;
    const int64_t b = count_not_above(plan.cu_seqlens, plan.batch + 1, at) - 1, t = at - plan.cu_seqlens[b];
    const int flag = flag_of(plan, flags, b, t);
    if (flag > 1) flag_bad_value(status, BadValue::kReset, place_of(plan, flags, b, t));
    if (flag != 0)
      simt::atomic_add(reinterpret_cast<unsigned long long*>(plan.lengths_hash),
                       static_cast<unsigned long long>(mixed_reset(at)));
    if (flag == 0 && t > 0) continue;
    int64_t end = t + 1;
    while (end < plan.lengths[b] && flag_of(plan, flags, b, end) == 0) ++end;
    scratch.keys[at] = static_cast<uint64_t>(plan.bounds.max_len - (end - t));
  }
}

// sorted keys -> sizes, offsets. One block.
VARLSTM_KERNEL void __launch_bounds__(kScanBlock) segment_sizes_kernel(BatchPlan plan, SegmentScratch scratch) {
  int64_t* sums = simt::shared_memory<int64_t>();
  const int64_t* keys = reinterpret_cast<const int64_t*>(scratch.sorted_keys);
  const int64_t count = plan.bounds.max_len, candidates = plan.bounds.max_tokens + plan.batch;
  const int64_t piece = (count + kScanBlock - 1) / kScanBlock;
  const int64_t begin = piece * threadIdx.x < count ? piece * threadIdx.x : count;
  const int64_t end = begin + piece < count ? begin + piece : count;
  int64_t sum = 0;
  for (int64_t t = begin; t < end; ++t) {
    const int64_t longer = count_not_above(keys, candidates, plan.bounds.max_len - t - 1);
    plan.segments.sizes[t] = longer;
    sum += longer;
  }
  int64_t before = exclusive_block_sum(sum, sums);
  for (int64_t t = begin; t < end; ++t) {
    plan.segments.offsets[t] = before;
    before += plan.segments.sizes[t];
  }
  if (threadIdx.x + 1 == kScanBlock) plan.segments.offsets[count] = before;
}

// ranked, sorted keys -> the arrays by rank, and the rows.
VARLSTM_KERNEL void fill_segments_kernel(BatchPlan plan, ResetFlags flags, SegmentScratch scratch) {
  const Segments& segments = plan.segments;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t max_len = plan.bounds.max_len, max_tokens = plan.bounds.max_tokens;
  for (int64_t j = first; j < max_tokens + plan.bounds.max_batch; j += stride) {
    segments.firsts[j] = segments.lasts[j] = segments.begins[j] = -1;
    segments.lengths[j] = 0;
    if (j >= max_tokens + plan.batch || scratch.sorted_keys[j] > static_cast<uint64_t>(max_len)) continue;
    const int64_t at = scratch.ranked[j], length = max_len - static_cast<int64_t>(scratch.sorted_keys[j]);
    if (at >= max_tokens) {
      segments.firsts[j] = segments.lasts[j] = segments.begins[j] = at - max_tokens;
      continue;
    }
    const int64_t b = count_not_above(plan.cu_seqlens, plan.batch + 1, at) - 1, t = at - plan.cu_seqlens[b];
    segments.lengths[j] = length;
    if (t == 0) segments.firsts[j] = b;
    if (t == 0 && flag_of(plan, flags, b, 0) == 0) segments.begins[j] = b;
    if (t + length == plan.lengths[b]) segments.lasts[j] = b;
  }
  const int64_t tokens = segments.offsets[max_len];
  for (int64_t k = first; k < max_tokens; k += stride) {
    segments.ragged_rows[k] = segments.packed_rows[k] = -1;
    if (k >= tokens) continue;
    const int64_t t = count_not_above(segments.offsets, max_len + 1, k) - 1;
    const int64_t row = scratch.ranked[k - segments.offsets[t]] + t;
    segments.ragged_rows[k] = row;
    segments.packed_rows[k] = plan.ragged_to_packed[row];
  }
}

namespace {

// What the host knows of segments whose flags are in its memory: both are upper bounds.
struct SegmentBounds {
  int64_t count;
  int64_t longest;
};

// Moves flags in host memory to scratch.flags.
int32_t upload_flags(Stream stream, const BatchPlan& plan, const ResetArgs& args, const SegmentScratch& scratch,
                     SegmentBounds* bounds) {
  const bool ragged = args.layout == Layout::kRagged;
  const int64_t length = ragged ? args.count : std::min(args.padded_len, plan.bounds.max_len);
  const int64_t flags = (ragged ? 1 : plan.batch) * length;
  *bounds = {plan.batch, 0};
  FlagChunk chunk = {};
  int64_t run = 0;
  for (int64_t at = 0; at < flags; ++at) {
    const int64_t b = at / length, t = at % length, k = at % FlagChunk::kCount;
    const int64_t place = args.layout == Layout::kTimeMajor ? t * plan.batch + b : b * args.padded_len + t;
    const bool reset = args.resets[ragged ? t : place] != 0;
    run = reset || t == 0 ? 1 : run + 1;
    bounds->longest = std::max(bounds->longest, run);
    bounds->count += reset ? 1 : 0;
    if (reset) chunk.bits[k / 32] |= 1u << (k % 32);
    if (k + 1 < FlagChunk::kCount && at + 1 < flags) continue;
    VARLSTM_CUDA_TRY(launch<reset_upload_kernel>(stream, "reset_upload", elementwise_shape(stream, k + 1), plan, chunk,
                                                 at - k, k + 1, length, ragged, scratch.flags));
    chunk = {};
  }
  return VARLSTM_OK;
}

}  // namespace

int64_t carve_segments(BatchPlan* plan, SegmentScratch* scratch, int64_t sort_bytes) {
  const BatchBounds& bounds = plan->bounds;
  const int64_t most = bounds.max_tokens + bounds.max_batch;
  Carver carver(plan->reset_memory);
  Segments& segments = plan->segments;
  segments.sizes = carver.take<int64_t>(bounds.max_len);
  segments.offsets = carver.take<int64_t>(bounds.max_len + 1);
  segments.packed_rows = carver.take<int64_t>(bounds.max_tokens);
  segments.ragged_rows = carver.take<int64_t>(bounds.max_tokens);
  segments.firsts = carver.take<int64_t>(most);
  segments.lasts = carver.take<int64_t>(most);
  segments.begins = carver.take<int64_t>(most);
  segments.lengths = carver.take<int64_t>(most);
  scratch->keys = carver.take<uint64_t>(most);
  scratch->sorted_keys = carver.take<uint64_t>(most);
  scratch->candidates = carver.take<int64_t>(most);
  scratch->ranked = carver.take<int64_t>(most);
  scratch->flags = carver.take<uint8_t>(bounds.max_tokens);
  scratch->sort_workspace = carver.take<unsigned char>(sort_bytes);
  scratch->sort_workspace_bytes = sort_bytes;
  return carver.bytes();
}

int32_t cut_segments(Stream stream, BatchPlan* plan, const ResetArgs& args, const SegmentScratch& scratch) {
  Segments& segments = plan->segments;
  const int64_t tokens = plan->tokens >= 0 ? plan->tokens : plan->bounds.max_tokens;
  segments.count = tokens + plan->batch;
  segments.steps = plan->steps >= 0 ? plan->steps : plan->bounds.max_len;
  ResetFlags flags{args.resets, args.layout, args.padded_len};
  if (args.space == VARLSTM_SPACE_HOST) {
    SegmentBounds bounds{};
    VARLSTM_CUDA_TRY(upload_flags(stream, *plan, args, scratch, &bounds));
    segments.steps = std::min(segments.steps, bounds.longest);
    segments.count = std::min(segments.count, bounds.count);
    flags = {scratch.flags, Layout::kRagged, 0};
  }
  const int64_t candidates = plan->bounds.max_tokens + plan->batch;
  VARLSTM_CUDA_TRY(launch<find_segments_kernel>(stream, "find_segments", elementwise_shape(stream, candidates), *plan,
                                                flags, scratch, stream.state->status));
  VARLSTM_CUDA_TRY(stable_sort_pairs(stream, candidates, plan->bounds.max_len + 1, scratch.keys, scratch.sorted_keys,
                                     scratch.candidates, scratch.ranked, scratch.sort_workspace,
                                     scratch.sort_workspace_bytes));
  LaunchShape one;
  one.block = dim3(kScanBlock);
  one.shared_bytes = kScanBlock / 32 * sizeof(int64_t);
  VARLSTM_CUDA_TRY(launch<segment_sizes_kernel>(stream, "segment_sizes", one, *plan, scratch));
  return launch<fill_segments_kernel>(stream, "fill_segments",
                                      elementwise_shape(stream, plan->bounds.max_tokens + plan->bounds.max_batch),
                                      *plan, flags, scratch);
}

}  // namespace varlstm::cuda
