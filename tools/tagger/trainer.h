// Epochs: training, measuring on the development file, keeping the best.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "corpus.h"
#include "network.h"

namespace tagger {

struct TrainerSettings {
  int64_t batch = 32, epochs = 10;
  double word_dropout = 0;  // alpha of WordDropout
  int64_t patience = 3;     // epochs without a better one before the end; 0: never
  bool lr_falls = false;    // linearly, from options.optimizer.lr at the first step to 0 after the last epoch's last
  TrainOptions options;
};

struct EpochReport {
  int64_t epoch = 0;
  double seconds = 0;  // of training, without the measurement on dev
  double tokens_per_s = 0;
  double loss = 0;  // mean of a tagged token
  double dev = 0;   // accuracy
  bool best = false;
};

struct TrainingResult {
  int64_t best_epoch = 0;  // 0: none was finished
  double best_dev = 0;
  int64_t epochs = 0;  // finished
  int signal = 0;      // that ended the training, or 0
};

// One JSON object, a line of the log.
std::string log_line(const EpochReport& report);

// on_epoch runs after each epoch; where report.best, the network holds the parameters to keep.
// `signal` returns a signal's number once training shall stop: looked at between batches.
TrainingResult train_network(Network* network, const Corpus& train, const Corpus& dev, const TrainerSettings& settings,
                             Random* random, const std::function<int()>& signal,
                             const std::function<void(const EpochReport&)>& on_epoch);

}  // namespace tagger
