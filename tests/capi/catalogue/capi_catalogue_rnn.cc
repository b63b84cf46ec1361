// The catalogue's calls of the recurrent network.
// SPDX-License-Identifier: Apache-2.0
#include "capi_catalogue_sections.h"

namespace varlstm_test {

void add_rnn_description(std::vector<Entry>& list) {
  list.push_back({"varlstm_rnn_create", [](W& w) {
                    Call call("varlstm_rnn_create", varlstm_rnn_create, w.ctx, VARLSTM_CELL_LSTM, W::kInput, W::kHidden,
                              W::kLayers, w.host.take<varlstm_rnn*>(1));
                    call.bad("cell", -1).bad("cell", 99).bad("num_layers", 4097);
                    // Products that only just do not fit: each factor alone is in range.
                    call.bad("input_size", int64_t{1} << 48).bad("hidden_size", int64_t{1} << 25);
                    return bad_sizes(call, {"input_size", "hidden_size", "num_layers"}, 1);
                  }});
  list.push_back({"varlstm_rnn_set_i64 dtype", [](W& w) {
                    Call call("varlstm_rnn_set_i64", varlstm_rnn_set_i64, w.rnn, VARLSTM_KEY_DTYPE, VARLSTM_DTYPE_F64);
                    call.bad("key", 0).bad("key", VARLSTM_KEY_DROPOUT).bad("key", VARLSTM_KEY_CELL);
                    call.bad("key", VARLSTM_KEY_INPUT_SIZE, VARLSTM_ERROR_INVALID_ARGUMENT, "read only");
                    call.bad("key", VARLSTM_KEY_HIDDEN_SIZE).bad("key", VARLSTM_KEY_NUM_LAYERS).bad("key", 99);
                    return bad_dtype(call, "value").bad("value", (int64_t{1} << 32) + VARLSTM_DTYPE_F64);
                  }});
  for (const int32_t key :
       {VARLSTM_KEY_BIDIRECTIONAL, VARLSTM_KEY_BIAS, VARLSTM_KEY_ROWS, VARLSTM_KEY_LAYERS_TOGETHER, VARLSTM_KEY_RESETS,
        VARLSTM_KEY_LAYER_NORM, VARLSTM_KEY_CELL_STATES, VARLSTM_KEY_ADD_DPARAMS}) {
    list.push_back({"varlstm_rnn_set_i64 key " + std::to_string(key), [key](W& w) {
                      Call call("varlstm_rnn_set_i64", varlstm_rnn_set_i64, w.rnn, key, 1);
                      return call.bad("key", VARLSTM_KEY_CLASSES).bad("value", -1).bad("value", 2).bad("value", kHuge);
                    }});
  }
  list.push_back({"varlstm_rnn_set_i64 proj_size", [](W& w) {
                    Call call("varlstm_rnn_set_i64", varlstm_rnn_set_i64, w.rnn, VARLSTM_KEY_PROJ_SIZE, 1);
                    call.bad("key", VARLSTM_KEY_CLASSES).bad("value", -1).bad("value", W::kHidden).bad("value", kHuge);
                    return call.bad("value", W::kHidden + 1, VARLSTM_ERROR_INVALID_ARGUMENT, "hidden_size = ");
                  }});
  list.push_back({"varlstm_rnn_set_f64", [](W& w) {
                    Call call("varlstm_rnn_set_f64", varlstm_rnn_set_f64, w.rnn, VARLSTM_KEY_DROPOUT, 0.5);
                    call.bad("key", VARLSTM_KEY_BIAS).bad("key", VARLSTM_KEY_LABEL_SMOOTHING);
                    call.bad_real("value", -0.25, "value = -0.25").bad_real("value", 1.0, "value = 1");
                    return call.bad_real("value", kNan, "value = nan").bad_real("value", kInf, "value = inf");
                  }});
  for (const int32_t key : {VARLSTM_KEY_RECURRENT_DROPOUT, VARLSTM_KEY_ZONEOUT_H, VARLSTM_KEY_ZONEOUT_C}) {
    list.push_back({"varlstm_rnn_set_f64 key " + std::to_string(key), [key](W& w) {
                      Call call("varlstm_rnn_set_f64", varlstm_rnn_set_f64, w.rnn, key, 0.5);
                      call.bad("key", VARLSTM_KEY_RECURRENT_DROPOUT_KIND).bad_real("value", -0.25, "value = -0.25");
                      call.bad_real("value", 1.0, "value = 1").bad_real("value", kInf, "value = inf");
                      return call.bad_real("value", kNan, "value = nan");
                    }});
  }
  list.push_back({"varlstm_rnn_set_f64 cell_clip", [](W& w) {
                    Call call("varlstm_rnn_set_f64", varlstm_rnn_set_f64, w.rnn, VARLSTM_KEY_CELL_CLIP, 2.5);
                    call.bad("key", VARLSTM_KEY_PROJECTION_CLIP, VARLSTM_ERROR_INVALID_ARGUMENT, "value = 2.5");
                    call.bad_real("value", -0.25, "value = -0.25").bad_real("value", kInf, "value = inf");
                    return call.bad_real("value", kNan, "value = nan");
                  }});
  list.push_back({"varlstm_rnn_set_i64 recurrent_dropout_kind", [](W& w) {
                    Call call("varlstm_rnn_set_i64", varlstm_rnn_set_i64, w.rnn, VARLSTM_KEY_RECURRENT_DROPOUT_KIND, 1);
                    return call.bad("key", VARLSTM_KEY_CLASSES).bad("value", -1).bad("value", 3).bad("value", kHuge);
                  }});
  list.push_back(
      {"varlstm_rnn_get_i64", [](W& w) {
         Call call("varlstm_rnn_get_i64", varlstm_rnn_get_i64, w.rnn, VARLSTM_KEY_HIDDEN_SIZE, w.host.take<int64_t>(1));
         call.bad("key", VARLSTM_KEY_ROWS - 1).bad("key", VARLSTM_KEY_RESETS + 1).bad("key", VARLSTM_KEY_CLASSES);
         call.bad("key", VARLSTM_KEY_ADD_DPARAMS + 1);
         return call.bad("key", 19).bad("key", VARLSTM_KEY_DROPOUT).bad("key", VARLSTM_KEY_BATCH);
       }});
  list.push_back({"varlstm_rnn_get_f64", [](W& w) {
                    Call call("varlstm_rnn_get_f64", varlstm_rnn_get_f64, w.rnn, VARLSTM_KEY_DROPOUT,
                              w.host.take<double>(1));
                    return call.bad("key", VARLSTM_KEY_BIAS).bad("key", VARLSTM_KEY_LABEL_SMOOTHING);
                  }});
  list.push_back({"varlstm_rnn_param_count", [](W& w) {
                    Call call("varlstm_rnn_param_count", varlstm_rnn_param_count, w.rnn, w.host.take<int64_t>(1),
                              w.host.take<int64_t>(1));
                    return call.optional({"tensors", "elements"});
                  }});
  list.push_back({"varlstm_rnn_param_info", [](W& w) {
                    Call call("varlstm_rnn_param_info", varlstm_rnn_param_info, w.rnn, 0, w.host.take<const char*>(1),
                              w.host.take<int64_t>(1), w.host.take<int64_t>(1), w.host.take<int64_t>(1));
                    call.bad("index", -1).bad("index", W::kLayers * W::kDirections * 4).bad("index", kHuge);
                    return call.optional({"name", "offset", "rows", "cols"});
                  }});
  list.push_back({"varlstm_rnn_sizes", [](W& w) {
                    Call call("varlstm_rnn_sizes", varlstm_rnn_sizes, w.rnn, W::kBatch, W::kLen, W::kTokens,
                              VARLSTM_MODE_SAVE, w.host.take<int64_t>(1), w.host.take<int64_t>(1));
                    // With sizes of the rnn, a bound may be too large that a batch alone could have.
                    call.bad("max_batch", int64_t{1} << 51).bad("mode", -1).bad("mode", 2);
                    return bad_sizes(call, {"max_batch", "max_len", "max_tokens"}, 0).bad("max_tokens", 13);
                  }});
  list.push_back({"varlstm_rnn_destroy", [](W& w) {
                    Call call("varlstm_rnn_destroy", varlstm_rnn_destroy, w.new_rnn(w.ctx));
                    return call.optional({"rnn"});
                  }});
}

// A forward that has saved what backward needs.
struct SavedForward {
  static constexpr int64_t kStates = W::kLayers * W::kDirections * W::kBatch * W::kHidden;
  static constexpr int64_t kOutputs = W::kTokens * W::kDirections * W::kHidden;
  int64_t elements, workspace_bytes = 0, reserve_bytes = 0;
  float *params, *x, *h0, *c0, *y;
  char *workspace, *reserve;

  explicit SavedForward(W& w)
      : elements(w.param_elements()),
        params(w.back.take<float>(elements)),
        x(w.back.take<float>(W::kTokens * W::kInput)),
        h0(w.back.take<float>(kStates)),
        c0(w.back.take<float>(kStates)),
        y(w.back.take<float>(kOutputs)) {
    REQUIRE_OK(
        varlstm_rnn_sizes(w.rnn, W::kBatch, W::kLen, W::kTokens, VARLSTM_MODE_SAVE, &workspace_bytes, &reserve_bytes));
    workspace = w.back.take<char>(workspace_bytes);
    reserve = w.back.take<char>(reserve_bytes);
    REQUIRE_OK(varlstm_rnn_forward(w.rnn, w.batch, VARLSTM_MODE_SAVE, 0, params, x, h0, c0, y, nullptr, nullptr,
                                   workspace, workspace_bytes, reserve, reserve_bytes, nullptr));
  }
};

void add_rnn_runs(std::vector<Entry>& list) {
  list.push_back({"varlstm_rnn_import", [](W& w) {
                    constexpr int64_t kGates = 4 * W::kHidden;
                    Call call("varlstm_rnn_import", varlstm_rnn_import, w.rnn, VARLSTM_FORMAT_PYTORCH, 1, 1,
                              w.back.take<float>(kGates * W::kDirections * W::kHidden),
                              w.back.take<float>(kGates * W::kHidden), w.back.take<float>(kGates),
                              w.back.take<float>(kGates), w.back.take<float>(w.param_elements()), nullptr);
                    call.optional({"b_ih", "b_hh"}).bad("format", -1).bad("format", 5);
                    call.bad("layer", -1).bad("layer", W::kLayers).bad("layer", kHuge);
                    return call.bad("direction", -1).bad("direction", W::kDirections);
                  }});
  list.push_back(
      {"varlstm_rnn_forward", [](W& w) {
         constexpr int64_t kStates = W::kLayers * W::kDirections * W::kBatch * W::kHidden;
         int64_t workspace = 0, reserve = 0;
         REQUIRE_OK(varlstm_rnn_sizes(w.rnn, W::kBatch, W::kLen, W::kTokens, VARLSTM_MODE_SAVE, &workspace, &reserve));
         Call call("varlstm_rnn_forward", varlstm_rnn_forward, w.rnn, w.batch, VARLSTM_MODE_SAVE, 0,
                   w.back.take<float>(w.param_elements()), w.back.take<float>(W::kTokens * W::kInput),
                   w.back.take<float>(kStates), w.back.take<float>(kStates),
                   w.back.take<float>(W::kTokens * W::kDirections * W::kHidden), w.back.take<float>(kStates),
                   w.back.take<float>(kStates), w.back.take<char>(workspace), workspace, w.back.take<char>(reserve),
                   reserve, nullptr);
         call.optional({"h0", "c0", "h_n", "c_n"}).any_value({"dropout_seed"});
         return call.bad("mode", -1).bad("mode", 2);
       }});
  list.push_back(
      {"varlstm_rnn_forward_with_c", [](W& w) {
         constexpr int64_t kStates = W::kLayers * W::kDirections * W::kBatch * W::kHidden;
         constexpr int64_t kOutputs = W::kTokens * W::kDirections * W::kHidden;
         int64_t workspace = 0, reserve = 0;
         REQUIRE_OK(varlstm_rnn_set_i64(w.rnn, VARLSTM_KEY_CELL_STATES, 1));
         REQUIRE_OK(varlstm_rnn_sizes(w.rnn, W::kBatch, W::kLen, W::kTokens, VARLSTM_MODE_SAVE, &workspace, &reserve));
         Call call("varlstm_rnn_forward_with_c", varlstm_rnn_forward_with_c, w.rnn, w.batch, VARLSTM_MODE_SAVE, 0,
                   w.back.take<float>(w.param_elements()), w.back.take<float>(W::kTokens * W::kInput),
                   w.back.take<float>(kStates), w.back.take<float>(kStates), w.back.take<float>(kOutputs),
                   w.back.take<float>(kStates), w.back.take<float>(kStates), w.back.take<float>(kOutputs),
                   w.back.take<char>(workspace), workspace, w.back.take<char>(reserve), reserve, nullptr);
         call.optional({"h0", "c0", "h_n", "c_n", "c"}).any_value({"dropout_seed"});
         return call.bad("mode", -1).bad("mode", 2);
       }});
  list.push_back({"varlstm_rnn_backward", [](W& w) {
                    const SavedForward f(w);
                    Call call("varlstm_rnn_backward", varlstm_rnn_backward, w.rnn, w.batch, f.params, f.x, f.h0, f.c0,
                              f.y, w.back.take<float>(f.kOutputs), w.back.take<float>(f.kStates),
                              w.back.take<float>(f.kStates), w.back.take<float>(W::kTokens * W::kInput),
                              w.back.take<float>(f.kStates), w.back.take<float>(f.kStates),
                              w.back.take<float>(f.elements), f.workspace, f.workspace_bytes, f.reserve,
                              f.reserve_bytes, nullptr);
                    return call.optional({"h0", "c0", "dy", "dh_n", "dc_n", "dx", "dh0", "dc0", "dparams"});
                  }});
  list.push_back({"varlstm_rnn_backward_with_c", [](W& w) {
                    REQUIRE_OK(varlstm_rnn_set_i64(w.rnn, VARLSTM_KEY_CELL_STATES, 1));
                    const SavedForward f(w);
                    Call call("varlstm_rnn_backward_with_c", varlstm_rnn_backward_with_c, w.rnn, w.batch, f.params, f.x,
                              f.h0, f.c0, f.y, w.back.take<float>(f.kOutputs), w.back.take<float>(f.kStates),
                              w.back.take<float>(f.kStates), w.back.take<float>(f.kOutputs),
                              w.back.take<float>(W::kTokens * W::kInput), w.back.take<float>(f.kStates),
                              w.back.take<float>(f.kStates), w.back.take<float>(f.elements), f.workspace,
                              f.workspace_bytes, f.reserve, f.reserve_bytes, nullptr);
                    return call.optional({"h0", "c0", "dy", "dh_n", "dc_n", "dc", "dx", "dh0", "dc0", "dparams"});
                  }});
}

void add_prepared_rnns(std::vector<Entry>& list) {
  list.push_back({"varlstm_rnn_prepared_size", [](W& w) {
                    Call call("varlstm_rnn_prepared_size", varlstm_rnn_prepared_size, w.rnn, VARLSTM_MODE_SAVE,
                              w.host.take<int64_t>(1));
                    return call.bad("mode", -1).bad("mode", 2);
                  }});
  list.push_back({"varlstm_rnn_prepare", [](W& w) {
                    int64_t bytes = 0;
                    REQUIRE_OK(varlstm_rnn_prepared_size(w.rnn, VARLSTM_MODE_SAVE, &bytes));
                    Call call("varlstm_rnn_prepare", varlstm_rnn_prepare, w.rnn, VARLSTM_MODE_SAVE,
                              w.back.take<float>(w.param_elements()), w.back.take<char>(bytes), bytes, nullptr,
                              w.host.take<varlstm_rnn*>(1));
                    if (bytes == 0) call.optional({"prepared"});
                    return call.bad("mode", -1).bad("mode", 2);
                  }});
}

static varlstm_rnn* one_way_rnn(W& w) {
  varlstm_rnn* rnn = w.new_rnn(w.ctx);
  REQUIRE_OK(varlstm_rnn_set_i64(rnn, VARLSTM_KEY_BIDIRECTIONAL, 0));
  return rnn;
}

void add_rnn_steps(std::vector<Entry>& list) {
  list.push_back({"varlstm_rnn_step_size", [](W& w) {
                    Call call("varlstm_rnn_step_size", varlstm_rnn_step_size, one_way_rnn(w), W::kBatch, W::kLen,
                              w.host.take<int64_t>(1));
                    call.bad("max_streams", -1).bad("max_streams", W::kLen + 1).bad("max_streams", kHuge);
                    return bad_sizes(call, {"table_slots"}, 1).bad("table_slots", W::kBatch - 1);
                  }});
  list.push_back({"varlstm_rnn_step", [](W& w) {
                    constexpr int64_t kStates = W::kLayers * W::kLen * W::kHidden;
                    varlstm_rnn* rnn = one_way_rnn(w);
                    int64_t workspace = 0, elements = 0;
                    REQUIRE_OK(varlstm_rnn_step_size(rnn, W::kBatch, W::kLen, &workspace));
                    REQUIRE_OK(varlstm_rnn_param_count(rnn, nullptr, &elements));
                    int64_t* slots = w.back.take<int64_t>(W::kBatch);
                    const int64_t rows[W::kBatch] = {3, 0, 2};
                    REQUIRE_OK(varlstm_copy(w.ctx, slots, rows, sizeof rows, VARLSTM_COPY_TO_BACKEND, nullptr));
                    Call call("varlstm_rnn_step", varlstm_rnn_step, rnn, W::kBatch, w.back.take<float>(elements),
                              w.back.take<float>(W::kBatch * W::kInput), slots, W::kLen, w.back.take<float>(kStates),
                              w.back.take<float>(kStates), w.back.take<float>(W::kBatch * W::kHidden),
                              w.back.take<char>(workspace), workspace, nullptr);
                    call.bad("streams", -1).bad("streams", W::kLen + 1).bad("streams", kHuge);
                    return bad_sizes(call, {"table_slots"}, 1).bad("table_slots", W::kBatch - 1);
                  }});
}

}  // namespace varlstm_test
