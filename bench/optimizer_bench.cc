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
