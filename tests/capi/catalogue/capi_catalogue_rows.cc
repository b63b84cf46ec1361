// The catalogue's calls of rows of a table.
// SPDX-License-Identifier: Apache-2.0
#include "capi_catalogue_sections.h"

namespace varlstm_test {
namespace {

constexpr int64_t kTable = W::kVocab * W::kFeatures, kHistorySteps = 2;

Call& bad_rows(Call& call) {
  call.bad("rows", -1).bad("rows", -kHuge).bad("rows", kHuge);
  return bad_sizes(call, {"vocab", "features"}, 1);
}

Call& bad_adam(Call& call) {
  call.bad("decoupled", -1).bad("decoupled", 2);
  call.bad("history_steps", 0).bad("history_steps", -kHuge).bad("history_steps", kHuge);
  call.bad_real("beta1", 1.0, "beta1 = 1").bad_real("beta2", 1.0, "beta2 = 1");
  return bad_master_dtype(bad_rows(call));
}

}  // namespace

void add_rows(std::vector<Entry>& list) {
  list.push_back({"varlstm_embedding_backward_rows", [](W& w) {
                    const int64_t bytes =
                        w.op_workspace(VARLSTM_OP_EMBEDDING_BACKWARD, W::kTokens, W::kVocab, W::kFeatures);
                    Call call("varlstm_embedding_backward_rows", varlstm_embedding_backward_rows, w.ctx, w.batch, kF32,
                              W::kTokens, W::kVocab, W::kFeatures, 0, w.back.take<int64_t>(W::kTokens),
                              w.back.take<float>(W::kTokens * W::kFeatures), w.back.take<int64_t>(W::kTokens),
                              w.back.take<float>(W::kTokens * W::kFeatures), w.back.take<char>(bytes), bytes, nullptr);
                    call.bad("padding_idx", -2).bad("padding_idx", W::kVocab).bad("padding_idx", kHuge);
                    bad_rows_with_batch(call.optional({"batch"}));
                    return bad_dtype(bad_sizes(call, {"vocab", "features"}, 1));
                  }});
  list.push_back({"varlstm_sgd_rows_step", [](W& w) {
                    Call call("varlstm_sgd_rows_step", varlstm_sgd_rows_step, w.ctx, kF32, W::kTokens, W::kVocab,
                              W::kFeatures, 0.1, w.back.take<int64_t>(W::kTokens),
                              w.back.take<float>(W::kTokens * W::kFeatures), w.back.take<float>(kTable), nullptr);
                    bad_rates(call, {"lr"});
                    return bad_master_dtype(bad_rows(call));
                  }});
  list.push_back({"varlstm_adam_rows_step", [](W& w) {
                    Call call("varlstm_adam_rows_step", varlstm_adam_rows_step, w.ctx, kF32, W::kTokens, W::kVocab,
                              W::kFeatures, 0.1, 0.9, 0.999, 1e-8, 0.01, 1, w.back.take<int64_t>(W::kTokens),
                              w.back.take<float>(W::kTokens * W::kFeatures), w.back.take<float>(kTable),
                              w.back.take<float>(kTable), w.back.take<float>(kTable), w.back.take<int64_t>(W::kVocab),
                              w.back.take<float>(kHistorySteps * 3), kHistorySteps, w.back.take<int64_t>(1), nullptr);
                    bad_rates(call, {"lr", "beta1", "beta2", "eps", "weight_decay"});
                    return bad_adam(call);
                  }});
  list.push_back({"varlstm_adam_rows_catch_up", [](W& w) {
                    Call call("varlstm_adam_rows_catch_up", varlstm_adam_rows_catch_up, w.ctx, kF32, W::kTokens,
                              W::kVocab, W::kFeatures, 0.9, 0.999, 1e-8, 0.01, 1, w.back.take<int64_t>(W::kTokens),
                              w.back.take<float>(kTable), w.back.take<float>(kTable), w.back.take<float>(kTable),
                              w.back.take<int64_t>(W::kVocab), w.back.take<float>(kHistorySteps * 3), kHistorySteps,
                              w.back.take<int64_t>(1), nullptr);
                    bad_rates(call.optional({"ids"}), {"beta1", "beta2", "eps", "weight_decay"});
                    return bad_adam(call);
                  }});
}

}  // namespace varlstm_test
