// The sort that batch planning and the embedding's gradient use.
//
// On a GPU it is cub::DeviceRadixSort, which is stable, over the bits that key_limit has. It reads and writes about 16
// bytes a pair for each digit of 8 bits. The emulated build does not run CUB's kernels; it uses std::stable_sort
// instead.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/sort/sort.h"

#include "kernels/core/launch.h"
#include "varlstm.h"

#if defined(VARLSTM_EMULATED)
#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <vector>
#else
#include <cub/device/device_radix_sort.cuh>
#endif

namespace varlstm::cuda {
namespace {

// Clears the last error, because CUB returns any error that this thread has not read yet as its own.
void forget_last_error() {
  (void)cudaGetLastError();
}

}  // namespace

#if defined(VARLSTM_EMULATED)

namespace {

// Like CUB, one kernel for counts that one block sorts, and other kernels for more. Their addresses represent them.
constexpr int64_t kMostOfOneBlock = 4096;
const char kOneBlock = 0, kManyBlocks = 0;

}  // namespace

int32_t sort_workspace(int64_t, int64_t* bytes) {
  *bytes = 0;
  return VARLSTM_OK;
}

int32_t load_sort(Stream) {
  for (const char* kernel : {&kOneBlock, &kManyBlocks})
    VARLSTM_CUDA_TRY(check_runtime(simt::load_kernel(kernel, "stable_sort_pairs"), "stable_sort_pairs"));
  return VARLSTM_OK;
}

int32_t stable_sort_pairs(Stream stream, int64_t count, int64_t, const uint64_t* keys, uint64_t* keys_out,
                          const int64_t* values, int64_t* values_out, void*, int64_t) {
  const auto sort = [=] {
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
    for (int64_t k = 0; k < count; ++k) {
      keys_out[k] = keys[order[static_cast<size_t>(k)]];
      values_out[k] = values[order[static_cast<size_t>(k)]];
    }
  };
  const char* const kernel = count <= kMostOfOneBlock ? &kOneBlock : &kManyBlocks;
  forget_last_error();
  return check_runtime(simt::enqueue_cub_work(stream.handle, kernel, "stable_sort_pairs", sort), "stable_sort_pairs");
}

#else

namespace {

int bits_of(int64_t limit) {
  int bits = 1;
  while (bits < 64 && static_cast<uint64_t>(limit) >> bits != 0) ++bits;
  return bits;
}

}  // namespace

int32_t sort_workspace(int64_t count, int64_t* bytes) {
  size_t needed = 0;
  forget_last_error();
  const cudaError_t error = cub::DeviceRadixSort::SortPairs(
      nullptr, needed, static_cast<const uint64_t*>(nullptr), static_cast<uint64_t*>(nullptr),
      static_cast<const int64_t*>(nullptr), static_cast<int64_t*>(nullptr), count);
  *bytes = static_cast<int64_t>(needed);
  return check_runtime(error, "cub::DeviceRadixSort");
}

int32_t stable_sort_pairs(Stream stream, int64_t count, int64_t key_limit, const uint64_t* keys, uint64_t* keys_out,
                          const int64_t* values, int64_t* values_out, void* workspace, int64_t workspace_bytes) {
  if (count == 0) return VARLSTM_OK;
  size_t bytes = static_cast<size_t>(workspace_bytes);
  forget_last_error();
  return check_runtime(cub::DeviceRadixSort::SortPairs(workspace, bytes, keys, keys_out, values, values_out, count, 0,
                                                       bits_of(key_limit), stream.handle),
                       "cub::DeviceRadixSort");
}

namespace {

// Sorts `count` pairs of zeros, by all digits of their keys.
int32_t sort_zeros(Stream stream, char* memory, int64_t count, int64_t workspace_bytes) {
  auto* const words = reinterpret_cast<int64_t*>(memory + workspace_bytes);
  auto* const keys = reinterpret_cast<uint64_t*>(words + 2 * count);
  return stable_sort_pairs(stream, count, INT64_MAX, keys, keys + count, words, words + count, memory, workspace_bytes);
}

}  // namespace

// CUB does not name its kernels, so they are loaded by running them.
int32_t load_sort(Stream stream) {
  constexpr int64_t kFew = 1, kMany = int64_t{1} << 16;  // CUB sorts a few thousand in one block
  int64_t workspace_bytes = 0;
  VARLSTM_CUDA_TRY(sort_workspace(kMany, &workspace_bytes));
  workspace_bytes = (workspace_bytes + 255) / 256 * 256;
  const size_t bytes = static_cast<size_t>(workspace_bytes + 4 * kMany * 8);
  void* memory = nullptr;
  VARLSTM_CUDA_TRY(check_runtime(cudaMalloc(&memory, bytes), "cudaMalloc"));
  int32_t status = check_runtime(cudaMemsetAsync(memory, 0, bytes, stream.handle), "cudaMemsetAsync");
  for (const int64_t count : {kFew, kMany})
    if (status == VARLSTM_OK) status = sort_zeros(stream, static_cast<char*>(memory), count, workspace_bytes);
  const int32_t freed = check_runtime(cudaFree(memory), "cudaFree");  // waits for the sorts
  return status != VARLSTM_OK ? status : freed;
}

#endif

}  // namespace varlstm::cuda
