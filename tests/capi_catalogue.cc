// Every function of varlstm.h that can fail, called with right arguments, and the wrong numbers that it must refuse.
// SPDX-License-Identifier: Apache-2.0
#include "capi_catalogue.h"

#include <cmath>
#include <limits>

namespace varlstm_test {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int32_t kF32 = VARLSTM_DTYPE_F32;

using W = World;

Call& bad_dtype(Call& call, const char* name = "dtype", bool allow_i64 = false) {
  call.bad(name, -1).bad(name, 5);
  return allow_i64 ? call : call.bad(name, VARLSTM_DTYPE_I64);
}

// Of what is trained: no 16 bits.
Call& bad_master_dtype(Call& call) {
  call.bad("dtype", VARLSTM_DTYPE_BF16, VARLSTM_ERROR_UNSUPPORTED);
  return bad_dtype(call.bad("dtype", VARLSTM_DTYPE_F16, VARLSTM_ERROR_UNSUPPORTED));
}

Call& bad_sizes(Call& call, std::initializer_list<const char*> names, int64_t smallest) {
  for (const char* name : names) call.bad(name, smallest - 1).bad(name, -kHuge).bad(name, kHuge);
  return call;
}

// A batch of 7 tokens needs 7 rows; without one, any number >= 0 will do.
Call& bad_rows_with_batch(Call& call) {
  return bad_sizes(call, {"rows"}, 0).bad("rows", W::kTokens - 1);
}

void add_contexts_and_memory(std::vector<Entry>& list) {
  list.push_back({"varlstm_device_count", [](W& w) {
                    Call call("varlstm_device_count", varlstm_device_count, test_backend(), w.host.take<int32_t>(1));
                    return call.bad("backend", -1).bad("backend", 2);
                  }});
  list.push_back({"varlstm_ctx_create", [](W& w) {
                    Call call("varlstm_ctx_create", varlstm_ctx_create, test_backend(), 0,
                              w.host.take<varlstm_ctx*>(1));
                    return call.bad("backend", -1).bad("backend", 2).bad("device", -1).bad("device", 1000);
                  }});
  list.push_back({"varlstm_ctx_set_i64", [](W& w) {
                    Call call("varlstm_ctx_set_i64", varlstm_ctx_set_i64, w.ctx, VARLSTM_KEY_BATCH_INVARIANT, 0);
                    call.bad("value", -1).bad("value", 2).bad("key", 6);
                    call.bad("key", 0).bad("key", VARLSTM_KEY_BACKEND, VARLSTM_ERROR_INVALID_ARGUMENT, "read only");
                    return call.bad("key", VARLSTM_KEY_DEVICE).bad("key", VARLSTM_KEY_MAX_BATCH).bad("key", 99);
                  }});
  list.push_back(
      {"varlstm_ctx_set_i64 math", [](W& w) {
         Call call("varlstm_ctx_set_i64", varlstm_ctx_set_i64, w.ctx, VARLSTM_KEY_MATH, VARLSTM_MATH_TF32);
         call.bad("value", -1).bad("value", 2, VARLSTM_ERROR_INVALID_ARGUMENT, "value = 2 is not a varlstm_math");
         return call.bad("value", kHuge).bad("key", 99);
       }});
  if (test_backend() == VARLSTM_BACKEND_HOST) {
    list.push_back({"varlstm_ctx_set_i64 threads", [](W& w) {
                      Call call("varlstm_ctx_set_i64", varlstm_ctx_set_i64, w.ctx, VARLSTM_KEY_THREADS, 2);
                      return call.bad("value", -1).bad("value", 1025).bad("value", kHuge).bad("key", 99);
                    }});
  }
  list.push_back({"varlstm_ctx_get_i64", [](W& w) {
                    Call call("varlstm_ctx_get_i64", varlstm_ctx_get_i64, w.ctx, VARLSTM_KEY_BATCH_INVARIANT,
                              w.host.take<int64_t>(1));
                    return call.bad("key", 0).bad("key", 6).bad("key", VARLSTM_KEY_CLASSES);
                  }});
  list.push_back({"varlstm_ctx_device_status", [](W& w) {
                    Call call("varlstm_ctx_device_status", varlstm_ctx_device_status, w.ctx, 0, w.host.take<int64_t>(1),
                              w.host.take<int64_t>(1), nullptr);
                    return call.optional({"first_index"}).bad("reset", -1).bad("reset", 2);
                  }});
  list.push_back({"varlstm_ctx_destroy", [](W& w) {
                    Call call("varlstm_ctx_destroy", varlstm_ctx_destroy, w.new_ctx());
                    return call.optional({"ctx"});
                  }});
  list.push_back({"varlstm_alloc", [](W& w) {
                    Call call("varlstm_alloc", varlstm_alloc, w.ctx, 0, w.host.take<void*>(1));
                    return bad_sizes(call, {"bytes"}, 0);
                  }});
  list.push_back({"varlstm_free", [](W& w) {
                    Call call("varlstm_free", varlstm_free, w.ctx, nullptr);
                    return call.optional({"ptr"});
                  }});
  list.push_back({"varlstm_copy", [](W& w) {
                    Call call("varlstm_copy", varlstm_copy, w.ctx, w.back.take<char>(48), w.back.take<char>(48), 48,
                              VARLSTM_COPY_WITHIN_BACKEND, nullptr);
                    call.unaligned({"dst", "src"}).bad("kind", -1).bad("kind", 3);
                    return bad_sizes(call, {"bytes"}, 0);
                  }});
  list.push_back({"varlstm_zero", [](W& w) {
                    Call call("varlstm_zero", varlstm_zero, w.ctx, w.back.take<char>(48), 48, nullptr);
                    return bad_sizes(call.unaligned({"ptr"}), {"bytes"}, 0);
                  }});
  list.push_back({"varlstm_sync", [](W& w) { return Call("varlstm_sync", varlstm_sync, w.ctx, nullptr); }});
}

void add_batches(std::vector<Entry>& list) {
  list.push_back({"varlstm_batch_create", [](W& w) {
                    Call call("varlstm_batch_create", varlstm_batch_create, w.ctx, W::kBatch, W::kLen, W::kTokens,
                              w.host.take<varlstm_batch*>(1));
                    bad_sizes(call, {"max_batch", "max_len", "max_tokens"}, 0);
                    return call.bad("max_batch", 1).bad("max_len", 2).bad("max_tokens", 13).bad("max_len", 0);
                  }});
  list.push_back({"varlstm_batch_set_lengths", [](W& w) {
                    int64_t* lengths = w.host.take<int64_t>(W::kBatch);
                    for (int64_t b = 0; b < W::kBatch; ++b) lengths[b] = 1;
                    Call call("varlstm_batch_set_lengths", varlstm_batch_set_lengths, w.batch, lengths, W::kBatch,
                              VARLSTM_SPACE_HOST, nullptr);
                    call.bad("count", -1).bad("count", W::kBatch + 1).bad("count", kHuge);
                    return call.bad("space", -1).bad("space", 2);
                  }});
  list.push_back({"varlstm_batch_from_batch_sizes", [](W& w) {
                    int64_t* sizes = w.host.take<int64_t>(2);
                    int64_t* order = w.host.take<int64_t>(W::kBatch);
                    sizes[0] = 3;
                    sizes[1] = 1;
                    for (int64_t b = 0; b < W::kBatch; ++b) order[b] = W::kBatch - 1 - b;
                    Call call("varlstm_batch_from_batch_sizes", varlstm_batch_from_batch_sizes, w.batch, sizes, 2,
                              order, nullptr);
                    call.bad("steps", -1).bad("steps", W::kLen + 1).bad("steps", kHuge);
                    return call.optional({"sorted_indices"});
                  }});
  list.push_back({"varlstm_batch_get_i64", [](W& w) {
                    Call call("varlstm_batch_get_i64", varlstm_batch_get_i64, w.batch, VARLSTM_KEY_TOKENS,
                              w.host.take<int64_t>(1));
                    return call.bad("key", 9).bad("key", 16).bad("key", VARLSTM_KEY_CELL);
                  }});
  list.push_back({"varlstm_batch_get_array", [](W& w) {
                    Call call("varlstm_batch_get_array", varlstm_batch_get_array, w.batch, VARLSTM_BATCH_LENGTHS,
                              w.host.take<const int64_t*>(1), w.host.take<int64_t>(1));
                    return call.optional({"count"}).bad("array", -1).bad("array", 8);
                  }});
  list.push_back({"varlstm_batch_destroy", [](W& w) {
                    Call call("varlstm_batch_destroy", varlstm_batch_destroy, w.new_batch(w.ctx));
                    return call.optional({"batch"});
                  }});
}

template <class Function>
Entry pack_entry(const char* name, Function* function, int64_t rows_in, int64_t rows_out, bool allow_i64) {
  return {name, [=](W& w) {
            Call call(name, function, w.batch, kF32, VARLSTM_LAYOUT_BATCH_FIRST, W::kLen, W::kFeatures,
                      w.back.take<float>(rows_in * W::kFeatures), w.back.take<float>(rows_out * W::kFeatures), nullptr);
            call.bad("layout", -1).bad("layout", 3);
            call.bad("padded_len", -1).bad("padded_len", W::kLen - 1).bad("padded_len", kHuge);
            return bad_dtype(bad_sizes(call, {"features"}, 1), "dtype", allow_i64);
          }};
}

void add_packs(std::vector<Entry>& list) {
  constexpr int64_t kPadded = W::kBatch * W::kLen;
  list.push_back(pack_entry("varlstm_pack", varlstm_pack, kPadded, W::kTokens, true));
  list.push_back(pack_entry("varlstm_pack_backward", varlstm_pack_backward, W::kTokens, kPadded, false));
  list.push_back(pack_entry("varlstm_unpack_backward", varlstm_unpack_backward, kPadded, W::kTokens, false));
  list.push_back({"varlstm_unpack", [](W& w) {
                    Call call("varlstm_unpack", varlstm_unpack, w.batch, kF32, VARLSTM_LAYOUT_TIME_MAJOR, W::kLen,
                              W::kFeatures, -1.0, w.back.take<float>(W::kTokens * W::kFeatures),
                              w.back.take<float>(W::kBatch * W::kLen * W::kFeatures), nullptr);
                    call.bad("layout", -1).bad("layout", 3).any_value({"pad_value"});
                    call.bad("padded_len", -1).bad("padded_len", W::kLen - 1).bad("padded_len", kHuge);
                    return bad_dtype(bad_sizes(call, {"features"}, 1), "dtype", true);
                  }});
  list.push_back(
      {"varlstm_unpack of int64", [](W& w) {
         Call call("varlstm_unpack", varlstm_unpack, w.batch, VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_RAGGED, -5,
                   W::kFeatures, -1.0, w.back.take<int64_t>(W::kTokens * W::kFeatures),
                   w.back.take<int64_t>(W::kTokens * W::kFeatures), nullptr);
         call.argument("packed").alignment = call.argument("dst").alignment = alignof(int64_t);
         call.bad("layout", 3).any_value({"padded_len"});
         call.bad_real("pad_value", kNan, "pad_value = nan").bad_real("pad_value", 1e19, "pad_value = 1e+19");
         call.bad_real("pad_value", -1e19, "pad_value = -1e+19");
         return bad_dtype(bad_sizes(call, {"features"}, 1), "dtype", true);
       }});
}

void add_rnn_description(std::vector<Entry>& list) {
  list.push_back({"varlstm_rnn_create", [](W& w) {
                    Call call("varlstm_rnn_create", varlstm_rnn_create, w.ctx, VARLSTM_CELL_LSTM, W::kInput, W::kHidden,
                              W::kLayers, w.host.take<varlstm_rnn*>(1));
                    call.bad("cell", -1).bad("cell", 2);
                    call.bad("cell", VARLSTM_CELL_GRU, VARLSTM_ERROR_UNSUPPORTED).bad("num_layers", 4097);
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
  for (const int32_t key : {VARLSTM_KEY_BIDIRECTIONAL, VARLSTM_KEY_BIAS}) {
    list.push_back({"varlstm_rnn_set_i64 key " + std::to_string(key), [key](W& w) {
                      Call call("varlstm_rnn_set_i64", varlstm_rnn_set_i64, w.rnn, key, 1);
                      return call.bad("key", VARLSTM_KEY_CLASSES).bad("value", -1).bad("value", 2).bad("value", kHuge);
                    }});
  }
  list.push_back({"varlstm_rnn_set_f64", [](W& w) {
                    Call call("varlstm_rnn_set_f64", varlstm_rnn_set_f64, w.rnn, VARLSTM_KEY_DROPOUT, 0.5);
                    call.bad("key", VARLSTM_KEY_BIAS).bad("key", VARLSTM_KEY_LABEL_SMOOTHING);
                    call.bad_real("value", -0.25, "value = -0.25").bad_real("value", 1.0, "value = 1");
                    return call.bad_real("value", kNan, "value = nan").bad_real("value", kInf, "value = inf");
                  }});
  list.push_back({"varlstm_rnn_get_i64", [](W& w) {
                    Call call("varlstm_rnn_get_i64", varlstm_rnn_get_i64, w.rnn, VARLSTM_KEY_HIDDEN_SIZE,
                              w.host.take<int64_t>(1));
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
      {"varlstm_rnn_backward", [](W& w) {
         constexpr int64_t kStates = W::kLayers * W::kDirections * W::kBatch * W::kHidden;
         constexpr int64_t kOutputs = W::kTokens * W::kDirections * W::kHidden;
         int64_t workspace = 0, reserve = 0;
         REQUIRE_OK(varlstm_rnn_sizes(w.rnn, W::kBatch, W::kLen, W::kTokens, VARLSTM_MODE_SAVE, &workspace, &reserve));
         const int64_t elements = w.param_elements();
         float* params = w.back.take<float>(elements);
         float* x = w.back.take<float>(W::kTokens * W::kInput);
         float* h0 = w.back.take<float>(kStates);
         float* c0 = w.back.take<float>(kStates);
         float* y = w.back.take<float>(kOutputs);
         char* scratch = w.back.take<char>(workspace);
         char* saved = w.back.take<char>(reserve);
         REQUIRE_OK(varlstm_rnn_forward(w.rnn, w.batch, VARLSTM_MODE_SAVE, 0, params, x, h0, c0, y, nullptr, nullptr,
                                        scratch, workspace, saved, reserve, nullptr));
         Call call("varlstm_rnn_backward", varlstm_rnn_backward, w.rnn, w.batch, params, x, h0, c0, y,
                   w.back.take<float>(kOutputs), w.back.take<float>(kStates), w.back.take<float>(kStates),
                   w.back.take<float>(W::kTokens * W::kInput), w.back.take<float>(kStates), w.back.take<float>(kStates),
                   w.back.take<float>(elements), scratch, workspace, saved, reserve, nullptr);
         return call.optional({"h0", "c0", "dy", "dh_n", "dc_n", "dx", "dh0", "dc0", "dparams"});
       }});
}

void add_operations(std::vector<Entry>& list) {
  struct OpSizes {
    int32_t op;
    int64_t a, b;
  };
  for (const OpSizes& sizes :
       {OpSizes{VARLSTM_OP_EMBEDDING_BACKWARD, W::kVocab, W::kFeatures},
        OpSizes{VARLSTM_OP_LINEAR_FORWARD, W::kFeatures, W::kOut},
        OpSizes{VARLSTM_OP_LINEAR_BACKWARD, W::kFeatures, W::kOut}, OpSizes{VARLSTM_OP_NLL, W::kClasses, 0},
        OpSizes{VARLSTM_OP_CROSS_ENTROPY, W::kClasses, 0}, OpSizes{VARLSTM_OP_GRAD_NORM, 0, 0}}) {
    list.push_back({"varlstm_op_workspace op " + std::to_string(sizes.op), [sizes](W& w) {
                      Call call("varlstm_op_workspace", varlstm_op_workspace, w.ctx, sizes.op, kF32, W::kTokens,
                                sizes.a, sizes.b, w.host.take<int64_t>(1));
                      call.bad("op", -1).bad("op", 6).bad("a", sizes.a == 0 ? 1 : 0).bad("b", sizes.b == 0 ? 1 : 0);
                      return bad_dtype(bad_sizes(call, {"rows", "a", "b"}, 0));
                    }});
  }
  list.push_back({"varlstm_embedding_forward", [](W& w) {
                    Call call("varlstm_embedding_forward", varlstm_embedding_forward, w.ctx, w.batch, kF32, W::kTokens,
                              W::kVocab, W::kFeatures, w.back.take<float>(W::kVocab * W::kFeatures),
                              w.back.take<int64_t>(W::kTokens), w.back.take<float>(W::kTokens * W::kFeatures), nullptr);
                    bad_rows_with_batch(call.optional({"batch"}));
                    return bad_dtype(bad_sizes(call, {"vocab", "features"}, 1));
                  }});
  list.push_back({"varlstm_embedding_backward", [](W& w) {
                    const int64_t bytes =
                        w.op_workspace(VARLSTM_OP_EMBEDDING_BACKWARD, W::kTokens, W::kVocab, W::kFeatures);
                    Call call("varlstm_embedding_backward", varlstm_embedding_backward, w.ctx, w.batch, kF32,
                              W::kTokens, W::kVocab, W::kFeatures, 0, w.back.take<int64_t>(W::kTokens),
                              w.back.take<float>(W::kTokens * W::kFeatures),
                              w.back.take<float>(W::kVocab * W::kFeatures), w.back.take<char>(bytes), bytes, nullptr);
                    call.bad("padding_idx", -2).bad("padding_idx", W::kVocab).bad("padding_idx", kHuge);
                    bad_rows_with_batch(call.optional({"batch"}));
                    return bad_dtype(bad_sizes(call, {"vocab", "features"}, 1));
                  }});
  list.push_back({"varlstm_linear_forward", [](W& w) {
                    const int64_t bytes = w.op_workspace(VARLSTM_OP_LINEAR_FORWARD, W::kTokens, W::kFeatures, W::kOut);
                    Call call("varlstm_linear_forward", varlstm_linear_forward, w.ctx, kF32, W::kTokens, W::kFeatures,
                              W::kOut, w.back.take<float>(W::kTokens * W::kFeatures),
                              w.back.take<float>(W::kOut * W::kFeatures), w.back.take<float>(W::kOut),
                              w.back.take<float>(W::kTokens * W::kOut), w.back.take<char>(bytes), bytes, nullptr);
                    bad_sizes(bad_sizes(call.optional({"bias"}), {"rows"}, 0), {"in", "out"}, 1);
                    return bad_dtype(call);
                  }});
  list.push_back({"varlstm_linear_backward", [](W& w) {
                    const int64_t bytes = w.op_workspace(VARLSTM_OP_LINEAR_BACKWARD, W::kTokens, W::kFeatures, W::kOut);
                    Call call("varlstm_linear_backward", varlstm_linear_backward, w.ctx, kF32, W::kTokens, W::kFeatures,
                              W::kOut, w.back.take<float>(W::kTokens * W::kFeatures),
                              w.back.take<float>(W::kOut * W::kFeatures), w.back.take<float>(W::kTokens * W::kOut),
                              w.back.take<float>(W::kTokens * W::kFeatures), w.back.take<float>(W::kOut * W::kFeatures),
                              w.back.take<float>(W::kOut), w.back.take<char>(bytes), bytes, nullptr);
                    call.optional({"dx", "dweight", "dbias"});
                    bad_sizes(bad_sizes(call, {"rows"}, 0), {"in", "out"}, 1);
                    return bad_dtype(call);
                  }});
  list.push_back({"varlstm_convert", [](W& w) {
                    Call call("varlstm_convert", varlstm_convert, w.ctx, kF32, kF32, 11, w.back.take<float>(11),
                              w.back.take<float>(11), nullptr);
                    return bad_dtype(bad_dtype(bad_sizes(call, {"count"}, 0), "from_dtype"), "to_dtype");
                  }});
  list.push_back({"varlstm_dropout_forward", [](W& w) {
                    Call call("varlstm_dropout_forward", varlstm_dropout_forward, w.ctx, kF32, 11, 0.5, 7,
                              w.back.take<float>(11), w.back.take<float>(11), nullptr);
                    call.in_place("x", "y").any_value({"seed"});
                    call.bad_real("p", -0.5, "p = -0.5").bad_real("p", 1.0, "p = 1").bad_real("p", kNan, "p = nan");
                    return bad_dtype(bad_sizes(call, {"count"}, 0));
                  }});
  list.push_back({"varlstm_dropout_backward", [](W& w) {
                    Call call("varlstm_dropout_backward", varlstm_dropout_backward, w.ctx, kF32, 11, 0.5, 7,
                              w.back.take<float>(11), w.back.take<float>(11), nullptr);
                    call.in_place("dy", "dx").any_value({"seed"});
                    call.bad_real("p", -0.5, "p = -0.5").bad_real("p", 1.0, "p = 1").bad_real("p", kNan, "p = nan");
                    return bad_dtype(bad_sizes(call, {"count"}, 0));
                  }});
  list.push_back({"varlstm_log_softmax_forward", [](W& w) {
                    constexpr int64_t kCount = W::kTokens * W::kClasses;
                    Call call("varlstm_log_softmax_forward", varlstm_log_softmax_forward, w.ctx, kF32, W::kTokens,
                              W::kClasses, w.back.take<float>(kCount), w.back.take<float>(kCount), nullptr);
                    bad_sizes(bad_sizes(call.in_place("x", "y"), {"rows"}, 0), {"classes"}, 1);
                    return bad_dtype(call);
                  }});
  list.push_back({"varlstm_log_softmax_backward", [](W& w) {
                    constexpr int64_t kCount = W::kTokens * W::kClasses;
                    Call call("varlstm_log_softmax_backward", varlstm_log_softmax_backward, w.ctx, kF32, W::kTokens,
                              W::kClasses, w.back.take<float>(kCount), w.back.take<float>(kCount),
                              w.back.take<float>(kCount), nullptr);
                    bad_sizes(bad_sizes(call.in_place("dy", "dx"), {"rows"}, 0), {"classes"}, 1);
                    return bad_dtype(call);
                  }});
}

void add_losses(std::vector<Entry>& list) {
  list.push_back({"varlstm_loss_create", [](W& w) {
                    Call call("varlstm_loss_create", varlstm_loss_create, w.ctx, W::kClasses,
                              w.host.take<varlstm_loss*>(1));
                    return bad_sizes(call, {"classes"}, 1);
                  }});
  list.push_back({"varlstm_loss_set_i64 reduction", [](W& w) {
                    Call call("varlstm_loss_set_i64", varlstm_loss_set_i64, w.loss, VARLSTM_KEY_REDUCTION,
                              VARLSTM_REDUCTION_SUM);
                    call.bad("key", VARLSTM_KEY_CLASSES, VARLSTM_ERROR_INVALID_ARGUMENT, "read only");
                    call.bad("key", VARLSTM_KEY_LABEL_SMOOTHING).bad("key", 29).bad("key", VARLSTM_KEY_DTYPE);
                    return call.bad("value", -1).bad("value", 3).bad("value", int64_t{1} << 32);
                  }});
  list.push_back({"varlstm_loss_set_i64 empty mean", [](W& w) {
                    Call call("varlstm_loss_set_i64", varlstm_loss_set_i64, w.loss, VARLSTM_KEY_EMPTY_MEAN,
                              VARLSTM_EMPTY_MEAN_ZERO);
                    return call.bad("key", 35).bad("value", -1).bad("value", 2);
                  }});
  list.push_back({"varlstm_loss_set_i64 ignore index", [](W& w) {
                    Call call("varlstm_loss_set_i64", varlstm_loss_set_i64, w.loss, VARLSTM_KEY_IGNORE_INDEX, -kHuge);
                    return call.bad("key", -1).any_value({"value"});
                  }});
  list.push_back({"varlstm_loss_set_f64", [](W& w) {
                    Call call("varlstm_loss_set_f64", varlstm_loss_set_f64, w.loss, VARLSTM_KEY_LABEL_SMOOTHING, 1.0);
                    call.bad("key", VARLSTM_KEY_REDUCTION).bad("key", VARLSTM_KEY_DROPOUT);
                    call.bad_real("value", -0.1, "value = -0.1").bad_real("value", 1.5, "value = 1.5");
                    return call.bad_real("value", kNan, "value = nan");
                  }});
  list.push_back({"varlstm_loss_get_i64", [](W& w) {
                    Call call("varlstm_loss_get_i64", varlstm_loss_get_i64, w.loss, VARLSTM_KEY_CLASSES,
                              w.host.take<int64_t>(1));
                    return call.bad("key", VARLSTM_KEY_LABEL_SMOOTHING).bad("key", VARLSTM_KEY_DROPOUT);
                  }});
  list.push_back({"varlstm_loss_get_f64", [](W& w) {
                    Call call("varlstm_loss_get_f64", varlstm_loss_get_f64, w.loss, VARLSTM_KEY_LABEL_SMOOTHING,
                              w.host.take<double>(1));
                    return call.bad("key", VARLSTM_KEY_EMPTY_MEAN).bad("key", VARLSTM_KEY_DROPOUT);
                  }});
  list.push_back({"varlstm_loss_destroy", [](W& w) {
                    Call call("varlstm_loss_destroy", varlstm_loss_destroy, w.new_loss(w.ctx));
                    return call.optional({"loss"});
                  }});
  list.push_back({"varlstm_nll_forward", [](W& w) {
                    const int64_t bytes = w.op_workspace(VARLSTM_OP_NLL, W::kTokens, W::kClasses, 0);
                    Call call("varlstm_nll_forward", varlstm_nll_forward, w.loss, w.batch, kF32, W::kTokens,
                              w.back.take<float>(W::kTokens * W::kClasses), w.back.take<int64_t>(W::kTokens),
                              w.back.take<float>(W::kClasses), w.back.take<float>(1), w.back.take<float>(1),
                              w.back.take<char>(bytes), bytes, nullptr);
                    call.optional({"batch", "class_weights", "weight_sum"});
                    return bad_dtype(bad_rows_with_batch(call));
                  }});
  list.push_back({"varlstm_nll_backward", [](W& w) {
                    const int64_t bytes = w.op_workspace(VARLSTM_OP_NLL, W::kTokens, W::kClasses, 0);
                    Call call("varlstm_nll_backward", varlstm_nll_backward, w.loss, w.batch, kF32, W::kTokens,
                              w.back.take<int64_t>(W::kTokens), w.back.take<float>(W::kClasses), w.back.take<float>(1),
                              w.back.take<float>(W::kTokens * W::kClasses), w.back.take<char>(bytes), bytes, nullptr);
                    call.optional({"batch", "class_weights", "dout"});
                    return bad_dtype(bad_rows_with_batch(call));
                  }});
  for (const int64_t reduction : {VARLSTM_REDUCTION_NONE, VARLSTM_REDUCTION_MEAN}) {
    const int64_t outs = reduction == VARLSTM_REDUCTION_NONE ? W::kTokens : 1;
    const std::string suffix = " reduction " + std::to_string(reduction);
    list.push_back({"varlstm_cross_entropy_forward" + suffix, [=](W& w) {
                      REQUIRE_OK(varlstm_loss_set_i64(w.loss, VARLSTM_KEY_REDUCTION, reduction));
                      const int64_t bytes = w.op_workspace(VARLSTM_OP_CROSS_ENTROPY, W::kTokens, W::kClasses, 0);
                      Call call("varlstm_cross_entropy_forward", varlstm_cross_entropy_forward, w.loss, w.batch, kF32,
                                W::kTokens, w.back.take<float>(W::kTokens * W::kClasses),
                                w.back.take<int64_t>(W::kTokens), w.back.take<float>(W::kClasses),
                                w.back.take<float>(outs), w.back.take<float>(1),
                                w.back.take<float>(W::kTokens * W::kClasses), w.back.take<char>(bytes), bytes, nullptr);
                      call.optional({"batch", "class_weights", "weight_sum", "dlogits"}).in_place("logits", "dlogits");
                      return bad_dtype(bad_rows_with_batch(call));
                    }});
    list.push_back({"varlstm_cross_entropy_backward" + suffix, [=](W& w) {
                      REQUIRE_OK(varlstm_loss_set_i64(w.loss, VARLSTM_KEY_REDUCTION, reduction));
                      Call call("varlstm_cross_entropy_backward", varlstm_cross_entropy_backward, w.loss, kF32,
                                W::kTokens, w.back.take<float>(outs), w.back.take<float>(W::kTokens * W::kClasses),
                                nullptr);
                      return bad_dtype(bad_sizes(call.optional({"dout"}), {"rows"}, 0));
                    }});
  }
}

Call& bad_rates(Call& call, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const std::string named = std::string(name) + " = ";
    call.bad_real(name, -0.5, named + "-0.5").bad_real(name, kNan, named + "nan").bad_real(name, kInf, named + "inf");
  }
  return call;
}

void add_optimizers(std::vector<Entry>& list) {
  constexpr int64_t kCount = 13;
  list.push_back({"varlstm_sgd_step", [](W& w) {
                    Call call("varlstm_sgd_step", varlstm_sgd_step, w.ctx, kF32, kCount, 0.1, 0.9, 0.01, 1,
                              w.back.take<float>(kCount), w.back.take<float>(kCount), w.back.take<float>(kCount),
                              nullptr);
                    call.bad("nesterov", -1).bad("nesterov", 2).bad_real("momentum", 0.0, "nesterov = 1");
                    bad_rates(call, {"lr", "momentum", "weight_decay"});
                    return bad_master_dtype(bad_sizes(call, {"count"}, 0));
                  }});
  list.push_back({"varlstm_adam_step", [](W& w) {
                    Call call("varlstm_adam_step", varlstm_adam_step, w.ctx, kF32, kCount, 0.1, 0.9, 0.999, 1e-8, 0.01,
                              1, w.back.take<float>(kCount), w.back.take<float>(kCount), w.back.take<float>(kCount),
                              w.back.take<float>(kCount), w.back.take<int64_t>(1), nullptr);
                    call.bad("decoupled", -1).bad("decoupled", 2);
                    call.bad_real("beta1", 1.0, "beta1 = 1").bad_real("beta2", 1.0, "beta2 = 1");
                    bad_rates(call, {"lr", "beta1", "beta2", "eps", "weight_decay"});
                    return bad_master_dtype(bad_sizes(call, {"count"}, 0));
                  }});
  list.push_back({"varlstm_grad_norm", [](W& w) {
                    const int64_t bytes = w.op_workspace(VARLSTM_OP_GRAD_NORM, kCount, 0, 0);
                    Call call("varlstm_grad_norm", varlstm_grad_norm, w.ctx, kF32, kCount, w.back.take<float>(kCount),
                              w.back.take<double>(1), w.back.take<char>(bytes), bytes, nullptr);
                    return bad_master_dtype(bad_sizes(call, {"count"}, 0));
                  }});
  list.push_back({"varlstm_clip_grad_norm", [](W& w) {
                    const int64_t bytes = w.op_workspace(VARLSTM_OP_GRAD_NORM, kCount, 0, 0);
                    Call call("varlstm_clip_grad_norm", varlstm_clip_grad_norm, w.ctx, kF32, kCount, 1.0,
                              w.back.take<float>(kCount), w.back.take<double>(1), w.back.take<char>(bytes), bytes,
                              nullptr);
                    call.bad_real("max_norm", -1.0, "max_norm = -1").bad_real("max_norm", kNan, "max_norm = nan");
                    return bad_master_dtype(bad_sizes(call, {"count"}, 0));
                  }});
}

std::vector<Entry> make_catalogue() {
  std::vector<Entry> list;
  add_contexts_and_memory(list);
  add_batches(list);
  add_packs(list);
  add_rnn_description(list);
  add_rnn_runs(list);
  add_operations(list);
  add_losses(list);
  add_optimizers(list);
  return list;
}

}  // namespace

const std::vector<Entry>& catalogue() {
  static const std::vector<Entry> list = make_catalogue();
  return list;
}

void destroy_created(Call& call) {
  if (call.function() == "varlstm_ctx_create") {
    EXPECT_OK(varlstm_ctx_destroy(*static_cast<varlstm_ctx**>(call.argument("ctx").pointer)));
  } else if (call.function() == "varlstm_batch_create") {
    EXPECT_OK(varlstm_batch_destroy(*static_cast<varlstm_batch**>(call.argument("batch").pointer)));
  } else if (call.function() == "varlstm_rnn_create") {
    EXPECT_OK(varlstm_rnn_destroy(*static_cast<varlstm_rnn**>(call.argument("rnn").pointer)));
  } else if (call.function() == "varlstm_loss_create") {
    EXPECT_OK(varlstm_loss_destroy(*static_cast<varlstm_loss**>(call.argument("loss").pointer)));
  }
}

}  // namespace varlstm_test
