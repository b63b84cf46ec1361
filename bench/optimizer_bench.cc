// Optimiser steps and gradient-norm clipping over one flat buffer.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"count"}, {{1 << 14, 1 << 22}}, {{1 << 26}});
}

void sgd(benchmark::State& state) {
  const Context context = make_context();
  const int64_t count = state.range(0);
  const Buffer<float> grads = random_floats(context, count, 1e-3);
  Buffer<float> params = random_floats(context, count, 1.0), velocity = random_floats(context, count, 0.0);
  measure(state, context, [&] {
    check(varlstm_sgd_step(context.get(), VARLSTM_DTYPE_F32, count, 1e-3, 0.9, 0.0, 0, params.data(), grads.data(),
                           velocity.data(), nullptr));
  });
  // Reads parameters, gradients and velocity, writes parameters and velocity.
  set_rates(state, 0, 0, 5.0 * static_cast<double>(params.bytes()));
}
BENCHMARK(sgd)->Apply(shapes);

void adam(benchmark::State& state) {
  const Context context = make_context();
  const int64_t count = state.range(0);
  const Buffer<float> grads = random_floats(context, count, 1e-3);
  Buffer<float> params = random_floats(context, count, 1.0);
  Buffer<float> m = random_floats(context, count, 0.0), v = random_floats(context, count, 0.0);
  Buffer<int64_t> step = Buffer<int64_t>::zeros(context, 1);
  measure(state, context, [&] {
    check(varlstm_adam_step(context.get(), VARLSTM_DTYPE_F32, count, 1e-3, 0.9, 0.999, 1e-8, 0.0, 0, params.data(),
                            grads.data(), m.data(), v.data(), step.data(), nullptr));
  });
  // Reads parameters, gradients and both moments, writes parameters and both moments.
  set_rates(state, 0, 0, 7.0 * static_cast<double>(params.bytes()));
}
BENCHMARK(adam)->Apply(shapes);

// Adam of a table's rows [19000, 100], of which each step touches `rows`, others each time: a row that is touched has
// waited for as many steps as there are such groups of rows.
void adam_rows(benchmark::State& state) {
  constexpr int64_t kVocab = 19000, kFeatures = 100, kHistorySteps = 1024;
  const Context context = make_context();
  const int64_t rows = state.range(0), count = kVocab * kFeatures, groups = kVocab / rows;
  const Buffer<float> drows = random_floats(context, rows * kFeatures, 1e-3);
  Buffer<float> table = random_floats(context, count, 1.0), history = random_floats(context, kHistorySteps * 3, 0.0);
  Buffer<float> m = random_floats(context, count, 0.0), v = random_floats(context, count, 0.0);
  Buffer<int64_t> step = Buffer<int64_t>::zeros(context, 1), last = Buffer<int64_t>::zeros(context, kVocab);
  std::vector<int64_t> order(static_cast<size_t>(kVocab));
  for (int64_t k = 0; k < kVocab; ++k) order[k] = k % groups * rows + k / groups % rows;
  const Buffer<int64_t> ids(context, order);
  int64_t group = 0;
  measure(state, context, [&] {
    const int64_t* touched = ids.data() + group * rows;
    check(varlstm_adam_rows_catch_up(context.get(), VARLSTM_DTYPE_F32, rows, kVocab, kFeatures, 0.9, 0.999, 1e-8, 0.0,
                                     0, touched, table.data(), m.data(), v.data(), last.data(), history.data(),
                                     kHistorySteps, step.data(), nullptr));
    check(varlstm_adam_rows_step(context.get(), VARLSTM_DTYPE_F32, rows, kVocab, kFeatures, 1e-3, 0.9, 0.999, 1e-8, 0.0,
                                 0, touched, drows.data(), table.data(), m.data(), v.data(), last.data(),
                                 history.data(), kHistorySteps, step.data(), nullptr));
    group = (group + 1) % groups;
  });
  // Both calls read and write parameters and moments of the rows; the step reads gradients.
  set_rates(state, 0, 0, 13.0 * static_cast<double>(drows.bytes()));
}
BENCHMARK(adam_rows)->Arg(50)->Arg(250);

// Clipping with a bound that is never reached: the norm alone, one read of the gradients.
void clip_grad_norm(benchmark::State& state) {
  const Context context = make_context();
  const int64_t count = state.range(0);
  Buffer<float> grads = random_floats(context, count, 1e-3);
  Buffer<char> workspace = workspace_of(context, VARLSTM_OP_GRAD_NORM, count, 0, 0);
  Buffer<double> norm(context, 1);
  measure(state, context, [&] {
    check(varlstm_clip_grad_norm(context.get(), VARLSTM_DTYPE_F32, count, 1e6, grads.data(), norm.data(),
                                 workspace.data(), workspace.bytes(), nullptr));
  });
  set_rates(state, 0, 0, static_cast<double>(grads.bytes()));
}
BENCHMARK(clip_grad_norm)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
