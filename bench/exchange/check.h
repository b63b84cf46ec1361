// Whether the exchanged data arrived: the states that a launch leaves, computed again on the host.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bench/exchange/exchange.h"

namespace varlstm::bench {

// The state of each thread of any block after `steps` steps; all blocks of all teams end alike.
std::vector<uint64_t> expected_states(const Exchange& exchange, int64_t steps);

// The first of [block][thread] that is not as expected, in words; empty where all are.
std::string find_difference(const Exchange& exchange, const std::vector<uint64_t>& expected,
                            const std::vector<uint64_t>& states);

}  // namespace varlstm::bench
