// Times and ceilings: see performance.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/performance.h"

#include <algorithm>

#include "bench/lstm_driver/network_run.h"
#include "bench/lstm_driver/work.h"

namespace varlstm::lstm_driver {
namespace {

constexpr int64_t kFlushBytes = int64_t{1} << 28;
constexpr double kCeilingSeconds = 0.3;

}  // namespace

double Ceilings::copy_rate() {
  if (copy_rate_ > 0) return copy_rate_;
  const Memory from = Memory::zeros(ctx_, kFlushBytes);
  Memory to(ctx_, kFlushBytes);
  ctx_.sync();
  const auto call = [&](void* stream) { copy<char>(ctx_, to, from, VARLSTM_COPY_WITHIN_BACKEND, stream); };
  return copy_rate_ = 2.0 * kFlushBytes / measure(clock_, call, nullptr, false, kCeilingSeconds).least;
}

// The product doubles in size until it is large, or long where kernels are emulated.
double Ceilings::gemm_rate(int32_t dtype) {
  constexpr int64_t kSmallest = 64, kLargest = 8192;
  constexpr double kLong = 0.05;
  double& rate = gemm_rates_[dtype];
  if (rate > 0) return rate;
  const Tensors tensors{ctx_, host_, dtype, dtype};
  for (int64_t size = kSmallest; size <= kLargest; size *= 2) {
    const Memory x = tensors.random(size * size, 1.0, 1), weight = tensors.random(size * size, 1.0, 2);
    Memory y = tensors.empty(size * size);
    int64_t bytes = 0;
    check(varlstm_op_workspace(ctx_.get(), VARLSTM_OP_LINEAR_FORWARD, dtype, size, size, size, &bytes));
    Memory workspace(ctx_, bytes);
    const auto product = [&](void* stream) {
      check(varlstm_linear_forward(ctx_.get(), dtype, size, size, size, x.data(), weight.data(), nullptr, y.data(),
                                   workspace.data(), bytes, stream));
    };
    const double seconds = measure(clock_, product, nullptr, false, kCeilingSeconds / 8).least;
    const auto n = static_cast<double>(size);
    rate = std::max(rate, 2.0 * n * n * n / seconds);
    if (seconds > kLong) break;
  }
  return rate;
}

double least_seconds(const Scenario& scenario, Ceilings* ceilings) {
  return std::max(bytes_of(scenario) / ceilings->copy_rate(), flops_of(scenario) / ceilings->gemm_rate(scenario.dtype));
}

Call CacheFlush::call(Cache cache) {
  if (cache == Cache::kWarm) return nullptr;
  if (memory_.data() == nullptr) memory_ = Memory(ctx_, kFlushBytes);
  return [this](void* stream) { memory_.zero(stream); };
}

Timing time_scenario(const Options& options, const Scenario& scenario, const Call& before, const Context& ctx,
                     const Context& host, Clock* clock) {
  NetworkRun run({ctx, host, scenario.dtype, scenario.dtype}, scenario, States::kNone);
  run.prepare(clock->stream());
  return measure(
      clock, [&](void* stream) { run.step(stream); }, before, options.graph, options.seconds);
}

}  // namespace varlstm::lstm_driver
