// Embedding, forward and backward, over a vocabulary of 20,000.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

constexpr int64_t kVocab = 20000;

void embedding(benchmark::State& state, bool backward) {
  const Context context = make_context();
  const int64_t rows = state.range(0), features = state.range(1);
  Buffer<float> table = random_floats(context, kVocab * features, 1.0);
  const Buffer<int64_t> ids = random_ids(context, rows, kVocab);
  Buffer<float> y = random_floats(context, rows * features, 1.0);
  Buffer<char> workspace = workspace_of(context, VARLSTM_OP_EMBEDDING_BACKWARD, rows, kVocab, features);
  measure(state, context, [&] {
    if (backward) {
      check(varlstm_embedding_backward(context.get(), nullptr, VARLSTM_DTYPE_F32, rows, kVocab, features, -1,
                                       ids.data(), y.data(), table.data(), workspace.data(), workspace.bytes(),
                                       nullptr));
    } else {
      check(varlstm_embedding_forward(context.get(), nullptr, VARLSTM_DTYPE_F32, rows, kVocab, features, table.data(),
                                      ids.data(), y.data(), nullptr));
    }
  });
  // Forward reads a row and writes one; backward reads two and writes one.
  set_rates(state, static_cast<double>(rows), 0, (backward ? 3.0 : 2.0) * static_cast<double>(y.bytes()));
}
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"rows", "F"}, {{512, 8192}, {100, 512}}, {{1 << 17}, {512}});
}
BENCHMARK_CAPTURE(embedding, forward, false)->Apply(shapes);
BENCHMARK_CAPTURE(embedding, backward, true)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
