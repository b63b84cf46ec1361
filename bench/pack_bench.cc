// Planning a batch, and pack and unpack between padded and packed rows.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

namespace varlstm::bench {
namespace {

// The plan alone: sort, batch sizes, offsets and both index maps.
void plan(benchmark::State& state) {
  const Context context = make_context();
  const std::vector<int64_t> lengths = draw_lengths(static_cast<Lengths>(state.range(1)), state.range(0));
  Batch batch(context, lengths);
  measure(state, context, [&] { batch.set_lengths(lengths); });
  set_rates(state, static_cast<double>(batch.rows()), 0, 0);
  state.SetLabel(name_of(static_cast<Lengths>(state.range(1))));
}
void plan_shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"B", "lengths"}, {{16, 64, 1024}, {0, 1, 2, 3}}, {{1 << 16}, {2}});
}
BENCHMARK(plan)->Apply(plan_shapes);

// Batch-first padded rows of F floats; bytes are those of the tokens, read once and written once (unpack also writes
// the padding, which is not counted).
void pack(benchmark::State& state, bool back) {
  const Context context = make_context();
  const int64_t features = state.range(1);
  const Batch batch(context, draw_lengths(static_cast<Lengths>(state.range(2)), state.range(0)));
  const int64_t steps = batch.get_i64(VARLSTM_KEY_STEPS);
  Buffer<float> padded = random_floats(context, batch.size() * steps * features, 1.0);
  Buffer<float> packed = random_floats(context, batch.rows() * features, 1.0);
  measure(state, context, [&] {
    if (back) {
      check(varlstm_unpack(batch.get(), VARLSTM_DTYPE_F32, VARLSTM_LAYOUT_BATCH_FIRST, steps, features, 0.0,
                           packed.data(), padded.data(), nullptr));
    } else {
      check(varlstm_pack(batch.get(), VARLSTM_DTYPE_F32, VARLSTM_LAYOUT_BATCH_FIRST, steps, features, padded.data(),
                         packed.data(), nullptr));
    }
  });
  set_rates(state, static_cast<double>(batch.rows()), 0, 2.0 * static_cast<double>(packed.bytes()));
  state.SetLabel(name_of(static_cast<Lengths>(state.range(2))));
}

// Large: B = 8192 is about 270 MiB of packed rows at F = 512.
void shapes(benchmark::internal::Benchmark* bench) {
  add_shapes(bench, {"B", "F", "lengths"}, {{64}, {100, 512}, {0, 1, 2, 3}}, {{8192}, {512}, {0, 1, 2}});
}
BENCHMARK_CAPTURE(pack, pack, false)->Apply(shapes);
BENCHMARK_CAPTURE(pack, unpack, true)->Apply(shapes);

}  // namespace
}  // namespace varlstm::bench
