// Results as a table on standard output and as one JSON file, which is written anew with each result.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "bench/lstm_driver/accuracy.h"
#include "bench/lstm_driver/performance.h"

namespace varlstm::lstm_driver {

// One line of the table, one object of "results" in the file.
struct Row {
  std::string implementation = "varlstm";
  Scenario scenario;
  Cache cache = Cache::kWarm;
  std::optional<Verdict> correct, bitwise;
  std::optional<Timing> timing;
  double least_seconds = 0;  // at the ceilings
  std::string error;         // what the library said where a call failed

  bool passed() const { return error.empty() && (!correct || correct->passed) && (!bitwise || bitwise->passed); }
};

class Report {
 public:
  explicit Report(const Options& options) : options_(options) {}

  void add(const Row& row);
  // A remark that is no result, such as a peer that is not here.
  void note(const std::string& text);
  // Writes the file, if one is wanted, with what all results share, and returns the number of failed cases.
  int64_t finish(const Clock& clock, Ceilings* ceilings);

 private:
  void print_header();
  void write(const nlohmann::ordered_json& about) const;

  const Options& options_;
  nlohmann::ordered_json results_ = nlohmann::ordered_json::array(), notes_ = nlohmann::ordered_json::array();
  int64_t rows_ = 0, failed_ = 0;
};

}  // namespace varlstm::lstm_driver
