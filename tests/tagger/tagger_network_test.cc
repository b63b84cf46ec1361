// The tagger's network through the C ABI: the parameter list is the library's, its gradients fit its loss, empty
// sentences do no harm, and training gives the same bits with any number of threads.
// SPDX-License-Identifier: Apache-2.0
#include "network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "predictor.h"
#include "support/compare.h"
#include "support/context.h"
#include "tagger_network_support.h"
#include "trainer.h"

namespace tagger {
namespace {

// A word's tag is that of the word before it: only the LSTM can know.
Corpus rotating_corpus(int64_t sentences) {
  Corpus corpus;
  Random random(11);
  for (int64_t s = 0; s < sentences; ++s) {
    std::vector<int64_t> words(random.below(6)), tags;
    for (int64_t& word : words) word = Vocabulary::kFirstWord + static_cast<int64_t>(random.below(7));
    for (size_t k = 0; k < words.size(); ++k) tags.push_back(k == 0 ? 0 : words[k - 1] % 3);
    corpus.add_sentence(words, tags);
  }
  return corpus;
}

TEST(TaggerNetwork, ParameterListIsTheLibrarys) {
  const Context context = make_context(varlstm_test::test_backend(), 1);
  for (const CellKind& cell : cell_kinds()) {
    for (int64_t layers : {1, 2, 3}) {
      for (int options = 0; options < 8; ++options) {
        const bool bidirectional = options % 2 == 1;
        NetworkShape shape = small_shape(layers, bidirectional);
        shape.cell = &cell;
        shape.projection = options & 2 ? 1 : 0;
        shape.layer_norm = (options & 4) != 0;
        if (!cell_option_fault(shape).empty()) continue;
        varlstm::Rnn<float> rnn(context, shape.embedding, shape.hidden, layers, cell.cell);
        rnn.set_i64(VARLSTM_KEY_BIDIRECTIONAL, bidirectional);
        if (shape.projection > 0) rnn.set_i64(VARLSTM_KEY_PROJ_SIZE, shape.projection);
        if (shape.layer_norm) rnn.set_i64(VARLSTM_KEY_LAYER_NORM, 1);
        const std::vector<varlstm::ParamInfo> tensors = rnn.params();
        const std::vector<Parameter> list = parameter_list(shape);
        ASSERT_EQ(list.size(), tensors.size() + 3);
        for (size_t k = 0; k < tensors.size(); ++k) {
          const varlstm::ParamInfo& tensor = tensors[k];
          const Parameter& parameter = list[k];
          EXPECT_EQ(parameter.name, cell.prefix + tensor.name);
          EXPECT_EQ(parameter.offset, tensor.offset);
          EXPECT_EQ(parameter.count, tensor.rows * tensor.cols);
          const bool is_vector = tensor.cols == 1 && tensor.name.rfind("weight_", 0) != 0;
          EXPECT_EQ(parameter.shape.size(), is_vector ? 1u : 2u) << tensor.name;
        }
      }
    }
  }
}

TEST(TaggerNetwork, InitialValuesAreBounded) {
  Random random(1);
  const NetworkShape shape = small_shape(2, true);
  const std::vector<float> values = initial_parameters(shape, &random);
  for (const Parameter& parameter : parameter_list(shape)) {
    if (parameter.name == "embedding.weight") {
      for (int64_t k = 0; k < shape.embedding; ++k) EXPECT_EQ(values[static_cast<size_t>(parameter.offset + k)], 0);
      continue;
    }
    const double bound = 1 / std::sqrt(parameter.name.rfind("linear", 0) == 0 ? 12.0 : 6.0);
    double largest = 0;
    for (int64_t k = 0; k < parameter.count; ++k)
      largest = std::max<double>(largest, std::abs(values[static_cast<size_t>(parameter.offset + k)]));
    EXPECT_LE(largest, bound * 1.000001) << parameter.name;
    EXPECT_GT(largest, 0) << parameter.name;
  }
}

// This holds every gradient of the chain at once, dropout included.
TEST(TaggerNetwork, SgdStepLowersTheLossByTheSquaredGradient) {
  for (double dropout : {0.0, 0.4}) expect_fall_of_squared_gradient(small_shape(2, true), rotating_corpus(12), dropout);
}

TEST(TaggerNetwork, AStepIsNoLongerThanTheClippedGradient) {
  const Corpus corpus = rotating_corpus(12);
  const NetworkShape shape = small_shape(1, true);
  Network network(make_context(varlstm_test::test_backend(), 1), shape, corpus.limits(12), Purpose::kTrain);
  Batch batch;
  std::vector<int64_t> order(12);
  std::iota(order.begin(), order.end(), 0);
  corpus.fill(order.data(), 12, &batch);
  std::vector<double> lengths;
  for (const double clip : {0.0, 0.01, 1e6}) {
    Random random(2);
    const std::vector<float> before = initial_parameters(shape, &random);
    std::vector<float> after;
    TrainOptions options;
    options.optimizer.kind = OptimizerOptions::kSgd;
    options.optimizer.lr = 1;
    options.optimizer.clip = clip;
    network.parameters().load(before);
    network.train(batch, options, &random);
    network.parameters().store(&after);
    double squares = 0;
    for (size_t k = 0; k < before.size(); ++k) squares += std::pow(static_cast<double>(after[k]) - before[k], 2);
    lengths.push_back(std::sqrt(squares));
  }
  EXPECT_GT(lengths[0], 0.02) << "nothing to clip";
  EXPECT_NEAR(lengths[1], 0.01, 1e-5);  // each value is rounded to some 1e-8
  EXPECT_EQ(lengths[2], lengths[0]) << "a bound that is not reached changes nothing";
}

// Which elements of a batch of one word a training step dropped, by the places where its gradients are zero: a column
// of a weight's gradient where the weight's input was dropped, an element where the gradient itself was.
struct DroppedElements {
  std::vector<bool> embedding, embedding_gradient, between_layers, features, features_gradient;
};

class OneWordNetwork {
 public:
  explicit OneWordNetwork(double dropout) : dropout_(dropout) {
    // All three places have as many elements, so that masks of one seed would be the same mask.
    shape_.words = 4;
    shape_.embedding = shape_.hidden = kUnits;
    shape_.layers = 2;
    shape_.bidirectional = false;
    shape_.tags = 3;
    network_.emplace(make_context(varlstm_test::test_backend(), 1), shape_, BatchLimits{1, 1, 1}, Purpose::kTrain,
                     InnerDropout{dropout});
    start_ = initial_parameters(shape_, &random_);
  }

  DroppedElements step() {
    TrainOptions options;
    options.optimizer.kind = OptimizerOptions::kSgd;
    options.optimizer.lr = 1e3;  // so that no movement is lost in a value's rounding
    options.dropout = dropout_;
    Batch batch;
    batch.lengths = {1};
    batch.words = {kWord};
    batch.tags = {1};
    network_->parameters().load(start_);
    network_->train(batch, options, &random_);
    network_->parameters().store(&end_);
    return {zero_columns("lstm.weight_ih_l0"), zeros("embedding.weight", kWord * kUnits),
            zero_columns("lstm.weight_ih_l1"), zero_columns("linear.weight"),
            // The upper layer's input gates: their gradient has the LSTM's output's as a factor.
            zeros("lstm.bias_ih_l1", 0)};
  }

 private:
  static constexpr int64_t kUnits = 64, kWord = 3;

  bool is_zero(int64_t element) const {
    return start_[static_cast<size_t>(element)] == end_[static_cast<size_t>(element)];
  }
  const Parameter& find(const std::string& name) {
    list_ = parameter_list(shape_);
    return *std::find_if(list_.begin(), list_.end(), [&](const Parameter& p) { return p.name == name; });
  }
  std::vector<bool> zeros(const std::string& name, int64_t first) {
    const Parameter& parameter = find(name);
    std::vector<bool> zeros;
    for (int64_t k = 0; k < kUnits; ++k) zeros.push_back(is_zero(parameter.offset + first + k));
    return zeros;
  }
  std::vector<bool> zero_columns(const std::string& name) {
    const Parameter& parameter = find(name);
    std::vector<bool> columns(static_cast<size_t>(kUnits), true);
    for (int64_t k = 0; k < parameter.count; ++k)
      if (!is_zero(parameter.offset + k)) columns[static_cast<size_t>(k % kUnits)] = false;
    return columns;
  }

  double dropout_;
  NetworkShape shape_;
  Random random_{5};
  std::optional<Network> network_;
  std::vector<float> start_, end_;
  std::vector<Parameter> list_;
};

TEST(TaggerNetwork, EachPlaceOfDropoutHasAMaskOfItsOwnForwardAndBackward) {
  OneWordNetwork network(0.5);
  const DroppedElements first = network.step(), second = network.step();
  const auto dropped = [](const std::vector<bool>& mask) { return std::count(mask.begin(), mask.end(), true); };
  for (const std::vector<bool>& mask : {first.embedding, first.between_layers, first.features}) {
    EXPECT_GT(dropped(mask), 16);  // of 64: 4 standard deviations on both sides
    EXPECT_LT(dropped(mask), 48);
  }
  EXPECT_EQ(first.embedding_gradient, first.embedding);
  EXPECT_EQ(first.features_gradient, first.features);
  EXPECT_NE(first.embedding, first.features);
  EXPECT_NE(first.embedding, first.between_layers);
  EXPECT_NE(first.features, first.between_layers);
  EXPECT_NE(first.embedding, second.embedding);
  EXPECT_NE(first.between_layers, second.between_layers);
  EXPECT_NE(first.features, second.features);

  const DroppedElements none = OneWordNetwork(0).step();
  for (const std::vector<bool>& mask :
       {none.embedding, none.embedding_gradient, none.between_layers, none.features, none.features_gradient})
    EXPECT_EQ(dropped(mask), 0);
}

// All parameters zero but the linear layer's bias: each word has the same logits, and its loss follows from its tag.
class BiasNetwork {
 public:
  explicit BiasNetwork(const BatchLimits& limits) {
    shape_ = small_shape(1, true);
    network_.emplace(make_context(varlstm_test::test_backend(), 1), shape_, limits, Purpose::kTrain);
    std::vector<float> parameters(static_cast<size_t>(parameter_count(shape_)), 0.0f);
    const int64_t bias = dense_parameter_count(shape_) - shape_.tags;
    for (int64_t tag = 0; tag < shape_.tags; ++tag)
      parameters[static_cast<size_t>(bias + tag)] = static_cast<float>(kBias[tag]);
    network_->parameters().load(parameters);
    options_.optimizer.kind = OptimizerOptions::kSgd;
    options_.optimizer.lr = 1e-30;  // nothing moves
  }

  Network* network() { return &*network_; }
  const TrainOptions& options() const { return options_; }
  static double loss(int64_t tag) {
    return std::log(std::exp(kBias[0]) + std::exp(kBias[1]) + std::exp(kBias[2])) - kBias[tag];
  }

 private:
  static constexpr double kBias[] = {0.5, -1.0, 2.0};
  NetworkShape shape_;
  std::optional<Network> network_;
  TrainOptions options_;
};

// A batch of `lengths`, all of one tag.
Batch batch_of(const std::vector<int64_t>& lengths, int64_t tag) {
  Batch batch;
  batch.lengths = lengths;
  const size_t tokens = static_cast<size_t>(std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
  batch.words.assign(tokens, Vocabulary::kFirstWord);
  batch.tags.assign(tokens, tag);
  return batch;
}

TEST(TaggerNetwork, TheLossIsASumOverTokensWhateverTheBatches) {
  BiasNetwork bias({3, 40, 60});
  Random random(1);
  Network& network = *bias.network();
  double expected = 0;
  const std::pair<std::vector<int64_t>, int64_t> batches[] = {{{1}, 0}, {{40, 0, 20}, 1}, {{0, 2}, 2}, {{7, 7}, 1}};
  for (const auto& [lengths, tag] : batches) {
    const Batch batch = batch_of(lengths, tag);
    network.train(batch, bias.options(), &random);
    expected += static_cast<double>(batch.tokens()) * bias.loss(tag);
  }
  EXPECT_NEAR(network.take_loss(), expected, 1e-5 * expected);  // each mean is a float
  EXPECT_EQ(network.take_loss(), 0) << "what was taken is taken";
}

// The losses that stay with the back end are read before the buffer for them, of 256, is full.
TEST(TaggerNetwork, NoLossIsLostInALongEpoch) {
  BiasNetwork bias({1, 2, 2});
  Random random(1);
  double expected = 0;
  for (int64_t k = 0; k < 260; ++k) {
    const int64_t tokens = 1 + k % 2, tag = k % 3;
    bias.network()->train(batch_of({tokens}, tag), bias.options(), &random);
    expected += static_cast<double>(tokens) * bias.loss(tag);
  }
  EXPECT_NEAR(bias.network()->take_loss(), expected, 1e-5 * expected);
}

TEST(TaggerNetwork, TablesThatAStepHardlyTouchesAreTrainedByRows) {
  const int32_t backend = varlstm_test::test_backend();
  const Context context = make_context(backend, 1);
  EXPECT_FALSE(steps_over_rows(context, 9, 5, 9));
  EXPECT_EQ(steps_over_rows(context, 9, 5, 8), backend == VARLSTM_BACKEND_HOST);
  EXPECT_TRUE(steps_over_rows(context, 400'000, 100, 500));
}

// A row of the table that waits for its word has the bits of one that is moved at every step. There are more steps than
// a row may wait for.
TEST(TaggerNetwork, TheTableIsThatOfDenseSteps) {
  const NetworkShape shape = small_shape(1, false);
  const Context context = make_context(VARLSTM_BACKEND_HOST, 1);
  const BatchLimits limits = {2, 2, 4};
  ASSERT_TRUE(steps_over_rows(context, shape.words, shape.embedding, limits.tokens));
  Network waits(context, shape, limits, Purpose::kTrain), moves(context, shape, limits, Purpose::kTrain);
  Random random(6);
  const std::vector<float> initial = initial_parameters(shape, &random);
  waits.parameters().load(initial);
  moves.parameters().load(initial);
  TrainOptions options;
  options.optimizer.clip = 0.5;
  std::vector<float> dense, rows;
  for (int64_t step = 0; step < 1100; ++step) {
    Batch batch = batch_of({2, 1}, step % 3);
    for (int64_t& word : batch.words)  // the last word in the first steps alone
      word += static_cast<int64_t>(random.below(static_cast<uint64_t>(step < 3 ? shape.words - 2 : shape.words - 3)));
    options.optimizer.lr = 0.01 / static_cast<double>(1 + step % 17);
    waits.train(batch, options, &random);
    moves.train(batch, options, &random);
    moves.parameters().store(&dense);
  }
  waits.parameters().store(&rows);
  EXPECT_TRUE(varlstm_test::bitwise_equal(rows, dense));
  EXPECT_NE(rows, initial);
}

// The steps for which rows have waited are not done to the values that are loaded after them.
TEST(TaggerNetwork, LoadedValuesAreThoseThatAreStored) {
  const NetworkShape shape = small_shape(1, false);
  const Context context = make_context(VARLSTM_BACKEND_HOST, 1);
  const BatchLimits limits = {2, 2, 4};
  ASSERT_TRUE(steps_over_rows(context, shape.words, shape.embedding, limits.tokens));
  Network network(context, shape, limits, Purpose::kTrain);
  Random random(6);
  const std::vector<float> initial = initial_parameters(shape, &random);
  network.parameters().load(initial);
  TrainOptions options;
  for (int64_t step = 0; step < 2; ++step) {
    Batch batch = batch_of({2, 1}, 0);
    for (int64_t& word : batch.words) word = Vocabulary::kFirstWord + step;
    network.train(batch, options, &random);
  }
  network.parameters().load(initial);
  std::vector<float> stored;
  network.parameters().store(&stored);
  EXPECT_TRUE(varlstm_test::bitwise_equal(stored, initial));
}

TEST(TaggerTrainer, AnEpochsLossIsTheMeanOfItsTokens) {
  Corpus corpus;
  double expected = 0;
  const int64_t lengths[] = {1, 30, 0, 2, 1, 17, 1};
  for (int64_t s = 0; s < 7; ++s) {
    const Batch batch = batch_of({lengths[s]}, s % 3);
    corpus.add_sentence(batch.words, batch.tags);
    expected += static_cast<double>(lengths[s]) * BiasNetwork::loss(s % 3);
  }
  expected /= static_cast<double>(corpus.tokens());
  BiasNetwork bias(corpus.limits(2));
  TrainerSettings settings;
  settings.batch = 2;
  settings.epochs = 3;
  settings.options = bias.options();
  Random random(3);
  int64_t reports = 0;
  train_network(
      bias.network(), corpus, corpus, settings, &random, [] { return 0; },
      [&](const EpochReport& report) {
        ++reports;
        EXPECT_NEAR(report.loss, expected, 1e-5 * expected);
      });
  EXPECT_EQ(reports, 3);
}

TEST(TaggerNetwork, LearnsWhatNeedsTheNeighbour) {
  const Context context = make_context(varlstm_test::test_backend(), 0);
  const Corpus corpus = rotating_corpus(200);
  const NetworkShape shape = small_shape(1, true);
  Network network(context, shape, corpus.limits(16), Purpose::kTrain);
  Random random(2);
  network.parameters().load(initial_parameters(shape, &random));
  TrainerSettings settings;
  settings.batch = 16;
  settings.epochs = 30;
  settings.patience = 0;
  settings.options.optimizer.lr = 2e-2;
  int64_t reports = 0;
  const TrainingResult result = train_network(
      &network, corpus, corpus, settings, &random, [] { return 0; },
      [&](const EpochReport& report) {
        EXPECT_EQ(report.epoch, ++reports);
        const auto line = nlohmann::json::parse(log_line(report));
        for (const char* field : {"epoch", "seconds", "tokens_per_s", "loss", "dev"})
          EXPECT_TRUE(line.contains(field) && line[field].is_number()) << field;
        EXPECT_EQ(line.size(), 5u);
      });
  EXPECT_EQ(reports, 30);
  EXPECT_GT(result.best_dev, 0.99);
}

TEST(TaggerTrainer, StopsEarlyAndOnASignal) {
  const Context context = make_context(varlstm_test::test_backend(), 1);
  const Corpus corpus = rotating_corpus(40);
  const NetworkShape shape = small_shape(1, false);
  Network network(context, shape, corpus.limits(16), Purpose::kTrain);
  Random random(2);
  TrainerSettings settings;
  settings.batch = 16;
  settings.epochs = 50;
  settings.patience = 2;
  settings.options.optimizer.lr = 1e-12;  // nothing moves: the first epoch stays the best
  TrainingResult result = train_network(
      &network, corpus, corpus, settings, &random, [] { return 0; }, [](const EpochReport&) {});
  EXPECT_EQ(result.best_epoch, 1);
  EXPECT_EQ(result.epochs, 3);
  EXPECT_EQ(result.signal, 0);
  int batches = 0;
  result = train_network(
      &network, corpus, corpus, settings, &random, [&] { return ++batches == 5 ? 2 : 0; }, [](const EpochReport&) {});
  EXPECT_EQ(result.signal, 2);  // in the second epoch's second of three batches
  EXPECT_EQ(result.epochs, 1);
}

// Two epochs of three batches, against steps with the learning rates 6/6, 5/6, ... 1/6 of the first.
TEST(TaggerTrainer, TheLearningRateFallsStepByStep) {
  const Context context = make_context(varlstm_test::test_backend(), 1);
  const Corpus corpus = rotating_corpus(40);
  const NetworkShape shape = small_shape(1, false);
  TrainerSettings settings;
  settings.batch = 16;
  settings.epochs = 2;
  settings.lr_falls = true;
  settings.options.optimizer.lr = 0.1;
  std::vector<float> initial, trained, expected;
  Network network(context, shape, corpus.limits(16), Purpose::kTrain);
  Random random(2), same(2);
  initial = initial_parameters(shape, &random);
  network.parameters().load(initial_parameters(shape, &same));
  train_network(
      &network, corpus, corpus, settings, &random, [] { return 0; }, [](const EpochReport&) {});
  network.parameters().store(&trained);

  Network by_hand(context, shape, corpus.limits(16), Purpose::kTrain);
  by_hand.parameters().load(initial);
  TrainOptions options = settings.options;
  Batch batch;
  for (int step = 0; step < 6;) {
    const std::vector<int64_t> order = shuffled_order(corpus, &same);
    for (int64_t first : {0, 16, 32}) {
      corpus.fill(order.data() + first, std::min<int64_t>(16, 40 - first), &batch);
      options.optimizer.lr = 0.1 * (1 - step++ / 6.0);
      by_hand.train(batch, options, &same);
    }
  }
  by_hand.parameters().store(&expected);
  EXPECT_EQ(trained, expected);
}

TEST(TaggerNetwork, BatchesOfEmptySentences) {
  const Context context = make_context(varlstm_test::test_backend(), 1);
  const Corpus corpus = rotating_corpus(8);
  const NetworkShape shape = small_shape(2, true);
  Network network(context, shape, corpus.limits(8), Purpose::kTrain);
  Random random(2);
  network.parameters().load(initial_parameters(shape, &random));
  Batch empty;
  empty.lengths = {0, 0, 0};
  network.train(empty, TrainOptions(), &random);
  EXPECT_EQ(network.take_loss(), 0);
  std::vector<int64_t> tags = {7};
  network.predict(empty, &tags);
  EXPECT_TRUE(tags.empty());
  Batch nothing;
  network.predict(nothing, &tags);
  EXPECT_TRUE(tags.empty());
}

TEST(TaggerNetwork, PredictionDoesNotDependOnTheBatch) {
  const Context context = make_context(varlstm_test::test_backend(), 1);
  const Corpus corpus = rotating_corpus(60);
  const NetworkShape shape = small_shape(2, true);
  std::vector<std::vector<int64_t>> predictions;
  for (int64_t batch : {1, 7, 60}) {
    Network network(context, shape, corpus.limits(batch), Purpose::kInfer);
    Random random(2);
    network.parameters().load(initial_parameters(shape, &random));
    predictions.push_back(predict_corpus(&network, corpus, batch));
  }
  EXPECT_EQ(predictions[0].size(), static_cast<size_t>(corpus.tokens()));
  EXPECT_EQ(predictions[0], predictions[1]);
  EXPECT_EQ(predictions[0], predictions[2]);
}

TEST(TaggerNetwork, BitwiseEqualForAnyNumberOfThreads) {
  if (varlstm_test::test_backend() != VARLSTM_BACKEND_HOST) GTEST_SKIP() << "only the host has threads to set";
  const Corpus corpus = rotating_corpus(100);
  NetworkShape shape = small_shape(2, true);
  shape.hidden = 40;
  std::vector<std::vector<float>> results;
  for (int64_t threads : {1, 2, 3}) {
    const Context context = make_context(varlstm_test::test_backend(), threads);
    Network network(context, shape, corpus.limits(32), Purpose::kTrain, {0.2});
    Random random(2);
    network.parameters().load(initial_parameters(shape, &random));
    TrainerSettings settings;
    settings.epochs = 2;
    settings.options.dropout = 0.2;
    settings.word_dropout = 0.25;
    settings.options.optimizer.clip = 0.5;
    train_network(
        &network, corpus, corpus, settings, &random, [] { return 0; }, [](const EpochReport&) {});
    results.emplace_back();
    network.parameters().store(&results.back());
  }
  const size_t bytes = results[0].size() * sizeof(float);
  EXPECT_EQ(std::memcmp(results[0].data(), results[1].data(), bytes), 0);
  EXPECT_EQ(std::memcmp(results[0].data(), results[2].data(), bytes), 0);
}

}  // namespace
}  // namespace tagger
