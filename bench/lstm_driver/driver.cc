// Every combination of the command line, one after the other: see driver.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/driver.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "bench/lstm_driver/cudnn_peer.h"
#include "bench/lstm_driver/error.h"
#include "bench/lstm_driver/report.h"

namespace varlstm::lstm_driver {
namespace {

// How F32 is multiplied on CUDA.
void set_math(const Context& ctx, Math math) {
  try {
    ctx.set_i64(VARLSTM_KEY_MATH, math == Math::kTf32 ? VARLSTM_MATH_TF32 : VARLSTM_MATH_F32);
  } catch (const varlstm::Error& error) {
    fail("--math cannot be set here: {}", error.what());
  }
}

Context make_context(int32_t backend, int64_t threads) {
  const Context context(backend);
  if (backend == VARLSTM_BACKEND_HOST) context.set_i64(VARLSTM_KEY_THREADS, threads);
  return context;
}

// What all cases share.
class Driver {
 public:
  explicit Driver(const Options& options)
      : options_(options),
        context_(open_context(options)),
        host_(make_context(VARLSTM_BACKEND_HOST, options.backend == VARLSTM_BACKEND_HOST ? options.threads : 0)),
        report_(options),
        flush_(context_) {
    set_math(context_, options.math);
    if (options.backend == VARLSTM_BACKEND_CUDA) clock_ = make_event_clock(context_);
    const bool device = clock_ != nullptr;
    if (!device) clock_ = make_wall_clock(context_);
    ceilings_ = std::make_unique<Ceilings>(context_, host_, clock_.get());
    if (options.cudnn && !device) report_.note("cudnn: skipped, this build has no CUDA runtime");
    if (options.cudnn && device) open_cudnn();
  }

  int run() {
    for (const Problem& problem : options_.problems)
      for (const Lengths& lengths : options_.lengths)
        for (const Cell& cell : options_.cells)
          for (const int32_t dtype : options_.dtypes)
            for (const Pass pass : options_.passes)
              for (const Layout layout : options_.layouts)
                run_scenario(make(problem, lengths, cell, dtype, pass, layout));
    return report_.finish(*clock_, ceilings_.get()) == 0 ? 0 : 1;
  }

 private:
  static Context open_context(const Options& options) {
    try {
      return make_context(options.backend, options.threads);
    } catch (const varlstm::Error& error) {
      fail("--backend = {} cannot be used here: {}", name_of(kBackends, options.backend), text_of(error));
    }
  }

  void open_cudnn() {
    try {
      cudnn_ = std::make_unique<CudnnPeer>(context_, host_, clock_.get());
      report_.note(cudnn_->version());
    } catch (const Error& error) {
      report_.note(fmt::format("cudnn: skipped, {}", error.what()));
    }
  }

  Scenario make(const Problem& problem, const Lengths& lengths, const Cell& cell, int32_t dtype, Pass pass,
                Layout layout) const {
    Scenario scenario;
    scenario.problem = problem;
    scenario.cell = cell;
    scenario.lens = lengths.text;
    scenario.lengths = draw_lengths(lengths, problem.batch, options_.seed);
    scenario.seed = options_.seed;
    scenario.pass = pass;
    scenario.dtype = dtype;
    scenario.layout = layout;
    scenario.layers_together = options_.layers_together;
    return scenario;
  }

  // Modes c and b once; a row for each cache where times are wanted.
  void run_scenario(const Scenario& scenario) {
    Row row;
    row.scenario = scenario;
    attempt(&row, [&] {
      if (options_.wants('c')) row.correct = check_correctness(options_, scenario, context_, host_);
      if (options_.wants('b')) row.bitwise = check_bitwise(options_, scenario, context_, host_);
    });
    if (!options_.wants('p') || !row.passed()) return report_.add(row);
    for (const Cache cache : options_.caches) {
      row.cache = cache;
      attempt(&row, [&] {
        row.timing = time_scenario(options_, scenario, flush_.call(cache), context_, host_, clock_.get());
        row.least_seconds = least_seconds(scenario, ceilings_.get());
      });
      report_.add(row);
      // It has forms of data of its own, whatever the layout.
      if (cudnn_ != nullptr && scenario.layout == options_.layouts.front()) time_cudnn(row);
    }
  }

  void time_cudnn(const Row& ours) {
    for (const CudnnPeer::Result& result : cudnn_->run(options_, ours.scenario, flush_.call(ours.cache))) {
      if (!result.timing) {
        report_.note(fmt::format("{}: {}", result.name, result.refusal));
        continue;
      }
      Row row;
      row.implementation = result.name;
      row.scenario = ours.scenario;
      row.cache = ours.cache;
      row.timing = result.timing;
      row.least_seconds = ours.least_seconds;
      report_.add(row);
    }
  }

  template <class Work>
  static void attempt(Row* row, const Work& work) {
    try {
      work();
    } catch (const std::exception& error) {  // the other cases go on
      row->error = text_of(error);
    }
  }

  const Options& options_;
  Context context_, host_;
  Report report_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<Ceilings> ceilings_;
  CacheFlush flush_;
  std::unique_ptr<CudnnPeer> cudnn_;
};

int complain(std::string text) {
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  std::fprintf(stderr, "varlstm-bench: %s\n", text.c_str());
  return 2;
}

}  // namespace

int run(int argc, char** argv) {
  Options options;
  try {
    if (!parse_command_line(argc, argv, &options)) return 0;
    if (!options.json.empty() && !std::ofstream(options.json, std::ios::app))
      fail("--json = {}: cannot be written", options.json);  // before hours of work, not after
    // The library reads it when an rnn is made; unset it chooses by itself.
    if (options.policy != "auto") setenv("VARLSTM_RECURRENCE_POLICY", options.policy.c_str(), 1);
    return Driver(options).run();
  } catch (const std::exception& error) {
    return complain(text_of(error));
  }
}

}  // namespace varlstm::lstm_driver
