// Mode p: time of a scenario, and what the machine could do at most, measured in the same run.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "bench/lstm_driver/clock.h"
#include "bench/lstm_driver/options.h"
#include "bench/lstm_driver/tensor.h"

namespace varlstm::lstm_driver {

// Rates of this process, each measured once, when it is first asked for.
class Ceilings {
 public:
  Ceilings(const Context& ctx, const Context& host, Clock* clock) : ctx_(ctx), host_(host), clock_(clock) {}

  // Bytes a second, read and written, of a copy far larger than any cache.
  double copy_rate();
  // Operations a second of a large square product in that dtype.
  double gemm_rate(int32_t dtype);
  const std::map<int32_t, double>& gemm_rates() const { return gemm_rates_; }

 private:
  Context ctx_, host_;
  Clock* clock_;
  double copy_rate_ = 0;
  std::map<int32_t, double> gemm_rates_;
};

// Seconds that the bytes, or the operations, take at the ceilings: the longer of the two.
double least_seconds(const Scenario& scenario, Ceilings* ceilings);

// Overwrites more memory than caches hold, when called; for Cache::kWarm null.
class CacheFlush {
 public:
  explicit CacheFlush(const Context& ctx) : ctx_(ctx) {}
  Call call(Cache cache);

 private:
  Context ctx_;
  Memory memory_;
};

Timing time_scenario(const Options& options, const Scenario& scenario, const Call& before, const Context& ctx,
                     const Context& host, Clock* clock);

}  // namespace varlstm::lstm_driver
