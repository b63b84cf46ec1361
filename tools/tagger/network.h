// The tagger's network through varlstm.hpp: words -> dropout -> RNN -> dropout -> linear -> cross-entropy over the
// tokens of a mini-batch. All memory is taken once, for the largest batch.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "context.h"
#include "corpus.h"
#include "network_shape.h"
#include "parameters.h"
#include "random.h"
#include "word_input.h"

namespace tagger {

struct TrainOptions {
  OptimizerOptions optimizer;
  double dropout = 0;  // of the embeddings, between layers, of the recurrent network's output
};

// What is dropped inside the recurrent network while it learns: its options are fixed when it is made.
struct InnerDropout {
  double between_layers = 0;
  double recurrent = 0;
  int32_t recurrent_kind = VARLSTM_RECURRENT_DROPOUT_WEIGHTS;
};

enum class Purpose { kInfer, kTrain };

class Network {
 public:
  Network(const Context& context, const NetworkShape& shape, const BatchLimits& limits, Purpose purpose,
          const InnerDropout& dropout = {});

  const NetworkShape& shape() const { return shape_; }
  Parameters& parameters() { return parameters_; }

  // The rows of the embedding table that are true stay as they are (kTrain).
  void freeze_words(std::vector<bool> rows) { words_.freeze_words(std::move(rows)); }

  // One optimiser step (kTrain), which may still be under way when this returns: nothing is read back. `random` gives
  // dropout its masks. A batch without a tagged token changes nothing.
  void train(const Batch& batch, const TrainOptions& options, Random* random);

  // Sum over the tagged tokens trained on since the last call of each one's loss before its step. Waits for the back
  // end.
  double take_loss();

  // tags [N], the most likely one for each token, in the batch's order.
  void predict(const Batch& batch, std::vector<int64_t>* tags);

 private:
  // Batches whose losses stay with the back end until they are read together.
  static constexpr int64_t kPendingLosses = 256;

  int64_t set_batch(const Batch& batch);
  void pack_ids(const std::vector<int64_t>& ragged, Buffer<int64_t>* packed);
  // Whether the recurrent network draws masks while it learns.
  bool has_masks() const {
    return inner_dropout_.between_layers > 0 || inner_dropout_.recurrent > 0 || shape_.zoneout_h > 0 ||
           shape_.zoneout_c > 0;
  }
  void forward(Purpose purpose, uint64_t seed, double dropout);
  void backward(uint64_t seed, double dropout);
  void collect_losses();
  // The linear layer's part of the parameters, or of their gradient.
  template <class T>
  varlstm::Span<T> linear_weight(varlstm::Span<T> flat) const {
    return flat.subspan(linear_offset_, shape_.tags * shape_.features());
  }
  template <class T>
  varlstm::Span<T> linear_bias(varlstm::Span<T> flat) const {
    return flat.subspan(linear_offset_ + shape_.tags * shape_.features(), shape_.tags);
  }
  // The rows of the batch at hand.
  varlstm::Span<float> rows(Buffer<float>& data, int64_t features) const {
    return data.span().subspan(0, tokens_ * features);
  }

  Context context_;
  NetworkShape shape_;
  BatchLimits limits_;
  InnerDropout inner_dropout_;
  Parameters parameters_;
  varlstm::Rnn<float> rnn_;
  varlstm::Loss<float> loss_;
  varlstm::Batch plan_;
  bool writes_gradient_ = false;  // backward writes that of the recurrent network, instead of adding to it
  int64_t linear_offset_ = 0;
  int64_t tokens_ = 0;  // of the batch at hand

  WordInput words_;
  Buffer<int64_t> targets_;                     // [N] packed
  Buffer<float> embedded_, features_, logits_;  // [N, shape.input()], [N, D*R], [N, C] packed
  Buffer<float> d_embedded_, d_features_;       // [N, shape.input()], [N, D*R]
  Buffer<float> mean_losses_;                   // [kPendingLosses], of a batch each
  Buffer<int64_t> ragged_;                      // [N] ids on their way to being packed
  Buffer<float> ragged_logits_;                 // [N, C]
  Workspace workspace_, reserve_;
  std::vector<float> host_logits_;
  std::vector<int64_t> pending_tokens_;  // tagged ones of the batches whose losses are in mean_losses_
  double loss_sum_ = 0;                  // of the batches before those
};

}  // namespace tagger
