// Runs an RnnCase through the library in a 16-bit dtype.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "support/buffer.h"
#include "support/context.h"
#include "support/packed_order.h"
#include "support/rnn_case.h"
#include "support/scalar16.h"

namespace varlstm_test {

struct Rnn16Results {
  RnnOutputs<double> out;
  RnnGradients<double> gradients;
};

// Forward and backward with every tensor rounded to 16 bits; results in double, in the caller's order. With a mode in
// prepared_for the calls run with weights that are prepared for it.
inline Rnn16Results run_rnn16(const Format16& format, const RnnCase<double>& problem,
                              const RnnUpstream<double>& upstream, int32_t prepared_for = -1) {
  const Context context = make_context();
  varlstm_ctx* ctx = context.get();
  const RnnOptions& options = problem.options;
  const Bounds bounds = exact_bounds(problem.lengths);
  const int64_t outputs = problem.output_features(), rows = problem.tokens();
  const Batch batch = make_batch(ctx, problem.lengths);
  Rnn rnn = make_rnn(ctx, options, format.dtype);
  if (!problem.resets.empty()) {
    REQUIRE_OK(varlstm_batch_set_resets(batch.get(), problem.resets.data(), rows, VARLSTM_LAYOUT_RAGGED, 0,
                                        VARLSTM_SPACE_HOST, nullptr));
  }
  int64_t workspace_bytes = 0, reserve_bytes = 0;
  REQUIRE_OK(varlstm_rnn_sizes(rnn.get(), bounds.max_batch, bounds.max_len, bounds.max_tokens, VARLSTM_MODE_SAVE,
                               &workspace_bytes, &reserve_bytes));
  ByteBuffer workspace(ctx, workspace_bytes), reserve(ctx, reserve_bytes);
  const auto stored = [&](const std::vector<double>& values) { return Buffer<uint16_t>(ctx, format.encode(values)); };
  const auto in_rows = [&](int64_t features, const std::vector<double>& values) {
    return stored(rows_from_ragged(options.rows, problem.lengths, features, values));
  };
  const auto of_c = [&](auto& buffer) { return problem.has_c() ? buffer.data() : nullptr; };
  const auto params = stored(problem.params), h0 = stored(problem.h0), c0 = stored(problem.c0);
  std::unique_ptr<ByteBuffer> prepared_weights;
  if (prepared_for >= 0) {
    int64_t bytes = 0;
    REQUIRE_OK(varlstm_rnn_prepared_size(rnn.get(), prepared_for, &bytes));
    prepared_weights = std::make_unique<ByteBuffer>(ctx, bytes);
    varlstm_rnn* prepared = nullptr;
    REQUIRE_OK(varlstm_rnn_prepare(rnn.get(), prepared_for, params.data(), prepared_weights->data(), bytes, nullptr,
                                   &prepared));
    rnn.reset(prepared);
  }
  const auto x = in_rows(options.input, problem.x), dy = in_rows(outputs, upstream.dy);
  const auto dh_n = stored(upstream.dh_n), dc_n = stored(upstream.dc_n);
  const int64_t cell_states = options.cell_states ? options.directions() * options.hidden : 0;
  const auto dc = in_rows(cell_states, upstream.dc);
  Buffer<uint16_t> c(ctx, rows * cell_states);
  Buffer<uint16_t> y(ctx, rows * outputs), h_n(ctx, problem.state_count()), c_n(ctx, problem.cell_state_count());
  Buffer<uint16_t> dx(ctx, rows * options.input), dh0(ctx, problem.state_count()), dc0(ctx, problem.cell_state_count());
  Buffer<uint16_t> dparams(ctx, std::vector<uint16_t>(problem.params.size(), options.add_dparams ? 0 : 0xffff));
  REQUIRE_OK(varlstm_rnn_forward_with_c(rnn.get(), batch.get(), VARLSTM_MODE_SAVE, problem.seed, params.data(),
                                        x.data(), h0.data(), of_c(c0), y.data(), h_n.data(), of_c(c_n),
                                        cell_states > 0 ? c.data() : nullptr, workspace.data(), workspace_bytes,
                                        reserve.data(), reserve_bytes, nullptr));
  workspace.fill(Fill::kRandomBytes, 4);
  REQUIRE_OK(varlstm_rnn_backward_with_c(rnn.get(), batch.get(), params.data(), x.data(), h0.data(), of_c(c0), y.data(),
                                         dy.data(), dh_n.data(), of_c(dc_n), cell_states > 0 ? dc.data() : nullptr,
                                         dx.data(), dh0.data(), of_c(dc0), dparams.data(), workspace.data(),
                                         workspace_bytes, reserve.data(), reserve_bytes, nullptr));
  const auto ragged = [&](int64_t features, const Buffer<uint16_t>& buffer) {
    return rows_to_ragged(options.rows, problem.lengths, features, format.decode(buffer.get()));
  };
  return {
      {ragged(outputs, y), format.decode(h_n.get()), format.decode(c_n.get()), ragged(cell_states, c)},
      {ragged(options.input, dx), format.decode(dh0.get()), format.decode(dc0.get()), format.decode(dparams.get())}};
}

}  // namespace varlstm_test
