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
  const Context context;
  const int64_t rows = state.range(0), classes = state.range(1);
  varlstm_loss* loss = nullptr;
  check(varlstm_loss_create(context.get(), classes, &loss));
  {
    const Buffer logits = random_floats(context, rows * classes, 2.0), targets = random_ids(context, rows, classes);
    const Buffer workspace = workspace_of(context, VARLSTM_OP_NLL, rows, classes, 0);
    const Buffer out(context, sizeof(float));
    measure(state, context, [&] {
      check(varlstm_nll_forward(loss, nullptr, VARLSTM_DTYPE_F32, rows, logits.get(), targets.ints(), nullptr,
                                out.get(), nullptr, workspace.get(), workspace.bytes(), nullptr));
    });
  }
  check(varlstm_loss_destroy(loss));
  set_rates(state, static_cast<double>(rows), 0, 0);
}
BENCHMARK(nll)->Apply(shapes);

void cross_entropy(benchmark::State& state) {
  const Context context;
  const int64_t rows = state.range(0), classes = state.range(1);
  varlstm_loss* loss = nullptr;
  check(varlstm_loss_create(context.get(), classes, &loss));
  {
    const Buffer logits = random_floats(context, rows * classes, 2.0), targets = random_ids(context, rows, classes);
    const Buffer dlogits = random_floats(context, rows * classes, 1.0);
    const Buffer workspace = workspace_of(context, VARLSTM_OP_CROSS_ENTROPY, rows, classes, 0);
    const Buffer out(context, sizeof(float));
    measure(state, context, [&] {
      check(varlstm_cross_entropy_forward(loss, nullptr, VARLSTM_DTYPE_F32, rows, logits.get(), targets.ints(), nullptr,
                                          out.get(), nullptr, dlogits.get(), workspace.get(), workspace.bytes(),
                                          nullptr));
    });
    // Logits read, gradient written.
    set_rates(state, static_cast<double>(rows), 0, 2.0 * static_cast<double>(logits.bytes()));
  }
  check(varlstm_loss_destroy(loss));
}
BENCHMARK(cross_entropy)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
