// A trained model: a folder with model.safetensors (parameters, PyTorch's names) and config.json (sizes, words, tags).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "conllu.h"
#include "network_shape.h"
#include "safetensors.h"
#include "vocabulary.h"

namespace tagger {

// What config.json says.
struct ModelConfig {
  Column column = Column::kUpos;
  NetworkShape shape;
  Vocabulary vocabulary;
  // Of the epoch that was kept; for whoever reads the file.
  int64_t epoch = 0;
  double dev_accuracy = 0;
};

void write_config(const ModelConfig& config, const std::function<void(std::string_view)>& write);  // in pieces
ModelConfig parse_config(std::string_view text);  // Error without a file's name

class Model {
 public:
  // Reads all but the parameters. Error naming the folder if it holds no model, one that is cut off, one with words or
  // tags that CoNLL-U could not hold, or something else. All sizes are compared with the files' lengths before memory
  // is taken for them.
  explicit Model(const std::string& folder);

  const ModelConfig& config() const { return config_; }
  // Reads the parameters, flat as in parameter_list, in pieces that begin at element `first`. Error naming the file if
  // one is not finite.
  void read_parameters(const std::function<void(const std::vector<float>& values, int64_t first)>& take) const;

 private:
  ModelConfig config_;
  SafetensorsReader tensors_;
};

// Puts the model at `folder` in one step, in place of an earlier model. Error otherwise: with nothing left behind if
// the model could not be written, with the model's other place if it was written and could not be put there.
//   parameters  flat, as in parameter_list, but for the last rows of the embedding table, and
//   more_rows   those, in pieces
void save_model(const std::string& folder, const ModelConfig& config, const float* parameters,
                const std::vector<std::vector<float>>& more_rows = {});

// Error if save_model could not write there: something else stands at the place, it is a mount point or a link to
// nothing, or its parent folder is not writable.
void check_model_place(const std::string& folder);

}  // namespace tagger
