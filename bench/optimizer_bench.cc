// Optimiser steps and gradient-norm clipping over one flat buffer.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"count"}, {{1 << 14, 1 << 22}}, {{1 << 26}});
}

void sgd(benchmark::State& state) {
  const Context context;
  const int64_t count = state.range(0);
  const Buffer params = random_floats(context, count, 1.0), grads = random_floats(context, count, 1e-3);
  const Buffer velocity = random_floats(context, count, 0.0);
  measure(state, context, [&] {
    check(varlstm_sgd_step(context.get(), VARLSTM_DTYPE_F32, count, 1e-3, 0.9, 0.0, 0, params.get(), grads.get(),
                           velocity.get(), nullptr));
  });
  // Reads parameters, gradients and velocity, writes parameters and velocity.
  set_rates(state, 0, 0, 5.0 * static_cast<double>(params.bytes()));
}
BENCHMARK(sgd)->Apply(shapes);

void adam(benchmark::State& state) {
  const Context context;
  const int64_t count = state.range(0);
  const Buffer params = random_floats(context, count, 1.0), grads = random_floats(context, count, 1e-3);
  const Buffer m = random_floats(context, count, 0.0), v = random_floats(context, count, 0.0);
  const Buffer step(context, sizeof(int64_t));
  measure(state, context, [&] {
    check(varlstm_adam_step(context.get(), VARLSTM_DTYPE_F32, count, 1e-3, 0.9, 0.999, 1e-8, 0.0, 0, params.get(),
                            grads.get(), m.get(), v.get(), step.ints(), nullptr));
  });
  // Reads parameters, gradients and both moments, writes parameters and both moments.
  set_rates(state, 0, 0, 7.0 * static_cast<double>(params.bytes()));
}
BENCHMARK(adam)->Apply(shapes);

// Clipping with a bound that is never reached: the norm alone, one read of the gradients.
void clip_grad_norm(benchmark::State& state) {
  const Context context;
  const int64_t count = state.range(0);
  const Buffer grads = random_floats(context, count, 1e-3);
  const Buffer workspace = workspace_of(context, VARLSTM_OP_GRAD_NORM, count, 0, 0);
  const Buffer norm(context, sizeof(double));
  measure(state, context, [&] {
    check(varlstm_clip_grad_norm(context.get(), VARLSTM_DTYPE_F32, count, 1e6, grads.get(),
                                 static_cast<double*>(norm.get()), workspace.get(), workspace.bytes(), nullptr));
  });
  set_rates(state, 0, 0, static_cast<double>(grads.bytes()));
}
BENCHMARK(clip_grad_norm)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
