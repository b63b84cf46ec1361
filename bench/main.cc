// varlstm-bench: with --lstm the driver for recurrent problems, else Google Benchmark's microbenchmarks of operations.
// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <string>

#include "bench/lstm_driver/driver.h"

int main(int argc, char** argv) {
  for (int k = 1; k < argc; ++k)
    if (std::string(argv[k]) == "--lstm") return varlstm::lstm_driver::run(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
