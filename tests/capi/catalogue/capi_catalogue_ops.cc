// The catalogue's calls of embedding, linear, dropout, log-softmax and optimiser.
// SPDX-License-Identifier: Apache-2.0
#include "capi_catalogue_sections.h"

namespace varlstm_test {

void add_operations(std::vector<Entry>& list) {
  struct OpSizes {
    int32_t op;
    int64_t a, b;
  };
  for (const OpSizes& sizes :
       {OpSizes{VARLSTM_OP_EMBEDDING_BACKWARD, W::kVocab, W::kFeatures},
        OpSizes{VARLSTM_OP_LINEAR_FORWARD, W::kFeatures, W::kOut},
        OpSizes{VARLSTM_OP_LINEAR_BACKWARD, W::kFeatures, W::kOut}, OpSizes{VARLSTM_OP_NLL, W::kClasses, 0},
        OpSizes{VARLSTM_OP_CROSS_ENTROPY, W::kClasses, 0}, OpSizes{VARLSTM_OP_GRAD_NORM, 0, 0},
        OpSizes{VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, W::kFeatures, W::kClasses},
        OpSizes{VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, W::kFeatures, W::kClasses}}) {
    list.push_back({"varlstm_op_workspace op " + std::to_string(sizes.op), [sizes](W& w) {
                      Call call("varlstm_op_workspace", varlstm_op_workspace, w.ctx, sizes.op, kF32, W::kTokens,
                                sizes.a, sizes.b, w.host.take<int64_t>(1));
                      call.bad("op", -1).bad("op", 8).bad("a", sizes.a == 0 ? 1 : 0).bad("b", sizes.b == 0 ? 1 : 0);
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
  list.push_back({"varlstm_copy_columns", [](W& w) {
                    Call call("varlstm_copy_columns", varlstm_copy_columns, w.ctx, kF32, 3, 4,
                              w.back.take<float>(2 * 6 + 4), 6, w.back.take<float>(2 * 5 + 4), 5, nullptr);
                    call.bad("ld_src", 3).bad("ld_src", kHuge).bad("ld_dst", 3).bad("ld_dst", kHuge);
                    return bad_dtype(bad_sizes(bad_sizes(call, {"rows"}, 0), {"columns"}, 1), "dtype", true);
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

// Words of 2, 0 and 5 rows.
static int64_t* word_offsets(W& w) {
  const int64_t values[] = {0, 2, 2, W::kTokens};
  int64_t* const offsets = w.back.take<int64_t>(4);
  REQUIRE_OK(varlstm_copy(w.ctx, offsets, values, sizeof values, VARLSTM_COPY_TO_BACKEND, nullptr));
  return offsets;
}

static Call& bad_conv_max_sizes(Call& call) {
  return bad_dtype(bad_sizes(bad_sizes(call, {"words", "rows"}, 0), {"in", "filters", "width"}, 1));
}

void add_conv_max(std::vector<Entry>& list) {
  constexpr int64_t kWords = 3, kIn = W::kFeatures, kFilters = W::kOut, kWidth = 3, kLdy = kFilters + 1;
  constexpr int64_t kY = (kWords - 1) * kLdy + kFilters, kWeights = kFilters * kIn * kWidth;
  list.push_back({"varlstm_conv_max_size", [](W& w) {
                    Call call("varlstm_conv_max_size", varlstm_conv_max_size, w.ctx, kF32, kWords, W::kTokens, kIn,
                              kFilters, kWidth, w.host.take<int64_t>(1), w.host.take<int64_t>(1));
                    return bad_conv_max_sizes(call);
                  }});
  list.push_back(
      {"varlstm_conv_max_forward", [](W& w) {
         int64_t bytes = 0, backward = 0;
         REQUIRE_OK(varlstm_conv_max_size(w.ctx, kF32, kWords, W::kTokens, kIn, kFilters, kWidth, &bytes, &backward));
         Call call("varlstm_conv_max_forward", varlstm_conv_max_forward, w.ctx, kF32, kWords, W::kTokens, kIn, kFilters,
                   kWidth, VARLSTM_ACTIVATION_TANH, word_offsets(w), w.back.take<float>(W::kTokens * kIn),
                   w.back.take<float>(kWeights), w.back.take<float>(kFilters), w.back.take<float>(kY), kLdy,
                   w.back.take<int64_t>(kWords * kFilters), w.back.take<char>(bytes), bytes, nullptr);
         call.optional({"bias", "argmax"}).bad("activation", -1).bad("activation", 3);
         call.bad("ldy", kFilters - 1).bad("ldy", -kHuge).bad("ldy", kHuge);
         return bad_conv_max_sizes(call);
       }});
  list.push_back(
      {"varlstm_conv_max_backward", [](W& w) {
         int64_t bytes = 0, forward = 0;
         REQUIRE_OK(varlstm_conv_max_size(w.ctx, kF32, kWords, W::kTokens, kIn, kFilters, kWidth, &forward, &bytes));
         Call call("varlstm_conv_max_backward", varlstm_conv_max_backward, w.ctx, kF32, kWords, W::kTokens, kIn,
                   kFilters, kWidth, VARLSTM_ACTIVATION_RELU, word_offsets(w), w.back.take<float>(W::kTokens * kIn),
                   w.back.take<float>(kWeights), w.back.take<float>(kY), w.back.take<float>(kY), kLdy,
                   w.back.take<int64_t>(kWords * kFilters), w.back.take<float>(W::kTokens * kIn),
                   w.back.take<float>(kWeights), w.back.take<float>(kFilters), w.back.take<char>(bytes), bytes,
                   nullptr);
         call.optional({"dx", "dweight", "dbias"}).bad("activation", -1).bad("activation", 3);
         call.bad("ldy", kFilters - 1).bad("ldy", -kHuge).bad("ldy", kHuge);
         return bad_conv_max_sizes(call);
       }});
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

}  // namespace varlstm_test
