// A recurrent problem and its compact descriptor: l2b64i128h128d2 is two layers, 64 sequences, 128 inputs, 128 units
// and both directions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace varlstm::lstm_driver {

struct Problem {
  int64_t layers = 1;      // L
  int64_t batch = 16;      // B
  int64_t input = 128;     // I; H where the descriptor names H alone
  int64_t hidden = 128;    // H
  int64_t directions = 1;  // D

  int64_t outputs() const { return directions * hidden; }
  int64_t inputs_of(int64_t layer) const { return layer == 0 ? input : outputs(); }
};

// Parts in any order, each at most once, absent ones at their defaults. Error names the part that is wrong.
Problem parse_problem(const std::string& text);

// The complete descriptor, which parse_problem reads back.
std::string to_string(const Problem& problem);

// Every descriptor of a batch file: separated by white space, «#» begins a comment. Error names file and line.
std::vector<Problem> read_problems(const std::string& path);

}  // namespace varlstm::lstm_driver
