// Kernels over CUB; cub_test.cc says what must come out of them.
// SPDX-License-Identifier: Apache-2.0
#include <cub/agent/single_pass_scan_operators.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/warp/warp_reduce.cuh>
#include <cub/warp/warp_scan.cuh>

constexpr int kThreads = 128;
constexpr int kItems = 2;

// out: the sum of all, the maximum of the first `valid`, both by a block of 96 threads.
extern "C" __global__ void reduce(const int* in, int* out, int valid) {
  using Reduce = cub::BlockReduce<int, 96>;
  __shared__ typename Reduce::TempStorage storage;
  const int sum = Reduce(storage).Sum(in[threadIdx.x]);
  __syncthreads();
  const int most = Reduce(storage).Reduce(
      in[threadIdx.x], [](int a, int b) { return a > b ? a : b; }, valid);
  if (threadIdx.x != 0) return;
  out[0] = sum;
  out[1] = most;
}

// The sums of what stands before, and of all behind them.
extern "C" __global__ void scan(const long long* in, long long* out) {
  using Scan = cub::BlockScan<long long, kThreads, cub::BLOCK_SCAN_WARP_SCANS>;
  __shared__ typename Scan::TempStorage storage;
  long long items[kItems], total = 0;
  for (int item = 0; item < kItems; ++item) items[item] = in[threadIdx.x * kItems + item];
  Scan(storage).ExclusiveSum(items, items, total);
  for (int item = 0; item < kItems; ++item) out[threadIdx.x * kItems + item] = items[item];
  if (threadIdx.x == 0) out[kThreads * kItems] = total;
}

// keys in order, and where each one stood.
extern "C" __global__ void sort(const int* in, int* keys, int* places) {
  using Sort = cub::BlockRadixSort<int, kThreads, kItems, int>;
  __shared__ typename Sort::TempStorage storage;
  int key[kItems], place[kItems];
  for (int item = 0; item < kItems; ++item) {
    place[item] = static_cast<int>(threadIdx.x) * kItems + item;
    key[item] = in[place[item]];
  }
  Sort(storage).Sort(key, place);
  for (int item = 0; item < kItems; ++item) {
    keys[threadIdx.x * kItems + item] = key[item];
    places[threadIdx.x * kItems + item] = place[item];
  }
}

// Of groups of 16 lanes: sums up to each lane, and sums of segments that begin at every fifth thread, at their begin.
extern "C" __global__ void warps(const int* in, int* out) {
  using Scan = cub::WarpScan<int, 16>;
  using Reduce = cub::WarpReduce<int, 16>;
  __shared__ typename Scan::TempStorage scan_storage[kThreads / 16];
  __shared__ typename Reduce::TempStorage reduce_storage[kThreads / 16];
  const int group = static_cast<int>(threadIdx.x) / 16, value = in[threadIdx.x];
  int sum = 0;
  Scan(scan_storage[group]).InclusiveSum(value, sum);
  const bool begins = threadIdx.x % 5 == 0;
  const int segment = Reduce(reduce_storage[group]).HeadSegmentedSum(value, begins);
  out[threadIdx.x] = sum;
  out[kThreads + threadIdx.x] = begins || threadIdx.x % 16 == 0 ? segment : 0;
}

// A scan over all blocks in one pass, as DeviceScan's: each block looks back at what those before it have published.
using Tiles = cub::ScanTileState<int>;
extern "C" __global__ void prepare_tiles(void* words, size_t bytes, int tiles) {
  Tiles state;
  state.Init(tiles, words, bytes);
  state.InitializeStatus(tiles);
}
extern "C" __global__ void scan_of_device(const int* in, int* out, void* words, size_t bytes, int tiles) {
  using Scan = cub::BlockScan<int, kThreads>;
  using Prefix = cub::TilePrefixCallbackOp<int, cuda::std::plus<>, Tiles>;
  __shared__ typename Scan::TempStorage scan_storage;
  __shared__ typename Prefix::TempStorage prefix_storage;
  Tiles state;
  state.Init(tiles, words, bytes);
  const int tile = static_cast<int>(blockIdx.x), at = tile * kThreads + static_cast<int>(threadIdx.x);
  int value = in[at];
  if (tile == 0) {
    int total = 0;
    Scan(scan_storage).InclusiveSum(value, value, total);
    if (threadIdx.x == 0) state.SetInclusive(0, total);
  } else {
    Prefix prefix(state, prefix_storage, cuda::std::plus<>{}, tile);
    Scan(scan_storage).InclusiveSum(value, value, prefix);
  }
  out[at] = value;
}
