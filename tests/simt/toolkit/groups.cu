// Kernels over the toolkit's cooperative_groups; groups_test.cc says what must come out of them.
// SPDX-License-Identifier: Apache-2.0
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

namespace cg = cooperative_groups;

// out: seven rows of a block's threads.
template <int kLanes>
__device__ void use_tile(const int* in, int* out) {
  const auto block = cg::this_thread_block();
  const auto tile = cg::tiled_partition<kLanes>(block);
  const int threads = static_cast<int>(block.size()), thread = static_cast<int>(block.thread_rank());
  const int value = in[thread];
  out[thread] = cg::reduce(tile, value, cg::plus<int>());
  out[threads + thread] = cg::inclusive_scan(tile, value);
  out[2 * threads + thread] = cg::exclusive_scan(tile, value);
  out[3 * threads + thread] = tile.shfl_down(value, 1) + 1000 * tile.shfl_up(value, 1);
  out[4 * threads + thread] = tile.shfl_xor(value, 1) + 1000 * tile.shfl(value, 3);
  out[5 * threads + thread] =
      static_cast<int>(tile.ballot(value % 2 == 1)) + tile.any(value == 7) - tile.all(value < 50);
  out[6 * threads + thread] = static_cast<int>(tile.match_any(value % 3));
  tile.sync();
}

extern "C" __global__ void tile_of_32(const int* in, int* out) {
  use_tile<32>(in, out);
}
extern "C" __global__ void tile_of_8(const int* in, int* out) {
  use_tile<8>(in, out);
}
extern "C" __global__ void tile_of_4(const int* in, int* out) {
  use_tile<4>(in, out);
}

// Lanes grouped by what they hold: those of a multiple of three count themselves by one atomic of each warp.
extern "C" __global__ void partitions(const int* in, int* out, int* counter) {
  const auto block = cg::this_thread_block();
  const auto warp = cg::tiled_partition<32>(block);
  const int threads = static_cast<int>(block.size()), thread = static_cast<int>(block.thread_rank());
  const int value = in[thread];
  if (value % 3 == 0) {
    const auto group = cg::coalesced_threads();
    int begin = 0;
    if (group.thread_rank() == 0) begin = atomicAdd(counter, static_cast<int>(group.size()));
    out[thread] = group.shfl(begin, 0) + static_cast<int>(group.thread_rank());
  }
  warp.sync();
  const auto half = cg::binary_partition(warp, value % 3 == 0);
  out[threads + thread] = cg::reduce(half, value, cg::plus<int>());
  const auto same = cg::labeled_partition(warp, value % 4);
  out[2 * threads + thread] = static_cast<int>(same.size() * 100 + same.thread_rank());
  out[3 * threads + thread] = cg::reduce(same, value, cg::bit_xor<int>());
}

// Copies of a whole block, the newest of which need not have come: shared memory holds twice its threads.
extern "C" __global__ void copies(const int* in, int* out, int batches) {
  extern __shared__ int shared[];
  const auto block = cg::this_thread_block();
  const int threads = static_cast<int>(block.size()), thread = static_cast<int>(block.thread_rank());
  for (int batch = 0; batch < batches; ++batch) {
    cg::memcpy_async(block, shared, in + batch * threads, sizeof(int) * threads);
    cg::memcpy_async(block, shared + threads, in, sizeof(int) * threads);
    cg::wait_prior<1>(block);
    const int reversed = shared[threads - 1 - thread];
    cg::wait(block);
    out[batch * threads + thread] = reversed * 10 + shared[threads + (thread ^ 5)];
    block.sync();
  }
}

// The block's barrier in two parts, between which a thread works for itself.
extern "C" __global__ void split_barrier(const int* in, int* out) {
  __shared__ int shared[256];
  const auto block = cg::this_thread_block();
  const unsigned thread = block.thread_rank();
  shared[thread] = in[thread];
  auto token = block.barrier_arrive();
  const int own = in[thread] * 2;
  block.barrier_wait(std::move(token));
  out[thread] = own + shared[thread ^ 63];
}

// data: two halves of `count`, of which each step reads one and writes the other.
extern "C" __global__ void steps_of_grid(int* data, int* out, int count, int steps) {
  const auto grid = cg::this_grid();
  const int thread = static_cast<int>(grid.thread_rank());
  for (int step = 0; step < steps; ++step) {
    const int value = data[step % 2 * count + (thread + 37) % count];
    data[(step + 1) % 2 * count + thread] = value + step;
    grid.sync();
  }
  out[thread] = data[steps % 2 * count + thread] + 1000 * static_cast<int>(grid.num_blocks());
}

// Blocks of 64 threads read their right neighbour's shared memory and add to everybody's.
extern "C" __global__ void __cluster_dims__(4, 1, 1) neighbours(const int* in, int* out) {
  __shared__ int values[64];
  __shared__ int sums[4];
  const auto cluster = cg::this_cluster();
  const auto block = cg::this_thread_block();
  const unsigned thread = block.thread_rank(), at = blockIdx.x * 64 + thread;
  values[thread] = in[at];
  if (thread < 4) sums[thread] = 0;
  cluster.sync();
  int* const right = cluster.map_shared_rank(values, (cluster.block_rank() + 1) % cluster.num_blocks());
  const int got = right[thread ^ 3] + 1000 * static_cast<int>(cluster.query_shared_rank(right)) +
                  10000 * static_cast<int>(cluster.thread_rank());
  const auto warp = cg::tiled_partition<32>(block);
  const int sum = cg::reduce(warp, in[at], cg::plus<int>());
  if (warp.thread_rank() == 0)
    for (unsigned rank = 0; rank < 4; ++rank)
      atomicAdd(cluster.map_shared_rank(sums, rank) + cluster.block_rank(), sum);
  auto token = cluster.barrier_arrive();
  cluster.barrier_wait(std::move(token));
  out[at] = got + 7 * (sums[0] + sums[1] + sums[2] + sums[3]);
}
