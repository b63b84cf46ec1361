// What the benchmarks share: see support.h.
// SPDX-License-Identifier: Apache-2.0
#include "support.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>

namespace varlstm::bench {

void check(int32_t status) {
  if (status == VARLSTM_OK) return;
  std::fprintf(stderr, "varlstm-bench: %s: %s\n", varlstm_status_name(status), varlstm_last_error());
  std::exit(1);
}

Context::Context(int64_t threads) {
  check(varlstm_ctx_create(VARLSTM_BACKEND_HOST, 0, &ctx_));
  check(varlstm_ctx_set_i64(ctx_, VARLSTM_KEY_THREADS, threads));
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

Buffer random_floats(const Context& context, int64_t count, double scale) {
  Buffer buffer(context, count * static_cast<int64_t>(sizeof(float)));
  std::mt19937_64 engine(1);
  std::uniform_real_distribution<float> uniform(static_cast<float>(-scale), static_cast<float>(scale));
  std::generate_n(buffer.floats(), count, [&] { return uniform(engine); });
  return buffer;
}

Buffer random_ids(const Context& context, int64_t count, int64_t limit) {
  Buffer buffer(context, count * static_cast<int64_t>(sizeof(int64_t)));
  std::mt19937_64 engine(2);
  std::uniform_int_distribution<int64_t> uniform(0, limit - 1);
  std::generate_n(buffer.ints(), count, [&] { return uniform(engine); });
  return buffer;
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

void set_rates(benchmark::State& state, double tokens, double flops, double bytes) {
  const auto rate = [&state](double amount) {
    return benchmark::Counter(amount * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  };
  if (tokens > 0) state.counters["tokens"] = rate(tokens);
  if (flops > 0) state.counters["FLOP"] = rate(flops);
  if (bytes > 0) state.counters["bytes"] = rate(bytes);
}

}  // namespace varlstm::bench
