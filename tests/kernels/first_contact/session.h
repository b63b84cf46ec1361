// A recurrent network with its memory on the device, to run many times on a stream: what it reads lies there from the
// start, and its results are bytes, to be compared with those of other runs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/core/runtime.h"
#include "kernels/recurrence/rnn_layout.h"
#include "support/buffer.h"
#include "support/recurrence_way.h"
#include "support/rnn_case.h"

namespace varlstm_test {

struct Problem {
  RecurrenceWay way;
  RnnOptions options;
  std::vector<int64_t> lengths;
};

// Tensors as calls leave them.
struct Bits {
  std::vector<std::string> names;
  std::vector<std::vector<unsigned char>> tensors;

  void add(const char* name, const ByteBuffer& buffer) {
    names.push_back(name);
    tensors.push_back(buffer.get());
  }
};

inline ::testing::AssertionResult same_bits(const Bits& actual, const Bits& expected) {
  if (actual.names != expected.names) return ::testing::AssertionFailure() << "other tensors";
  for (size_t k = 0; k < actual.tensors.size(); ++k) {
    const std::vector<unsigned char>&a = actual.tensors[k], &e = expected.tensors[k];
    if (a.size() != e.size()) return ::testing::AssertionFailure() << actual.names[k] << " has another size";
    if (a.empty() || std::memcmp(a.data(), e.data(), a.size()) == 0) continue;
    size_t first = 0, different = 0;
    for (size_t at = a.size(); at-- > 0;)
      if (a[at] != e[at]) first = at, ++different;
    return ::testing::AssertionFailure() << actual.names[k] << ": " << different << " of " << a.size()
                                         << " bytes differ, the first at " << first;
  }
  return ::testing::AssertionSuccess();
}

// What a forward saved, of the reserve only what is behind its header and before byte `end`: layers one after the other
// keep their schedule behind the tensors.
inline Bits tensors_of(Bits saved, size_t end) {
  std::vector<unsigned char>& reserve = saved.tensors.back();
  const size_t header = sizeof(varlstm::cuda::ReserveHeader);
  reserve = {reserve.begin() + static_cast<int64_t>(header), reserve.begin() + static_cast<int64_t>(end)};
  return saved;
}

inline ::testing::AssertionResult same_tensors(const Bits& actual, const Bits& expected) {
  const size_t end = std::min(actual.tensors.back().size(), expected.tensors.back().size());
  return same_bits(tensors_of(actual, end), tensors_of(expected, end));
}

class Session {
 public:
  // Inputs to run with in turn, so that what a run finds in the memory of the one before is wrong for it.
  static constexpr int kInputs = 2;

  // The same seed gives the same values to every session of that shape. The context outlives it.
  Session(varlstm_ctx* ctx, const Problem& problem, uint64_t seed)
      : ctx_(ctx), format_(problem.way.precision.stored), tokens_(tokens_of(problem.lengths)) {
    const RnnOptions& options = problem.options;
    const Bounds bounds = exact_bounds(problem.lengths);
    rnn_ = make_rnn(ctx, options, problem.way);
    batch_ = make_batch(ctx, problem.lengths, bounds);
    int64_t workspace_bytes = 0, reserve_bytes = 0;
    for (const int32_t mode : {VARLSTM_MODE_INFER, VARLSTM_MODE_SAVE}) {
      int64_t bytes = 0;
      REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, mode, &bytes,
                                   &reserve_bytes));
      workspace_bytes = std::max(workspace_bytes, bytes);
    }
    workspace_ = std::make_unique<ByteBuffer>(ctx, workspace_bytes);
    reserve_ = std::make_unique<ByteBuffer>(ctx, reserve_bytes);
    Random random(seed);
    const int64_t states = options.layers * options.directions() * bounds.max_batch * options.hidden;
    const int64_t outputs = tokens_ * options.directions() * options.hidden;
    const double scale = std::sqrt(2.0 / static_cast<double>(options.hidden + 1));
    params_ = random_values(random, rnn_param_count(options), scale);
    h0_ = random_values(random, states, 1), c0_ = random_values(random, states, 1);
    dh_n_ = random_values(random, states, 1), dc_n_ = random_values(random, states, 1);
    for (int k = 0; k < kInputs; ++k) {
      x_[k] = random_values(random, tokens_ * options.input, 1.5);
      dy_[k] = random_values(random, outputs, 1);
    }
    y_ = empty(outputs), h_n_ = empty(states), c_n_ = empty(states);
    dx_ = empty(tokens_ * options.input), dh0_ = empty(states), dc0_ = empty(states);
    dparams_ = empty(rnn_param_count(options));
  }

  // Both only enqueue. Results are cleared before, so that a run that writes nothing is seen.
  void forward(int input, int32_t mode, void* stream = nullptr) {
    for (ByteBuffer* result : {y_.get(), h_n_.get(), c_n_.get()}) clear(result, stream);
    const bool save = mode == VARLSTM_MODE_SAVE;
    REQUIRE_OK(varlstm_rnn_forward(rnn_.get(), batch_.get(), mode, 0, params_->data(), x_[input]->data(), h0_->data(),
                                   c0_->data(), y_->data(), h_n_->data(), c_n_->data(), workspace_->data(),
                                   workspace_->bytes(), save ? reserve_->data() : nullptr, save ? reserve_->bytes() : 0,
                                   stream));
  }
  void backward(int input, void* stream = nullptr) {
    for (ByteBuffer* result : {dx_.get(), dh0_.get(), dc0_.get(), dparams_.get()}) clear(result, stream);
    REQUIRE_OK(varlstm_rnn_backward(rnn_.get(), batch_.get(), params_->data(), x_[input]->data(), h0_->data(),
                                    c0_->data(), y_->data(), dy_[input]->data(), dh_n_->data(), dc_n_->data(),
                                    dx_->data(), dh0_->data(), dc0_->data(), dparams_->data(), workspace_->data(),
                                    workspace_->bytes(), reserve_->data(), reserve_->bytes(), stream));
  }
  void wait(void* stream = nullptr) { REQUIRE_OK(varlstm_sync(ctx_, stream)); }

  Bits outputs() const {
    Bits bits;
    bits.add("y", *y_), bits.add("h_n", *h_n_), bits.add("c_n", *c_n_);
    return bits;
  }
  Bits saved() const {
    Bits bits = outputs();
    bits.add("reserve", *reserve_);
    return bits;
  }
  Bits results() const {
    Bits bits = outputs();
    bits.add("dx", *dx_), bits.add("dh0", *dh0_), bits.add("dc0", *dc0_), bits.add("dparams", *dparams_);
    return bits;
  }

  // A forward that saves and its backward, waited for.
  Bits train(int input, void* stream = nullptr) {
    forward(input, VARLSTM_MODE_SAVE, stream);
    backward(input, stream);
    wait(stream);
    return results();
  }

 private:
  using Tensor = std::unique_ptr<ByteBuffer>;

  static int64_t tokens_of(const std::vector<int64_t>& lengths) {
    return std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  }
  int64_t element_bytes() const { return format_.dtype == VARLSTM_DTYPE_F32 ? 4 : 2; }
  Tensor empty(int64_t count) { return std::make_unique<ByteBuffer>(ctx_, count * element_bytes()); }
  void clear(ByteBuffer* buffer, void* stream) {
    if (buffer->bytes() > 0) REQUIRE_OK(varlstm_zero(ctx_, buffer->data(), buffer->bytes(), stream));
  }

  // In [-scale, scale), as the format holds them. Millions: drawn from a pool, five at a time.
  Tensor random_values(Random& random, int64_t count, double scale) {
    constexpr size_t kPool = 4096;  // 12 bits choose one
    const auto size = static_cast<size_t>(element_bytes());
    std::vector<unsigned char> pool(kPool * size), bytes(static_cast<size_t>(count) * size);
    for (size_t k = 0; k < kPool; ++k) {
      const double value = random.uniform(-scale, scale);
      const float single = static_cast<float>(value);
      const uint16_t half = size == 2 ? format_.encode(value) : 0;
      std::memcpy(&pool[k * size], size == 2 ? static_cast<const void*>(&half) : &single, size);
    }
    uint64_t bits = 0;
    for (int64_t k = 0; k < count; ++k) {
      bits = k % 5 == 0 ? random.bits() : bits >> 12;
      std::memcpy(&bytes[static_cast<size_t>(k) * size], &pool[bits % kPool * size], size);
    }
    Tensor tensor = std::make_unique<ByteBuffer>(ctx_, static_cast<int64_t>(bytes.size()));
    tensor->set(bytes);
    return tensor;
  }

  varlstm_ctx* ctx_;
  const Format16 format_;
  const int64_t tokens_;
  Rnn rnn_;
  Batch batch_;
  Tensor workspace_, reserve_, params_, h0_, c0_, dh_n_, dc_n_, x_[kInputs], dy_[kInputs];
  Tensor y_, h_n_, c_n_, dx_, dh0_, dc0_, dparams_;
};

// Each tensor against the other's, relative to its largest element: for two ways of computing the same.
inline void expect_close(const Format16& format, const Bits& actual, const Bits& expected, double tolerance) {
  std::vector<float> halves;  // of each pattern of 16 bits
  for (uint32_t bits = 0; format.dtype != VARLSTM_DTYPE_F32 && bits < 65536; ++bits)
    halves.push_back(static_cast<float>(format.decode(static_cast<uint16_t>(bits))));
  const auto value_at = [&](const std::vector<unsigned char>& bytes, size_t k) -> double {
    if (!halves.empty()) {
      uint16_t half;
      std::memcpy(&half, &bytes[2 * k], 2);
      return static_cast<double>(halves[half]);
    }
    float value;
    std::memcpy(&value, &bytes[4 * k], 4);
    return static_cast<double>(value);
  };
  ASSERT_EQ(actual.names, expected.names);
  for (size_t t = 0; t < actual.tensors.size(); ++t) {
    const size_t count = actual.tensors[t].size() / (format.dtype == VARLSTM_DTYPE_F32 ? 4 : 2);
    double largest = 0, error = 0;
    for (size_t k = 0; k < count; ++k) {
      const double e = value_at(expected.tensors[t], k), difference = std::fabs(value_at(actual.tensors[t], k) - e);
      largest = std::max(largest, std::fabs(e));
      error = difference <= error ? error : difference;  // a NaN gets through
    }
    EXPECT_LE(error, tolerance * largest) << expected.names[t] << ", whose largest element is " << largest;
  }
}

// Of two ways of a recurrence: some units in the last place of what is stored, multiplied or summed.
inline double tolerance_of(const Precision& precision) {
  return precision.operand.significant_bits > 11 ? 1e-5 : 32 * std::ldexp(1.0, -precision.operand.significant_bits);
}

}  // namespace varlstm_test
