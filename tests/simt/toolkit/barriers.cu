// Kernels over libcu++'s barriers, pipelines, latches and semaphores; barriers_test.cc says what must come out of them.
// SPDX-License-Identifier: Apache-2.0
#include <cooperative_groups.h>

#include <cuda/barrier>
#include <cuda/latch>
#include <cuda/pipeline>
#include <cuda/ptx>
#include <cuda/semaphore>

// libcu++ forbids a constructor of these in shared memory, and has them initialised by init() instead.
#pragma nv_diag_suppress 20054

namespace cg = cooperative_groups;
namespace ptx = cuda::ptx;
using BlockBarrier = cuda::barrier<cuda::thread_scope_block>;

// Arrivals and waits apart, five times.
extern "C" __global__ void tokens(const int* in, int* out) {
  __shared__ BlockBarrier barrier;
  __shared__ int shared[128];
  if (threadIdx.x == 0) init(&barrier, blockDim.x);
  __syncthreads();
  int sum = 0;
  for (unsigned step = 0; step < 5; ++step) {
    shared[threadIdx.x] = in[threadIdx.x] + static_cast<int>(step);
    auto token = barrier.arrive();
    barrier.wait(std::move(token));
    sum += shared[(threadIdx.x + 1 + step) % 128];
    barrier.arrive_and_wait();
  }
  out[threadIdx.x] = sum;
}

// In each round one warp counts itself for the last time.
extern "C" __global__ void dropping(int* out) {
  __shared__ BlockBarrier barrier;
  __shared__ int counts[4];
  if (threadIdx.x == 0) init(&barrier, blockDim.x);
  if (threadIdx.x < 4) counts[threadIdx.x] = 0;
  __syncthreads();
  for (unsigned round = 0;; ++round) {
    atomicAdd(&counts[round], 1);
    if (round == threadIdx.x / 32) {
      barrier.arrive_and_drop();
      break;
    }
    barrier.arrive_and_wait();
  }
  __syncthreads();
  if (threadIdx.x < 4) out[threadIdx.x] = counts[threadIdx.x];
}

// Two stages between the halves of a block of 128.
extern "C" __global__ void producers_and_consumers(const int* in, int* out, int batches) {
  __shared__ BlockBarrier full[2], empty[2];
  __shared__ int buffer[2][64];
  if (threadIdx.x < 2) {
    init(&full[threadIdx.x], 128);
    init(&empty[threadIdx.x], 128);
  }
  __syncthreads();
  const unsigned thread = threadIdx.x % 64;
  if (threadIdx.x < 64) {
    for (int batch = 0; batch < batches; ++batch) {
      empty[batch % 2].arrive_and_wait();
      buffer[batch % 2][thread] = in[batch * 64 + thread];
      (void)full[batch % 2].arrive();
    }
  } else {
    (void)empty[0].arrive();
    (void)empty[1].arrive();
    for (int batch = 0; batch < batches; ++batch) {
      full[batch % 2].arrive_and_wait();
      out[batch * 64 + thread] = buffer[batch % 2][63 - thread] + batch;
      (void)empty[batch % 2].arrive();
    }
  }
}

// A block's copy and each thread's own, which complete at a barrier.
extern "C" __global__ void copies_to_barrier(const int* in, int* out) {
  __shared__ BlockBarrier barrier;
  __shared__ alignas(16) int shared[256];
  if (threadIdx.x == 0) init(&barrier, blockDim.x);
  __syncthreads();
  cuda::memcpy_async(cg::this_thread_block(), shared, in, cuda::aligned_size_t<4>(sizeof(int) * 128), barrier);
  cuda::memcpy_async(shared + 128 + threadIdx.x, in + 127 - threadIdx.x, sizeof(int), barrier);
  barrier.arrive_and_wait();
  out[threadIdx.x] = shared[threadIdx.x ^ 7] * 100 + shared[128 + (threadIdx.x ^ 1)];
}

// A pipeline of three stages: the whole block fills and empties it.
extern "C" __global__ void pipeline_of_block(const int* in, int* out, int batches) {
  constexpr int kStages = 3;
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, kStages> state;
  __shared__ int shared[kStages][128];
  const auto block = cg::this_thread_block();
  auto pipeline = cuda::make_pipeline(block, &state);
  for (int batch = 0, next = 0; batch < batches; ++batch) {
    for (; next < batches && next < batch + kStages; ++next) {
      pipeline.producer_acquire();
      cuda::memcpy_async(block, shared[next % kStages], in + next * 128, sizeof(int) * 128, pipeline);
      pipeline.producer_commit();
    }
    pipeline.consumer_wait();
    out[batch * 128 + threadIdx.x] = shared[batch % kStages][127 - threadIdx.x] + batch;
    pipeline.consumer_release();
  }
}

// The same where one half of the block fills and the other empties.
extern "C" __global__ void pipeline_of_roles(const int* in, int* out, int batches) {
  constexpr int kStages = 2;
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, kStages> state;
  __shared__ int shared[kStages][64];
  const bool fills = threadIdx.x < 64;
  const unsigned thread = threadIdx.x % 64;
  auto pipeline = cuda::make_pipeline(cg::this_thread_block(), &state,
                                      fills ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer);
  for (int batch = 0; batch < batches; ++batch) {
    if (fills) {
      pipeline.producer_acquire();
      cuda::memcpy_async(&shared[batch % kStages][thread], in + batch * 64 + thread, sizeof(int), pipeline);
      pipeline.producer_commit();
    } else {
      pipeline.consumer_wait();
      out[batch * 64 + thread] = shared[batch % kStages][63 - thread] - batch;
      pipeline.consumer_release();
    }
  }
}

// A pipeline of each thread's own: groups of cp.async.
extern "C" __global__ void pipeline_of_thread(const int* in, int* out, int batches) {
  __shared__ int shared[2][64];
  auto pipeline = cuda::make_pipeline();
  for (int batch = -1; batch < batches; ++batch) {
    if (batch + 1 < batches) {
      pipeline.producer_acquire();
      cuda::memcpy_async(&shared[(batch + 1) % 2][threadIdx.x], in + (batch + 1) * 64 + threadIdx.x, sizeof(int),
                         pipeline);
      pipeline.producer_commit();
    }
    if (batch < 0) continue;
    pipeline.consumer_wait();
    out[batch * 64 + threadIdx.x] = shared[batch % 2][threadIdx.x] * 2;
    pipeline.consumer_release();
  }
}

// Each thread writes its word and counts itself down; all read another's once the latch is open.
extern "C" __global__ void latches(int* out) {
  __shared__ alignas(16) unsigned char storage[sizeof(cuda::latch<cuda::thread_scope_block>)];
  __shared__ int shared[64];
  auto& latch = *reinterpret_cast<cuda::latch<cuda::thread_scope_block>*>(storage);
  if (threadIdx.x == 0) new (&latch) cuda::latch<cuda::thread_scope_block>(64);
  __syncthreads();
  shared[threadIdx.x] = static_cast<int>(threadIdx.x) * 3;
  latch.arrive_and_wait();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}

// At most two threads at a time are inside; sum: each adds itself, most: how many were seen inside at once.
extern "C" __global__ void semaphores(int* sum, int* most) {
  using Semaphore = cuda::counting_semaphore<cuda::thread_scope_block, 2>;
  __shared__ alignas(16) unsigned char storage[sizeof(Semaphore)];
  __shared__ int inside;
  auto& semaphore = *reinterpret_cast<Semaphore*>(storage);
  if (threadIdx.x == 0) {
    new (&semaphore) Semaphore(2);
    inside = 0;
  }
  __syncthreads();
  semaphore.acquire();
  atomicMax(most, atomicAdd(&inside, 1) + 1);
  atomicAdd(sum, static_cast<int>(threadIdx.x));
  atomicAdd(&inside, -1);
  semaphore.release();
}

// st.async to the peer and back, six phases of two mbarriers.
extern "C" __global__ void __cluster_dims__(2, 1, 1) pushes(const int* in, int* out) {
  __shared__ alignas(16) int buffer[2][64];
  __shared__ uint64_t barriers[2];
  const auto cluster = cg::this_cluster();
  const unsigned peer = cluster.block_rank() ^ 1;
  if (threadIdx.x == 0) {
    ptx::mbarrier_init(&barriers[0], 1);
    ptx::mbarrier_init(&barriers[1], 1);
    ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
  }
  cluster.sync();
  int sum = 0;
  for (int round = 0; round < 6; ++round) {
    uint64_t* const barrier = &barriers[round % 2];
    if (threadIdx.x == 0)
      (void)ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cluster, ptx::space_shared, barrier, 64 * 4);
    ptx::st_async(cluster.map_shared_rank(&buffer[round % 2][threadIdx.x], peer),
                  in[blockIdx.x * 64 + threadIdx.x] + round, cluster.map_shared_rank(barrier, peer));
    while (!ptx::mbarrier_try_wait_parity(ptx::sem_acquire, ptx::scope_cluster, barrier, round / 2 % 2)) {
    }
    sum = sum * 3 + buffer[round % 2][63 - threadIdx.x];
    cluster.sync();
  }
  out[blockIdx.x * 64 + threadIdx.x] = sum;
}
