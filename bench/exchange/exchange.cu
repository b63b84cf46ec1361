// The exchange of a recurrence's step, without the recurrence.
//
// Every thread has a state of 64 bits. In step s the thread that owns unit u of the team (u counts through the blocks)
// gives away
//   value(u, s) = state * kMultiplier + u + s,
// and thread t of every block takes units t, t + threads, ...:
//   state' = 3 * state + the sum over its u of what the unit holds.
// So a step cannot begin before the one before it has come, as in the recurrence, and a unit that is late, early or
// torn changes every state after it. States are whole numbers modulo 2^64: the order of a sum does not matter.
//
// What a unit holds: the value; over device memory (16 bytes) also u and s + 1, which are added to the sum. With tags
// the 16 bytes are four pieces of 32 bits, the step's tag and 24 bits of value and u each: what a device sees whole is
// a piece, not a word. Bytes of a step: team * units * unit_bytes reach every block. Bound by latency.
//
// Grid: team * teams blocks, resident together; cluster: the team, over shared memory. Shared memory of a block: two
// mbarriers, then two buffers of team * units units, one for each parity of s.
//
// Sync invariants, for every mechanism:
//   S1  a thread reads a unit of step s only after its store has become visible to it;
//   S2  a buffer gets step s + 2 only after every thread of the team has read step s from it: its owner has received
//       all of step s + 1, which no block gives before all of its threads have read step s.
// A thread that has waited in vain for about a second stops waiting for the rest of the launch, sets elapsed->gave_up
// and reads what is there: where nothing comes, the launch ends with wrong states.
//
// Deterministic. Mirrored on the host by expected_states in check.cc.
// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/exchange.h"

#include "kernels/arch/device.h"

namespace varlstm::bench {

using namespace varlstm::simt;  // NOLINT: the vocabulary is the subject here

constexpr uint64_t kMultiplier = 6364136223846793005u;
constexpr unsigned kUnitsAtOnce = 8;          // loads of a thread that are under way together
constexpr uint64_t kPatienceNs = 1000000000;  // of a thread in a launch
constexpr unsigned kPollsPerReading = 256;    // failed polls between two looks at the clock
constexpr unsigned kMbarrierWords = 16;       // the buffers begin at a multiple of 128 bytes
constexpr unsigned kEmptyKernelThreads = 256;

struct Arguments {
  unsigned team;
  unsigned units;
  int64_t steps;
  ExchangeBuffers buffers;
};

struct alignas(16) WideUnit {
  uint64_t value;
  uint64_t stamp;  // u, and s + 1 in the upper half
};

VARLSTM_DEVICE uint64_t unit_value(uint64_t state, unsigned unit, int64_t step) {
  return state * kMultiplier + unit + static_cast<uint64_t>(step);
}
VARLSTM_DEVICE uint64_t content(const b32x4& unit) {
  return (unit.r[0] | static_cast<uint64_t>(unit.r[1]) << 32) + unit.r[2] + unit.r[3];
}

// Step s as a piece carries it, in 8 bits: never that of the last step in the same buffer, nor of a buffer of zeros.
VARLSTM_DEVICE uint32_t tag_of(int64_t step) {
  return static_cast<uint32_t>(step % 255 + 1) << 24;
}
VARLSTM_DEVICE b32x4 tagged_unit(uint64_t value, unsigned unit, int64_t step) {
  constexpr uint32_t kData = 0xffffff;
  const uint32_t tag = tag_of(step), low = static_cast<uint32_t>(value), high = static_cast<uint32_t>(value >> 32);
  return {{tag | (low & kData), tag | low >> 24 | (high & 0xffff) << 8, tag | high >> 16 | (unit & 0xff) << 16,
           tag | (unit >> 8 & kData)}};
}
VARLSTM_DEVICE bool is_of_step(const b32x4& unit, int64_t step) {
  const uint32_t tag = tag_of(step) >> 24;
  return unit.r[0] >> 24 == tag && unit.r[1] >> 24 == tag && unit.r[2] >> 24 == tag && unit.r[3] >> 24 == tag;
}
// As a unit without tags holds it.
VARLSTM_DEVICE b32x4 without_tags(const b32x4& unit, int64_t step) {
  const uint32_t low = (unit.r[0] & 0xffffff) | unit.r[1] << 24;
  const uint32_t high = (unit.r[1] >> 8 & 0xffff) | unit.r[2] << 16;
  return {{low, high, (unit.r[2] >> 16 & 0xff) | unit.r[3] << 8, static_cast<uint32_t>(step + 1)}};
}

// Who this block is in its team, and how long its threads may still wait.
struct Member {
  const Arguments& arguments;
  unsigned first_block;  // of the team
  unsigned rank;
  unsigned total;  // units of the team
  unsigned failed_polls = 0;
  bool gave_up = false;
  uint64_t begin = time_ns();

  VARLSTM_DEVICE explicit Member(const Arguments& a)
      : arguments(a), first_block(blockIdx.x / a.team * a.team), rank(blockIdx.x % a.team), total(a.team * a.units) {}

  // Whether a poll that failed may be repeated.
  VARLSTM_DEVICE bool keep_waiting() {
    if (++failed_polls % kPollsPerReading == 0 && time_ns() - begin > kPatienceNs) gave_up = true;
    return !gave_up;
  }
  VARLSTM_DEVICE unsigned unit_of(unsigned local) const { return rank * arguments.units + local; }
};

// The two buffers in this block's shared memory.
struct SharedUnits : Member {
  uint64_t* mbarriers = shared_memory<uint64_t>();

  VARLSTM_DEVICE explicit SharedUnits(const Arguments& a) : Member(a) {}
  VARLSTM_DEVICE uint64_t* buffer(int64_t step) const { return mbarriers + kMbarrierWords + (step & 1) * total; }
  VARLSTM_DEVICE uint64_t sum_of_units(int64_t step) const {
    const uint64_t* from = buffer(step);
    uint64_t sum = 0;
    for (unsigned unit = threadIdx.x; unit < total; unit += blockDim.x) sum += from[unit];
    return sum;
  }
};

// S1: the cluster's barrier after the stores. S2: the barrier of step s + 1 stands between the reads and the stores.
struct ClusterBarrier : SharedUnits {
  VARLSTM_DEVICE explicit ClusterBarrier(const Arguments& a) : SharedUnits(a) {}
  VARLSTM_DEVICE void open() { cluster_sync(); }
  VARLSTM_DEVICE void give(int64_t step, uint64_t state) {
    for (unsigned local = threadIdx.x; local < arguments.units; local += blockDim.x) {
      const uint64_t value = unit_value(state, unit_of(local), step);
      for (unsigned peer = 0; peer < arguments.team; ++peer) *cluster_map(buffer(step) + unit_of(local), peer) = value;
    }
    cluster_sync();
  }
  VARLSTM_DEVICE uint64_t take(int64_t step) { return sum_of_units(step); }
  VARLSTM_DEVICE void close() {}
};

// S1: the mbarrier's phase ends when all bytes of the step have come. S2: block_sync after the reads, before the block
// gives the next step. S3: thread 0 announces step s + 2 before that block_sync, so before anybody can give it.
struct ClusterPush : SharedUnits {
  VARLSTM_DEVICE explicit ClusterPush(const Arguments& a) : SharedUnits(a) {}
  VARLSTM_DEVICE uint64_t* mbarrier(int64_t step) const { return mbarriers + (step & 1); }
  VARLSTM_DEVICE void announce(int64_t step) {
    mbarrier_announce(mbarrier(step), total * static_cast<unsigned>(sizeof(uint64_t)));
  }
  VARLSTM_DEVICE void open() {
    if (threadIdx.x == 0)
      for (int64_t step = 0; step < 2; ++step) {
        mbarrier_init(mbarrier(step), 1);
        announce(step);
      }
    cluster_sync();
  }
  VARLSTM_DEVICE void give(int64_t step, uint64_t state) {
    for (unsigned local = threadIdx.x; local < arguments.units; local += blockDim.x) {
      const uint64_t value = unit_value(state, unit_of(local), step);
      for (unsigned peer = 0; peer < arguments.team; ++peer)
        st_async(cluster_map(buffer(step) + unit_of(local), peer), value, cluster_map(mbarrier(step), peer));
    }
  }
  VARLSTM_DEVICE uint64_t take(int64_t step) {
    const auto parity = static_cast<unsigned>(step >> 1 & 1);
    spin_until("a step's units from the cluster",
               [&] { return mbarrier_try_wait(mbarrier(step), parity) || !keep_waiting(); });
    if (threadIdx.x == 0) announce(step + 2);
    const uint64_t sum = sum_of_units(step);
    block_sync();
    return sum;
  }
  // No block ends while a peer could still store into it or be mapped by it.
  VARLSTM_DEVICE void close() { cluster_sync(); }
};

// The two buffers in device memory, as plain words.
struct GlobalUnits : Member {
  VARLSTM_DEVICE explicit GlobalUnits(const Arguments& a) : Member(a) {}
  VARLSTM_DEVICE WideUnit* buffer(int64_t step) const {
    const int64_t first = 2 * int64_t{first_block} * arguments.units + (step & 1) * total;
    return static_cast<WideUnit*>(arguments.buffers.units) + first;
  }
  VARLSTM_DEVICE void store_units(int64_t step, uint64_t state) {
    WideUnit* to = buffer(step);
    for (unsigned local = threadIdx.x; local < arguments.units; local += blockDim.x) {
      const unsigned unit = unit_of(local);
      to[unit] = {unit_value(state, unit, step), unit | static_cast<uint64_t>(step + 1) << 32};
    }
  }
  // Sums this thread's units, kUnitsAtOnce of them under way at once; settle(word, from) may load one again. What the
  // relaxed loads see is ordered by settle or by what stands before them. They take the data from L2, as a recurrence
  // would, which copies it into shared memory.
  template <class Settle>
  VARLSTM_DEVICE uint64_t sum_of_units(int64_t step, const Settle& settle) const {
    const auto* from = reinterpret_cast<const b32x4*>(buffer(step));
    uint64_t sum = 0;
    for (unsigned first = threadIdx.x; first < total; first += kUnitsAtOnce * blockDim.x) {
      b32x4 came[kUnitsAtOnce] = {};
      for (unsigned k = 0; k < kUnitsAtOnce; ++k)
        if (first + k * blockDim.x < total) came[k] = load_relaxed16(from + first + k * blockDim.x);
      for (unsigned k = 0; k < kUnitsAtOnce; ++k) {
        const unsigned unit = first + k * blockDim.x;
        if (unit >= total) break;
        settle(came[k], from + unit);
        sum += content(came[k]);
      }
    }
    return sum;
  }
  VARLSTM_DEVICE uint64_t sum_of_units(int64_t step) const {
    return sum_of_units(step, [](b32x4&, const b32x4*) {});
  }
  // All blocks begin together, so that block 0's time is that of the steps.
  VARLSTM_DEVICE void open() { grid_sync(); }
  VARLSTM_DEVICE void close() {}
};

// S1 and S2 as with the cluster's barrier.
struct GridBarrier : GlobalUnits {
  VARLSTM_DEVICE explicit GridBarrier(const Arguments& a) : GlobalUnits(a) {}
  VARLSTM_DEVICE void give(int64_t step, uint64_t state) {
    store_units(step, state);
    grid_sync();
  }
  VARLSTM_DEVICE uint64_t take(int64_t step) { return sum_of_units(step); }
};

// S1: block_sync and the flag's release after the stores; the flag's acquire and block_sync before the reads. S2: the
// first of these also stands between the reads of step s and the release of step s + 1.
struct GlobalFlags : GlobalUnits {
  VARLSTM_DEVICE explicit GlobalFlags(const Arguments& a) : GlobalUnits(a) {}
  VARLSTM_DEVICE uint32_t* flag(unsigned peer) const {
    return arguments.buffers.flags + int64_t{first_block + peer} * kFlagStride;
  }
  VARLSTM_DEVICE void give(int64_t step, uint64_t state) {
    store_units(step, state);
    block_sync();
    if (threadIdx.x == 0) store_release(flag(rank), static_cast<uint32_t>(step + 1));
  }
  VARLSTM_DEVICE uint64_t take(int64_t step) {
    // A peer may be one step ahead of this thread, whose block has given this one.
    for (unsigned peer = threadIdx.x; peer < arguments.team; peer += blockDim.x)
      spin_until("a peer's flag",
                 [&] { return load_acquire(flag(peer)) > static_cast<uint32_t>(step) || !keep_waiting(); });
    block_sync();
    return sum_of_units(step);
  }
};

// S1: a piece of a unit is the step's where its own tag says so. S2: block_sync after the reads.
struct GlobalTags : GlobalUnits {
  VARLSTM_DEVICE explicit GlobalTags(const Arguments& a) : GlobalUnits(a) {}
  VARLSTM_DEVICE void give(int64_t step, uint64_t state) {
    auto* to = reinterpret_cast<b32x4*>(buffer(step));
    for (unsigned local = threadIdx.x; local < arguments.units; local += blockDim.x) {
      const unsigned unit = unit_of(local);
      store_relaxed16(to + unit, tagged_unit(unit_value(state, unit, step), unit, step));
    }
  }
  VARLSTM_DEVICE uint64_t take(int64_t step) {
    const uint64_t sum = sum_of_units(step, [this, step](b32x4& word, const b32x4* from) {
      spin_until("a unit of a peer", [&] {
        if (is_of_step(word, step) || !keep_waiting()) return true;
        word = load_relaxed16(from);
        return false;
      });
      word = without_tags(word, step);
    });
    block_sync();
    return sum;
  }
};

template <class Channel>
VARLSTM_KERNEL void exchange_steps(Arguments arguments) {
  Channel channel(arguments);
  uint64_t state = threadIdx.x + 1;
  channel.open();
  const uint64_t ns = time_ns();
  const uint64_t cycles = clock_cycles();
  for (int64_t step = 0; step < arguments.steps; ++step) {
    channel.give(step, state);
    state = 3 * state + channel.take(step);
  }
  Elapsed* elapsed = arguments.buffers.elapsed;
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    elapsed->cycles = clock_cycles() - cycles;
    elapsed->ns = time_ns() - ns;
  }
  if (channel.gave_up) atomic_or(&elapsed->gave_up, 1u);
  arguments.buffers.states[int64_t{blockIdx.x} * blockDim.x + threadIdx.x] = state;
  channel.close();
}

VARLSTM_KERNEL void chain_link(uint64_t* word) {
  if (word != nullptr && blockIdx.x == 0 && threadIdx.x == 0) *word = 3 * *word + 1;
}

namespace {

using ExchangeKernel = void (*)(Arguments arguments);

ExchangeKernel kernel_of(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::kClusterBarrier:
      return exchange_steps<ClusterBarrier>;
    case Mechanism::kClusterPush:
      return exchange_steps<ClusterPush>;
    case Mechanism::kGridBarrier:
      return exchange_steps<GridBarrier>;
    case Mechanism::kGlobalFlags:
      return exchange_steps<GlobalFlags>;
    case Mechanism::kGlobalTags:
      return exchange_steps<GlobalTags>;
  }
  return nullptr;
}

}  // namespace

cudaError_t launch_exchange(const Exchange& exchange, int64_t steps, const ExchangeBuffers& buffers,
                            cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(block_count(exchange));
  shape.block = dim3(exchange.threads);
  size_t needed = 0;
  if (is_cluster(exchange.mechanism)) {
    shape.cluster = exchange.team;
    needed = sizeof(uint64_t) * (kMbarrierWords + size_t{2} * exchange.team * exchange.units);
  } else {
    shape.cooperative = true;
  }
  shape.shared_bytes = needed > exchange.shared_bytes ? needed : exchange.shared_bytes;
  const Arguments arguments{exchange.team, exchange.units, steps, buffers};
  return launch(shape, stream, "exchange_steps", kernel_of(exchange.mechanism), arguments);
}

const void* exchange_kernel(Mechanism mechanism) {
  return reinterpret_cast<const void*>(kernel_of(mechanism));
}

cudaError_t launch_chain(int64_t count, unsigned blocks, uint64_t* word, cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(blocks);
  shape.block = dim3(kEmptyKernelThreads);
  cudaError_t error = cudaSuccess;
  for (int64_t k = 0; k < count && error == cudaSuccess; ++k)
    error = launch(shape, stream, "chain_link", chain_link, word);
  return error;
}

}  // namespace varlstm::bench
