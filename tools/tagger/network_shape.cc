// The list of the network's parameters.
// SPDX-License-Identifier: Apache-2.0
#include "network_shape.h"

#include <utility>

namespace tagger {

std::vector<Parameter> parameter_list(const NetworkShape& shape) {
  std::vector<Parameter> list;
  const auto add = [&list](std::string name, std::vector<int64_t> dims) {
    int64_t count = 1;
    for (int64_t d : dims) count *= d;
    const int64_t offset = list.empty() ? 0 : list.back().offset + list.back().count;
    list.push_back({std::move(name), std::move(dims), offset, count});
  };
  const int64_t gates = 4 * shape.hidden;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const int64_t in = layer == 0 ? shape.embedding : shape.features();
    for (int64_t direction = 0; direction < shape.directions(); ++direction) {
      const std::string suffix = "_l" + std::to_string(layer) + (direction == 1 ? "_reverse" : "");
      add("lstm.weight_ih" + suffix, {gates, in});
      add("lstm.weight_hh" + suffix, {gates, shape.hidden});
      add("lstm.bias_ih" + suffix, {gates});
      add("lstm.bias_hh" + suffix, {gates});
    }
  }
  add("linear.weight", {shape.tags, shape.features()});
  add("linear.bias", {shape.tags});
  add("embedding.weight", {shape.words, shape.embedding});
  return list;
}

int64_t parameter_count(const NetworkShape& shape) {
  const Parameter last = parameter_list(shape).back();
  return last.offset + last.count;
}

int64_t dense_parameter_count(const NetworkShape& shape) {
  return parameter_list(shape).back().offset;
}

}  // namespace tagger
