// Orders of memory beyond the barriers of a block, and the wider forms of what moves data between threads.
// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/conformance_case.h"

namespace varlstm::test {

// Neighbours exchange behind a barrier of the warp, then those of its first half behind one of 16 lanes.
VARLSTM_KERNEL void warp_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  const unsigned lane = threadIdx.x % 32;
  shared[threadIdx.x] = threadIdx.x;
  warp_sync();
  uint32_t seen = shared[threadIdx.x ^ 31];
  warp_sync();
  if (lane < 16) {
    shared[threadIdx.x] = seen;
    warp_sync(0xffffu);
    seen = shared[threadIdx.x ^ 15];
  }
  words[word_of_thread()] = seen;
}
uint32_t warp_expected(unsigned word) {
  const unsigned thread = word % kThreads;
  return thread % 32 < 16 ? thread ^ 16 : thread ^ 31;
}

// Every block adds to a counter that releases; the last one's sum is read by the first.
VARLSTM_KERNEL void counter_kernel(uint32_t* words) {
  uint32_t* data = words + 512;
  uint32_t* counter = words + 800;
  data[word_of_thread()] = word_of_thread();
  block_sync();
  if (threadIdx.x == 0) {
    const uint32_t old = add_release(counter, 3u);
    spin_until("the counter", [&] { return load_acquire(counter) == 3 * kBlocks; });
    shared_memory<uint32_t>()[0] = old % 3;
  }
  block_sync();
  words[word_of_thread()] = data[word_of_thread() ^ 255] + shared_memory<uint32_t>()[0];
}
uint32_t counter_expected(unsigned word) {
  return word ^ 255;
}

// A number goes to and fro between the first threads of a cluster's blocks, one more each time.
VARLSTM_KERNEL void cluster_flag_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();  // the flag and the number
  if (threadIdx.x < 2) shared[threadIdx.x] = 0;
  cluster_sync();
  const unsigned rank = cluster_rank();
  uint32_t* other = cluster_map(shared, rank ^ 1);
  if (threadIdx.x == 0) {
    for (uint32_t round = 1; round <= 3; ++round) {
      if (rank == 1 || round > 1)
        spin_until("the cluster's flag",
                   [&] { return load_acquire_cluster(shared) == (rank == 1 ? round : round - 1); });
      other[1] = shared[1] + 1;
      store_release_cluster(other, round);
    }
    if (rank == 0) spin_until("the cluster's last flag", [&] { return load_acquire_cluster(shared) == 3; });
    words[word_of_thread()] = shared[1];
  }
  cluster_sync();
}
uint32_t cluster_flag_expected(unsigned word) {
  return word % kThreads != 0 ? 0 : word / kThreads % 2 == 0 ? 6 : 5;
}

// Relaxed atomics in an order that fences make: whoever sees the second sees the first. Within a block in its shared
// memory, and along the blocks.
VARLSTM_KERNEL void fence_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  uint32_t* flags = words + 512;
  if (threadIdx.x < 2) shared[threadIdx.x] = 0;
  block_sync();
  if (threadIdx.x == 32) {
    atomic_exchange(shared, 41 + blockIdx.x);
    block_fence();
    atomic_exchange(shared + 1, 1u);
  }
  if (threadIdx.x == 0) {
    spin_until("the block's atomic", [&] { return atomic_add(shared + 1, 0u) != 0; });
    block_fence();
    atomic_exchange(flags + 2 * blockIdx.x, atomic_add(shared, 0u));
    device_fence();
    atomic_exchange(flags + 2 * blockIdx.x + 1, 1u);
    uint32_t* next = flags + 2 * ((blockIdx.x + 1) % kBlocks);
    spin_until("the next block's atomic", [&] { return atomic_add(next + 1, 0u) != 0; });
    device_fence();
    words[word_of_thread()] = atomic_add(next, 0u);
  }
}
uint32_t fence_expected(unsigned word) {
  return word % kThreads == 0 ? 41 + (word / kThreads + 1) % kBlocks : 0;
}

// In shared memory, of unsigned and of 8 bytes.
VARLSTM_KERNEL void wide_atomic_kernel(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  unsigned long long* wide = shared_memory<unsigned long long>() + 8;
  if (threadIdx.x < 16) shared[threadIdx.x] = 0;
  if (threadIdx.x < 8) wide[threadIdx.x] = threadIdx.x < 3 ? 0 : ~0ull;
  block_sync();
  const uint32_t thread = threadIdx.x;
  atomic_add(shared, thread);
  atomic_max(shared + 1, thread + 5);
  atomic_min(shared + 1, thread + 200);
  atomic_or(shared + 2, 1u << thread % 32);
  const uint32_t old = atomic_cas(shared + 3, thread == 9 ? 0u : 1u, thread);
  atomic_add(wide, 1ull << 32);
  atomic_or(wide + 1, 1ull << thread);
  atomic_max(wide + 2, (1ull << 40) + thread);
  atomic_and(wide + 3, ~(1ull << thread));
  atomic_min(wide + 4, (1ull << 40) + thread);
  if (thread == 7 && atomic_cas(wide + 5, ~0ull, 1ull << 33) == ~0ull) atomic_exchange(wide + 6, 1ull << 34);
  block_sync();
  if (thread < 4) words[word_of_thread()] = shared[thread];
  if (thread >= 8 && thread < 15)
    words[word_of_thread()] = static_cast<uint32_t>(wide[thread - 8] ^ wide[thread - 8] >> 32);
  if (thread == 9) words[word_of_thread()] += old;
}
uint32_t wide_atomic_expected(unsigned word) {
  const uint32_t results[15] = {2016, 68, ~0u, 9, 0, 0, 0, 0, 64, 0, 256 ^ 63, 0, 256, 2, 4};
  return word % kThreads < 15 ? results[word % kThreads] : 0;
}

// Both blocks of a cluster arrive at each one's mbarrier; doubles come from the peer by themselves.
VARLSTM_KERNEL void peer_mbarrier_kernel(uint32_t* words) {
  double* buffer = shared_memory<double>();
  uint64_t* mbarrier = shared_memory<uint64_t>() + 256;
  if (threadIdx.x == 0) {
    mbarrier_init(mbarrier, 2 * kThreads);
    mbarrier_init(mbarrier + 1, 1);
  }
  cluster_arrive();
  const unsigned peer = cluster_rank() ^ 1;
  cluster_wait();
  if (threadIdx.x == 0) mbarrier_arrive_expect_tx(mbarrier + 1, 8 * kThreads);
  st_async(cluster_map(buffer, peer) + threadIdx.x, 0.5 * word_of_thread(), cluster_map(mbarrier + 1, peer));
  mbarrier_wait(mbarrier + 1, 0);
  const double sum = buffer[threadIdx.x] + buffer[threadIdx.x ^ 3];
  cluster_map(buffer, peer)[kThreads + threadIdx.x] = sum;
  mbarrier_arrive(mbarrier);
  mbarrier_arrive(cluster_map(mbarrier, peer));
  mbarrier_wait(mbarrier, 0);
  words[word_of_thread()] = static_cast<uint32_t>(2 * buffer[kThreads + (threadIdx.x ^ 5)]);
  cluster_sync();
}
uint32_t peer_mbarrier_expected(unsigned word) {
  const unsigned sender = word ^ 5;
  return sender + (sender ^ 3);
}

std::vector<ConformanceCase> memory_cases() {
  return {{"barriers of a warp", warp_kernel, warp_expected, false},
          {"a counter that releases", counter_kernel, counter_expected, false},
          {"release and acquire in a cluster", cluster_flag_kernel, cluster_flag_expected, false},
          {"fences", fence_kernel, fence_expected, false},
          {"atomics of shared memory and of 8 bytes", wide_atomic_kernel, wide_atomic_expected, false},
          {"mbarriers of a peer", peer_mbarrier_kernel, peer_mbarrier_expected, false}};
}

}  // namespace varlstm::test
