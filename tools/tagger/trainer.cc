// Epochs over a corpus.
// SPDX-License-Identifier: Apache-2.0
#include "trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "predictor.h"
#include "progress.h"
#include "word_dropout.h"

namespace tagger {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Share of the tagged tokens that get the right tag. A tag that training has not seen is never right.
double accuracy(Network* network, const Corpus& corpus, int64_t batch) {
  const std::vector<int64_t> predicted = predict_corpus(network, corpus, batch);
  int64_t correct = 0;
  for (size_t n = 0; n < predicted.size(); ++n) correct += predicted[n] == corpus.tag(static_cast<int64_t>(n));
  const int64_t tagged = corpus.tagged();
  return tagged == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(tagged);
}

}  // namespace

std::string log_line(const EpochReport& report) {
  nlohmann::ordered_json line;
  line["epoch"] = report.epoch;
  line["seconds"] = report.seconds;
  line["tokens_per_s"] = report.tokens_per_s;
  line["loss"] = report.loss;  // null where it is not finite
  line["dev"] = report.dev;
  return line.dump() + '\n';
}

TrainingResult train_network(Network* network, const Corpus& train, const Corpus& dev, const TrainerSettings& settings,
                             Random* random, const std::function<int()>& signal,
                             const std::function<void(const EpochReport&)>& on_epoch) {
  TrainingResult result;
  Progress progress(settings.epochs, train.tokens());
  const WordDropout word_dropout(train, network->shape().words, settings.word_dropout);
  TrainOptions options = settings.options;
  const int64_t batches = (train.sentences() + settings.batch - 1) / settings.batch;
  const double steps = static_cast<double>(settings.epochs) * static_cast<double>(batches);
  double step = 0;
  Batch batch;
  for (int64_t epoch = 1; epoch <= settings.epochs; ++epoch) {
    const Clock::time_point start = Clock::now();
    progress.start_epoch(epoch);
    const std::vector<int64_t> order = shuffled_order(train, random);
    int64_t tokens = 0;
    for (int64_t first = 0; first < train.sentences(); first += settings.batch) {
      if ((result.signal = signal()) != 0) {
        progress.clear();
        return result;
      }
      train.fill(order.data() + first, std::min(settings.batch, train.sentences() - first), &batch);
      word_dropout.apply(&batch, random);
      if (settings.lr_falls) options.optimizer.lr = settings.options.optimizer.lr * (1 - step++ / steps);
      network->train(batch, options, random);
      tokens += batch.tokens();
      progress.update(tokens);
    }
    EpochReport report;
    network->parameters().catch_up();
    const double loss = network->take_loss();  // once an epoch: it waits for the back end
    report.epoch = epoch;
    report.seconds = seconds_since(start);
    report.tokens_per_s = static_cast<double>(tokens) / std::max(report.seconds, 1e-9);
    report.loss = train.tagged() > 0 ? loss / static_cast<double>(train.tagged()) : 0;
    report.dev = accuracy(network, dev, settings.batch);
    report.best = result.best_epoch == 0 || report.dev > result.best_dev;
    if (report.best) {
      result.best_epoch = epoch;
      result.best_dev = report.dev;
    }
    progress.clear();
    on_epoch(report);
    result.epochs = epoch;
    if (settings.patience > 0 && epoch - result.best_epoch >= settings.patience) break;
  }
  return result;
}

}  // namespace tagger
