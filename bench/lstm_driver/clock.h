// Time on a back end: wall clock, or a GPU's own events.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <varlstm.hpp>

namespace varlstm::lstm_driver {

// Work ordered on a stream.
using Call = std::function<void(void* stream)>;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::string name() const = 0;
  virtual std::string device() const = 0;
  virtual void* stream() const = 0;
  virtual void start() = 0;
  // Seconds from start() to the end of what has been ordered since.
  virtual double stop() = 0;

  struct Prepared {
    Call call;
    int64_t launches;  // of kernels; -1: not known
  };
  // With `graph` a replay of what the call orders, else the call itself.
  virtual Prepared prepare(const Call& call, bool graph) = 0;
};

// The host's clock, for the host and for emulated kernels.
std::unique_ptr<Clock> make_wall_clock(const Context& ctx);
// Events of the GPU that the context computes on; null where this build has no CUDA runtime.
std::unique_ptr<Clock> make_event_clock(const Context& ctx);

struct Timing {
  double median = 0, least = 0;  // seconds of one run
  int64_t runs = 0;
  double enqueue = -1;  // seconds that the host takes to order one run, at least; -1: runs where it is ordered
  int64_t launches = -1;
};

// Times runs for about `seconds`, at least five. `before` runs ahead of each one, untimed, or is null: then several
// short runs make one measurement.
Timing measure(Clock* clock, const Call& call, const Call& before, bool graph, double seconds);

}  // namespace varlstm::lstm_driver
