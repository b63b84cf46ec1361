// One step of B streams, I = H, f32, whose states are in a table of 1,024 slots.
// A token costs 2 * GH * (I + H) operations for each layer; the gates' own are not counted. Bytes: the weights, once a
// step.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

constexpr int64_t kSlots = 1024;

void step(benchmark::State& state, int32_t cell) {
  const int64_t hidden = state.range(0), streams = state.range(1), layers = state.range(2);
  const Context context = make_context(state.range(3));
  const Rnn<float> rnn(context, hidden, hidden, layers, cell);
  const Buffer<float> params = random_floats(context, rnn.param_elements(), 0.05);
  const Buffer<float> x = random_floats(context, streams * hidden, 1.0);
  std::vector<int64_t> rows(static_cast<size_t>(streams));
  for (int64_t k = 0; k < streams; ++k) rows[static_cast<size_t>(k)] = k * 389 % kSlots;  // no two are equal
  const Buffer<int64_t> slots(context, rows);
  Buffer<float> h = random_floats(context, layers * kSlots * hidden, 0.0);
  Buffer<float> c = random_floats(context, cell == VARLSTM_CELL_LSTM ? h.size() : 0, 0.0);
  Buffer<float> y = random_floats(context, streams * hidden, 1.0);
  Buffer<char> workspace = Buffer<char>::zeros(context, rnn.step_size(streams, kSlots));
  measure(state, context, [&] {
    check(varlstm_rnn_step(rnn.get(), streams, params.data(), x.data(), slots.data(), kSlots, h.data(), c.data(),
                           y.data(), workspace.data(), workspace.bytes(), nullptr));
  });
  const double weights = static_cast<double>(layers * rnn.gates() * hidden) * 2.0 * static_cast<double>(hidden);
  set_rates(state, static_cast<double>(streams), 2.0 * weights * static_cast<double>(streams), 4.0 * weights);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"H", "B", "L", "threads"})->UseRealTime();
  bench->ArgsProduct({{8, 64, 128, 256, 512}, {1, 16, 64}, {1}, {1}});
  bench->Args({128, 1, 2, 1})->Args({512, 64, 1, 0});
}
BENCHMARK_CAPTURE(step, lstm, VARLSTM_CELL_LSTM)->Apply(shapes);
BENCHMARK_CAPTURE(step, gru, VARLSTM_CELL_GRU)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
