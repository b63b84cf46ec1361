// A golden case of a recurrent network, as write_rnn_case of make_golden.py and make_haste.py write it, in the caller's
// order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cctype>
#include <stdexcept>
#include <string>
#include <vector>

#include "golden/golden.h"
#include "support/packed_order.h"
#include "support/rnn_case.h"

namespace varlstm_test {

struct GoldenRnn {
  RnnCase<double> problem;
  RnnUpstream<double> upstream;
  RnnOutputs<double> outputs;
  RnnGradients<double> gradients;  // dh0 and dc0 are empty if the case gives no states
};

// "RnnTanh": rnn_tanh.txt.
inline std::string golden_file(const TestedCell& cell) {
  std::string file;
  for (const char* letter = cell.name; *letter != '\0'; ++letter) {
    if (std::isupper(*letter) && !file.empty()) file += '_';
    file += static_cast<char>(std::tolower(*letter));
  }
  return file + ".txt";
}

// The flat buffer of the parameters, or with "d" before their names of their gradients, in the order of varlstm.h.
inline std::vector<double> golden_params(const GoldenCase& golden, const RnnOptions& options,
                                         const std::string& prefix = "") {
  std::vector<double> flat;
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    for (const char* direction : {"", "_reverse"}) {
      if (*direction != '\0' && !options.bidirectional) continue;
      for (const char* tensor : {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "norm_ih", "norm_hh",
                                 "norm_c", "norm_c_bias"}) {
        const std::string kind = tensor;
        if (kind[0] == 'n' && !options.layer_norm) continue;
        if (kind.find("norm_c") == 0 && !tested_cell(options.cell).has_c) continue;
        if (kind[0] == 'b' && !options.bias) continue;
        if (kind == "weight_hr" && options.projection() == 0) continue;
        const std::vector<double>& values = golden.real(prefix + kind + "_l" + std::to_string(layer) + direction);
        flat.insert(flat.end(), values.begin(), values.end());
      }
    }
  }
  return flat;
}

inline GoldenRnn golden_rnn(const TestedCell& cell, const GoldenCase& golden) {
  const std::vector<int64_t>& shape = golden.ints("shape");
  GoldenRnn made;
  RnnOptions& options = made.problem.options;
  options.cell = cell.cell;
  options.input = shape[0];
  options.hidden = shape[1];
  options.layers = shape[2];
  options.bidirectional = shape[3] != 0;
  options.bias = shape[4] != 0;
  options.projects = cell.projects;
  options.layer_norm = cell.layer_norm;
  if (options.projection() != (cell.projects ? shape[5] : 0)) throw std::runtime_error("another proj_size");
  made.problem.lengths = golden.ints("lengths");
  const auto rows = [&](const char* item, int64_t features) {
    return packed_to_ragged(made.problem.lengths, features, golden.real(item));
  };
  const auto state = [&](const std::string& item) {
    return golden.has(item) ? golden.real(item) : std::vector<double>();
  };
  const int64_t outputs = made.problem.output_features();
  made.problem.params = golden_params(golden, options);
  made.problem.x = rows("x", options.input);
  made.problem.h0 = state("h0");
  made.problem.c0 = state("c0");
  made.upstream = {rows("dy", outputs), golden.real("dh_n"), state("dc_n")};
  made.outputs = {rows("y", outputs), golden.real("h_n"), state("c_n")};
  made.gradients = {rows("dx", options.input), state("dh0"), state("dc0"), golden_params(golden, options, "d")};
  return made;
}

}  // namespace varlstm_test
