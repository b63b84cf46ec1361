// Demo, first part: three padded sentences of lengths 7, 2 and 2 through embedding -> pack -> LSTM -> unpack -> linear
// -> log-softmax -> NLL that masks the padding, and back. Every step is one call of the C ABI.
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
constexpr int32_t kF32 = VARLSTM_DTYPE_F32, kBatchFirst = VARLSTM_LAYOUT_BATCH_FIRST;
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
  std::vector<float> log_probs() const;  // [kRows, kTags]

 private:
  float* at(const Buffer<float>& flat, int64_t parameter) const { return flat.get() + offsets_[parameter]; }

  // Places in the flat buffers, in the order of parameter_list: the four tensors of the LSTM come first.
  enum { kLstm = 0, kLinearWeight = 4, kLinearBias = 5, kTable = 6 };
  const Context& context_;
  std::vector<int64_t> offsets_;
  int64_t count_;
  RnnHandle lstm_;
  BatchHandle batch_;
  LossHandle loss_;
  Buffer<float> params_, grads_, m_, v_, loss_value_;
  Buffer<float> embedded_, x_, h_, output_, log_probs_;         // data, in the order it flows
  Buffer<float> d_embedded_, d_x_, d_h_, d_output_, d_logits_;  // its gradients
  Buffer<int64_t> ids_, targets_, step_;
  Buffer<uint8_t> workspace_, reserve_;
};

TutorialNetwork::TutorialNetwork(const Context& context)
    : context_(context),
      count_(parameter_count(tutorial_shape())),
      lstm_(context.lstm(kEmbedding, kHidden, 1)),
      batch_(context.batch(kSentences, kSteps, kTokens)),
      loss_(context.loss(kTags)) {
  for (const Parameter& parameter : parameter_list(tutorial_shape())) offsets_.push_back(parameter.offset);
  check(varlstm_batch_set_lengths(batch_.get(), kLengths, kSentences, VARLSTM_SPACE_HOST, nullptr));
  check(varlstm_loss_set_i64(loss_.get(), VARLSTM_KEY_IGNORE_INDEX, 0));  // <PAD>

  const auto floats = [&](int64_t count) { return Buffer<float>(context, count); };
  params_ = floats(count_), grads_ = floats(count_), m_ = floats(count_), v_ = floats(count_), loss_value_ = floats(1);
  embedded_ = floats(kRows * kEmbedding), d_embedded_ = floats(kRows * kEmbedding);
  x_ = floats(kTokens * kEmbedding), d_x_ = floats(kTokens * kEmbedding);
  h_ = floats(kTokens * kHidden), d_h_ = floats(kTokens * kHidden);
  output_ = floats(kRows * kHidden), d_output_ = floats(kRows * kHidden);
  log_probs_ = floats(kRows * kTags), d_logits_ = floats(kRows * kTags);
  ids_ = Buffer<int64_t>(context, kRows), targets_ = Buffer<int64_t>(context, kRows);
  step_ = Buffer<int64_t>(context, 1);
  ids_.to_backend(kX, kRows);
  targets_.to_backend(kY, kRows);
  Random random(1);
  params_.to_backend(initial_parameters(tutorial_shape(), &random).data(), count_);

  int64_t workspace = 0, reserve = 0;
  check(varlstm_rnn_sizes(lstm_.get(), kSentences, kSteps, kTokens, VARLSTM_MODE_SAVE, &workspace, &reserve));
  const auto grow = [&](int32_t op, int64_t a, int64_t b) {
    int64_t bytes = 0;
    check(varlstm_op_workspace(context.get(), op, kF32, kRows, a, b, &bytes));
    workspace = std::max(workspace, bytes);
  };
  grow(VARLSTM_OP_EMBEDDING_BACKWARD, kWords, kEmbedding);
  grow(VARLSTM_OP_LINEAR_FORWARD, kHidden, kTags);
  grow(VARLSTM_OP_LINEAR_BACKWARD, kHidden, kTags);
  grow(VARLSTM_OP_NLL, kTags, 0);
  workspace_ = Buffer<uint8_t>(context, workspace);
  reserve_ = Buffer<uint8_t>(context, reserve);
}

float TutorialNetwork::forward() {
  varlstm_ctx* ctx = context_.get();
  check(varlstm_embedding_forward(ctx, nullptr, kF32, kRows, kWords, kEmbedding, at(params_, kTable), ids_.get(),
                                  embedded_.get(), nullptr));
  check(varlstm_pack(batch_.get(), kF32, kBatchFirst, kSteps, kEmbedding, embedded_.get(), x_.get(), nullptr));
  check(varlstm_rnn_forward(lstm_.get(), batch_.get(), VARLSTM_MODE_SAVE, 0, at(params_, kLstm), x_.get(), nullptr,
                            nullptr, h_.get(), nullptr, nullptr, workspace_.get(), workspace_.count(), reserve_.get(),
                            reserve_.count(), nullptr));
  check(varlstm_unpack(batch_.get(), kF32, kBatchFirst, kSteps, kHidden, 0.0, h_.get(), output_.get(), nullptr));
  check(varlstm_linear_forward(ctx, kF32, kRows, kHidden, kTags, output_.get(), at(params_, kLinearWeight),
                               at(params_, kLinearBias), log_probs_.get(), workspace_.get(), workspace_.count(),
                               nullptr));
  check(varlstm_log_softmax_forward(ctx, kF32, kRows, kTags, log_probs_.get(), log_probs_.get(), nullptr));
  check(varlstm_nll_forward(loss_.get(), nullptr, kF32, kRows, log_probs_.get(), targets_.get(), nullptr,
                            loss_value_.get(), nullptr, workspace_.get(), workspace_.count(), nullptr));
  float loss = 0;
  loss_value_.to_host(&loss, 1);
  return loss;
}

void TutorialNetwork::backward_and_step() {
  varlstm_ctx* ctx = context_.get();
  grads_.zero(count_);
  check(varlstm_nll_backward(loss_.get(), nullptr, kF32, kRows, targets_.get(), nullptr, nullptr, d_logits_.get(),
                             workspace_.get(), workspace_.count(), nullptr));
  check(varlstm_log_softmax_backward(ctx, kF32, kRows, kTags, log_probs_.get(), d_logits_.get(), d_logits_.get(),
                                     nullptr));
  check(varlstm_linear_backward(ctx, kF32, kRows, kHidden, kTags, output_.get(), at(params_, kLinearWeight),
                                d_logits_.get(), d_output_.get(), at(grads_, kLinearWeight), at(grads_, kLinearBias),
                                workspace_.get(), workspace_.count(), nullptr));
  check(
      varlstm_unpack_backward(batch_.get(), kF32, kBatchFirst, kSteps, kHidden, d_output_.get(), d_h_.get(), nullptr));
  check(varlstm_rnn_backward(lstm_.get(), batch_.get(), at(params_, kLstm), x_.get(), nullptr, nullptr, h_.get(),
                             d_h_.get(), nullptr, nullptr, d_x_.get(), nullptr, nullptr, at(grads_, kLstm),
                             workspace_.get(), workspace_.count(), reserve_.get(), reserve_.count(), nullptr));
  check(varlstm_pack_backward(batch_.get(), kF32, kBatchFirst, kSteps, kEmbedding, d_x_.get(), d_embedded_.get(),
                              nullptr));
  check(varlstm_embedding_backward(ctx, nullptr, kF32, kRows, kWords, kEmbedding, /*padding_idx=*/0, ids_.get(),
                                   d_embedded_.get(), at(grads_, kTable), workspace_.get(), workspace_.count(),
                                   nullptr));
  check(varlstm_adam_step(ctx, kF32, count_, 1e-2, 0.9, 0.999, 1e-8, 0.0, 0, params_.get(), grads_.get(), m_.get(),
                          v_.get(), step_.get(), nullptr));
}

std::vector<float> TutorialNetwork::log_probs() const {
  std::vector<float> values(kRows * kTags);
  log_probs_.to_host(values.data(), kRows * kTags);
  return values;
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
