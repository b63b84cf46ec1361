// A copy within the back end's memory: the rate that everything bound by memory is held against.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

void copy(benchmark::State& state) {
  const Context context = make_context();
  const Buffer<float> from = random_floats(context, state.range(0) / 4, 1.0);
  Buffer<float> to(context, from.size());
  measure(state, context, [&] {
    check(varlstm_copy(context.get(), to.data(), from.data(), from.bytes(), VARLSTM_COPY_WITHIN_BACKEND, nullptr));
  });
  set_rates(state, 0, 0, 2.0 * static_cast<double>(from.bytes()));
}

void copy_shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"bytes"}, {{1 << 16, 1 << 24}}, {{1 << 28, 1 << 30}});
}
BENCHMARK(copy)->Apply(copy_shapes);

}  // namespace
}  // namespace varlstm::bench
