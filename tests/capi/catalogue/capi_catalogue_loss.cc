// The catalogue's calls of the losses.
// SPDX-License-Identifier: Apache-2.0
#include "capi_catalogue_sections.h"

namespace varlstm_test {

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
    list.push_back({"varlstm_linear_cross_entropy_forward" + suffix, [=](W& w) {
                      REQUIRE_OK(varlstm_loss_set_i64(w.loss, VARLSTM_KEY_REDUCTION, reduction));
                      const int64_t bytes = w.op_workspace(VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD, W::kTokens,
                                                           W::kFeatures, W::kClasses);
                      Call call("varlstm_linear_cross_entropy_forward", varlstm_linear_cross_entropy_forward, w.loss,
                                w.batch, kF32, W::kTokens, W::kFeatures, w.back.take<float>(W::kTokens * W::kFeatures),
                                w.back.take<float>(W::kClasses * W::kFeatures), w.back.take<float>(W::kClasses),
                                w.back.take<int64_t>(W::kTokens), w.back.take<float>(W::kClasses),
                                w.back.take<float>(outs), w.back.take<float>(1), w.back.take<float>(W::kTokens),
                                w.back.take<char>(bytes), bytes, nullptr);
                      call.optional({"batch", "bias", "class_weights", "weight_sum", "lse"});
                      return bad_dtype(bad_sizes(bad_rows_with_batch(call), {"in"}, 1));
                    }});
    list.push_back({"varlstm_linear_cross_entropy_backward" + suffix, [=](W& w) {
                      REQUIRE_OK(varlstm_loss_set_i64(w.loss, VARLSTM_KEY_REDUCTION, reduction));
                      const int64_t bytes = w.op_workspace(VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD, W::kTokens,
                                                           W::kFeatures, W::kClasses);
                      constexpr int64_t kWeights = W::kClasses * W::kFeatures, kInputs = W::kTokens * W::kFeatures;
                      Call call("varlstm_linear_cross_entropy_backward", varlstm_linear_cross_entropy_backward, w.loss,
                                w.batch, kF32, W::kTokens, W::kFeatures, w.back.take<float>(kInputs),
                                w.back.take<float>(kWeights), w.back.take<float>(W::kClasses),
                                w.back.take<int64_t>(W::kTokens), w.back.take<float>(W::kClasses),
                                w.back.take<float>(W::kTokens), w.back.take<float>(outs), w.back.take<float>(kInputs),
                                w.back.take<float>(kWeights), w.back.take<float>(W::kClasses), w.back.take<char>(bytes),
                                bytes, nullptr);
                      call.optional({"batch", "bias", "class_weights", "dout", "dx", "dweight", "dbias"});
                      return bad_dtype(bad_sizes(bad_rows_with_batch(call), {"in"}, 1));
                    }});
  }
}

}  // namespace varlstm_test
