// What the benchmarks share: see support.h.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>

namespace varlstm::bench {

void check(int32_t status) {
  if (status == VARLSTM_OK) return;
  std::fprintf(stderr, "varlstm-bench: %s: %s\n", varlstm_status_name(status), varlstm_last_error());
  std::exit(1);
}

int32_t backend() {
  const char* name = std::getenv("VARLSTM_BENCH_BACKEND");
  if (name == nullptr || std::string(name) == "host") return VARLSTM_BACKEND_HOST;
  if (std::string(name) == "cuda") return VARLSTM_BACKEND_CUDA;
  std::fprintf(stderr, "varlstm-bench: VARLSTM_BENCH_BACKEND = %s is neither host nor cuda\n", name);
  std::exit(1);
}

Context::Context(int64_t threads) {
  check(varlstm_ctx_create(backend(), 0, &ctx_));
  if (backend() == VARLSTM_BACKEND_HOST) check(varlstm_ctx_set_i64(ctx_, VARLSTM_KEY_THREADS, threads));
}

Context::~Context() {
  check(varlstm_ctx_destroy(ctx_));
}

Buffer::Buffer(const Context& context, int64_t bytes) : ctx_(context.get()), bytes_(bytes) {
  check(varlstm_alloc(ctx_, bytes, &data_));
  check(varlstm_zero(ctx_, data_, bytes, nullptr));
}

Buffer::~Buffer() {
  check(varlstm_free(ctx_, data_));
}

template <class T>
Buffer buffer_of(const Context& context, const std::vector<T>& values) {
  Buffer buffer(context, static_cast<int64_t>(values.size() * sizeof(T)));
  check(varlstm_copy(context.get(), buffer.get(), values.data(), buffer.bytes(), VARLSTM_COPY_TO_BACKEND, nullptr));
  check(varlstm_sync(context.get(), nullptr));
  return buffer;
}

Buffer random_floats(const Context& context, int64_t count, double scale) {
  std::mt19937_64 engine(1);
  std::uniform_real_distribution<float> uniform(static_cast<float>(-scale), static_cast<float>(scale));
  std::vector<float> values(static_cast<size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return uniform(engine); });
  return buffer_of(context, values);
}

Buffer random_ids(const Context& context, int64_t count, int64_t limit) {
  std::mt19937_64 engine(2);
  std::uniform_int_distribution<int64_t> uniform(0, limit - 1);
  std::vector<int64_t> values(static_cast<size_t>(count));
  std::generate(values.begin(), values.end(), [&] { return uniform(engine); });
  return buffer_of(context, values);
}

Buffer workspace_of(const Context& context, int32_t op, int64_t rows, int64_t a, int64_t b) {
  int64_t bytes = 0;
  check(varlstm_op_workspace(context.get(), op, VARLSTM_DTYPE_F32, rows, a, b, &bytes));
  return Buffer(context, bytes);
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

Batch::Batch(const Context& context, const std::vector<int64_t>& lengths)
    : sequences_(static_cast<int64_t>(lengths.size())),
      steps_(*std::max_element(lengths.begin(), lengths.end())),
      tokens_(std::accumulate(lengths.begin(), lengths.end(), int64_t{0})) {
  check(varlstm_batch_create(context.get(), sequences_, steps_, tokens_, &batch_));
  check(varlstm_batch_set_lengths(batch_, lengths.data(), sequences_, VARLSTM_SPACE_HOST, nullptr));
}

Batch::~Batch() {
  check(varlstm_batch_destroy(batch_));
}

void add_shapes(benchmark::internal::Benchmark* bench, const std::vector<std::string>& names, const Ranges& small,
                const Ranges& large) {
  bench->ArgNames(names)->UseRealTime()->ArgsProduct(small);
  if (backend() == VARLSTM_BACKEND_CUDA && !large.empty()) bench->ArgsProduct(large);
}

double copy_rate() {
  static const double rate = [] {
    const Context context;
    const int64_t count = int64_t{1} << (backend() == VARLSTM_BACKEND_CUDA ? 27 : 23);
    const Buffer from = random_floats(context, count, 1.0), to(context, from.bytes());
    const auto copies = [&](int repeats) {
      const auto start = std::chrono::steady_clock::now();
      for (int k = 0; k < repeats; ++k)
        check(varlstm_copy(context.get(), to.get(), from.get(), from.bytes(), VARLSTM_COPY_WITHIN_BACKEND, nullptr));
      check(varlstm_sync(context.get(), nullptr));
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
