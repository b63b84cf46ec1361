// The plan of an rnn for the bounds of a batch: the back end makes it, and the rnn keeps the last one.
// SPDX-License-Identifier: Apache-2.0
#include "capi/rnn.h"

using namespace varlstm;

namespace {

// Saved per element of y, for any cell: gates, cell and hidden state, and with layer normalisation what it normalises,
// rounded up.
constexpr int64_t kStateElements = 8, kNormalisedElements = 12;

bool same(const BatchBounds& a, const BatchBounds& b) {
  return a.max_batch == b.max_batch && a.max_len == b.max_len && a.max_tokens == b.max_tokens;
}

// Checks that the bytes of the tensors that a back end may save can be counted in 64 bits.
int32_t check_saved_bytes(const RnnShape& shape, const BatchBounds& bounds) {
  const Dim layers{"num_layers", shape.layers}, directions{"directions", shape.directions};
  const Dim hidden{"hidden_size", shape.hidden};  // at least as wide as a projected h
  VARLSTM_TRY(check_bytes("x", {{"max_tokens", bounds.max_tokens}, {"input_size", shape.input}}, 8, nullptr));
  const int64_t saved = kStateElements + (shape.layer_norm ? kNormalisedElements : 0);
  VARLSTM_TRY(
      check_bytes("reserve", {layers, directions, {"max_tokens", bounds.max_tokens}, hidden}, 8 * saved, nullptr));
  return check_bytes("h0", {layers, directions, {"max_batch", bounds.max_batch}, hidden}, 8 * kStateElements, nullptr);
}

}  // namespace

namespace varlstm {

int32_t make_rnn_plan(const varlstm_rnn* rnn, const BatchBounds& bounds, RnnPlan* plan) {
  VARLSTM_TRY(check_saved_bytes(rnn->shape, bounds));
  *plan = {};
  plan->bounds = bounds;
  return call_backend(rnn->ctx, "rnn_plan", &Backend::rnn_plan, rnn->shape, plan);
}

int32_t find_rnn_plan(const varlstm_rnn* rnn, const BatchBounds& bounds, RnnPlan* plan) {
  // No call waits for another one: if the lock is taken, this call makes a plan of its own.
  const std::unique_lock<std::mutex> lock(rnn->plan_lock, std::try_to_lock);
  if (!lock.owns_lock()) return make_rnn_plan(rnn, bounds, plan);
  const int64_t options = rnn->ctx->options.load();
  if (!rnn->has_plan || rnn->plan_options != options || !same(rnn->plan.bounds, bounds)) {
    rnn->has_plan = false;
    VARLSTM_TRY(make_rnn_plan(rnn, bounds, &rnn->plan));
    rnn->has_plan = true;
    rnn->plan_options = options;
  }
  *plan = rnn->plan;
  return VARLSTM_OK;
}

}  // namespace varlstm
