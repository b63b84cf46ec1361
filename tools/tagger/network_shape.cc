// The cells, and the list of the network's parameters.
// SPDX-License-Identifier: Apache-2.0
#include "network_shape.h"

#include <varlstm.h>

#include <utility>

namespace tagger {

const std::vector<CellKind>& cell_kinds() {
  static const std::vector<CellKind> kinds = {
      {"lstm", "lstm.", VARLSTM_CELL_LSTM, 4, true, true},
      {"gru", "gru.", VARLSTM_CELL_GRU, 3, false, true},
      {"rnn_tanh", "rnn.", VARLSTM_CELL_RNN_TANH, 1, false, false},
      {"rnn_relu", "rnn.", VARLSTM_CELL_RNN_RELU, 1, false, false},
      {"gru_reset_before", "gru.", VARLSTM_CELL_GRU_RESET_BEFORE, 3, false, false}};
  return kinds;
}

const CellKind* find_cell(std::string_view name) {
  for (const CellKind& kind : cell_kinds())
    if (name == kind.name) return &kind;
  return nullptr;
}

std::string cell_option_fault(const NetworkShape& shape) {
  const auto has_none = [&](const char* option) {
    return std::string("the cell ") + shape.cell->name + " has no " + option;
  };
  if (!shape.cell->has_c && shape.projection != 0) return has_none("projection");
  if (!shape.cell->has_c && shape.zoneout_c > 0) return has_none("zoneout_c");
  if (!shape.cell->normalises && shape.layer_norm) return has_none("layer_norm");
  if (shape.projection >= shape.hidden && shape.projection > 0)
    return "projection = " + std::to_string(shape.projection) +
           " is not below hidden = " + std::to_string(shape.hidden);
  return "";
}

std::vector<Parameter> parameter_list(const NetworkShape& shape) {
  std::vector<Parameter> list;
  const auto add = [&list](std::string name, std::vector<int64_t> dims) {
    int64_t count = 1;
    for (int64_t d : dims) count *= d;
    const int64_t offset = list.empty() ? 0 : list.back().offset + list.back().count;
    list.push_back({std::move(name), std::move(dims), offset, count});
  };
  const int64_t gates = shape.cell->gates * shape.hidden;
  const std::string prefix = shape.cell->prefix;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    const int64_t in = layer == 0 ? shape.input() : shape.features();
    for (int64_t direction = 0; direction < shape.directions(); ++direction) {
      const std::string suffix = "_l" + std::to_string(layer) + (direction == 1 ? "_reverse" : "");
      add(prefix + "weight_ih" + suffix, {gates, in});
      add(prefix + "weight_hh" + suffix, {gates, shape.state()});
      add(prefix + "bias_ih" + suffix, {gates});
      add(prefix + "bias_hh" + suffix, {gates});
      if (shape.projection > 0) add(prefix + "weight_hr" + suffix, {shape.projection, shape.hidden});
      if (!shape.layer_norm) continue;
      add(prefix + "norm_ih" + suffix, {gates});
      add(prefix + "norm_hh" + suffix, {gates});
      if (!shape.cell->has_c) continue;
      add(prefix + "norm_c" + suffix, {shape.hidden});
      add(prefix + "norm_c_bias" + suffix, {shape.hidden});
    }
  }
  add("linear.weight", {shape.tags, shape.features()});
  add("linear.bias", {shape.tags});
  if (!shape.char_widths.empty()) add("char_embedding.weight", {shape.characters, shape.char_embedding});
  for (const int64_t width : shape.char_widths) {
    const std::string name = "char_conv." + std::to_string(width);
    add(name + ".weight", {shape.char_filters, shape.char_embedding, width});
    add(name + ".bias", {shape.char_filters});
  }
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
