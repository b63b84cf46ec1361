// The masked loss: NLL of log-probabilities, and cross-entropy, which takes logits to loss and gradient in one pass.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

// Large: 256 MiB of logits and more, from a tagger's classes to a language model's.
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"rows", "C"}, {{512, 8192}, {17, 1000}}, {{1 << 22}, {17}});
  if (backend() == VARLSTM_BACKEND_CUDA) bench->Args({1 << 17, 1000})->Args({1 << 12, 32768})->Args({512, 262144});
}

void nll(benchmark::State& state) {
  const Context context = make_context();
  const int64_t rows = state.range(0), classes = state.range(1);
  const Loss<float> loss(context, classes);
  const Buffer<float> logits = random_floats(context, rows * classes, 2.0);
  const Buffer<int64_t> targets = random_ids(context, rows, classes);
  Buffer<char> workspace = workspace_of(context, VARLSTM_OP_NLL, rows, classes, 0);
  Buffer<float> out(context, 1);
  measure(state, context, [&] {
    check(varlstm_nll_forward(loss.get(), nullptr, VARLSTM_DTYPE_F32, rows, logits.data(), targets.data(), nullptr,
                              out.data(), nullptr, workspace.data(), workspace.bytes(), nullptr));
  });
  set_rates(state, static_cast<double>(rows), 0, 0);
}
BENCHMARK(nll)->Apply(shapes);

void cross_entropy(benchmark::State& state) {
  const Context context = make_context();
  const int64_t rows = state.range(0), classes = state.range(1);
  const Loss<float> loss(context, classes);
  const Buffer<float> logits = random_floats(context, rows * classes, 2.0);
  const Buffer<int64_t> targets = random_ids(context, rows, classes);
  Buffer<float> dlogits = random_floats(context, rows * classes, 1.0), out(context, 1);
  Buffer<char> workspace = workspace_of(context, VARLSTM_OP_CROSS_ENTROPY, rows, classes, 0);
  measure(state, context, [&] {
    check(varlstm_cross_entropy_forward(loss.get(), nullptr, VARLSTM_DTYPE_F32, rows, logits.data(), targets.data(),
                                        nullptr, out.data(), nullptr, dlogits.data(), workspace.data(),
                                        workspace.bytes(), nullptr));
  });
  // Logits read, gradient written.
  set_rates(state, static_cast<double>(rows), 0, 2.0 * static_cast<double>(logits.bytes()));
}
BENCHMARK(cross_entropy)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
