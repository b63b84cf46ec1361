// Handles of the library that destroy themselves, on the back end that VARLSTM_TEST_BACKEND names (host by default).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/check_status.h"
#include "varlstm.h"

namespace varlstm_test {

// VARLSTM_TEST_BACKEND: "host" or "cuda".
inline int32_t test_backend() {
  const char* name = std::getenv("VARLSTM_TEST_BACKEND");
  if (name == nullptr || std::string(name) == "host") return VARLSTM_BACKEND_HOST;
  if (std::string(name) == "cuda") return VARLSTM_BACKEND_CUDA;
  throw std::runtime_error(std::string("VARLSTM_TEST_BACKEND = ") + name + " is neither host nor cuda");
}

// Whether kernels are executed on the CPU, where large shapes take minutes.
inline bool emulated() {
#if VARLSTM_EMULATED
  return test_backend() == VARLSTM_BACKEND_CUDA;
#else
  return false;
#endif
}

struct DestroyHandle {
  void operator()(varlstm_ctx* handle) const { EXPECT_OK(varlstm_ctx_destroy(handle)); }
  void operator()(varlstm_batch* handle) const { EXPECT_OK(varlstm_batch_destroy(handle)); }
  void operator()(varlstm_rnn* handle) const { EXPECT_OK(varlstm_rnn_destroy(handle)); }
  void operator()(varlstm_loss* handle) const { EXPECT_OK(varlstm_loss_destroy(handle)); }
};

// Declare a Context before what is made from it: it is destroyed last.
using Context = std::unique_ptr<varlstm_ctx, DestroyHandle>;
using Batch = std::unique_ptr<varlstm_batch, DestroyHandle>;
using Rnn = std::unique_ptr<varlstm_rnn, DestroyHandle>;
using Loss = std::unique_ptr<varlstm_loss, DestroyHandle>;

// threads 0: as many as the machine has. Only the host has threads to set.
inline Context make_context(int64_t threads = 0) {
  varlstm_ctx* handle = nullptr;
  REQUIRE_OK(varlstm_ctx_create(test_backend(), 0, &handle));
  Context context(handle);
  if (test_backend() == VARLSTM_BACKEND_HOST) {
    REQUIRE_OK(varlstm_ctx_set_i64(handle, VARLSTM_KEY_THREADS, threads));
  }
  return context;
}

struct Bounds {
  int64_t max_batch;
  int64_t max_len;
  int64_t max_tokens;
};

// The smallest bounds that hold these lengths.
inline Bounds exact_bounds(const std::vector<int64_t>& lengths) {
  const int64_t longest = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
  return {static_cast<int64_t>(lengths.size()), longest,
          std::accumulate(lengths.begin(), lengths.end(), static_cast<int64_t>(0))};
}

inline Batch make_batch(varlstm_ctx* context, const std::vector<int64_t>& lengths, const Bounds& bounds) {
  varlstm_batch* handle = nullptr;
  REQUIRE_OK(varlstm_batch_create(context, bounds.max_batch, bounds.max_len, bounds.max_tokens, &handle));
  Batch batch(handle);
  REQUIRE_OK(varlstm_batch_set_lengths(handle, lengths.data(), static_cast<int64_t>(lengths.size()), VARLSTM_SPACE_HOST,
                                       nullptr));
  return batch;
}

inline Batch make_batch(varlstm_ctx* context, const std::vector<int64_t>& lengths) {
  return make_batch(context, lengths, exact_bounds(lengths));
}

struct RnnOptions {
  int64_t input = 1;
  int64_t hidden = 1;
  int64_t layers = 1;
  bool bidirectional = false;
  bool bias = true;
  double dropout = 0.0;
  int32_t recurrence = VARLSTM_RECURRENCE_AUTO;
  int32_t rows = VARLSTM_ROWS_PACKED;
  bool layers_together = true;
  bool resets = false;
  int32_t cell = VARLSTM_CELL_LSTM;
  bool projects = false;
  double cell_clip = 0, projection_clip = 0;
  double recurrent_dropout = 0;
  int32_t recurrent_dropout_kind = VARLSTM_RECURRENT_DROPOUT_WEIGHTS;
  double zoneout_h = 0, zoneout_c = 0;
  bool layer_norm = false;
  bool cell_states = false;  // c of every token
  bool add_dparams = true;   // else backward writes them

  int64_t directions() const { return bidirectional ? 2 : 1; }
  // P, or 0: any value that H allows, depending on the sizes; one unit cannot be projected to fewer.
  int64_t projection() const { return projects && hidden > 1 ? 1 + input % (hidden - 1) : 0; }
  int64_t state() const { return projection() > 0 ? projection() : hidden; }  // the width of h
};

inline Rnn make_rnn(varlstm_ctx* context, const RnnOptions& options, int32_t dtype) {
  varlstm_rnn* handle = nullptr;
  REQUIRE_OK(varlstm_rnn_create(context, options.cell, options.input, options.hidden, options.layers, &handle));
  Rnn rnn(handle);
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_DTYPE, dtype));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_BIDIRECTIONAL, options.bidirectional ? 1 : 0));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_BIAS, options.bias ? 1 : 0));
  REQUIRE_OK(varlstm_rnn_set_f64(handle, VARLSTM_KEY_DROPOUT, options.dropout));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_RECURRENCE, options.recurrence));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_ROWS, options.rows));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_LAYERS_TOGETHER, options.layers_together ? 1 : 0));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_PROJ_SIZE, options.projection()));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_RESETS, options.resets ? 1 : 0));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_LAYER_NORM, options.layer_norm ? 1 : 0));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_CELL_STATES, options.cell_states ? 1 : 0));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_ADD_DPARAMS, options.add_dparams ? 1 : 0));
  REQUIRE_OK(varlstm_rnn_set_i64(handle, VARLSTM_KEY_RECURRENT_DROPOUT_KIND, options.recurrent_dropout_kind));
  REQUIRE_OK(varlstm_rnn_set_f64(handle, VARLSTM_KEY_RECURRENT_DROPOUT, options.recurrent_dropout));
  REQUIRE_OK(varlstm_rnn_set_f64(handle, VARLSTM_KEY_CELL_CLIP, options.cell_clip));
  REQUIRE_OK(varlstm_rnn_set_f64(handle, VARLSTM_KEY_PROJECTION_CLIP,
                                 options.projection() > 0 ? options.projection_clip : 0.0));
  REQUIRE_OK(varlstm_rnn_set_f64(handle, VARLSTM_KEY_ZONEOUT_H, options.zoneout_h));
  REQUIRE_OK(varlstm_rnn_set_f64(handle, VARLSTM_KEY_ZONEOUT_C, options.zoneout_c));
  return rnn;
}

inline Loss make_loss(varlstm_ctx* context, int64_t classes) {
  varlstm_loss* handle = nullptr;
  REQUIRE_OK(varlstm_loss_create(context, classes, &handle));
  return Loss(handle);
}

}  // namespace varlstm_test
