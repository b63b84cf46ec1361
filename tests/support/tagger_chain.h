// The whole way through the library, forward and back: embedding -> pack -> LSTM -> linear -> masked loss, with every
// buffer guarded and pre-filled. Data is given in the caller's order, sequence after sequence.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "support/buffer.h"
#include "support/context.h"
#include "support/dtype.h"
#include "support/rnn_case.h"

namespace varlstm_test {

struct ChainShape {
  RnnOptions rnn;
  int64_t vocab = 0;
  int64_t classes = 0;
  std::vector<int64_t> lengths;
  // Embed the padded ids and pack the rows; else pack the ids and embed N rows.
  bool embed_padded = false;
  // Cross-entropy in one pass; else log-softmax and NLL.
  bool fused = true;
  int64_t ignore_index = -100;
  int64_t padding_idx = -1;
};

template <class T>
struct ChainParams {
  std::vector<T> table, rnn, weight, bias;
};

template <class T>
struct ChainResult {
  std::vector<T> loss;  // one element: the mean over the kept targets
  ChainParams<T> gradients;
};

template <class T>
ChainParams<T> random_chain_params(const ChainShape& shape, Random& random) {
  const int64_t width = shape.rnn.directions() * shape.rnn.hidden;
  return {random.vector<T>(shape.vocab * shape.rnn.input), random.vector<T>(rnn_param_count(shape.rnn), -0.5, 0.5),
          random.vector<T>(shape.classes * width, -0.5, 0.5), random.vector<T>(shape.classes)};
}

template <class T>
class TaggerChain {
 public:
  // ids, targets [N], sequence after sequence; h0, c0 [L*D, B, H] or empty.
  TaggerChain(varlstm_ctx* context, const ChainShape& shape, const std::vector<int64_t>& ids,
              const std::vector<int64_t>& targets, const std::vector<T>& h0 = {}, const std::vector<T>& c0 = {},
              Fill fill = Fill::kNan)
      : context_(context),
        shape_(shape),
        bounds_(exact_bounds(shape.lengths)),
        fill_(fill),
        batch_(make_batch(context, shape.lengths)),
        rnn_(make_rnn(context, shape.rnn, kDType<T>)),
        loss_(make_loss(context, shape.classes)),
        tokens_(bounds_.max_tokens),
        padded_rows_(bounds_.max_batch * bounds_.max_len),
        width_(shape.rnn.directions() * shape.rnn.hidden),
        ragged_ids_(context, ids),
        ragged_targets_(context, targets),
        padded_ids_(context, padded_rows_),
        packed_ids_(context, tokens_),
        targets_(context, tokens_),
        h0_(context, h0),
        c0_(context, c0) {
    REQUIRE_OK(varlstm_loss_set_i64(loss_.get(), VARLSTM_KEY_IGNORE_INDEX, shape.ignore_index));
    REQUIRE_OK(varlstm_pack(batch_.get(), VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_RAGGED, 0, 1, ragged_targets_.data(),
                            targets_.data(), nullptr));
    REQUIRE_OK(varlstm_pack(batch_.get(), VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_RAGGED, 0, 1, ragged_ids_.data(),
                            packed_ids_.data(), nullptr));
    // The padding holds an id far outside the vocabulary, which an embedding of padded rows turns into zeros.
    REQUIRE_OK(varlstm_unpack(batch_.get(), VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_BATCH_FIRST, bounds_.max_len, 1, -5.0,
                              packed_ids_.data(), padded_ids_.data(), nullptr));
  }

  ChainResult<T> run(const ChainParams<T>& params, uint64_t dropout_seed = 0) {
    Buffer<T> table(context_, params.table), rnn_params(context_, params.rnn), weight(context_, params.weight);
    Buffer<T> bias(context_, params.bias), dtable(context_, zeros(params.table)), drnn(context_, zeros(params.rnn));
    Buffer<T> dweight(context_, zeros(params.weight)), dbias(context_, zeros(params.bias));
    Buffer<T> x(context_, tokens_ * shape_.rnn.input, fill_), dx(context_, tokens_ * shape_.rnn.input, fill_);
    Buffer<T> y(context_, tokens_ * width_, fill_), dy(context_, tokens_ * width_, fill_);
    Buffer<T> logits(context_, tokens_ * shape_.classes, fill_), dlogits(context_, tokens_ * shape_.classes, fill_);
    Buffer<T> loss(context_, 1, fill_);

    embed(table, &x);
    int64_t workspace_bytes = 0, reserve_bytes = 0;
    REQUIRE_OK(varlstm_rnn_sizes(rnn_.get(), bounds_.max_batch, bounds_.max_len, bounds_.max_tokens, VARLSTM_MODE_SAVE,
                                 &workspace_bytes, &reserve_bytes));
    ByteBuffer workspace(context_, workspace_bytes, fill_), reserve(context_, reserve_bytes, fill_);
    REQUIRE_OK(varlstm_rnn_forward(rnn_.get(), batch_.get(), VARLSTM_MODE_SAVE, dropout_seed, rnn_params.data(),
                                   x.data(), state(h0_), state(c0_), y.data(), nullptr, nullptr, workspace.data(),
                                   workspace_bytes, reserve.data(), reserve_bytes, nullptr));
    ByteBuffer linear_work = op_workspace(VARLSTM_OP_LINEAR_FORWARD, tokens_, width_, shape_.classes);
    REQUIRE_OK(varlstm_linear_forward(context_, kDType<T>, tokens_, width_, shape_.classes, y.data(), weight.data(),
                                      bias.data(), logits.data(), linear_work.data(), linear_work.bytes(), nullptr));
    loss_and_gradient(logits, &loss, &dlogits);

    ByteBuffer back_work = op_workspace(VARLSTM_OP_LINEAR_BACKWARD, tokens_, width_, shape_.classes);
    REQUIRE_OK(varlstm_linear_backward(context_, kDType<T>, tokens_, width_, shape_.classes, y.data(), weight.data(),
                                       dlogits.data(), dy.data(), dweight.data(), dbias.data(), back_work.data(),
                                       back_work.bytes(), nullptr));
    workspace.fill(fill_, 2);
    REQUIRE_OK(varlstm_rnn_backward(rnn_.get(), batch_.get(), rnn_params.data(), x.data(), state(h0_), state(c0_),
                                    y.data(), dy.data(), nullptr, nullptr, dx.data(), nullptr, nullptr, drnn.data(),
                                    workspace.data(), workspace_bytes, reserve.data(), reserve_bytes, nullptr));
    embed_backward(dx, &dtable);
    return {loss.get(), {dtable.get(), drnn.get(), dweight.get(), dbias.get()}};
  }

 private:
  static std::vector<T> zeros(const std::vector<T>& like) { return std::vector<T>(like.size(), T(0)); }
  static const T* state(const Buffer<T>& buffer) { return buffer.count() > 0 ? buffer.data() : nullptr; }

  ByteBuffer op_workspace(int32_t op, int64_t rows, int64_t a, int64_t b) {
    int64_t bytes = -1;
    REQUIRE_OK(varlstm_op_workspace(context_, op, kDType<T>, rows, a, b, &bytes));
    return ByteBuffer(context_, bytes, fill_);
  }

  void embed(const Buffer<T>& table, Buffer<T>* x) {
    const int64_t features = shape_.rnn.input;
    if (!shape_.embed_padded) {
      REQUIRE_OK(varlstm_embedding_forward(context_, batch_.get(), kDType<T>, tokens_, shape_.vocab, features,
                                           table.data(), packed_ids_.data(), x->data(), nullptr));
      return;
    }
    Buffer<T> rows(context_, padded_rows_ * features, fill_);
    REQUIRE_OK(varlstm_embedding_forward(context_, nullptr, kDType<T>, padded_rows_, shape_.vocab, features,
                                         table.data(), padded_ids_.data(), rows.data(), nullptr));
    REQUIRE_OK(varlstm_pack(batch_.get(), kDType<T>, VARLSTM_LAYOUT_BATCH_FIRST, bounds_.max_len, features, rows.data(),
                            x->data(), nullptr));
  }

  void embed_backward(const Buffer<T>& dx, Buffer<T>* dtable) {
    const int64_t features = shape_.rnn.input, rows = shape_.embed_padded ? padded_rows_ : tokens_;
    ByteBuffer work = op_workspace(VARLSTM_OP_EMBEDDING_BACKWARD, rows, shape_.vocab, features);
    if (!shape_.embed_padded) {
      REQUIRE_OK(varlstm_embedding_backward(context_, batch_.get(), kDType<T>, rows, shape_.vocab, features,
                                            shape_.padding_idx, packed_ids_.data(), dx.data(), dtable->data(),
                                            work.data(), work.bytes(), nullptr));
      return;
    }
    Buffer<T> drows(context_, padded_rows_ * features, fill_);
    REQUIRE_OK(varlstm_pack_backward(batch_.get(), kDType<T>, VARLSTM_LAYOUT_BATCH_FIRST, bounds_.max_len, features,
                                     dx.data(), drows.data(), nullptr));
    REQUIRE_OK(varlstm_embedding_backward(context_, nullptr, kDType<T>, rows, shape_.vocab, features,
                                          shape_.padding_idx, padded_ids_.data(), drows.data(), dtable->data(),
                                          work.data(), work.bytes(), nullptr));
  }

  void loss_and_gradient(const Buffer<T>& logits, Buffer<T>* loss, Buffer<T>* dlogits) {
    if (shape_.fused) {
      ByteBuffer work = op_workspace(VARLSTM_OP_CROSS_ENTROPY, tokens_, shape_.classes, 0);
      REQUIRE_OK(varlstm_cross_entropy_forward(loss_.get(), batch_.get(), kDType<T>, tokens_, logits.data(),
                                               targets_.data(), nullptr, loss->data(), nullptr, dlogits->data(),
                                               work.data(), work.bytes(), nullptr));
      REQUIRE_OK(varlstm_cross_entropy_backward(loss_.get(), kDType<T>, tokens_, nullptr, dlogits->data(), nullptr));
      return;
    }
    Buffer<T> log_probs(context_, logits.count(), fill_), dlog_probs(context_, logits.count(), fill_);
    ByteBuffer work = op_workspace(VARLSTM_OP_NLL, tokens_, shape_.classes, 0);
    REQUIRE_OK(varlstm_log_softmax_forward(context_, kDType<T>, tokens_, shape_.classes, logits.data(),
                                           log_probs.data(), nullptr));
    REQUIRE_OK(varlstm_nll_forward(loss_.get(), batch_.get(), kDType<T>, tokens_, log_probs.data(), targets_.data(),
                                   nullptr, loss->data(), nullptr, work.data(), work.bytes(), nullptr));
    REQUIRE_OK(varlstm_nll_backward(loss_.get(), batch_.get(), kDType<T>, tokens_, targets_.data(), nullptr, nullptr,
                                    dlog_probs.data(), work.data(), work.bytes(), nullptr));
    REQUIRE_OK(varlstm_log_softmax_backward(context_, kDType<T>, tokens_, shape_.classes, log_probs.data(),
                                            dlog_probs.data(), dlogits->data(), nullptr));
  }

  varlstm_ctx* context_;
  ChainShape shape_;
  Bounds bounds_;
  Fill fill_;
  Batch batch_;
  Rnn rnn_;
  Loss loss_;
  int64_t tokens_, padded_rows_, width_;
  Buffer<int64_t> ragged_ids_, ragged_targets_, padded_ids_, packed_ids_, targets_;
  Buffer<T> h0_, c0_;
};

}  // namespace varlstm_test
