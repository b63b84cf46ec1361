// Log-softmax along rows, forward and backward.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void log_softmax(benchmark::State& state, bool backward) {
  const Context context = make_context();
  const int64_t rows = state.range(0), classes = state.range(1);
  const Buffer<float> x = random_floats(context, rows * classes, 2.0);
  Buffer<float> y = random_floats(context, rows * classes, 2.0), dx = random_floats(context, rows * classes, 1.0);
  check(varlstm_log_softmax_forward(context.get(), VARLSTM_DTYPE_F32, rows, classes, x.data(), y.data(), nullptr));
  measure(state, context, [&] {
    if (backward) {
      check(varlstm_log_softmax_backward(context.get(), VARLSTM_DTYPE_F32, rows, classes, y.data(), x.data(), dx.data(),
                                         nullptr));
    } else {
      check(varlstm_log_softmax_forward(context.get(), VARLSTM_DTYPE_F32, rows, classes, x.data(), y.data(), nullptr));
    }
  });
  set_rates(state, static_cast<double>(rows), 0, (backward ? 3.0 : 2.0) * static_cast<double>(x.bytes()));
}

// Large: 256 MiB of logits and more, from a tagger's classes to a language model's.
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"rows", "C"}, {{512, 8192}, {17, 1000}}, {{1 << 22}, {17}});
  if (backend() == VARLSTM_BACKEND_CUDA) bench->Args({1 << 17, 1000})->Args({1 << 12, 32768})->Args({512, 262144});
}
BENCHMARK_CAPTURE(log_softmax, forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(log_softmax, backward, true)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
