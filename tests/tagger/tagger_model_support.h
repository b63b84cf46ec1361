// What the tests of a model's folder share with the fuzzer of its texts: the whole config as text, all parameters.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "model.h"

namespace tagger_test {

inline std::string config_text(const tagger::ModelConfig& config) {
  std::string text;
  tagger::write_config(config, [&](std::string_view piece) { text += piece; });
  return text;
}

inline std::vector<float> parameters_of(const tagger::Model& model) {
  std::vector<float> all(static_cast<size_t>(tagger::parameter_count(model.config().shape)));
  model.read_parameters([&](const std::vector<float>& values, int64_t first) {
    std::copy(values.begin(), values.end(), all.begin() + first);
  });
  return all;
}

}  // namespace tagger_test
