// What the benchmarks share: see support.h.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace varlstm::bench {

int32_t backend() {
  const char* name = std::getenv("VARLSTM_BENCH_BACKEND");
  if (name == nullptr || std::string(name) == "host") return VARLSTM_BACKEND_HOST;
  if (std::string(name) == "cuda") return VARLSTM_BACKEND_CUDA;
  std::fprintf(stderr, "varlstm-bench: VARLSTM_BENCH_BACKEND = %s is neither host nor cuda\n", name);
  std::exit(1);
}

Context make_context(int64_t threads) {
  const Context context(backend());
  if (backend() == VARLSTM_BACKEND_HOST) context.set_i64(VARLSTM_KEY_THREADS, threads);
  return context;
}

Buffer<float> random_floats(const Context& context, int64_t count, double scale) {
  std::mt19937_64 engine(1);
  std::uniform_real_distribution<float> uniform(static_cast<float>(-scale), static_cast<float>(scale));
  std::vector<float> values(static_cast<size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return uniform(engine); });
  Buffer<float> buffer(context, values);
  context.sync();
  return buffer;
}

Buffer<int64_t> random_ids(const Context& context, int64_t count, int64_t limit) {
  std::mt19937_64 engine(2);
  std::uniform_int_distribution<int64_t> uniform(0, limit - 1);
  std::vector<int64_t> values(static_cast<size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return uniform(engine); });
  Buffer<int64_t> buffer(context, values);
  context.sync();
  return buffer;
}

Buffer<char> workspace_of(const Context& context, int32_t op, int64_t rows, int64_t a, int64_t b) {
  return Buffer<char>::zeros(context, op_workspace<float>(context, op, rows, a, b));
}

const char* name_of(Lengths distribution) {
  switch (distribution) {
    case Lengths::kEqual:
      return "equal";
    case Lengths::kUniform:
      return "uniform";
    case Lengths::kText:
      return "text";
    case Lengths::kOneGiant:
      return "one giant";
  }
  return "unknown";
}

std::vector<int64_t> draw_lengths(Lengths distribution, int64_t batch) {
  std::vector<int64_t> lengths(static_cast<size_t>(batch), 16);
  std::mt19937_64 engine(3);
  if (distribution == Lengths::kUniform) {
    std::uniform_int_distribution<int64_t> uniform(1, 31);
    for (int64_t& length : lengths) length = uniform(engine);
  } else if (distribution == Lengths::kText) {
    // sigma from the two points: log(32 / 14) / 1.2816
    std::lognormal_distribution<double> text(std::log(14.0), 0.645);
    for (int64_t& length : lengths) length = std::max<int64_t>(1, std::llround(text(engine)));
  } else if (distribution == Lengths::kOneGiant) {
    std::fill(lengths.begin(), lengths.end(), 8);
    lengths[0] = std::max<int64_t>(16, 8 * batch);
  }
  return lengths;
}

void add_shapes(benchmark::internal::Benchmark* bench, const std::vector<std::string>& names, const Ranges& small,
                const Ranges& large) {
  bench->ArgNames(names)->UseRealTime()->ArgsProduct(small);
  if (backend() == VARLSTM_BACKEND_CUDA && !large.empty()) bench->ArgsProduct(large);
}

double copy_rate() {
  static const double rate = [] {
    const Context context = make_context();
    const int64_t count = int64_t{1} << (backend() == VARLSTM_BACKEND_CUDA ? 27 : 23);
    const Buffer<float> from = random_floats(context, count, 1.0);
    Buffer<float> to(context, count);
    const auto copies = [&](int repeats) {
      const auto start = std::chrono::steady_clock::now();
      for (int k = 0; k < repeats; ++k) copy<float>(context, to, from, VARLSTM_COPY_WITHIN_BACKEND);
      context.sync();
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / repeats;
    };
    copies(3);
    return 2.0 * static_cast<double>(from.bytes()) / std::min({copies(10), copies(10), copies(10)});
  }();
  return rate;
}

void set_rates(benchmark::State& state, double tokens, double flops, double bytes) {
  const auto rate = [&state](double amount) {
    return benchmark::Counter(amount * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  };
  if (tokens > 0) state.counters["tokens"] = rate(tokens);
  if (flops > 0) state.counters["FLOP"] = rate(flops);
  if (bytes > 0) {
    state.counters["bytes"] = rate(bytes);
    state.counters["of_copy"] = rate(bytes / copy_rate());
  }
}

}  // namespace varlstm::bench
