// The command line.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tagger {

struct Options {
  enum Command { kTrain, kEval, kPredict, kDemo } command = kDemo;

  // train
  std::vector<std::string> train;
  std::string dev, out, log;
  std::string column = "upos", preset = "fast";
  std::string cell = "lstm";
  std::string word_case = "keep";
  std::string vectors, keep_vectors = "seen";
  bool freeze_vectors = false, embedding_is_given = false;
  int64_t char_filters = 30, char_embedding = 30;
  std::vector<int64_t> char_widths = {3};
  int64_t embedding = 100, hidden = 128, layers = 1;
  bool unidirectional = false;
  int64_t projection = 0;
  bool layer_norm = false;
  double dropout = 0, word_dropout = 0.25, recurrent_dropout = 0, zoneout = 0, zoneout_c = 0;
  std::string recurrent_dropout_kind = "weights";
  int64_t batch = 32, epochs = 10, patience = 3;
  std::string optimizer = "adam";
  double lr = 2e-3, clip = 5;
  std::string lr_schedule = "constant";
  int64_t seed = 1;

  // eval and predict
  std::string model, input = "-";
  bool json = false;

  // all
  int64_t threads = 0;
  std::string backend = "host";
};

// Fills `options` and returns true; false if the command line asked for help or the version, which has been printed.
// Error for anything that is wrong with it.
bool parse_command_line(int argc, char** argv, Options* options);

}  // namespace tagger
