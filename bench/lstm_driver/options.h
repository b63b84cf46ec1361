// The driver's command line.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "bench/lstm_driver/lengths.h"
#include "bench/lstm_driver/scenario.h"

namespace varlstm::lstm_driver {

enum class Math { kF32, kTf32 };

struct Options {
  std::string mode = "c";  // of c, b and p
  int32_t backend = VARLSTM_BACKEND_HOST;
  int64_t threads = 0;
  Math math = Math::kF32;
  std::string policy = "auto";
  bool layers_together = true;
  // The cases are every combination of these.
  std::vector<Pass> passes;
  std::vector<int32_t> dtypes;
  std::vector<Cell> cells;
  std::vector<Layout> layouts;
  std::vector<Lengths> lengths;
  std::vector<Cache> caches;
  std::vector<Problem> problems;

  uint64_t seed = 1;
  int64_t reruns = 3;    // of mode b
  double seconds = 0.5;  // of mode p, for each case and cache
  bool graph = false;    // replay a CUDA graph
  bool cudnn = false;    // time the peer too
  std::string json;      // file, or empty

  bool wants(char one) const { return mode.find(one) != std::string::npos; }
};

const char* math_name(Math math);

// False where nothing is left to do (--help). Error names the argument.
bool parse_command_line(int argc, char** argv, Options* options);

// The arguments that run this one case again.
std::string repro(const Options& options, const Scenario& scenario, Cache cache);

}  // namespace varlstm::lstm_driver
