// Which exchanges are run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "bench/exchange/exchange.h"

namespace varlstm::bench {

// Shared memory of a measured block: two such do not fit on a multiprocessor of sm_90.
constexpr size_t kOneBlockShared = 120 << 10;

// Units that a block gives away when a step hands over h [slots, hidden] in bf16, rounded up.
unsigned units_of_step(Mechanism mechanism, unsigned team, unsigned hidden, unsigned slots);

// What a GPU is asked. `resident_clusters(size)`: the clusters of that size that run at once, a block a
// multiprocessor; 0 where there are none, and that size is left out.
std::vector<Exchange> measured_exchanges(unsigned multiprocessors,
                                         const std::function<unsigned(unsigned size)>& resident_clusters);

// Every mechanism at sizes that an emulator runs in a second.
std::vector<Exchange> small_exchanges();

const char* name_of(Mechanism mechanism);

}  // namespace varlstm::bench
