// varlstm-bench: with --lstm the driver for recurrent problems, else Google Benchmark's microbenchmarks of operations.
// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

#include "bench/lstm_driver/driver.h"
#include "bench/lstm_driver/error.h"

int main(int argc, char** argv) {
  for (int k = 1; k < argc; ++k)
    if (std::string(argv[k]) == "--lstm") return varlstm::lstm_driver::run(argc, argv);
  for (int k = 1; k < argc; ++k)
    if (std::string(argv[k]) == "--help") {
      std::puts(
          "varlstm-bench times the operations of libvarlstm on the back end that VARLSTM_BENCH_BACKEND names, host or\n"
          "cuda, by Google Benchmark, whose options are below.\n"
          "varlstm-bench --lstm checks and times recurrent problems: varlstm-bench --lstm --help has its options.\n");
      std::fflush(stdout);
    }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  try {
    benchmark::RunSpecifiedBenchmarks();
  } catch (const varlstm::Error& error) {  // a benchmark of a failing call has no meaning
    std::fprintf(stderr, "varlstm-bench: %s\n", varlstm::lstm_driver::text_of(error).c_str());
    return 1;
  }
  benchmark::Shutdown();
  return 0;
}
