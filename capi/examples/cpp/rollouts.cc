// A recurrent policy on rollouts of several environments whose episodes end at different times. The rollout buffer
// [environments, steps, features] is ragged data already: a sequence is a piece of an episode, and the lengths tell
// where a piece ends. If an episode continues in the next rollout, so do its h and c.
//   rollouts [host|cuda]    ends with status 0 only if the network has learnt the task
// The task: an episode's first observation shows one of two cues, and the later observations show a distraction. The
// answer at every step is the episode's cue. Episodes are longer than a rollout, so the state has to carry the cue.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <varlstm.hpp>
#include <vector>

namespace {

constexpr int64_t kEnvironments = 4, kSteps = 8, kRows = kEnvironments * kSteps;
constexpr int64_t kFeatures = 3, kHidden = 16, kActions = 2;
constexpr int kTrainRollouts = 400, kTestRollouts = 20;
constexpr int kShortestEpisode = 3, kLongestEpisode = 20;

using varlstm::Buffer;
using varlstm::Span;

// One rollout; row e * kSteps + t is step t of environment e.
struct Rollout {
  std::vector<float> observations = std::vector<float>(kRows * kFeatures, 0.0f);
  std::vector<int64_t> answers = std::vector<int64_t>(kRows);
  std::vector<char> ends = std::vector<char>(kRows);     // the episode ends with this step
  std::vector<char> carried = std::vector<char>(kRows);  // the episode began in an earlier rollout
};

class Environments {
 public:
  Rollout next() {
    Rollout rollout;
    for (size_t e = 0; e < kEnvironments; ++e) {
      bool carried = left_[e] > 0;
      for (size_t row = e * kSteps; row < (e + 1) * kSteps; ++row) {
        const bool begins = left_[e] == 0;
        if (begins) {
          left_[e] = std::uniform_int_distribution<int>(kShortestEpisode, kLongestEpisode)(random_);
          cue_[e] = std::uniform_int_distribution<int>(0, 1)(random_);
          carried = false;
        }
        float* observation = rollout.observations.data() + row * kFeatures;
        if (begins) observation[cue_[e]] = 1.0f;
        observation[2] = std::uniform_real_distribution<float>(-1.0f, 1.0f)(random_);
        rollout.answers[row] = cue_[e];
        rollout.ends[row] = --left_[e] == 0;
        rollout.carried[row] = carried;
      }
    }
    return rollout;
  }

 private:
  std::mt19937 random_{5};
  int left_[kEnvironments] = {}, cue_[kEnvironments] = {};
};

// The sequences of a rollout: environment after environment, each cut after every step that ends an episode.
struct Pieces {
  std::vector<int64_t> lengths;
  std::vector<size_t> first, last;  // the first and the last sequence of each environment
};

Pieces pieces_of(const Rollout& rollout) {
  Pieces pieces;
  for (size_t e = 0; e < kEnvironments; ++e) {
    pieces.first.push_back(pieces.lengths.size());
    int64_t length = 0;
    for (size_t t = 0; t < kSteps; ++t) {
      ++length;
      if (!rollout.ends[e * kSteps + t] && t + 1 < kSteps) continue;
      pieces.lengths.push_back(length);
      length = 0;
    }
    pieces.last.push_back(pieces.lengths.size() - 1);
  }
  return pieces;
}

// h and c, [rows, kHidden]; zeros if an episode begins.
struct State {
  explicit State(size_t rows) : h(rows * kHidden, 0.0f), c(h) {}

  void set(size_t row, const State& from, size_t from_row) {
    std::copy_n(from.h.begin() + at(from_row), kHidden, h.begin() + at(row));
    std::copy_n(from.c.begin() + at(from_row), kHidden, c.begin() + at(row));
  }
  void clear(size_t row) {
    std::fill_n(h.begin() + at(row), kHidden, 0.0f);
    std::fill_n(c.begin() + at(row), kHidden, 0.0f);
  }
  static int64_t at(size_t row) { return static_cast<int64_t>(row) * kHidden; }

  std::vector<float> h, c;
};

std::vector<float> initial_values(int64_t count) {
  std::vector<float> values;
  for (int64_t k = 0; k < count; ++k) values.push_back(0.3f * std::sin(12.9898f * static_cast<float>(k + 1)));
  return values;
}

varlstm::Rnn<float> make_lstm(const varlstm::Context& ctx) {
  varlstm::Rnn<float> lstm(ctx, kFeatures, kHidden);
  lstm.set_i64(VARLSTM_KEY_ROWS, VARLSTM_ROWS_RAGGED);  // x and y have the order of the rollout's rows
  return lstm;
}

class Policy {
 public:
  explicit Policy(const varlstm::Context& ctx)
      : ctx_(ctx),
        batch_(ctx, kRows, kSteps, kRows),  // at most, every step is an episode of its own
        lstm_(make_lstm(ctx)),
        loss_(ctx, kActions),
        lstm_count_(lstm_.param_elements()),
        count_(lstm_count_ + kActions * kHidden),
        params_(ctx, initial_values(count_)),
        grads_(ctx, count_),
        m_(Buffer<float>::zeros(ctx, count_)),
        v_(Buffer<float>::zeros(ctx, count_)),
        step_(Buffer<int64_t>::zeros(ctx, 1)),
        y_(ctx, kRows * kHidden),
        dy_(ctx, kRows * kHidden),
        logits_(ctx, kRows * kActions),
        workspace_(ctx),
        reserve_(ctx) {}

  // Learns from one rollout. Gradients stop at its beginning (truncated back-propagation). Advances `state` and returns
  // the loss.
  float learn(const Rollout& rollout, State* state) {
    const Buffer<float> x(ctx_, rollout.observations);
    const Buffer<int64_t> answers(ctx_, rollout.answers);
    Buffer<float> loss(ctx_, 1);
    forward(rollout, x, state);
    loss_.cross_entropy_forward(nullptr, kRows, logits_, answers, {}, loss, {}, logits_, workspace_);
    grads_.zero();
    const Span<float> dlstm = grads_.span().subspan(0, lstm_count_), dweight = tail(grads_.span());
    varlstm::linear_backward<float>(ctx_, kRows, kHidden, kActions, y_, weight(), logits_, dy_, dweight, {},
                                    workspace_);
    lstm_.backward(batch_, {lstm_params(), x, h0_, c0_}, y_, {dy_}, {dlstm}, workspace_, reserve_);
    varlstm::adam_step<float>(ctx_, {0.02}, params_, grads_, m_, v_, step_);
    return loss.download()[0];
  }

  // Returns the best action of every row and advances `state`.
  std::vector<int64_t> act(const Rollout& rollout, State* state) {
    forward(rollout, Buffer<float>(ctx_, rollout.observations), state);
    const std::vector<float> scores = logits_.download();
    std::vector<int64_t> actions;
    for (size_t row = 0; row < kRows; ++row) actions.push_back(scores[2 * row + 1] > scores[2 * row] ? 1 : 0);
    return actions;
  }

  // Returns the largest difference between y of a whole rollout and y computed one step of all environments at a time,
  // which is how a policy acts in its environments.
  double difference_to_stepping(const Rollout& rollout, State state) {
    State stepped = state;
    forward(rollout, Buffer<float>(ctx_, rollout.observations), &state);
    const std::vector<float> at_once = y_.download();
    varlstm::Batch one_step(ctx_, std::vector<int64_t>(kEnvironments, 1));
    Buffer<float> y(ctx_, kEnvironments * kHidden), h_n(ctx_, y.size()), c_n(ctx_, y.size());
    double largest = 0.0;
    for (size_t t = 0; t < kSteps; ++t) {
      std::vector<float> x;
      for (size_t e = 0; e < kEnvironments; ++e) {
        const float* row = rollout.observations.data() + (e * kSteps + t) * kFeatures;
        x.insert(x.end(), row, row + kFeatures);
      }
      const Buffer<float> x_there(ctx_, x), h0(ctx_, stepped.h), c0(ctx_, stepped.c);
      lstm_.forward(one_step, {lstm_params(), x_there, h0, c0}, {y, h_n, c_n}, workspace_);
      stepped.h = h_n.download();
      stepped.c = c_n.download();
      const std::vector<float> step = y.download();
      for (size_t e = 0; e < kEnvironments; ++e) {
        for (size_t u = 0; u < kHidden; ++u) {
          const float difference = step[e * kHidden + u] - at_once[(e * kSteps + t) * kHidden + u];
          largest = std::max(largest, std::abs(static_cast<double>(difference)));
        }
        if (rollout.ends[e * kSteps + t]) stepped.clear(e);
      }
    }
    return largest;
  }

 private:
  Span<const float> lstm_params() const { return params_.span().subspan(0, lstm_count_); }
  Span<const float> weight() const { return tail(params_.span()); }
  template <class T>
  Span<T> tail(Span<T> all) const {
    return all.subspan(lstm_count_, kActions * kHidden);
  }

  void forward(const Rollout& rollout, const Buffer<float>& x, State* state) {
    const Pieces pieces = pieces_of(rollout);
    // An environment's first piece continues from the last rollout; the other pieces begin with zeros.
    State start(pieces.lengths.size());
    for (size_t e = 0; e < kEnvironments; ++e) start.set(pieces.first[e], *state, e);
    // B differs from rollout to rollout, and a state is [1, B, H].
    h0_ = Buffer<float>(ctx_, start.h);
    c0_ = Buffer<float>(ctx_, start.c);
    Buffer<float> h_n(ctx_, h0_.size()), c_n(ctx_, c0_.size());
    batch_.set_lengths(pieces.lengths);
    lstm_.forward_save(batch_, {lstm_params(), x, h0_, c0_}, {y_, h_n, c_n}, workspace_, reserve_);
    varlstm::linear_forward<float>(ctx_, kRows, kHidden, kActions, y_, weight(), {}, logits_, workspace_);
    State end(0);
    end.h = h_n.download();
    end.c = c_n.download();
    for (size_t e = 0; e < kEnvironments; ++e) {
      state->set(e, end, pieces.last[e]);
      if (rollout.ends[(e + 1) * kSteps - 1]) state->clear(e);
    }
  }

  varlstm::Context ctx_;
  varlstm::Batch batch_;
  varlstm::Rnn<float> lstm_;
  varlstm::Loss<float> loss_;
  int64_t lstm_count_, count_;
  Buffer<float> params_, grads_, m_, v_;
  Buffer<int64_t> step_;
  Buffer<float> h0_, c0_, y_, dy_, logits_;
  varlstm::Workspace workspace_, reserve_;
};

int run(int32_t backend) {
  Policy policy{varlstm::Context(backend)};
  Environments environments;
  State state(kEnvironments);
  for (int k = 0; k < kTrainRollouts; ++k) {
    const float loss = policy.learn(environments.next(), &state);
    if (k % 100 == 0 || k == kTrainRollouts - 1) std::printf("rollout %3d  loss %.4f\n", k, static_cast<double>(loss));
  }
  int steps = 0, right = 0, carried = 0;
  double difference = 0.0;
  for (int k = 0; k < kTestRollouts; ++k) {
    const Rollout rollout = environments.next();
    difference = std::max(difference, policy.difference_to_stepping(rollout, state));
    const std::vector<int64_t> actions = policy.act(rollout, &state);
    for (size_t row = 0; row < kRows; ++row, ++steps) {
      right += actions[row] == rollout.answers[row];
      carried += rollout.carried[row];
    }
  }
  std::printf("%d of %d steps right; %d of them in an episode that began in an earlier rollout\n", right, steps,
              carried);
  std::printf("a rollout at once and step by step differ by at most %.1e\n", difference);
  return right == steps && carried > 0 && difference < 1e-5 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string backend = argc > 1 ? argv[1] : "host";
    if (argc > 2 || (backend != "host" && backend != "cuda")) {
      std::fprintf(stderr, "usage: rollouts [host|cuda], not %s\n", backend.c_str());
      return 2;
    }
    return run(backend == "cuda" ? VARLSTM_BACKEND_CUDA : VARLSTM_BACKEND_HOST);
  } catch (const varlstm::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.status_name(), error.what());
    return 1;
  }
}
