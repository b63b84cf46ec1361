// What the benchmarks share: contexts, buffers, batches drawn from length distributions, and counters.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <varlstm.hpp>
#include <vector>

namespace varlstm::bench {

// The back end measured: VARLSTM_BENCH_BACKEND, host (default) or cuda. Known while benchmarks are registered, so that
// a GPU can have larger shapes.
int32_t backend();

// threads 0: as many as the machine has; only the host has threads to set.
Context make_context(int64_t threads = 0);

// `count` floats in [-scale, scale), the same on every run; and ids in [0, limit).
Buffer<float> random_floats(const Context& context, int64_t count, double scale);
Buffer<int64_t> random_ids(const Context& context, int64_t count, int64_t limit);
// Workspace of one operation, as varlstm_op_workspace asks for it.
Buffer<char> workspace_of(const Context& context, int32_t op, int64_t rows, int64_t a, int64_t b);

enum class Lengths : int64_t {
  kEqual = 0,     // every sequence 16 long
  kUniform = 1,   // 1 to 31
  kText = 2,      // log-normal with the median (14) and the 90 % point (32) of English web sentences
  kOneGiant = 3,  // one sequence of 16 * B / 2 tokens, the others share the same number
};

const char* name_of(Lengths distribution);
std::vector<int64_t> draw_lengths(Lengths distribution, int64_t batch);

// Times call(). On CUDA calls are ordered on the stream and awaited 16 at a time, so that a call's own wait does not
// count.
template <class Call>
void measure(benchmark::State& state, const Context& context, const Call& call) {
  const int64_t batch = backend() == VARLSTM_BACKEND_CUDA ? 16 : 1;
  call();  // what happens at a first use alone stays outside
  context.sync();
  while (state.KeepRunningBatch(batch)) {
    for (int64_t k = 0; k < batch; ++k) call();
    context.sync();
  }
}

// Every combination of `small`, and on CUDA of `large` too, which is sized for a GPU; wall-clock time.
using Ranges = std::vector<std::vector<int64_t>>;
void add_shapes(benchmark::internal::Benchmark* bench, const std::vector<std::string>& names, const Ranges& small,
                const Ranges& large);

// Bytes a second, read and written, of a copy of 512 MiB (32 MiB on the host) within the back end's memory: measured
// once a process.
double copy_rate();

// Rates per second of what one iteration works through; 0 leaves a column out. `of_copy` is the bytes' share of
// copy_rate.
void set_rates(benchmark::State& state, double tokens, double flops, double bytes);

}  // namespace varlstm::bench
