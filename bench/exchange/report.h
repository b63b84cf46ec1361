// What was measured, as a table and as JSON.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <stdio.h>

#include <string>
#include <utility>
#include <vector>

namespace varlstm::bench {

struct Figure {
  std::string what;
  std::vector<std::pair<std::string, int64_t>> where;  // what distinguishes it from others of that name
  std::string unit;
  std::vector<double> samples;  // one for each repetition; a count has one
  std::string failure;          // why the samples mean nothing; empty where they do
};

struct Report {
  std::vector<std::pair<std::string, std::string>> device;
  std::vector<Figure> figures;
  std::string error;  // that ended the run before all was measured
};

// The value below which that share of the samples lies, between two of them linearly.
double quantile(std::vector<double> samples, double share);

void print_table(FILE* out, const std::vector<Figure>& figures);

// False where the file cannot be written.
bool write_json(const std::string& path, const Report& report);

// Whether everything was measured and arrived.
bool all_is_well(const Report& report);

}  // namespace varlstm::bench
