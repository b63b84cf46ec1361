// The network's cell and sizes, and its parameters with PyTorch's names: embedding -> recurrent network -> linear.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tagger {

// A cell of the recurrent network.
struct CellKind {
  const char* name;    // in options and in config.json
  const char* prefix;  // of its parameters' names
  int32_t cell;        // a varlstm_cell
  int64_t gates;       // its weights have gates * H rows
  bool has_c;          // a cell state, which can be projected, and have a zoneout of its own
  bool normalises;     // it can have layer normalisation
};

// All cells; the first one is the default.
const std::vector<CellKind>& cell_kinds();
// The cell of that name, or null.
const CellKind* find_cell(std::string_view name);

struct NetworkShape {
  const CellKind* cell = &cell_kinds().front();
  int64_t words = 0;       // rows of the embedding table
  int64_t embedding = 0;   // features of a row
  int64_t hidden = 0;      // units of a direction
  int64_t projection = 0;  // features that these are projected to; 0: no projection
  bool layer_norm = false;
  double zoneout_h = 0, zoneout_c = 0;
  int64_t layers = 1;
  bool bidirectional = true;
  int64_t tags = 0;
  // Features of a word's characters: so many of each width; none without widths.
  std::vector<int64_t> char_widths;
  int64_t char_filters = 0, char_embedding = 0;
  int64_t characters = 0;  // rows of their embedding table

  int64_t input() const { return embedding + char_filters * static_cast<int64_t>(char_widths.size()); }
  int64_t directions() const { return bidirectional ? 2 : 1; }
  int64_t state() const { return projection > 0 ? projection : hidden; }
  int64_t features() const { return directions() * state(); }  // of the recurrent network's output
};

// Why the shape's cell cannot have the shape's options, with their names in config.json; empty if it can.
std::string cell_option_fault(const NetworkShape& shape);

// No size of a shape is larger: products of them fit int64.
constexpr int64_t kMaxUnits = int64_t{1} << 20;
constexpr int64_t kMaxLayers = 256;
constexpr int64_t kMaxCharWidth = 100;

struct Parameter {
  std::string name;
  std::vector<int64_t> shape;
  int64_t offset;  // elements from the start of the flat buffer of all parameters
  int64_t count;
};

// All parameters, without gaps: the recurrent network's in the order of varlstm_rnn_param_info, linear.weight [C, D*R],
// linear.bias [C], with characters char_embedding.weight and for each width char_conv.<width>.weight [filters, Ec,
// width] and .bias, embedding.weight [V, E].
std::vector<Parameter> parameter_list(const NetworkShape& shape);

// Elements of the flat buffer, and those before the embedding table.
int64_t parameter_count(const NetworkShape& shape);
int64_t dense_parameter_count(const NetworkShape& shape);

}  // namespace tagger
