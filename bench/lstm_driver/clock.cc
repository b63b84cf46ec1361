// The host's clock, and how anything is timed: see clock.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/clock.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <vector>

#include "bench/lstm_driver/error.h"

namespace varlstm::lstm_driver {
namespace {

using Steady = std::chrono::steady_clock;

double since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

class WallClock : public Clock {
 public:
  explicit WallClock(const Context& ctx) : ctx_(ctx) {}

  std::string name() const override { return "wall clock"; }
  std::string device() const override {
    std::ifstream cpus("/proc/cpuinfo");
    for (std::string line; std::getline(cpus, line);)
      if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
    return "unknown CPU";
  }
  void* stream() const override { return nullptr; }
  void start() override {
    ctx_.sync();
    start_ = Steady::now();
  }
  double stop() override {
    ctx_.sync();
    return since(start_);
  }
  Prepared prepare(const Call& call, bool graph) override {
    if (graph) fail("--graph: this build has no CUDA runtime");
    return {call, -1};
  }

 private:
  Context ctx_;
  Steady::time_point start_;
};

}  // namespace

std::unique_ptr<Clock> make_wall_clock(const Context& ctx) {
  return std::make_unique<WallClock>(ctx);
}

Timing measure(Clock* clock, const Call& call, const Call& before, bool graph, double seconds) {
  constexpr double kMeasurement = 2e-3;  // long against the resolution of events and against a barrier's wait
  constexpr size_t kLeast = 5, kMost = 2000;
  void* const stream = clock->stream();
  call(stream);  // what happens at a first use alone stays outside
  const Clock::Prepared prepared = clock->prepare(call, graph);
  clock->start();
  prepared.call(stream);
  const double estimate = std::max(clock->stop(), 1e-9);
  const auto repeats = before ? 1 : static_cast<int>(std::clamp(std::ceil(kMeasurement / estimate), 1.0, 256.0));
  Timing timing;
  std::vector<double> samples;
  const Steady::time_point begin = Steady::now();
  while (samples.size() < kLeast || (since(begin) < seconds && samples.size() < kMost)) {
    if (before) before(stream);
    clock->start();
    const Steady::time_point order = Steady::now();
    for (int k = 0; k < repeats; ++k) prepared.call(stream);
    const double enqueue = since(order) / repeats;
    samples.push_back(clock->stop() / repeats);
    if (stream != nullptr) timing.enqueue = timing.enqueue < 0 ? enqueue : std::min(timing.enqueue, enqueue);
  }
  std::sort(samples.begin(), samples.end());
  timing.median = samples[samples.size() / 2];
  timing.least = samples.front();
  timing.runs = static_cast<int64_t>(samples.size()) * repeats;
  timing.launches = prepared.launches;
  return timing;
}

}  // namespace varlstm::lstm_driver
