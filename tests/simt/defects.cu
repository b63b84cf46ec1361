// Kernels with one planted defect each; what the emulator must say of it stands beside each in the table below.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/arch/device.h"
#include "simt/case_table.h"

namespace varlstm::test {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

// This thread's number, its word in `words`, and shared memory as words.
struct Me {
  unsigned thread = threadIdx.x;
  unsigned lane = threadIdx.x % 32;
  unsigned word = blockIdx.x * kThreads + threadIdx.x;
  uint32_t* shared = shared_memory<uint32_t>();
  uint64_t* mbarrier = shared_memory<uint64_t>() + 256;
  unsigned peer = cluster_rank() ^ 1;
};

// --- Missing barriers

VARLSTM_KERNEL void no_warp_barrier(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  words[me.word] = me.shared[me.thread ^ 1];
}

VARLSTM_KERNEL void shuffle_as_barrier(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  const uint32_t other = shfl_xor(~0u, me.thread, 1);
  words[me.word] = other + me.shared[me.thread ^ 1];
}

VARLSTM_KERNEL void no_block_barrier(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  warp_sync();
  words[me.word] = me.shared[me.thread ^ 32];
}

VARLSTM_KERNEL void no_barrier_before_reuse(uint32_t* words) {
  Me me;
  for (uint32_t round = 0; round < 3; ++round) {
    me.shared[me.thread] = me.thread + round;
    block_sync();
    words[me.word] = me.shared[kThreads - 1 - me.thread];
  }
}

VARLSTM_KERNEL void block_barrier_for_cluster(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  block_sync();
  words[me.word] = cluster_map(me.shared, me.peer)[me.thread];
  cluster_sync();
}

VARLSTM_KERNEL void write_between_arrive_and_wait(uint32_t* words) {
  Me me;
  cluster_arrive();
  me.shared[me.thread] = me.thread;
  cluster_wait();
  words[me.word] = cluster_map(me.shared, me.peer)[me.thread];
  cluster_sync();
}

VARLSTM_KERNEL void no_grid_barrier(uint32_t* words) {
  Me me;
  words[me.word] = 1;
  const uint32_t other = words[(blockIdx.x ^ 2) * kThreads + me.thread];
  grid_sync();
  words[me.word] = other;
}

VARLSTM_KERNEL void cluster_barrier_for_grid(uint32_t* words) {
  Me me;
  words[me.word] = 1;
  cluster_sync();
  words[me.word + 256] = words[(blockIdx.x ^ 2) * kThreads + me.thread];
}

VARLSTM_KERNEL void single_buffer(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  cluster_sync();
  for (int step = 0; step < 3; ++step) {
    const uint32_t sum = me.shared[me.thread] + me.shared[me.thread ^ 33];
    cluster_map(me.shared, me.peer)[me.thread] = sum;
    cluster_sync();
  }
  words[me.word] = me.shared[me.thread];
}

VARLSTM_KERNEL void partial_barrier_too_small(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  if (me.lane < 16) warp_sync(0x0000ffffu);
  words[me.word] = me.shared[me.thread ^ 16];
}

VARLSTM_KERNEL void other_named_barrier(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  named_barrier_sync(1 + me.thread / 32, 32);
  words[me.word] = me.shared[me.thread ^ 32];
}

// --- Atomics and ordered accesses

VARLSTM_KERNEL void plain_sum(uint32_t* words) {
  words[0] += threadIdx.x;
}

VARLSTM_KERNEL void plain_sum_of_two_blocks(uint32_t* words) {
  if (threadIdx.x == 0) words[0] += 1;
}

VARLSTM_KERNEL void atomic_and_plain(uint32_t* words) {
  Me me;
  if (me.thread == 0) me.shared[0] = 0;
  block_sync();
  atomic_add(me.shared, 1u);
  words[me.word] = me.shared[0];
}

VARLSTM_KERNEL void plain_flag(uint32_t* words) {
  Me me;
  if (me.thread != 0) return;
  if (blockIdx.x == 0) {
    words[1] = 7;
    words[0] = 1;
  } else if (blockIdx.x == 1) {
    if (words[0] == 1) words[2] = words[1];
  }
}

VARLSTM_KERNEL void flag_before_data(uint32_t* words) {
  Me me;
  if (me.thread != 0) return;
  if (blockIdx.x == 0) {
    store_release(words, 1u);
    words[1] = 7;
  } else if (blockIdx.x == 1) {
    while (load_acquire(words) == 0) {
    }
    words[2] = words[1];
  }
}

VARLSTM_KERNEL void flag_without_block_barrier(uint32_t* words) {
  Me me;
  words[64 + me.word] = me.thread;
  if (blockIdx.x == 0 && me.thread == 0) store_release(words, 1u);
  if (blockIdx.x != 1) return;
  while (load_acquire(words) == 0) {
  }
  words[512 + me.thread] = words[64 + me.thread];
}

// A relaxed word brings what it holds, not what its writer did before.
VARLSTM_KERNEL void relaxed_word_as_flag(uint32_t* words) {
  Me me;
  b32x4* flag = reinterpret_cast<b32x4*>(words + 512);
  if (me.thread != 0) return;
  if (blockIdx.x == 0) {
    words[0] = 5;
    store_relaxed16(flag, {{0, 0, 0, 1}});
  }
  if (blockIdx.x == 1) {
    while (load_relaxed16(flag).r[3] == 0) {
    }
    words[me.word] = words[0];
  }
}

VARLSTM_KERNEL void relaxed_counter(uint32_t* words) {
  Me me;
  if (me.thread != 0) return;
  words[16 + blockIdx.x] = 5;
  atomic_add(words, 1u);
  while (atomic_add(words, 0u) < kBlocks) {
  }
  words[32 + blockIdx.x] = words[16 + (blockIdx.x ^ 1)];
}

// --- Fences and volatile accesses: block 0 hands words[1] over, block 1 takes it

VARLSTM_DEVICE volatile uint32_t* as_volatile(uint32_t* word) {
  return word;
}

VARLSTM_KERNEL void fence_before_data(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    device_fence();
    words[1] = 7;
    atomic_exchange(words, 1u);
  } else if (blockIdx.x == 1) {
    while (atomic_add(words, 0u) == 0) {
    }
    device_fence();
    words[2] = words[1];
  }
}

VARLSTM_KERNEL void reader_without_fence(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    words[1] = 7;
    device_fence();
    atomic_exchange(words, 1u);
  } else if (blockIdx.x == 1) {
    while (atomic_add(words, 0u) == 0) {
    }
    words[2] = words[1];
  }
}

VARLSTM_KERNEL void fence_before_the_flag_is_read(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    words[1] = 7;
    device_fence();
    atomic_exchange(words, 1u);
  } else if (blockIdx.x == 1) {
    device_fence();
    while (atomic_add(words, 0u) == 0) {
    }
    words[2] = words[1];
  }
}

VARLSTM_KERNEL void fence_of_the_block(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    words[1] = 7;
    block_fence();
    atomic_exchange(words, 1u);
  } else if (blockIdx.x == 1) {
    while (atomic_add(words, 0u) == 0) {
    }
    device_fence();
    words[2] = words[1];
  }
}

VARLSTM_KERNEL void volatile_flag_without_fences(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    words[1] = 7;
    *as_volatile(words) = 1;
  } else if (blockIdx.x == 1) {
    while (*as_volatile(words) == 0) {
    }
    words[2] = words[1];
  }
}

VARLSTM_KERNEL void volatile_flag_that_nobody_sets(uint32_t* words) {
  while (*as_volatile(words) == 0) {
  }
}

VARLSTM_KERNEL void volatile_and_plain(uint32_t* words) {
  Me me;
  if (me.thread == 0) *as_volatile(me.shared) = 5;
  words[me.word] = me.shared[0];
}

// Block 2 stores over what block 0 has released.
VARLSTM_KERNEL void store_over_a_release(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    words[1] = 7;
    store_release(words, 1u);
  } else if (blockIdx.x == 2) {
    while (*as_volatile(words) == 0) {
    }
    *as_volatile(words) = 2;
    atomic_exchange(words + 3, 1u);
  } else if (blockIdx.x == 1) {
    while (atomic_add(words + 3, 0u) == 0) {
    }
    if (load_acquire(words) == 2) words[2] = words[1];
  }
}

// A store goes on with its thread's release, not with what came after that.
VARLSTM_KERNEL void data_behind_the_release(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    store_release(words, 1u);
    words[1] = 7;
    *as_volatile(words) = 2;
  } else if (blockIdx.x == 1) {
    while (load_acquire(words) != 2) {
    }
    words[2] = words[1];
  }
}

// --- Orders that relaxed accesses do not have: each thread of block 0 hands 7 over, its like in block 1 takes it

struct Words {
  b32x4* data;
  b32x4* flag;
};
VARLSTM_DEVICE Words words_of_16(uint32_t* words) {
  return {reinterpret_cast<b32x4*>(words + 512) + threadIdx.x, reinterpret_cast<b32x4*>(words + 768) + threadIdx.x};
}

// One word's arrival says nothing of another's.
VARLSTM_KERNEL void relaxed_data_behind_a_relaxed_flag(uint32_t* words) {
  const Words at = words_of_16(words);
  if (blockIdx.x == 0) {
    store_relaxed16(at.data, {{7, 7, 7, 7}});
    store_relaxed16(at.flag, {{1, 1, 1, 1}});
  } else if (blockIdx.x == 1) {
    while (load_relaxed16(at.flag).r[0] == 0) {
    }
    words[threadIdx.x] = load_relaxed16(at.data).r[0];
  }
}

VARLSTM_KERNEL void writers_fence_alone(uint32_t* words) {
  const Words at = words_of_16(words);
  if (blockIdx.x == 0) {
    store_relaxed16(at.data, {{7, 7, 7, 7}});
    device_fence();
    store_relaxed16(at.flag, {{1, 1, 1, 1}});
  } else if (blockIdx.x == 1) {
    while (load_relaxed16(at.flag).r[0] == 0) {
    }
    words[threadIdx.x] = load_relaxed16(at.data).r[0];
  }
}

VARLSTM_KERNEL void relaxed_data_behind_a_counter(uint32_t* words) {
  const Words at = words_of_16(words);
  if (blockIdx.x == 0) {
    store_relaxed16(at.data, {{7, 7, 7, 7}});
    atomic_add(words + 128 + threadIdx.x, 1u);
  } else if (blockIdx.x == 1) {
    while (atomic_add(words + 128 + threadIdx.x, 0u) == 0) {
    }
    words[threadIdx.x] = load_relaxed16(at.data).r[0];
  }
}

// A word of 16 bytes need not come as a whole: its last piece may be there before the others.
VARLSTM_KERNEL void mark_in_the_word(uint32_t* words) {
  const Words at = words_of_16(words);
  if (blockIdx.x == 0) {
    store_relaxed16(at.data, {{7, 8, 9, 1}});
  } else if (blockIdx.x == 1) {
    b32x4 word = load_relaxed16(at.data);
    while (word.r[3] == 0) word = load_relaxed16(at.data);
    words[threadIdx.x] = word.r[0] * 100 + word.r[1] * 10 + word.r[2];
  }
}

VARLSTM_KERNEL void mark_in_the_half(uint32_t* words) {
  const Words at = words_of_16(words);
  if (blockIdx.x == 0) {
    for (uint32_t round = 1; round <= 3; ++round) store_relaxed16(at.data, {{round, round, 7, 7}});
  } else if (blockIdx.x == 1) {
    b32x4 word = load_relaxed16(at.data);
    while (word.r[0] != 3) word = load_relaxed16(at.data);
    words[threadIdx.x] = word.r[1];
  }
}

// Each stores and then looks: without fences both may miss the other.
VARLSTM_KERNEL void each_stores_and_looks(uint32_t* words) {
  const Words at = words_of_16(words);
  uint32_t* seen = words + 64 + threadIdx.x;
  if (blockIdx.x < 2) {
    store_relaxed16(blockIdx.x == 0 ? at.data : at.flag, {{1, 1, 1, 1}});
    seen[64 * blockIdx.x] = load_relaxed16(blockIdx.x == 0 ? at.flag : at.data).r[0];
  }
  grid_sync();
  if (blockIdx.x == 0) words[threadIdx.x] = seen[0] + seen[64] == 0;
  grid_sync();
  if (blockIdx.x < 2) seen[64 * blockIdx.x] = 0;
}

VARLSTM_KERNEL void lost_wake_up(uint32_t* words) {
  if (threadIdx.x != 0) return;
  if (blockIdx.x == 0) {
    while (load_acquire(words) != 2) {
    }
  } else if (blockIdx.x == 1) {
    store_release(words, 1u);
  }
}

VARLSTM_KERNEL void spin_without_progress(uint32_t* words) {
  spin_until("a word that nobody writes", [&] { return load_acquire(words) != 0; });
}

VARLSTM_KERNEL void two_locks_in_two_orders(uint32_t* words) {
  if (threadIdx.x != 0 || blockIdx.x > 1) return;
  const unsigned first = blockIdx.x;
  while (atomic_cas(words + first, 0u, 1u) != 0) {
  }
  store_release(words + 8 + first, 1u);
  while (load_acquire(words + 8 + (first ^ 1)) == 0) {
  }
  while (atomic_cas(words + (first ^ 1), 0u, 1u) != 0) {
  }
}

// --- Divergence, masks, exits

VARLSTM_KERNEL void divergent_barrier(uint32_t* words) {
  Me me;
  if (me.thread % 2 == 0) {
    block_sync();
    words[me.word] = 1;
  } else {
    block_sync();
    words[me.word] = 2;
  }
}

VARLSTM_KERNEL void barrier_of_one_warp(uint32_t* words) {
  if (threadIdx.x < 32) block_sync();
  words[blockIdx.x * kThreads + threadIdx.x] = 1;
}

VARLSTM_KERNEL void exit_before_barrier(uint32_t* words) {
  if (blockIdx.x == 1 && threadIdx.x == 37) return;
  block_sync();
  words[blockIdx.x * kThreads + threadIdx.x] = 1;
}

VARLSTM_KERNEL void exit_before_grid_barrier(uint32_t*) {
  if (blockIdx.x == 3) return;
  grid_sync();
}

VARLSTM_KERNEL void mask_without_caller(uint32_t* words) {
  Me me;
  if (me.lane < 16) words[me.word] = shfl_xor(0xffff0000u, me.thread, 1);
}

VARLSTM_KERNEL void full_mask_in_a_branch(uint32_t* words) {
  Me me;
  if (me.lane < 16) words[me.word] = shfl_xor(~0u, me.thread, 1);
}

VARLSTM_KERNEL void two_masks(uint32_t* words) {
  Me me;
  words[me.word] = shfl_xor(me.lane < 16 ? 0xffffffffu : 0xffff0000u, me.thread, 1);
}

VARLSTM_KERNEL void vote_meets_shuffle(uint32_t* words) {
  Me me;
  words[me.word] = me.lane == 0 ? ballot(~0u, 1) : shfl(~0u, me.thread, 0);
}

VARLSTM_KERNEL void half_a_warp_multiplies(uint32_t* words) {
  Me me;
  if (me.lane >= 16) return;
  const f32x4 d = mma_bf16_16816(b32x4{}, b32x2{}, f32x4{});
  words[me.word] = static_cast<uint32_t>(d.r[0]);
}

VARLSTM_KERNEL void arrive_twice(uint32_t*) {
  cluster_arrive();
  cluster_arrive();
  cluster_wait();
}

VARLSTM_KERNEL void wait_without_arrival(uint32_t*) {
  cluster_wait();
}

VARLSTM_KERNEL void arrive_and_leave(uint32_t*) {
  cluster_arrive();
}

VARLSTM_KERNEL void peer_exits_early(uint32_t* words) {
  Me me;
  me.shared[me.thread] = me.thread;
  cluster_sync();
  words[me.word] = cluster_map(me.shared, me.peer)[me.thread];
}

VARLSTM_KERNEL void no_such_peer(uint32_t* words) {
  Me me;
  words[me.word] = *cluster_map(me.shared, 2);
}

// --- Bounds and alignment

VARLSTM_KERNEL void beyond_shared_memory(uint32_t*) {
  Me me;
  if (me.thread == 0) me.shared[kSharedBytes / 4] = 1;
}

VARLSTM_KERNEL void beyond_the_allocation(uint32_t* words) {
  if (threadIdx.x == 0 && blockIdx.x == 0) words[kWords] = 1;
}

VARLSTM_KERNEL void misaligned_copy(uint32_t* words) {
  Me me;
  cp_async16(me.shared + 1, words);
  cp_async_commit();
  cp_async_wait<0>();
}

VARLSTM_KERNEL void misaligned_word(uint32_t* words) {
  Me me;
  if (me.word == 0) store_relaxed16(reinterpret_cast<b32x4*>(words + 2), {{1, 2, 3, 4}});
}

VARLSTM_KERNEL void misaligned_atomic(uint32_t* words) {
  atomic_add(reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(words) + 2), 1u);
}

// --- Asynchronous copies

VARLSTM_KERNEL void read_before_copy_wait(uint32_t* words) {
  Me me;
  cp_async16(me.shared + me.thread * 4, words + me.word * 4);
  cp_async_commit();
  words[me.word] = me.shared[me.thread * 4];
  cp_async_wait<0>();
}

VARLSTM_KERNEL void waits_for_the_older_group(uint32_t* words) {
  Me me;
  cp_async4(me.shared + me.thread, words + me.word);
  cp_async_commit();
  cp_async4(me.shared + 64 + me.thread, words + me.word);
  cp_async_commit();
  cp_async_wait<1>();
  words[512 + me.word] = me.shared[64 + me.thread];
}

VARLSTM_KERNEL void barrier_before_copy_wait(uint32_t* words) {
  Me me;
  cp_async4(me.shared + me.thread, words + me.word);
  cp_async_commit();
  block_sync();
  cp_async_wait<0>();
  words[512 + me.word] = me.shared[me.thread ^ 32];
}

VARLSTM_KERNEL void copy_wait_without_barrier(uint32_t* words) {
  Me me;
  cp_async4(me.shared + me.thread, words + me.word);
  cp_async_commit();
  cp_async_wait<0>();
  words[512 + me.word] = me.shared[me.thread ^ 32];
}

// --- mbarriers

VARLSTM_KERNEL void wrong_parity(uint32_t* words) {
  Me me;
  if (me.thread == 0) mbarrier_init(me.mbarrier, kThreads);
  block_sync();
  me.shared[me.thread] = me.thread;
  mbarrier_arrive(me.mbarrier);
  mbarrier_wait(me.mbarrier, 1);
  words[me.word] = me.shared[me.thread ^ 32];
}

VARLSTM_KERNEL void arrival_missing(uint32_t*) {
  Me me;
  if (me.thread == 0) mbarrier_init(me.mbarrier, kThreads);
  block_sync();
  if (me.thread != 5) mbarrier_arrive(me.mbarrier);
  mbarrier_wait(me.mbarrier, 0);
  block_sync();
}

VARLSTM_KERNEL void announced_bytes_never_come(uint32_t*) {
  Me me;
  if (me.thread == 0) mbarrier_init(me.mbarrier, 1);
  block_sync();
  if (me.thread == 0) mbarrier_arrive_expect_tx(me.mbarrier, 4);
  mbarrier_wait(me.mbarrier, 0);
  block_sync();
}

// Nobody announces the bytes: the phase can end before they have come.
VARLSTM_KERNEL void bytes_not_announced(uint32_t* words) {
  Me me;
  if (me.thread == 0) mbarrier_init(me.mbarrier, kThreads);
  cluster_sync();
  mbarrier_arrive(me.mbarrier);
  mbarrier_wait(me.mbarrier, 0);
  words[me.word] = me.shared[me.thread];
  st_async(cluster_map(me.shared, me.peer) + me.thread, me.thread, cluster_map(me.mbarrier, me.peer));
  cluster_sync();
}

VARLSTM_KERNEL void too_many_arrivals(uint32_t*) {
  Me me;
  if (me.thread == 0) mbarrier_init(me.mbarrier, 2);
  block_sync();
  if (me.thread == 0) mbarrier_arrive_expect_tx(me.mbarrier, 4);
  block_sync();
  if (me.thread < 2) mbarrier_arrive(me.mbarrier);
  block_sync();
}

VARLSTM_KERNEL void mbarrier_not_initialised(uint32_t*) {
  Me me;
  mbarrier_arrive(me.mbarrier);
}

VARLSTM_KERNEL void mbarrier_init_without_barrier(uint32_t*) {
  Me me;
  if (me.thread == 0) mbarrier_init(me.mbarrier, kThreads);
  if (me.thread != 0) warp_sync(me.thread < 32 ? 0xfffffffeu : 0xffffffffu);
  mbarrier_arrive(me.mbarrier);
}

// Where the report is empty, it depends on the schedule whether a race, a deadlock or a livelock is seen first.
std::vector<KernelCase> defective_kernels() {
  return {
      {"no warp barrier", no_warp_barrier, "race", true},
      {"a shuffle taken for a barrier", shuffle_as_barrier, "race", true},
      {"no block barrier", no_block_barrier, "race", true},
      {"no barrier before shared memory is used again", no_barrier_before_reuse, "race", true},
      {"a block barrier where the cluster's is needed", block_barrier_for_cluster, "race", true},
      {"a write between arrival and wait", write_between_arrive_and_wait, "race", true},
      {"no grid barrier", no_grid_barrier, "race", true},
      {"a cluster barrier where the grid's is needed", cluster_barrier_for_grid, "race", true},
      {"one buffer where two are needed", single_buffer, "race", true},
      {"a barrier of too few lanes", partial_barrier_too_small, "race", true},
      {"two named barriers where one is needed", other_named_barrier, "race", true},
      {"a plain sum", plain_sum, "race", true},
      {"a plain sum of two blocks", plain_sum_of_two_blocks, "race", true},
      {"atomic and plain accesses", atomic_and_plain, "race", true},
      {"a plain flag", plain_flag, "race", true},
      {"the flag before the data", flag_before_data, "race", true},
      {"a flag without a block barrier", flag_without_block_barrier, "race", true},
      {"a counter that does not release", relaxed_counter, "race", true},
      {"a relaxed word taken for a flag", relaxed_word_as_flag, "race", true},
      {"the fence before the data", fence_before_data, "race", true},
      {"a reader without a fence", reader_without_fence, "race", true},
      {"a fence before the flag is read", fence_before_the_flag_is_read, "race", true},
      {"a fence of the block for another one", fence_of_the_block, "race", true},
      {"a volatile flag without fences", volatile_flag_without_fences, "race", true},
      {"a volatile flag that nobody sets", volatile_flag_that_nobody_sets, "livelock", true},
      {"volatile and plain accesses", volatile_and_plain, "race", true},
      {"data behind the release", data_behind_the_release, "race", true},
      {"a lost wake-up", lost_wake_up, "livelock", false},
      {"a spin without progress", spin_without_progress, "livelock", false},
      {"two locks in two orders", two_locks_in_two_orders, "livelock", false},
      {"a divergent barrier", divergent_barrier, "divergent barrier", false},
      {"a barrier of one warp", barrier_of_one_warp, "early exit", false},
      {"an exit before a barrier", exit_before_barrier, "early exit", false},
      {"an exit before the grid's barrier", exit_before_grid_barrier, "deadlock", false},
      {"a mask without the caller", mask_without_caller, "wrong mask", false},
      {"a full mask in a branch", full_mask_in_a_branch, "deadlock", false},
      {"two masks", two_masks, "", false},
      {"a vote meets a shuffle", vote_meets_shuffle, "divergent warp", false},
      {"half a warp multiplies", half_a_warp_multiplies, "deadlock", false},
      {"two arrivals", arrive_twice, "double arrival", false},
      {"a wait without arrival", wait_without_arrival, "missing arrival", false},
      {"an arrival without wait", arrive_and_leave, "missing wait", false},
      {"a peer exits early", peer_exits_early, "early exit", true},
      {"no such peer", no_such_peer, "no such block", false},
      {"beyond shared memory", beyond_shared_memory, "out of bounds", true},
      {"beyond the allocation", beyond_the_allocation, "out of bounds", true},
      {"a misaligned copy", misaligned_copy, "misaligned", false},
      {"a misaligned atomic", misaligned_atomic, "misaligned", false},
      {"a misaligned word of 16 bytes", misaligned_word, "misaligned", false},
      {"a read before the copy's wait", read_before_copy_wait, "early use", true},
      {"a wait for the older group", waits_for_the_older_group, "early use", true},
      {"the barrier before the copy's wait", barrier_before_copy_wait, "race", true},
      {"a copy's wait without a barrier", copy_wait_without_barrier, "race", true},
      {"the wrong parity", wrong_parity, "", true},
      {"an arrival is missing", arrival_missing, "", false},
      {"announced bytes never come", announced_bytes_never_come, "livelock", false},
      {"bytes that nobody announced", bytes_not_announced, "", true},
      {"too many arrivals", too_many_arrivals, "double arrival", false},
      {"an mbarrier that was not initialised", mbarrier_not_initialised, "no mbarrier", false},
      {"an mbarrier used before a barrier", mbarrier_init_without_barrier, "", true},
  };
}

std::vector<KernelCase> weakly_ordered_kernels() {
  return {
      {"a store over another's release", store_over_a_release, "race", true},
      {"relaxed data behind a relaxed flag", relaxed_data_behind_a_relaxed_flag, nullptr, false},
      {"the writer's fence alone", writers_fence_alone, nullptr, false},
      {"relaxed data behind a counter", relaxed_data_behind_a_counter, nullptr, false},
      {"a mark in the word", mark_in_the_word, nullptr, false},
      {"a mark in the half of a word", mark_in_the_half, nullptr, false},
      {"each stores and looks", each_stores_and_looks, nullptr, false},
  };
}

}  // namespace varlstm::test
