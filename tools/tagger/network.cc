// Forward, backward and prediction over one mini-batch.
// SPDX-License-Identifier: Apache-2.0
#include "network.h"

#include <algorithm>
#include <utility>

namespace tagger {
namespace {

constexpr int32_t kF32 = VARLSTM_DTYPE_F32;

// Each use of dropout in a step has a seed of its own. 0 would switch the LSTM's off.
uint64_t seed_for(uint64_t step_seed, uint64_t place) {
  const uint64_t seed = step_seed + place;
  return seed == 0 ? 1 : seed;
}
constexpr uint64_t kEmbeddedPlace = 0, kLayersPlace = 1, kFeaturesPlace = 2;

}  // namespace

Network::Network(const Context& context, const NetworkShape& shape, const BatchLimits& limits, Purpose purpose,
                 double dropout)
    : context_(context),
      shape_(shape),
      limits_(limits),
      parameters_(context, shape, purpose == Purpose::kTrain),
      lstm_(context.lstm(shape.embedding, shape.hidden, shape.layers)),
      loss_(context.loss(shape.tags)),
      plan_(context.batch(limits.batch, limits.length, limits.tokens)) {
  const bool train = purpose == Purpose::kTrain;
  check(varlstm_rnn_set_i64(lstm_.get(), VARLSTM_KEY_BIDIRECTIONAL, shape.bidirectional ? 1 : 0));
  check(varlstm_rnn_set_f64(lstm_.get(), VARLSTM_KEY_DROPOUT, dropout));
  check(varlstm_rnn_param_count(lstm_.get(), nullptr, &linear_offset_));
  check(varlstm_loss_set_i64(loss_.get(), VARLSTM_KEY_IGNORE_INDEX, Vocabulary::kNoTag));
  check(varlstm_loss_set_i64(loss_.get(), VARLSTM_KEY_EMPTY_MEAN, VARLSTM_EMPTY_MEAN_ZERO));

  const int64_t tokens = limits.tokens, in = shape.features(), out = shape.tags;
  int64_t workspace = 0, reserve = 0, none = 0;
  check(varlstm_rnn_sizes(lstm_.get(), limits.batch, limits.length, tokens, VARLSTM_MODE_INFER, &workspace, &none));
  if (train) {
    int64_t bytes = 0;
    check(varlstm_rnn_sizes(lstm_.get(), limits.batch, limits.length, tokens, VARLSTM_MODE_SAVE, &bytes, &reserve));
    workspace = std::max(workspace, bytes);
  }
  const auto grow = [&](int32_t op, int64_t a, int64_t b) {
    int64_t bytes = 0;
    check(varlstm_op_workspace(context.get(), op, kF32, tokens, a, b, &bytes));
    workspace = std::max(workspace, bytes);
  };
  grow(VARLSTM_OP_LINEAR_FORWARD, in, out);
  if (train) {
    grow(VARLSTM_OP_LINEAR_BACKWARD, in, out);
    grow(VARLSTM_OP_CROSS_ENTROPY, out, 0);
    grow(VARLSTM_OP_EMBEDDING_BACKWARD, shape.words, shape.embedding);
  }
  workspace_ = Buffer<uint8_t>(context, workspace);

  ragged_ = Buffer<int64_t>(context, tokens);
  words_ = Buffer<int64_t>(context, tokens);
  embedded_ = Buffer<float>(context, tokens * shape.embedding);
  features_ = Buffer<float>(context, tokens * in);
  logits_ = Buffer<float>(context, tokens * out);
  ragged_logits_ = Buffer<float>(context, tokens * out);
  host_logits_.resize(static_cast<size_t>(tokens * out));
  if (train) {
    reserve_ = Buffer<uint8_t>(context, reserve);
    targets_ = Buffer<int64_t>(context, tokens);
    d_embedded_ = Buffer<float>(context, tokens * shape.embedding);
    d_features_ = Buffer<float>(context, tokens * in);
    mean_losses_ = Buffer<float>(context, kPendingLosses);
  }
}

int64_t Network::set_batch(const Batch& batch) {
  check(varlstm_batch_set_lengths(plan_.get(), batch.lengths.data(), batch.size(), VARLSTM_SPACE_HOST, nullptr));
  tokens_ = batch.tokens();
  return tokens_;
}

void Network::pack_ids(const std::vector<int64_t>& ragged, Buffer<int64_t>* packed) {
  ragged_.to_backend(ragged.data(), tokens_);
  check(
      varlstm_pack(plan_.get(), VARLSTM_DTYPE_I64, VARLSTM_LAYOUT_RAGGED, 0, 1, ragged_.get(), packed->get(), nullptr));
}

// words_ -> logits_.
void Network::forward(int32_t mode, uint64_t seed, double dropout) {
  const int64_t in = shape_.features();
  const bool save = mode == VARLSTM_MODE_SAVE;
  check(varlstm_embedding_forward(context_.get(), nullptr, kF32, tokens_, shape_.words, shape_.embedding,
                                  parameters_.table(), words_.get(), embedded_.get(), nullptr));
  if (dropout > 0)
    check(varlstm_dropout_forward(context_.get(), kF32, tokens_ * shape_.embedding, dropout,
                                  seed_for(seed, kEmbeddedPlace), embedded_.get(), embedded_.get(), nullptr));
  check(varlstm_rnn_forward(lstm_.get(), plan_.get(), mode, dropout > 0 ? seed_for(seed, kLayersPlace) : 0,
                            parameters_.values(), embedded_.get(), nullptr, nullptr, features_.get(), nullptr, nullptr,
                            workspace_.get(), workspace_.count(), save ? reserve_.get() : nullptr,
                            save ? reserve_.count() : 0, nullptr));
  // backward wants the LSTM's own output again, so the dropped one has a buffer of its own.
  const float* linear_in = features_.get();
  if (dropout > 0) {
    check(varlstm_dropout_forward(context_.get(), kF32, tokens_ * in, dropout, seed_for(seed, kFeaturesPlace),
                                  features_.get(), d_features_.get(), nullptr));
    linear_in = d_features_.get();
  }
  check(varlstm_linear_forward(context_.get(), kF32, tokens_, in, shape_.tags, linear_in, linear_weight(),
                               parameters_.values() + linear_bias_offset(), logits_.get(), workspace_.get(),
                               workspace_.count(), nullptr));
}

// logits_ holds its own gradient.
void Network::backward(uint64_t seed, double dropout) {
  const int64_t in = shape_.features();
  float* gradient = parameters_.gradient();
  const float* linear_in = dropout > 0 ? d_features_.get() : features_.get();
  check(varlstm_linear_backward(context_.get(), kF32, tokens_, in, shape_.tags, linear_in, nullptr, logits_.get(),
                                nullptr, gradient + linear_offset_, gradient + linear_bias_offset(), workspace_.get(),
                                workspace_.count(), nullptr));
  check(varlstm_linear_backward(context_.get(), kF32, tokens_, in, shape_.tags, nullptr, linear_weight(), logits_.get(),
                                d_features_.get(), nullptr, nullptr, workspace_.get(), workspace_.count(), nullptr));
  if (dropout > 0)
    check(varlstm_dropout_backward(context_.get(), kF32, tokens_ * in, dropout, seed_for(seed, kFeaturesPlace),
                                   d_features_.get(), d_features_.get(), nullptr));
  check(varlstm_rnn_backward(lstm_.get(), plan_.get(), parameters_.values(), embedded_.get(), nullptr, nullptr,
                             features_.get(), d_features_.get(), nullptr, nullptr, d_embedded_.get(), nullptr, nullptr,
                             gradient, workspace_.get(), workspace_.count(), reserve_.get(), reserve_.count(),
                             nullptr));
  if (dropout > 0)
    check(varlstm_dropout_backward(context_.get(), kF32, tokens_ * shape_.embedding, dropout,
                                   seed_for(seed, kEmbeddedPlace), d_embedded_.get(), d_embedded_.get(), nullptr));
  check(varlstm_embedding_backward(context_.get(), nullptr, kF32, tokens_, shape_.words, shape_.embedding,
                                   Vocabulary::kPadding, words_.get(), d_embedded_.get(), parameters_.table_gradient(),
                                   workspace_.get(), workspace_.count(), nullptr));
}

void Network::train(const Batch& batch, const TrainOptions& options, Random* random) {
  if (set_batch(batch) == 0) return;
  if (static_cast<int64_t>(pending_tokens_.size()) == kPendingLosses) collect_losses();
  float* mean_loss = mean_losses_.get() + pending_tokens_.size();
  pending_tokens_.push_back(tokens_);

  const uint64_t seed = options.dropout > 0 ? random->bits() : 0;
  parameters_.zero_gradient();
  pack_ids(batch.words, &words_);
  pack_ids(batch.tags, &targets_);
  forward(VARLSTM_MODE_SAVE, seed, options.dropout);
  check(varlstm_cross_entropy_forward(loss_.get(), nullptr, kF32, tokens_, logits_.get(), targets_.get(), nullptr,
                                      mean_loss, nullptr, logits_.get(), workspace_.get(), workspace_.count(),
                                      nullptr));
  backward(seed, options.dropout);
  parameters_.step(options.optimizer);
}

void Network::collect_losses() {
  float means[kPendingLosses];
  mean_losses_.to_host(means, static_cast<int64_t>(pending_tokens_.size()));
  for (size_t k = 0; k < pending_tokens_.size(); ++k)
    loss_sum_ += static_cast<double>(means[k]) * static_cast<double>(pending_tokens_[k]);
  pending_tokens_.clear();
}

double Network::take_loss() {
  collect_losses();
  return std::exchange(loss_sum_, 0.0);
}

void Network::predict(const Batch& batch, std::vector<int64_t>* tags) {
  tags->clear();
  if (set_batch(batch) == 0) return;
  pack_ids(batch.words, &words_);
  forward(VARLSTM_MODE_INFER, 0, 0);
  check(varlstm_unpack(plan_.get(), kF32, VARLSTM_LAYOUT_RAGGED, 0, shape_.tags, 0.0, logits_.get(),
                       ragged_logits_.get(), nullptr));
  ragged_logits_.to_host(host_logits_.data(), tokens_ * shape_.tags);
  const float* row = host_logits_.data();
  for (int64_t n = 0; n < tokens_; ++n, row += shape_.tags)
    tags->push_back(std::max_element(row, row + shape_.tags) - row);
}

}  // namespace tagger
