// What the time of a layer on the host is made of: the share and the rate of each part of forward and backward, beside
// OpenBLAS's product of large square matrices in the same run. A round is one pass and three such products; of each the
// fastest of all rounds counts, so that other programs matter little.
//   host_parts [--threads 1] [--lens fixed:32] [--cell lstm] [--dir fwd] [--rounds 40] [--square 512] b16h256 ...
// VARLSTM_HOST_ISA and OPENBLAS_CORETYPE choose the instruction sets of the two sides. More than one thread needs
// OMP_WAIT_POLICY=passive: otherwise OpenBLAS's threads go on spinning, and ours get no core.
// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "bench/host_parts/timed_kernels.h"
#include "bench/lstm_driver/error.h"
#include "bench/lstm_driver/lengths.h"
#include "bench/lstm_driver/network_run.h"
#include "bench/lstm_driver/work.h"

namespace varlstm::host_parts {
namespace {

using lstm_driver::NetworkRun;
using lstm_driver::Scenario;

struct Options {
  int64_t threads = 1;
  int rounds = 40, square = 512;
  std::string lens = "fixed:32", cell = "lstm";
  std::vector<std::string> passes{"fwd", "bwd"}, problems;
};

template <class Call>
double seconds_of(const Call& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// OpenBLAS's product of square matrices.
class Square {
 public:
  Square(int size, int threads) : size_(size), threads_(threads), a_(size * size, 1.0f), b_(a_), c_(a_) {}
  double flops() const { return 2.0 * std::pow(size_, 3); }
  void run() {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads_);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, size_, size_, size_, 1, a_.data(), size_, b_.data(), size_,
                0, c_.data(), size_);
    omp_set_num_threads(before);
  }

 private:
  int size_, threads_;
  std::vector<float> a_, b_, c_;
};

void print_part(const char* name, const PartTime& time, double all, int64_t threads, double square_rate) {
  if (time.seconds == 0) return;
  fmt::print("  {:<18}{:>9.3f} ms {:>6.1f} %", name, 1e3 * time.seconds, 100 * time.seconds / all);
  if (time.flops > 0) {
    const double rate = time.flops / time.seconds * static_cast<double>(threads);
    fmt::print("{:>9.1f} GFLOP/s {:>6.2f} of SGEMM", 1e-9 * rate, rate / square_rate);
  }
  fmt::print("\n");
}

void measure(const Options& options, const Scenario& scenario) {
  const Context ctx(VARLSTM_BACKEND_HOST);
  ctx.set_i64(VARLSTM_KEY_THREADS, options.threads);
  NetworkRun run({ctx, ctx, scenario.dtype, scenario.dtype}, scenario, lstm_driver::States::kNone);
  run.prepare(nullptr);
  run.step(nullptr);
  Square square(options.square, static_cast<int>(options.threads));
  double least = INFINITY, square_seconds = INFINITY;
  PartTimes parts;
  for (int round = 0; round < options.rounds; ++round) {
    for (int repeat = 0; repeat < 3; ++repeat)
      square_seconds = std::min(square_seconds, seconds_of([&] { square.run(); }));
    reset_times();
    const double seconds = seconds_of([&] { run.step(nullptr); });
    if (seconds >= least) continue;
    least = seconds;
    parts = times();
  }
  const double square_rate = square.flops() / square_seconds;
  const double all = least * static_cast<double>(options.threads);
  fmt::print("{} {} {} {} threads {}: {:.3f} ms, {:.2f} Mtokens/s; {} and {}'s SGEMM of {} at {:.1f} GFLOP/s\n",
             to_string(scenario.problem), scenario.cell.name, name_of(lstm_driver::kPasses, scenario.pass),
             scenario.lens, options.threads, 1e3 * least, 1e-6 * static_cast<double>(scenario.tokens()) / least,
             kernels_name(), openblas_get_corename(), options.square, 1e-9 * square_rate);
  PartTime rest{all, 0};
  for (const PartTime& part : parts) rest.seconds -= part.seconds;
  for (int part = 0; part < kParts; ++part)
    print_part(kPartNames[part], parts[part], all, options.threads, square_rate);
  print_part("copies, barriers", rest, all, options.threads, square_rate);
  // flops_of counts forward and backward for a pass that is not forward alone.
  const double flops = lstm_driver::flops_of(scenario);
  print_part("all", {all, flops}, all, options.threads, square_rate);
}

template <class Entry, size_t count>
Entry entry_of(const Entry (&names)[count], const std::string& text) {
  for (const Entry& name : names)
    if (text == name.name) return name;
  lstm_driver::fail("{} is not known", text);
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Shares and rates of the parts of a recurrent layer on the host.", "host_parts");
  app.add_option("--threads", options.threads, "Threads of both sides")->check(CLI::Range(1, 64));
  app.add_option("--lens", options.lens, "Lengths, as of varlstm-bench --lstm");
  app.add_option("--cell", options.cell, "Cell, likewise");
  app.add_option("--dir", options.passes, "fwd, bwd, train")->delimiter(',');
  app.add_option("--rounds", options.rounds, "Rounds")->check(CLI::PositiveNumber);
  app.add_option("--square", options.square, "Size of SGEMM's matrices")->check(CLI::Range(1, 8192));
  app.add_option("problems", options.problems, "Such as b16h256")->required();
  CLI11_PARSE(app, argc, argv);
  for (const std::string& problem : options.problems)
    for (const std::string& pass : options.passes) {
      Scenario scenario;
      scenario.problem = lstm_driver::parse_problem(problem);
      scenario.cell = entry_of(lstm_driver::kCells, options.cell);
      scenario.pass = entry_of(lstm_driver::kPasses, pass).value;
      scenario.lens = options.lens;
      scenario.lengths = draw_lengths(lstm_driver::parse_lengths(options.lens), scenario.problem.batch, scenario.seed);
      measure(options, scenario);
    }
  return 0;
}

}  // namespace
}  // namespace varlstm::host_parts

int main(int argc, char** argv) {
  try {
    return varlstm::host_parts::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "host_parts: {}\n", varlstm::lstm_driver::text_of(error));
    return 2;
  }
}
