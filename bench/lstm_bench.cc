// One LSTM layer with I = H over packed batches: forward, and forward + backward with every gradient.
// A token costs 2 * 4H * (I + H) operations forward and twice that backward; the gates' own are not counted.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

enum class Pass { kForward, kForwardBackward };

void lstm(benchmark::State& state, Pass pass) {
  const int64_t hidden = state.range(0);
  const auto distribution = static_cast<Lengths>(state.range(2));
  const int32_t mode = pass == Pass::kForward ? VARLSTM_MODE_INFER : VARLSTM_MODE_SAVE;
  const Context context = make_context(state.range(3));
  const Batch batch(context, draw_lengths(distribution, state.range(1)));
  const int64_t rows = batch.rows();
  const Rnn<float> rnn(context, hidden, hidden);
  const auto bytes = rnn.sizes(batch, mode);
  const Buffer<float> params = random_floats(context, rnn.param_elements(), 0.05);
  const Buffer<float> x = random_floats(context, rows * hidden, 1.0), dy = random_floats(context, rows * hidden, 1.0);
  Buffer<float> dparams = random_floats(context, params.size(), 0.0);
  Buffer<float> y = random_floats(context, rows * hidden, 1.0), dx = random_floats(context, rows * hidden, 1.0);
  Buffer<char> workspace = Buffer<char>::zeros(context, bytes.workspace_bytes);
  Buffer<char> reserve = Buffer<char>::zeros(context, bytes.reserve_bytes);
  measure(state, context, [&] {
    check(varlstm_rnn_forward(rnn.get(), batch.get(), mode, 0, params.data(), x.data(), nullptr, nullptr, y.data(),
                              nullptr, nullptr, workspace.data(), workspace.bytes(), reserve.data(), reserve.bytes(),
                              nullptr));
    if (pass == Pass::kForward) return;
    check(varlstm_zero(context.get(), dparams.data(), dparams.bytes(), nullptr));
    check(varlstm_rnn_backward(rnn.get(), batch.get(), params.data(), x.data(), nullptr, nullptr, y.data(), dy.data(),
                               nullptr, nullptr, dx.data(), nullptr, nullptr, dparams.data(), workspace.data(),
                               workspace.bytes(), reserve.data(), reserve.bytes(), nullptr));
  });
  const double forward = 16.0 * static_cast<double>(rows) * static_cast<double>(hidden) * static_cast<double>(hidden);
  set_rates(state, static_cast<double>(rows), pass == Pass::kForward ? forward : 3.0 * forward, 0);
  state.SetLabel(name_of(distribution));
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"H", "B", "lengths", "threads"})->UseRealTime();
  const auto text = static_cast<int64_t>(Lengths::kText);
  bench->ArgsProduct({{100, 128, 256, 512, 1024}, {1, 16, 64}, {text}, {1, 0}});
  bench->ArgsProduct({{256}, {64}, {0, 1, 3}, {0}});
}
BENCHMARK_CAPTURE(lstm, forward, Pass::kForward)->Apply(shapes);
BENCHMARK_CAPTURE(lstm, forward_backward, Pass::kForwardBackward)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
