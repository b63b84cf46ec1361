// Learns the tags of three sentences of lengths 7, 2 and 2 with embedding, LSTM, linear layer, cross-entropy and Adam.
// The sentences are padded, as a data loader gives them; after packing there is no padding any more.
//   tagger [host|cuda]    ends with status 0 only if every tag is right
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <varlstm.hpp>
#include <vector>

namespace {

constexpr int64_t kSentences = 3, kLen = 7, kWords = 10, kTags = 6, kEmbedding = 8, kHidden = 16;
constexpr int kSteps = 100;
constexpr double kLearningRate = 0.05;

const char* const kWordNames[kWords] = {"<PAD>", "is", "it", "too", "late", "now", "say", "sorry", "ooh", "yeah"};
const char* const kTagNames[kTags] = {"<PAD>", "VB", "PRP", "RB", "JJ", "NNP"};
const std::vector<int64_t> kLengths = {7, 2, 2};
const std::vector<int64_t> kPaddedWords = {1, 2, 3, 4, 5, 6, 7, 8, 8, 0, 0, 0, 0, 0, 7, 9, 0, 0, 0, 0, 0};
const std::vector<int64_t> kPaddedTags = {1, 2, 3, 3, 3, 1, 4, 5, 5, 0, 0, 0, 0, 0, 4, 5, 0, 0, 0, 0, 0};

using varlstm::Buffer;
using varlstm::Span;

class Tagger {
 public:
  explicit Tagger(const varlstm::Context& ctx)
      : ctx_(ctx),
        batch_(ctx, kLengths),
        lstm_(ctx, kEmbedding, kHidden),
        loss_(ctx, kTags),
        rows_(batch_.rows()),
        count_(kWords * kEmbedding + lstm_.param_elements() + kTags * kHidden + kTags),
        params_(ctx, initial_values(count_)),
        grads_(ctx, count_),
        m_(Buffer<float>::zeros(ctx, count_)),
        v_(Buffer<float>::zeros(ctx, count_)),
        step_(Buffer<int64_t>::zeros(ctx, 1)),
        words_(packed(kPaddedWords)),
        tags_(packed(kPaddedTags)),
        x_(ctx, rows_ * kEmbedding),
        dx_(ctx, rows_ * kEmbedding),
        y_(ctx, rows_ * kHidden),
        dy_(ctx, rows_ * kHidden),
        logits_(ctx, rows_ * kTags),
        dlogits_(ctx, rows_ * kTags),
        loss_value_(ctx, 1),
        workspace_(ctx),
        reserve_(ctx) {}

  // Forward, backward and one step of Adam. Returns the loss before the step, the mean over the 11 words.
  float train() {
    forward();
    grads_.zero();
    const Parts<float> d = parts(grads_.span());
    const Parts<const float> p = parts(std::as_const(params_).span());
    varlstm::linear_backward<float>(ctx_, rows_, kHidden, kTags, y_, p.weight, dlogits_, dy_, d.weight, d.bias,
                                    workspace_);
    lstm_.backward(batch_, {p.lstm, x_}, y_, {dy_}, {d.lstm, dx_}, workspace_, reserve_);
    varlstm::embedding_backward<float>(ctx_, nullptr, rows_, kWords, kEmbedding, -1, words_, dx_, d.table, workspace_);
    varlstm::adam_step<float>(ctx_, {kLearningRate}, params_, grads_, m_, v_, step_);
    return loss_value_.download()[0];
  }

  // Returns the best tag of each word, padded like the words; padding gets 0.
  std::vector<int64_t> predict() {
    forward();
    Buffer<float> padded(ctx_, kSentences * kLen * kTags);
    varlstm::unpack<float>(batch_, varlstm::batch_first(kLen), kTags, 0.0, logits_, padded);
    const std::vector<float> scores = padded.download();
    std::vector<int64_t> best;
    for (auto row = scores.begin(); row != scores.end(); row += kTags) {
      best.push_back(std::max_element(row, row + kTags) - row);
    }
    return best;
  }

 private:
  // One flat buffer of all parameters, or of their gradients.
  template <class T>
  struct Parts {
    Span<T> table, lstm, weight, bias;
  };
  template <class T>
  Parts<T> parts(Span<T> all) const {
    const int64_t lstm = kWords * kEmbedding, weight = lstm + lstm_.param_elements(), bias = weight + kTags * kHidden;
    return {all.subspan(0, lstm), all.subspan(lstm, weight - lstm), all.subspan(weight, bias - weight),
            all.subspan(bias, kTags)};
  }

  static std::vector<float> initial_values(int64_t count) {
    std::vector<float> values;
    for (int64_t k = 0; k < count; ++k) values.push_back(0.3f * std::sin(12.9898f * static_cast<float>(k + 1)));
    return values;
  }

  Buffer<int64_t> packed(const std::vector<int64_t>& padded) const {
    Buffer<int64_t> out(ctx_, rows_);
    varlstm::pack<int64_t>(batch_, varlstm::batch_first(kLen), 1, Buffer<int64_t>(ctx_, padded), out);
    return out;
  }

  void forward() {
    const Parts<const float> p = parts(std::as_const(params_).span());
    varlstm::embedding_forward<float>(ctx_, nullptr, rows_, kWords, kEmbedding, p.table, words_, x_);
    lstm_.forward_save(batch_, {p.lstm, x_}, {y_}, workspace_, reserve_);
    varlstm::linear_forward<float>(ctx_, rows_, kHidden, kTags, y_, p.weight, p.bias, logits_, workspace_);
    loss_.cross_entropy_forward(nullptr, rows_, logits_, tags_, {}, loss_value_, {}, dlogits_, workspace_);
  }

  varlstm::Context ctx_;
  varlstm::Batch batch_;
  varlstm::Rnn<float> lstm_;
  varlstm::Loss<float> loss_;
  int64_t rows_, count_;
  Buffer<float> params_, grads_, m_, v_;
  Buffer<int64_t> step_, words_, tags_;
  Buffer<float> x_, dx_, y_, dy_, logits_, dlogits_, loss_value_;
  varlstm::Workspace workspace_, reserve_;
};

int run(int32_t backend) {
  Tagger tagger{varlstm::Context(backend)};
  float loss = 0.0f;
  for (int step = 0; step < kSteps; ++step) {
    loss = tagger.train();
    if (step % 20 == 0 || step == kSteps - 1) std::printf("step %3d  loss %.4f\n", step, static_cast<double>(loss));
  }
  const std::vector<int64_t> tags = tagger.predict();
  for (int64_t b = 0; b < kSentences; ++b) {
    for (int64_t t = 0; t < kLengths[static_cast<size_t>(b)]; ++t) {
      const size_t at = static_cast<size_t>(b * kLen + t);
      std::printf("%s/%s ", kWordNames[kPaddedWords[at]], kTagNames[tags[at]]);
    }
    std::printf("\n");
  }
  return tags == kPaddedTags && loss < 0.05f ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string backend = argc > 1 ? argv[1] : "host";
    if (argc > 2 || (backend != "host" && backend != "cuda")) {
      std::fprintf(stderr, "usage: tagger [host|cuda], not %s\n", backend.c_str());
      return 2;
    }
    return run(backend == "cuda" ? VARLSTM_BACKEND_CUDA : VARLSTM_BACKEND_HOST);
  } catch (const varlstm::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
    return 1;
  }
}
