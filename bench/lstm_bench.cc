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
  const Context context(state.range(3));
  const Batch batch(context, draw_lengths(distribution, state.range(1)));
  const int64_t rows = batch.tokens();
  varlstm_rnn* rnn = nullptr;
  int64_t elements = 0, workspace_bytes = 0, reserve_bytes = 0;
  check(varlstm_rnn_create(context.get(), VARLSTM_CELL_LSTM, hidden, hidden, 1, &rnn));
  check(varlstm_rnn_param_count(rnn, nullptr, &elements));
  check(varlstm_rnn_sizes(rnn, batch.sequences(), batch.steps(), rows, mode, &workspace_bytes, &reserve_bytes));
  {
    const Buffer params = random_floats(context, elements, 0.05), dparams = random_floats(context, elements, 0.0);
    const Buffer x = random_floats(context, rows * hidden, 1.0), y = random_floats(context, rows * hidden, 1.0);
    const Buffer dx = random_floats(context, rows * hidden, 1.0), dy = random_floats(context, rows * hidden, 1.0);
    const Buffer workspace(context, workspace_bytes), reserve(context, reserve_bytes);
    measure(state, context, [&] {
      check(varlstm_rnn_forward(rnn, batch.get(), mode, 0, params.get(), x.get(), nullptr, nullptr, y.get(), nullptr,
                                nullptr, workspace.get(), workspace_bytes, reserve.get(), reserve_bytes, nullptr));
      if (pass == Pass::kForward) return;
      check(varlstm_zero(context.get(), dparams.get(), dparams.bytes(), nullptr));
      check(varlstm_rnn_backward(rnn, batch.get(), params.get(), x.get(), nullptr, nullptr, y.get(), dy.get(), nullptr,
                                 nullptr, dx.get(), nullptr, nullptr, dparams.get(), workspace.get(), workspace_bytes,
                                 reserve.get(), reserve_bytes, nullptr));
    });
  }
  check(varlstm_rnn_destroy(rnn));
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
