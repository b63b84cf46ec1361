// The driver's command line, by CLI11: see options.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "bench/lstm_driver/error.h"

namespace varlstm::lstm_driver {
namespace {

constexpr Name<Math> kMaths[] = {{"f32", Math::kF32}, {"tf32", Math::kTf32}};
const std::vector<std::string> kPolicies{"auto", "stepwise", "cluster", "grid"};

// What CLI11 fills, before names become values.
struct Raw {
  std::string backend = "host", math = "f32", layers = "together";
  std::vector<std::string> passes{"fwd"}, dtypes{"f32"}, cells{"lstm"}, layouts{"packed"}, lengths{"fixed:32"},
      caches{"warm"};
  std::vector<std::string> files, problems, peers;
};

template <class Entry, size_t count>
Entry entry_of(const char* option, const Entry (&names)[count], const std::string& text) {
  std::string all;
  for (const Entry& name : names) {
    if (text == name.name) return name;
    all += (all.empty() ? "" : ", ") + std::string(name.name);
  }
  fail("{} = {} is none of {}", option, text, all);
}

template <class Value, size_t count>
Value value_of(const char* option, const Name<Value> (&names)[count], const std::string& text) {
  return entry_of(option, names, text).value;
}

template <class Value, size_t count>
std::vector<Value> values_of(const char* option, const Name<Value> (&names)[count],
                             const std::vector<std::string>& texts) {
  std::vector<Value> values;
  for (const std::string& text : texts) values.push_back(value_of(option, names, text));
  return values;
}

std::string cell_names() {
  std::string all;
  for (const Cell& cell : kCells) all += (all.empty() ? "" : ", ") + std::string(cell.name);
  return all;
}

void add_options(CLI::App* app, Options* options, Raw* raw) {
  const auto one = [&](const char* name, auto* value, const char* help) {
    app->add_option(name, *value, help)->capture_default_str();
  };
  const auto list = [&](const char* name, std::vector<std::string>* values, const std::string& help) {
    app->add_option(name, *values, help)->delimiter(',')->allow_extra_args(false)->capture_default_str();
  };
  app->add_flag("--lstm", "This driver; without it varlstm-bench takes Google Benchmark's options");
  one("--mode", &options->mode, "Any of c (correct), b (bitwise repeatable), p (performance), such as cbp");
  one("--backend", &raw->backend, "host or cuda");
  one("--threads", &options->threads, "Threads of the host back end; 0: as many as the machine has");
  list("--dir", &raw->passes, "fwd, bwd, train");
  list("--dtype", &raw->dtypes, "f32, f64, bf16, f16");
  list("--cell", &raw->cells, cell_names());
  one("--math", &raw->math, "Products of f32 in f32 or tf32");
  one("--policy", &options->policy, "Recurrence: auto, stepwise, cluster or grid");
  one("--layers", &raw->layers, "Layers in one launch where they may (together), or one after the other (apart)");
  list("--lens", &raw->lengths, "fixed:T, uniform:A:B, lognormal[:MEDIAN[:SIGMA]], ewt, file:F");
  list("--layout", &raw->layouts, "packed; ragged, batch_first or time_major with packing and unpacking");
  list("--cache", &raw->caches, "warm; cold: caches are overwritten before each run");
  list("--batch", &raw->files, "Files of problems, # begins a comment");
  list("--peer", &raw->peers, "cudnn: time it too, every algorithm and layout of data it takes");
  app->add_flag("--graph", options->graph, "Time replays of a CUDA graph instead of calls");
  one("--seed", &options->seed, "Number that lengths and data come from");
  one("--reruns", &options->reruns, "Reruns of mode b");
  one("--seconds", &options->seconds, "Time for each case of mode p");
  one("--json", &options->json, "File for every result");
  app->add_option("problems", raw->problems, "Such as l2b64i128h128d2: layers, batch, inputs, units, directions");
  app->footer(
      "Options that name several values take a list with commas; every combination is run.\n"
      "Exit status: 0; 1 if a case failed; 2 for bad arguments.");
}

void check_values(const Options& options) {
  if (options.mode.empty() || options.mode.find_first_not_of("cbp") != std::string::npos)
    fail("--mode = {} is not made of c, b and p", options.mode);
  if (std::find(kPolicies.begin(), kPolicies.end(), options.policy) == kPolicies.end())
    fail("--policy = {} is none of auto, stepwise, cluster, grid", options.policy);
  if (options.threads < 0 || options.threads > 1024) fail("--threads = {} is not from 0 to 1024", options.threads);
  if (options.reruns < 1) fail("--reruns = {} is not positive", options.reruns);
  if (!(options.seconds > 0 && options.seconds <= 3600))
    fail("--seconds = {} is not above 0 and at most 3600", options.seconds);
  if (options.graph && options.backend != VARLSTM_BACKEND_CUDA) fail("--graph needs --backend=cuda");
  if (options.cudnn && options.backend != VARLSTM_BACKEND_CUDA) fail("--peer = cudnn needs --backend=cuda");
}

void resolve(const Raw& raw, Options* options) {
  options->backend = value_of("--backend", kBackends, raw.backend);
  options->math = value_of("--math", kMaths, raw.math);
  options->layers_together = value_of("--layers", kLayers, raw.layers);
  options->passes = values_of("--dir", kPasses, raw.passes);
  options->dtypes = values_of("--dtype", kDtypes, raw.dtypes);
  for (const std::string& text : raw.cells) options->cells.push_back(entry_of("--cell", kCells, text));
  options->layouts = values_of("--layout", kLayouts, raw.layouts);
  options->caches = values_of("--cache", kCaches, raw.caches);
  for (const std::string& peer : raw.peers)
    if (peer != "cudnn") fail("--peer = {} is not cudnn", peer);
  options->cudnn = !raw.peers.empty();
  for (const std::string& text : raw.lengths) options->lengths.push_back(parse_lengths(text));
  for (const std::string& text : raw.problems) options->problems.push_back(parse_problem(text));
  for (const std::string& file : raw.files)
    for (const Problem& problem : read_problems(file)) options->problems.push_back(problem);
  if (options->problems.empty()) fail("no problem is given, such as l1b16i128h128d1");
}

}  // namespace

const char* math_name(Math math) {
  return name_of(kMaths, math);
}

bool parse_command_line(int argc, char** argv, Options* options) {
  CLI::App app("Checks and times recurrent problems through libvarlstm.", "varlstm-bench --lstm");
  Raw raw;
  app.get_formatter()->column_width(32);
  add_options(&app, options, &raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      app.exit(error);
      return false;
    }
    // What is not known comes before what is missing, because the missing option may be there, misspelt.
    const auto unknown = app.remaining();
    const std::string text =
        unknown.empty() ? error.what() : "The following argument was not expected: " + unknown.front();
    fail("{} (see varlstm-bench --lstm --help)", text);
  }
  resolve(raw, options);
  check_values(*options);
  return true;
}

std::string repro(const Options& options, const Scenario& scenario, Cache cache) {
  std::string text =
      fmt::format("varlstm-bench --lstm --mode={} --backend={} --dir={} --dtype={} --lens={} --layout={}", options.mode,
                  name_of(kBackends, options.backend), name_of(kPasses, scenario.pass),
                  name_of(kDtypes, scenario.dtype), scenario.lens, name_of(kLayouts, scenario.layout));
  if (scenario.cell.value != VARLSTM_CELL_LSTM) text += fmt::format(" --cell={}", scenario.cell.name);
  if (options.wants('p')) text += fmt::format(" --cache={}", name_of(kCaches, cache));
  if (options.threads != 0) text += fmt::format(" --threads={}", options.threads);
  if (options.math != Math::kF32) text += fmt::format(" --math={}", math_name(options.math));
  if (options.policy != "auto") text += fmt::format(" --policy={}", options.policy);
  if (!options.layers_together) text += " --layers=apart";
  if (options.graph) text += " --graph";
  return text + fmt::format(" --seed={} {}", scenario.seed, to_string(scenario.problem));
}

}  // namespace varlstm::lstm_driver
