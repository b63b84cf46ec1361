// Every function of varlstm.h that can fail, called with right arguments, and the wrong numbers that it must refuse.
// SPDX-License-Identifier: Apache-2.0
#include "capi_catalogue_sections.h"

namespace varlstm_test {

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
  list.push_back({"varlstm_batch_set_resets", [](W& w) {
                    constexpr int64_t kPlaces = W::kBatch * W::kLen;
                    uint8_t* resets = w.host.take<uint8_t>(kPlaces);
                    for (int64_t k = 0; k < kPlaces; ++k) resets[k] = k == 1 ? 1 : 0;
                    Call call("varlstm_batch_set_resets", varlstm_batch_set_resets, w.batch, resets, kPlaces,
                              VARLSTM_LAYOUT_TIME_MAJOR, W::kLen, VARLSTM_SPACE_HOST, nullptr);
                    call.bad("count", -1).bad("count", kPlaces - 1).bad("count", kHuge);
                    call.bad("padded_len", W::kLen - 1).bad("padded_len", -1);
                    return call.bad("layout", -1).bad("layout", 3).bad("space", -1).bad("space", 2);
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
static Entry pack_entry(const char* name, Function* function, int64_t rows_in, int64_t rows_out, bool allow_i64) {
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
         call.bad_real("pad_value", -1e19, "pad_value = -1e+19")
             .bad_real("pad_value", 9223372036854775808.0, "pad_value = 9.22337e+18");
         return bad_dtype(bad_sizes(call, {"features"}, 1), "dtype", true);
       }});
}

static std::vector<Entry> make_catalogue() {
  std::vector<Entry> list;
  add_contexts_and_memory(list);
  add_batches(list);
  add_packs(list);
  add_rnn_description(list);
  add_rnn_runs(list);
  add_prepared_rnns(list);
  add_rnn_steps(list);
  add_operations(list);
  add_conv_max(list);
  add_losses(list);
  add_optimizers(list);
  add_rows(list);
  return list;
}

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
  } else if (call.function() == "varlstm_rnn_prepare") {
    EXPECT_OK(varlstm_rnn_destroy(*static_cast<varlstm_rnn**>(call.argument("prepared_rnn").pointer)));
  } else if (call.function() == "varlstm_loss_create") {
    EXPECT_OK(varlstm_loss_destroy(*static_cast<varlstm_loss**>(call.argument("loss").pointer)));
  }
}

}  // namespace varlstm_test
