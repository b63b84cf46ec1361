// Demo, first part: three padded sentences of lengths 7, 2 and 2 through embedding -> pack -> LSTM -> unpack -> linear
// -> log-softmax -> NLL that masks the padding, and back. Every step is one call of the library.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "demo.h"
#include "network_shape.h"
#include "parameters.h"

namespace tagger {
namespace {

constexpr int64_t kSentences = 3, kSteps = 7, kRows = kSentences * kSteps, kTokens = 11;
constexpr int64_t kWords = 10, kTags = 6, kEmbedding = 16, kHidden = 32;
constexpr double kAim = 0.01;

const char* const kWordNames[kWords] = {"<PAD>", "is", "it", "too", "late", "now", "say", "sorry", "ooh", "yeah"};
const char* const kTagNames[kTags] = {"<PAD>", "VB", "PRP", "RB", "JJ", "NNP"};
constexpr int64_t kLengths[kSentences] = {7, 2, 2};
// Padded with 0, which is <PAD> on both sides.
constexpr int64_t kX[kRows] = {1, 2, 3, 4, 5, 6, 7, 8, 8, 0, 0, 0, 0, 0, 7, 9, 0, 0, 0, 0, 0};
constexpr int64_t kY[kRows] = {1, 2, 3, 3, 3, 1, 4, 5, 5, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0};

NetworkShape tutorial_shape() {
  NetworkShape shape;
  shape.words = kWords;
  shape.embedding = kEmbedding;
  shape.hidden = kHidden;
  shape.bidirectional = false;
  shape.tags = kTags;
  return shape;
}

class TutorialNetwork {
 public:
  explicit TutorialNetwork(const Context& context);
  float forward();  // the loss
  void backward_and_step();
  std::vector<float> log_probs() const { return log_probs_.download(); }  // [kRows, kTags]

 private:
  // Places in the flat buffers, in the order of parameter_list: the four tensors of the LSTM come first.
  enum { kLinearWeight = 4, kLinearBias = 5, kTable = 6 };
  template <class T>
  varlstm::Span<T> at(varlstm::Span<T> flat, size_t parameter) const {
    return flat.subspan(list_[parameter].offset, list_[parameter].count);
  }

  Context context_;
  std::vector<Parameter> list_ = parameter_list(tutorial_shape());
  varlstm::Rnn<float> lstm_;
  varlstm::Batch batch_;
  varlstm::Loss<float> loss_;
  Buffer<float> params_, grads_, m_, v_, loss_value_;
  Buffer<float> embedded_, x_, h_, output_, log_probs_;         // data, in the order it flows
  Buffer<float> d_embedded_, d_x_, d_h_, d_output_, d_logits_;  // its gradients
  Buffer<int64_t> ids_, targets_, step_;
  Workspace workspace_, reserve_;
};

TutorialNetwork::TutorialNetwork(const Context& context)
    : context_(context),
      lstm_(context, kEmbedding, kHidden),
      batch_(context, kLengths),
      loss_(context, kTags),
      ids_(context, kX),
      targets_(context, kY),
      step_(Buffer<int64_t>::zeros(context, 1)),
      workspace_(context),
      reserve_(context) {
  loss_.set_i64(VARLSTM_KEY_IGNORE_INDEX, 0);  // <PAD>
  Random random(1);
  params_ = Buffer<float>(context, initial_parameters(tutorial_shape(), &random));
  const auto floats = [&](int64_t count) { return Buffer<float>::zeros(context, count); };
  grads_ = floats(params_.size()), m_ = floats(params_.size()), v_ = floats(params_.size()), loss_value_ = floats(1);
  embedded_ = floats(kRows * kEmbedding), d_embedded_ = floats(kRows * kEmbedding);
  x_ = floats(kTokens * kEmbedding), d_x_ = floats(kTokens * kEmbedding);
  h_ = floats(kTokens * kHidden), d_h_ = floats(kTokens * kHidden);
  output_ = floats(kRows * kHidden), d_output_ = floats(kRows * kHidden);
  log_probs_ = floats(kRows * kTags), d_logits_ = floats(kRows * kTags);
}

float TutorialNetwork::forward() {
  const varlstm::Span<const float> params = params_;
  varlstm::embedding_forward<float>(context_, nullptr, kRows, kWords, kEmbedding, at(params, kTable), ids_, embedded_);
  varlstm::pack<float>(batch_, varlstm::batch_first(kSteps), kEmbedding, embedded_, x_);
  lstm_.forward_save(batch_, {params, x_}, {h_}, workspace_, reserve_);
  varlstm::unpack<float>(batch_, varlstm::batch_first(kSteps), kHidden, 0.0, h_, output_);
  varlstm::linear_forward<float>(context_, kRows, kHidden, kTags, output_, at(params, kLinearWeight),
                                 at(params, kLinearBias), log_probs_, workspace_);
  varlstm::log_softmax_forward<float>(context_, kRows, kTags, log_probs_, log_probs_);
  loss_.nll_forward(nullptr, kRows, log_probs_, targets_, {}, loss_value_, {}, workspace_);
  return loss_value_.download()[0];
}

void TutorialNetwork::backward_and_step() {
  const varlstm::Span<const float> params = params_;
  const varlstm::Span<float> grads = grads_;
  grads_.zero();
  loss_.nll_backward(nullptr, kRows, targets_, {}, {}, d_logits_, workspace_);
  varlstm::log_softmax_backward<float>(context_, kRows, kTags, log_probs_, d_logits_, d_logits_);
  varlstm::linear_backward<float>(context_, kRows, kHidden, kTags, output_, at(params, kLinearWeight), d_logits_,
                                  d_output_, at(grads, kLinearWeight), at(grads, kLinearBias), workspace_);
  varlstm::unpack_backward<float>(batch_, varlstm::batch_first(kSteps), kHidden, d_output_, d_h_);
  lstm_.backward(batch_, {params, x_}, h_, {d_h_}, {grads, d_x_}, workspace_, reserve_);
  varlstm::pack_backward<float>(batch_, varlstm::batch_first(kSteps), kEmbedding, d_x_, d_embedded_);
  varlstm::embedding_backward<float>(context_, nullptr, kRows, kWords, kEmbedding, /*padding_idx=*/0, ids_, d_embedded_,
                                     at(grads, kTable), workspace_);
  varlstm::adam_step<float>(context_, {1e-2}, params_, grads_, m_, v_, step_);
}

// Prints each sentence as word/TAG; whether all tags are right.
bool print_tags(const std::vector<float>& log_probs, OutputFile* out) {
  bool right = true;
  for (int64_t b = 0; b < kSentences; ++b) {
    std::string line = " ";
    for (int64_t t = 0; t < kLengths[b]; ++t) {
      const int64_t row = b * kSteps + t;
      const float* probs = log_probs.data() + row * kTags;
      const int64_t tag = std::max_element(probs, probs + kTags) - probs;
      right = right && tag == kY[row];
      line += fmt::format(" {}/{}", kWordNames[kX[row]], kTagNames[tag]);
    }
    out->write(line + '\n');
  }
  return right;
}

}  // namespace

bool demo_tutorial(const Context& context, OutputFile* out) {
  constexpr int kMaxSteps = 2000;
  out->write("Three sentences of 7, 2 and 2 words: embedding, LSTM, linear, log-softmax, masked NLL\n");
  TutorialNetwork network(context);
  int step = 0;
  float loss = network.forward();
  out->write(fmt::format("  loss before training: {:.4f}\n", loss));
  while (!(loss < kAim) && step < kMaxSteps) {
    network.backward_and_step();
    loss = network.forward();
    ++step;
  }
  out->write(fmt::format("  loss after {} steps of Adam: {:.4f}\n", step, loss));
  const bool right = print_tags(network.log_probs(), out);
  const bool reached = loss < kAim && right;
  if (!reached) out->write(fmt::format("  FAILED: a loss under {} with every tag right was not reached\n", kAim));
  return reached;
}

}  // namespace tagger
