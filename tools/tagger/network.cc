// Forward, backward and prediction over one mini-batch.
// SPDX-License-Identifier: Apache-2.0
#include "network.h"

#include <algorithm>
#include <utility>

namespace tagger {
namespace {

// Each use of dropout in a step has a seed of its own. 0 would switch off that between layers.
uint64_t seed_for(uint64_t step_seed, uint64_t place) {
  const uint64_t seed = step_seed + place;
  return seed == 0 ? 1 : seed;
}
constexpr uint64_t kEmbeddedPlace = 0, kLayersPlace = 1, kFeaturesPlace = 2;

}  // namespace

Network::Network(const Context& context, const NetworkShape& shape, const BatchLimits& limits, Purpose purpose,
                 const InnerDropout& dropout)
    : context_(context),
      shape_(shape),
      limits_(limits),
      inner_dropout_(dropout),
      parameters_(context, shape, purpose == Purpose::kTrain ? limits.tokens : 0),
      rnn_(context, shape.input(), shape.hidden, shape.layers, shape.cell->cell),
      loss_(context, shape.tags),
      plan_(context, limits.batch, limits.length, limits.tokens),
      words_(context, shape, limits, purpose == Purpose::kTrain),
      workspace_(context),
      reserve_(context) {
  const bool train = purpose == Purpose::kTrain;
  rnn_.set_i64(VARLSTM_KEY_BIDIRECTIONAL, shape.bidirectional ? 1 : 0);
  // A step has one backward. On CUDA its gradient would be cleared apart from the others', which is a launch more.
  writes_gradient_ = context.get_i64(VARLSTM_KEY_BACKEND) == VARLSTM_BACKEND_HOST;
  rnn_.set_i64(VARLSTM_KEY_ADD_DPARAMS, writes_gradient_ ? 0 : 1);
  if (shape.projection > 0) rnn_.set_i64(VARLSTM_KEY_PROJ_SIZE, shape.projection);
  if (shape.layer_norm) rnn_.set_i64(VARLSTM_KEY_LAYER_NORM, 1);
  if (dropout.recurrent > 0) rnn_.set_i64(VARLSTM_KEY_RECURRENT_DROPOUT_KIND, dropout.recurrent_kind);
  const auto set = [this](int32_t key, double value) {
    if (value > 0) rnn_.set_f64(key, value);
  };
  set(VARLSTM_KEY_DROPOUT, dropout.between_layers);
  set(VARLSTM_KEY_RECURRENT_DROPOUT, dropout.recurrent);
  set(VARLSTM_KEY_ZONEOUT_H, shape.zoneout_h);
  set(VARLSTM_KEY_ZONEOUT_C, shape.zoneout_c);
  linear_offset_ = rnn_.param_elements();
  loss_.set_i64(VARLSTM_KEY_IGNORE_INDEX, Vocabulary::kNoTag);
  loss_.set_i64(VARLSTM_KEY_EMPTY_MEAN, VARLSTM_EMPTY_MEAN_ZERO);

  const int64_t tokens = limits.tokens, in = shape.features(), out = shape.tags;
  const auto grow = [&](int32_t op, int64_t a, int64_t b) {
    workspace_.grow(varlstm::op_workspace<float>(context, op, tokens, a, b));
  };
  workspace_.grow(rnn_.sizes(plan_, VARLSTM_MODE_INFER).workspace_bytes);
  grow(VARLSTM_OP_LINEAR_FORWARD, in, out);
  ragged_ = Buffer<int64_t>::zeros(context, tokens);
  embedded_ = Buffer<float>::zeros(context, tokens * shape.input());
  features_ = Buffer<float>::zeros(context, tokens * in);
  logits_ = Buffer<float>::zeros(context, tokens * out);
  ragged_logits_ = Buffer<float>::zeros(context, tokens * out);
  host_logits_.resize(static_cast<size_t>(tokens * out));
  if (train) {
    const auto bytes = rnn_.sizes(plan_, VARLSTM_MODE_SAVE);
    workspace_.grow(bytes.workspace_bytes);
    reserve_.grow(bytes.reserve_bytes);
    grow(VARLSTM_OP_LINEAR_BACKWARD, in, out);
    grow(VARLSTM_OP_CROSS_ENTROPY, out, 0);
    grow(VARLSTM_OP_EMBEDDING_BACKWARD, shape.words, shape.embedding);
    targets_ = Buffer<int64_t>::zeros(context, tokens);
    d_embedded_ = Buffer<float>::zeros(context, tokens * shape.input());
    d_features_ = Buffer<float>::zeros(context, tokens * in);
    mean_losses_ = Buffer<float>::zeros(context, kPendingLosses);
  }
}

int64_t Network::set_batch(const Batch& batch) {
  plan_.set_lengths(batch.lengths);
  tokens_ = batch.tokens();
  return tokens_;
}

void Network::pack_ids(const std::vector<int64_t>& ragged, Buffer<int64_t>* packed) {
  ragged_.upload({ragged.data(), tokens_});
  varlstm::pack<int64_t>(plan_, varlstm::ragged(), 1, ragged_, *packed);
}

// The words of the batch -> logits_.
void Network::forward(Purpose purpose, uint64_t seed, double dropout) {
  const int64_t in = shape_.features();
  words_.forward(plan_, parameters_, embedded_, &workspace_);
  if (dropout > 0) {
    const varlstm::Span<float> embedded = rows(embedded_, shape_.input());
    varlstm::dropout_forward<float>(context_, dropout, seed_for(seed, kEmbeddedPlace), embedded, embedded);
  }
  const uint64_t layers_seed = purpose == Purpose::kTrain && has_masks() ? seed_for(seed, kLayersPlace) : 0;
  if (purpose == Purpose::kTrain)
    rnn_.forward_save(plan_, {parameters_.values(), embedded_}, {features_}, workspace_, reserve_, layers_seed);
  else
    rnn_.forward(plan_, {parameters_.values(), embedded_}, {features_}, workspace_, layers_seed);
  // backward wants the recurrent network's own output again, so the dropped one has a buffer of its own.
  if (dropout > 0)
    varlstm::dropout_forward<float>(context_, dropout, seed_for(seed, kFeaturesPlace), rows(features_, in),
                                    d_features_);
  const varlstm::Span<const float> values = parameters_.values();
  varlstm::linear_forward<float>(context_, tokens_, in, shape_.tags, dropout > 0 ? d_features_ : features_,
                                 linear_weight(values), linear_bias(values), logits_, workspace_);
}

// logits_ holds its own gradient.
void Network::backward(uint64_t seed, double dropout) {
  const int64_t in = shape_.features();
  const varlstm::Span<const float> values = parameters_.values();
  const varlstm::Span<float> gradient = parameters_.gradient(), d_features = rows(d_features_, in);
  if (dropout > 0) {  // in two calls, because d_features_ holds what the layer has read
    varlstm::linear_backward<float>(context_, tokens_, in, shape_.tags, d_features_, {}, logits_, {},
                                    linear_weight(gradient), linear_bias(gradient), workspace_);
    varlstm::linear_backward<float>(context_, tokens_, in, shape_.tags, {}, linear_weight(values), logits_, d_features,
                                    {}, {}, workspace_);
    varlstm::dropout_backward<float>(context_, dropout, seed_for(seed, kFeaturesPlace), d_features, d_features);
  } else {
    varlstm::linear_backward<float>(context_, tokens_, in, shape_.tags, features_, linear_weight(values), logits_,
                                    d_features, linear_weight(gradient), linear_bias(gradient), workspace_);
  }
  rnn_.backward(plan_, {values, embedded_}, features_, {d_features}, {gradient, d_embedded_}, workspace_, reserve_);
  if (dropout > 0) {
    const varlstm::Span<float> d_embedded = rows(d_embedded_, shape_.input());
    varlstm::dropout_backward<float>(context_, dropout, seed_for(seed, kEmbeddedPlace), d_embedded, d_embedded);
  }
  words_.backward(plan_, parameters_, d_embedded_, &workspace_);
}

void Network::train(const Batch& batch, const TrainOptions& options, Random* random) {
  const int64_t tagged = batch.tagged();
  if (tagged == 0) return;
  set_batch(batch);
  if (static_cast<int64_t>(pending_tokens_.size()) == kPendingLosses) collect_losses();
  const auto mean_loss = mean_losses_.span().subspan(static_cast<int64_t>(pending_tokens_.size()), 1);
  pending_tokens_.push_back(tagged);

  const uint64_t seed = options.dropout > 0 || has_masks() ? random->bits() : 0;
  parameters_.zero_gradient(writes_gradient_ ? linear_offset_ : 0);
  words_.set_batch(batch, plan_, true);
  pack_ids(batch.tags, &targets_);
  forward(Purpose::kTrain, seed, options.dropout);
  loss_.cross_entropy_forward(nullptr, tokens_, logits_, targets_, {}, mean_loss, {}, logits_, workspace_);
  backward(seed, options.dropout);
  parameters_.step(options.optimizer);
}

void Network::collect_losses() {
  float means[kPendingLosses];
  mean_losses_.download({means, static_cast<int64_t>(pending_tokens_.size())});
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
  words_.set_batch(batch, plan_, false);
  forward(Purpose::kInfer, 0, 0);
  varlstm::unpack<float>(plan_, varlstm::ragged(), shape_.tags, 0.0, logits_, ragged_logits_);
  ragged_logits_.download({host_logits_.data(), tokens_ * shape_.tags});
  const float* row = host_logits_.data();
  for (int64_t n = 0; n < tokens_; ++n, row += shape_.tags)
    tags->push_back(std::max_element(row, row + shape_.tags) - row);
}

}  // namespace tagger
