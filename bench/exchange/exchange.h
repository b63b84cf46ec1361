// One step's exchange between the blocks of a team, by each mechanism that a resident recurrence could use.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/core/runtime.h"

namespace varlstm::bench {

enum class Mechanism {
  kClusterBarrier,  // stores to the peers' shared memory, then the cluster's barrier
  kClusterPush,     // st.async to the peers' shared memory, counted by their mbarriers
  kGridBarrier,     // stores to device memory, then the grid's barrier
  kGlobalFlags,     // stores to device memory, then a flag of the producer, released and acquired
  kGlobalTags,      // words of 16 bytes whose pieces carry the step: readers poll the data itself
};

constexpr bool is_cluster(Mechanism mechanism) {
  return mechanism == Mechanism::kClusterBarrier || mechanism == Mechanism::kClusterPush;
}

// A unit is what one store carries: 8 bytes to a peer, 16 to device memory; all but a tag of 4 bytes can hold h.
constexpr unsigned unit_bytes(Mechanism mechanism) {
  return is_cluster(mechanism) ? 8 : 16;
}
constexpr unsigned payload_bytes(Mechanism mechanism) {
  return mechanism == Mechanism::kGlobalTags ? 12 : unit_bytes(mechanism);
}

struct Exchange {
  Mechanism mechanism;
  unsigned team;        // blocks that exchange with each other: of a cluster, or resident together
  unsigned teams;       // at the same time
  unsigned threads;     // of a block
  unsigned units;       // that a block gives to every block of its team, itself included, in a step; 0: a barrier alone
  size_t shared_bytes;  // of a block, at least: many keep a second block off the multiprocessor
  unsigned hidden = 0;  // the H and the slots whose h in bf16 a step hands over; 0: it is no step's
  unsigned slots = 0;
};

// Blocks of `threads` threads for team * teams of them.
constexpr unsigned block_count(const Exchange& exchange) {
  return exchange.team * exchange.teams;
}

// What block 0 saw, from the first step to the last.
struct Elapsed {
  uint64_t ns;
  uint64_t cycles;
  uint32_t gave_up;  // not 0: some thread of the launch waited in vain
};

constexpr unsigned kFlagStride = 32;  // words: a flag has a line of 128 bytes to itself

// Device memory of a launch. `units` and `flags` are zeros before it.
struct ExchangeBuffers {
  void* units;       // [team][parity of the step][block of the team][unit]; for mechanisms over device memory
  uint32_t* flags;   // [block][kFlagStride]
  uint64_t* states;  // [block][thread], as the last step left them
  Elapsed* elapsed;
};

// Bytes of `units`.
constexpr size_t unit_buffer_bytes(const Exchange& exchange) {
  return is_cluster(exchange.mechanism)
             ? 0
             : size_t{2} * block_count(exchange) * exchange.units * unit_bytes(exchange.mechanism);
}

// Runs `steps` steps, at most 2^31, in the order of the stream.
cudaError_t launch_exchange(const Exchange& exchange, int64_t steps, const ExchangeBuffers& buffers,
                            cudaStream_t stream);

// The mechanism's kernel, for questions about its occupancy.
const void* exchange_kernel(Mechanism mechanism);

// `count` kernels of `blocks` blocks, one after the other; each has something to do only where `word` is not null, and
// then makes 3 * word + 1 of it.
cudaError_t launch_chain(int64_t count, unsigned blocks, uint64_t* word, cudaStream_t stream);

}  // namespace varlstm::bench
