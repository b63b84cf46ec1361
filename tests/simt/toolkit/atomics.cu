// Kernels over libcu++'s atomics, the fences of CUDA C++ and the warp's intrinsics; atomics_test.cc says what must come
// out of them.
// SPDX-License-Identifier: Apache-2.0
#include <cuda/atomic>

using cuda::std::memory_order_acq_rel;
using cuda::std::memory_order_acquire;
using cuda::std::memory_order_relaxed;
using cuda::std::memory_order_release;
template <class T>
using OfDevice = cuda::atomic_ref<T, cuda::thread_scope_device>;

extern "C" __global__ void every_operation(int* words, unsigned long long* wide, float* sum) {
  const int thread = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  OfDevice<int>(words[0]).fetch_add(thread, memory_order_relaxed);
  OfDevice<int>(words[1]).fetch_max(thread ^ 77);
  OfDevice<int>(words[2]).fetch_min(thread - 1000, memory_order_acq_rel);
  OfDevice<int>(words[3]).fetch_xor(1 << thread % 16);
  OfDevice<int>(words[4]).fetch_or(1 << thread % 31);
  OfDevice<int>(words[5]).fetch_and(~(1 << thread % 31));
  OfDevice<int> swapped(words[6]);
  int old = swapped.load();
  while (!swapped.compare_exchange_weak(old, old + 3, memory_order_acq_rel)) {
  }
  atomicInc(reinterpret_cast<unsigned*>(words + 7), 99);
  atomicDec(reinterpret_cast<unsigned*>(words + 8), 99);
  atomicCAS(reinterpret_cast<unsigned short*>(words + 9), static_cast<unsigned short>(thread),
            static_cast<unsigned short>(thread + 1));
  cuda::atomic_ref<unsigned long long, cuda::thread_scope_system>(wide[0]).fetch_add(1ull << 33);
  atomicMax(reinterpret_cast<long long*>(wide + 1), static_cast<long long>(thread) - 300);
  atomicMin(reinterpret_cast<long long*>(wide + 2), static_cast<long long>(thread) - 300);
  atomicXor(wide + 3, 1ull << thread % 64);
  OfDevice<float>(sum[0]).fetch_add(0.5f);
  atomicAdd(sum + 1, 0.25f);
}

// The first block's words are read by the second when it has seen the flag, data[64].
extern "C" __global__ void message(int* data, int* out) {
  OfDevice<int> flag(data[64]);
  if (blockIdx.x == 0) {
    data[threadIdx.x] = 5 * static_cast<int>(threadIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) {
      flag.store(1, memory_order_release);
      flag.notify_all();
    }
  } else {
    if (threadIdx.x == 0) flag.wait(0, memory_order_acquire);
    __syncthreads();
    out[threadIdx.x] = data[63 - threadIdx.x];
  }
}

// The same by a fence on either side of a relaxed flag, one thread of each block.
extern "C" __global__ void message_by_fences(int* data, int* out) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    for (int word = 0; word < 64; ++word) data[word] = 5 * word;
    __threadfence();
    atomicExch(data + 64, 1);
  } else {
    while (atomicAdd(data + 64, 0) == 0) {
    }
    __threadfence();
    for (int word = 0; word < 64; ++word) out[word] = data[63 - word];
  }
}

// And by a volatile flag.
extern "C" __global__ void message_by_volatile(int* data, int* out) {
  volatile int* const flag = data + 64;
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    while (*flag == 0) {
    }
    __threadfence();
    for (int word = 0; word < 64; ++word) out[word] = data[63 - word];
  } else {
    for (int word = 0; word < 64; ++word) data[word] = 5 * word;
    __threadfence();
    *flag = 1;
  }
}

// The last block to count itself at data[1024] adds up what all blocks left.
extern "C" __global__ void last_block(int* data, int* out) {
  __shared__ bool is_last;
  data[blockIdx.x * 64 + threadIdx.x] = static_cast<int>(blockIdx.x + threadIdx.x);
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    is_last = atomicInc(reinterpret_cast<unsigned*>(data + 1024), gridDim.x) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (!is_last) return;
  int sum = 0;
  for (unsigned block = 0; block < gridDim.x; ++block) sum += data[block * 64 + threadIdx.x];
  out[threadIdx.x] = sum;
}

// 16 words for each thread of a block of 64.
extern "C" __global__ void intrinsics(const int* in, unsigned* out) {
  constexpr unsigned kAll = 0xffffffffu;
  const int value = in[threadIdx.x], lane = static_cast<int>(threadIdx.x) % 32;
  unsigned* const words = out + threadIdx.x * 16;
  words[0] = static_cast<unsigned>(__reduce_add_sync(kAll, value));
  words[1] = static_cast<unsigned>(__reduce_min_sync(kAll, value - 50));
  words[2] = __reduce_max_sync(kAll, static_cast<unsigned>(value - 50));
  words[3] = __reduce_xor_sync(kAll, static_cast<unsigned>(value));
  words[4] = __match_any_sync(kAll, value % 8);
  int same = 0;
  words[5] = __match_all_sync(kAll, value / 1024, &same);
  words[5] += static_cast<unsigned>(same);
  words[6] = static_cast<unsigned>(__shfl_up_sync(kAll, value, 5, 16));
  words[7] = static_cast<unsigned>(__shfl_down_sync(kAll, value, 5, 16));
  words[8] = static_cast<unsigned>(__shfl_xor_sync(kAll, value, 6, 8));
  words[9] = static_cast<unsigned>(__shfl_sync(kAll, value, lane * 7, 4));
  words[10] = static_cast<unsigned>(__shfl_xor_sync(kAll, value, 33) + __shfl_down_sync(kAll, value, 34));
  words[11] = __ballot_sync(kAll, value & 4);
  const unsigned odd = __ballot_sync(kAll, lane & 1);
  words[12] = static_cast<unsigned>((lane & 1) ? __reduce_add_sync(odd, value) : __shfl_sync(~odd, value, 2));
  words[13] = static_cast<unsigned>(__syncthreads_count(value > 50));
  words[14] = static_cast<unsigned>(__syncthreads_and(value >= 0) * 2 + __syncthreads_or(value == 99));
  words[15] = static_cast<unsigned>(__shfl_up_sync(kAll, value, 3));
}
