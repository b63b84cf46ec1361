// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/check.h"

#include <inttypes.h>
#include <stdio.h>

namespace varlstm::bench {

std::vector<uint64_t> expected_states(const Exchange& exchange, int64_t steps) {
  std::vector<uint64_t> states(exchange.threads);
  for (size_t thread = 0; thread < states.size(); ++thread) states[thread] = thread + 1;
  for (int64_t step = 0; step < steps; ++step) {
    const std::vector<uint64_t> before = states;
    for (uint64_t& state : states) state *= 3;
    for (unsigned block = 0; block < exchange.team; ++block) {
      for (unsigned local = 0; local < exchange.units; ++local) {
        const uint64_t unit = uint64_t{block} * exchange.units + local;
        uint64_t value = before[local % exchange.threads] * 6364136223846793005u + unit + static_cast<uint64_t>(step);
        if (!is_cluster(exchange.mechanism)) value += unit + static_cast<uint64_t>(step) + 1;
        states[unit % exchange.threads] += value;
      }
    }
  }
  return states;
}

std::string find_difference(const Exchange& exchange, const std::vector<uint64_t>& expected,
                            const std::vector<uint64_t>& states) {
  for (size_t i = 0; i < states.size(); ++i) {
    const size_t thread = i % exchange.threads;
    if (states[i] == expected[thread]) continue;
    char text[160];
    snprintf(text, sizeof text, "block %zu thread %zu ends with %016" PRIx64 ", expected %016" PRIx64,
             i / exchange.threads, thread, states[i], expected[thread]);
    return text;
  }
  return "";
}

}  // namespace varlstm::bench
