// Kernels without a defect, near to those of defects.cu: nothing may be reported of them, whatever the schedule.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/arch/device.h"
#include "simt/case_table.h"

namespace varlstm::test {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

VARLSTM_KERNEL void warp_exchange(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  shared[threadIdx.x] = threadIdx.x;
  warp_sync();
  words[blockIdx.x * kThreads + threadIdx.x] = shared[threadIdx.x ^ 1];
}

VARLSTM_KERNEL void half_warp_exchange(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  const unsigned mask = threadIdx.x % 32 < 16 ? 0x0000ffffu : 0xffff0000u;
  shared[threadIdx.x] = threadIdx.x;
  warp_sync(mask);
  words[blockIdx.x * kThreads + threadIdx.x] = shared[threadIdx.x ^ 8];
}

VARLSTM_KERNEL void block_rounds(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  for (uint32_t round = 0; round < 3; ++round) {
    shared[threadIdx.x] = threadIdx.x + round;
    block_sync();
    words[blockIdx.x * kThreads + threadIdx.x] = shared[kThreads - 1 - threadIdx.x];
    block_sync();
  }
}

VARLSTM_KERNEL void named_barrier_exchange(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  shared[threadIdx.x] = threadIdx.x;
  named_barrier_sync(1, kThreads);
  words[blockIdx.x * kThreads + threadIdx.x] = shared[threadIdx.x ^ 32];
}

VARLSTM_KERNEL void cluster_exchange(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  shared[threadIdx.x] = threadIdx.x;
  cluster_sync();
  words[blockIdx.x * kThreads + threadIdx.x] = cluster_map(shared, cluster_rank() ^ 1)[threadIdx.x];
  cluster_sync();
}

// Between arrival and wait a thread reads what is its own.
VARLSTM_KERNEL void split_cluster_barrier(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  shared[threadIdx.x] = threadIdx.x;
  cluster_arrive();
  const uint32_t mine = 2 * shared[threadIdx.x];
  cluster_wait();
  words[blockIdx.x * kThreads + threadIdx.x] = mine + cluster_map(shared, cluster_rank() ^ 1)[threadIdx.x];
  cluster_sync();
}

VARLSTM_KERNEL void grid_exchange(uint32_t* words) {
  const unsigned word = blockIdx.x * kThreads + threadIdx.x;
  words[word] = 1;
  grid_sync();
  const uint32_t other = words[word ^ (2 * kThreads)];
  grid_sync();
  words[word] = other;
}

VARLSTM_KERNEL void counted_sum(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  if (threadIdx.x == 0) shared[0] = 0;
  block_sync();
  atomic_add(shared, threadIdx.x);
  block_sync();
  words[blockIdx.x * kThreads + threadIdx.x] = shared[0];
}

// Block 0 hands over what all its threads wrote, to all threads of the others.
VARLSTM_KERNEL void flag_hand_over(uint32_t* words) {
  if (blockIdx.x == 0) {
    words[512 + threadIdx.x] = threadIdx.x;
    block_sync();
    if (threadIdx.x == 0) store_release(words, 1u);
    return;
  }
  if (threadIdx.x == 0)
    while (load_acquire(words) == 0) {
    }
  block_sync();
  words[64 * blockIdx.x + threadIdx.x] = words[512 + (threadIdx.x ^ 5)];
}

// Everybody releases at one counter and waits for it: a barrier of the grid by hand.
VARLSTM_KERNEL void counter_barrier(uint32_t* words) {
  words[256 + blockIdx.x * kThreads + threadIdx.x] = blockIdx.x;
  block_sync();
  if (threadIdx.x == 0) {
    add_release(words, 1u);
    while (load_acquire(words) < kBlocks) {
    }
  }
  block_sync();
  words[512 + blockIdx.x * kThreads + threadIdx.x] = words[256 + (blockIdx.x ^ 3) * kThreads + threadIdx.x];
}

VARLSTM_DEVICE volatile uint32_t* as_volatile(uint32_t* word) {
  return word;
}

// As flag_hand_over, with a relaxed flag between fences.
VARLSTM_KERNEL void fence_hand_over(uint32_t* words) {
  if (blockIdx.x == 0) {
    words[512 + threadIdx.x] = threadIdx.x;
    block_sync();
    if (threadIdx.x == 0) {
      device_fence();
      atomic_exchange(words, 1u);
    }
    return;
  }
  if (threadIdx.x == 0) {
    while (atomic_add(words, 0u) == 0) {
    }
    device_fence();
  }
  block_sync();
  words[64 * blockIdx.x + threadIdx.x] = words[512 + (threadIdx.x ^ 5)];
}

// The same with a volatile flag.
VARLSTM_KERNEL void volatile_hand_over(uint32_t* words) {
  if (blockIdx.x == 0) {
    words[512 + threadIdx.x] = threadIdx.x;
    block_sync();
    if (threadIdx.x == 0) {
      device_fence();
      *as_volatile(words) = 1;
    }
    return;
  }
  while (*as_volatile(words) == 0) {
  }
  device_fence();
  words[64 * blockIdx.x + threadIdx.x] = words[512 + (threadIdx.x ^ 5)];
}

// A warp hands over to the other through its block's memory.
VARLSTM_KERNEL void block_fence_hand_over(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  if (threadIdx.x == 0) shared[64] = 0;
  block_sync();
  if (threadIdx.x < 32) {
    shared[threadIdx.x] = threadIdx.x * 3;
    block_fence();
    atomic_add(shared + 64, 1u);
    return;
  }
  while (*as_volatile(shared + 64) != 32) {
  }
  block_fence();
  words[64 * blockIdx.x + threadIdx.x] = shared[threadIdx.x ^ 37];
}

// A release goes on through others' atomics and through its own thread's later stores of the word.
VARLSTM_KERNEL void released_for_long(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    words[512] = 5;
    store_release(words, 1u);
    words[513] = 6;
    while (load_acquire(words + 1) == 0) {
    }
    *as_volatile(words) = 3;
  } else if (blockIdx.x == 1) {
    while (atomic_cas(words, 1u, 2u) != 1) {
    }
    store_release(words + 1, 1u);
  } else {
    while (load_acquire(words) != 3) {
    }
    words[16 * blockIdx.x] = words[512];
  }
}

// Relaxed words in an order that fences make: whoever sees the second sees the first.
VARLSTM_KERNEL void fenced_words(uint32_t* words) {
  b32x4* data = reinterpret_cast<b32x4*>(words + 512);
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    store_relaxed16(data, {{7, 8, 9, 10}});
    device_fence();
    store_relaxed16(data + 64, {{1, 1, 1, 1}});
  } else {
    while (load_relaxed16(data + 64).r[2] == 0) {
    }
    device_fence();
    const b32x4 word = load_relaxed16(data);
    words[16 * blockIdx.x] = word.r[0] * 1000 + word.r[1] * 100 + word.r[2] * 10 + word.r[3];
  }
}

// Pieces that check themselves, each asked for until it is there.
VARLSTM_KERNEL void self_checking_pieces(uint32_t* words) {
  b32x4* data = reinterpret_cast<b32x4*>(words + 512);
  if (blockIdx.x == 0) {
    const uint32_t base = threadIdx.x * 4 + 1;
    store_relaxed16(data + threadIdx.x, {{base, base + 1, base + 2, base + 3}});
    return;
  }
  b32x4 word = load_relaxed16(data + threadIdx.x);
  while (word.r[0] == 0 || word.r[1] == 0 || word.r[2] == 0 || word.r[3] == 0)
    word = load_relaxed16(data + threadIdx.x);
  words[64 * blockIdx.x + threadIdx.x] = word.r[0] ^ word.r[1] << 8 ^ word.r[2] << 16 ^ word.r[3] << 24;
}

// Whoever has seen a value of a word sees none that was before it, nor does anybody who comes after him; a barrier
// brings the last one.
VARLSTM_KERNEL void one_words_order(uint32_t* words) {
  b32x4* data = reinterpret_cast<b32x4*>(words + 512);
  uint32_t backwards = 0;
  if (threadIdx.x == 0 && blockIdx.x == 0)
    for (uint32_t round = 1; round <= 20; ++round) store_relaxed16(data, {{round, round, round, round}});
  if (threadIdx.x == 0 && blockIdx.x != 0) {
    uint32_t last = 0;
    while (last != 20) {
      const uint32_t next = load_relaxed16(data).r[1];
      backwards += next < last;
      last = next;
    }
  }
  block_sync();
  if (blockIdx.x != 0) backwards += load_relaxed16(data).r[1] != 20;
  grid_sync();
  words[64 * blockIdx.x + threadIdx.x] = backwards * 100 + load_relaxed16(data).r[3];
}

// Each stores, orders and looks: one of them sees the other.
VARLSTM_KERNEL void each_stores_and_looks_in_order(uint32_t* words) {
  b32x4* own = reinterpret_cast<b32x4*>(words + 512 + 128 * (blockIdx.x & 1));
  b32x4* other = reinterpret_cast<b32x4*>(words + 512 + 128 * ((blockIdx.x & 1) ^ 1));
  if (threadIdx.x == 0 && blockIdx.x < 2) {
    store_relaxed16(own, {{1, 1, 1, 1}});
    device_fence();
    words[256 + blockIdx.x] = load_relaxed16(other).r[0];
  }
  grid_sync();
  if (threadIdx.x == 0 && blockIdx.x == 0) words[0] = words[256] + words[257] == 0;
  grid_sync();
  if (threadIdx.x < 2 && blockIdx.x == 0) words[256 + threadIdx.x] = 0;
}

// Every block leaves its number; the one that comes last adds them up. For any number of blocks.
VARLSTM_KERNEL void last_block_sums(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  if (threadIdx.x == 0) {
    words[1 + blockIdx.x] = blockIdx.x + 1;
    device_fence();
    shared[0] = atomic_add(words, 1u) + 1 == gridDim.x;
    device_fence();
  }
  block_sync();
  if (shared[0] == 0 || threadIdx.x != 1) return;
  uint32_t sum = 0;
  for (unsigned block = 0; block < gridDim.x; ++block) sum += words[1 + block];
  words[0] = sum;
}

VARLSTM_KERNEL void double_buffered_copies(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  cp_async4(shared + threadIdx.x, words + threadIdx.x);
  cp_async_commit();
  uint32_t sum = 0;
  for (unsigned step = 0; step < 3; ++step) {
    cp_async4(shared + 64 * ((step + 1) % 2) + threadIdx.x, words + 64 * (step + 1) + threadIdx.x);
    cp_async_commit();
    cp_async_wait<1>();
    block_sync();
    sum += shared[64 * (step % 2) + (threadIdx.x ^ 32)];
    block_sync();
  }
  cp_async_wait<0>();
  words[512 + blockIdx.x * kThreads + threadIdx.x] = sum;
}

VARLSTM_KERNEL void stores_to_the_peer(uint32_t* words) {
  uint32_t* shared = shared_memory<uint32_t>();
  uint64_t* mbarrier = shared_memory<uint64_t>() + 256;
  if (threadIdx.x == 0) mbarrier_init(mbarrier, 1);
  cluster_sync();
  uint32_t value = threadIdx.x;
  for (unsigned step = 0; step < 4; ++step) {
    if (threadIdx.x == 0) mbarrier_arrive_expect_tx(mbarrier, 4 * kThreads);
    uint32_t* buffer = shared + 64 * (step % 2);
    const unsigned peer = cluster_rank() ^ 1;
    st_async(cluster_map(buffer, peer) + threadIdx.x, value, cluster_map(mbarrier, peer));
    mbarrier_wait(mbarrier, step % 2);
    value = buffer[threadIdx.x ^ 33] + 1;
    cluster_sync();
  }
  words[blockIdx.x * kThreads + threadIdx.x] = value;
}

// A recurrence as the LSTM runs it: each block owns half of the state and pushes it to its peer, in two buffers.
VARLSTM_KERNEL void persistent_recurrence(uint32_t* words) {
  float* state = shared_memory<float>();  // [2][128]
  for (unsigned i = threadIdx.x; i < 256; i += kThreads) state[i] = i < 128 ? 1.0f : 0.0f;
  cluster_sync();
  const unsigned unit = cluster_rank() * kThreads + threadIdx.x;
  for (unsigned step = 0; step < 5; ++step) {
    const float* before = state + 128 * (step % 2);
    float* after = state + 128 * ((step + 1) % 2);
    float sum = 0.0f;
    for (unsigned j = 0; j < 128; ++j) sum += before[j] * static_cast<float>((unit + j) % 7);
    for (unsigned rank = 0; rank < kCluster; ++rank) cluster_map(after, rank)[unit] = fast_tanh(sum * 0.01f);
    cluster_sync();
  }
  const float result = state[128 + unit];
  uint32_t bits;
  memcpy(&bits, &result, sizeof bits);
  words[blockIdx.x * kThreads + threadIdx.x] = bits;
}

KernelCase last_block_case() {
  return {"the last block sums", last_block_sums, nullptr, false};
}

std::vector<KernelCase> correct_kernels() {
  return {
      {"warp exchange", warp_exchange, nullptr, false},
      {"half-warp exchange", half_warp_exchange, nullptr, false},
      {"rounds of a block", block_rounds, nullptr, false},
      {"named barrier", named_barrier_exchange, nullptr, false},
      {"cluster exchange", cluster_exchange, nullptr, false},
      {"split cluster barrier", split_cluster_barrier, nullptr, false},
      {"grid exchange", grid_exchange, nullptr, false},
      {"counted sum", counted_sum, nullptr, false},
      {"hand-over by a flag", flag_hand_over, nullptr, false},
      {"barrier by a counter", counter_barrier, nullptr, false},
      {"hand-over by a relaxed flag between fences", fence_hand_over, nullptr, true},
      {"hand-over by a volatile flag between fences", volatile_hand_over, nullptr, true},
      {"hand-over by fences of the block", block_fence_hand_over, nullptr, true},
      {"a release that goes on", released_for_long, nullptr, true},
      last_block_case(),
      {"words in the order of fences", fenced_words, nullptr, false},
      {"pieces that check themselves", self_checking_pieces, nullptr, false},
      {"the order of one word", one_words_order, nullptr, false},
      {"each stores, orders and looks", each_stores_and_looks_in_order, nullptr, false},
      {"copies into two buffers", double_buffered_copies, nullptr, false},
      {"stores to the peer", stores_to_the_peer, nullptr, false},
      {"persistent recurrence", persistent_recurrence, nullptr, false},
  };
}

}  // namespace varlstm::test
