// Table and JSON: see report.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/report.h"

#include <fmt/chrono.h>

#include <cstdio>
#include <ctime>
#include <fstream>

#include "bench/lstm_driver/error.h"
#include "bench/lstm_driver/work.h"

namespace varlstm::lstm_driver {
namespace {

using nlohmann::ordered_json;

// Everything that follows from a time and a scenario.
struct Rates {
  double us_per_step, tokens, padded_tokens, bytes, flops, of_ceiling;
};

Rates rates_of(const Row& row) {
  const Scenario& s = row.scenario;
  const double seconds = row.timing->median;
  const auto steps = static_cast<double>(std::max<int64_t>(s.steps() * s.problem.layers, 1));
  return {1e6 * seconds / steps,
          static_cast<double>(s.tokens()) / seconds,
          static_cast<double>(s.padded_tokens()) / seconds,
          bytes_of(s) / seconds,
          flops_of(s) / seconds,
          row.least_seconds / seconds};
}

std::string case_of(const Options& options, const Row& row) {
  const Scenario& s = row.scenario;
  const std::string cell = s.cell.value == VARLSTM_CELL_LSTM ? "" : std::string(s.cell.name) + " ";
  return fmt::format("{}{} {} {} {} {}{}{}", cell, to_string(s.problem), name_of(kPasses, s.pass),
                     name_of(kDtypes, s.dtype), s.lens, name_of(kLayouts, s.layout), options.wants('p') ? " " : "",
                     options.wants('p') ? name_of(kCaches, row.cache) : "");
}

std::string verdict_text(const std::optional<Verdict>& verdict) {
  return !verdict ? "-" : verdict->passed ? "ok" : "FAIL";
}

ordered_json verdict_json(const Verdict& verdict) {
  ordered_json json{{"passed", verdict.passed}};
  if (!verdict.tensor.empty()) json["tensor"] = verdict.tensor;
  if (verdict.allowed > 0) json.update({{"error", verdict.error}, {"allowed", verdict.allowed}});
  if (!verdict.text.empty()) json["text"] = verdict.text;
  if (!verdict.remark.empty()) json["remark"] = verdict.remark;
  return json;
}

ordered_json performance_json(const Row& row) {
  const Timing& timing = *row.timing;
  const Rates rates = rates_of(row);
  ordered_json json{{"ms", 1e3 * timing.median},
                    {"least_ms", 1e3 * timing.least},
                    {"runs", timing.runs},
                    {"us_per_step", rates.us_per_step},
                    {"tokens_per_s", rates.tokens},
                    {"padded_tokens_per_s", rates.padded_tokens},
                    {"gb_per_s", 1e-9 * rates.bytes},
                    {"tflop_per_s", 1e-12 * rates.flops},
                    {"of_ceiling", rates.of_ceiling},
                    {"floor_ms", 1e3 * row.least_seconds}};
  if (timing.launches >= 0) json["launches"] = timing.launches;
  if (timing.enqueue >= 0) json["enqueue_us"] = 1e6 * timing.enqueue;
  return json;
}

ordered_json row_json(const Options& options, const Row& row) {
  const Scenario& s = row.scenario;
  ordered_json json{{"implementation", row.implementation},
                    {"problem", to_string(s.problem)},
                    {"layers", s.problem.layers},
                    {"batch", s.problem.batch},
                    {"input", s.problem.input},
                    {"hidden", s.problem.hidden},
                    {"directions", s.problem.directions},
                    {"dir", name_of(kPasses, s.pass)},
                    {"dtype", name_of(kDtypes, s.dtype)},
                    {"math", math_name(options.math)},
                    {"policy", options.policy},
                    {"layers_run", name_of(kLayers, s.layers_together)},
                    {"lens", s.lens},
                    {"layout", name_of(kLayouts, s.layout)},
                    {"cache", name_of(kCaches, row.cache)},
                    {"seed", s.seed},
                    {"tokens", s.tokens()},
                    {"steps", s.steps()},
                    {"padded_tokens", s.padded_tokens()},
                    {"passed", row.passed()},
                    {"repro", repro(options, s, row.cache)}};
  if (s.cell.value != VARLSTM_CELL_LSTM) json["cell"] = s.cell.name;
  if (row.correct) json["correct"] = verdict_json(*row.correct);
  if (row.bitwise) json["bitwise"] = verdict_json(*row.bitwise);
  if (row.timing) json["performance"] = performance_json(row);
  if (!row.error.empty()) json["error"] = row.error;
  return json;
}

}  // namespace

void Report::print_header() {
  fmt::print("{:<58} {:<4} {:<4}", "case", "c", "b");
  if (options_.wants('p'))
    fmt::print(" {:>10} {:>9} {:>9} {:>9} {:>8} {:>8} {:>7} {:>8} {:>9}", "ms", "µs/step", "Mtoken/s", "padded", "GB/s",
               "TFLOP/s", "ceiling", "launches", "enqueue µs");
  fmt::print("\n");
}

void Report::add(const Row& row) {
  if (rows_++ == 0) print_header();
  const std::string label = row.implementation == "varlstm" ? case_of(options_, row) : "  " + row.implementation;
  fmt::print("{:<58} {:<4} {:<4}", label, verdict_text(row.correct), verdict_text(row.bitwise));
  if (row.timing) {
    const Rates rates = rates_of(row);
    const auto known = [](double value, const char* format) {
      return value < 0 ? std::string("-") : fmt::format(fmt::runtime(format), value);
    };
    fmt::print(" {:>10.4f} {:>8.3f} {:>9.3f} {:>9.3f} {:>8.2f} {:>8.4f} {:>6.1f}% {:>8} {:>9}",
               1e3 * row.timing->median, rates.us_per_step, 1e-6 * rates.tokens, 1e-6 * rates.padded_tokens,
               1e-9 * rates.bytes, 1e-12 * rates.flops, 100 * rates.of_ceiling,
               known(static_cast<double>(row.timing->launches), "{:.0f}"), known(1e6 * row.timing->enqueue, "{:.1f}"));
  }
  fmt::print("\n");
  if (row.correct && !row.correct->remark.empty()) fmt::print("  {}\n", row.correct->remark);
  if (!row.passed()) {
    ++failed_;
    for (const std::string& text :
         {row.error, row.correct ? row.correct->text : "", row.bitwise ? row.bitwise->text : ""})
      if (!text.empty()) fmt::print("  FAILED: {}\n", text);
    fmt::print("  repro: {}\n", repro(options_, row.scenario, row.cache));
  }
  std::fflush(stdout);
  results_.push_back(row_json(options_, row));
  write({{"unfinished", true}});
}

void Report::note(const std::string& text) {
  fmt::print("  {}\n", text);
  notes_.push_back(text);
}

int64_t Report::finish(const Clock& clock, Ceilings* ceilings) {
  fmt::print("{} cases, {} failed; {}, {}\n", rows_, failed_, clock.device(), clock.name());
  ordered_json about{{"library", varlstm_build_info()},
                     {"backend", name_of(kBackends, options_.backend)},
                     {"device", clock.device()},
                     {"clock", clock.name()},
                     {"graph", options_.graph},
                     {"threads", options_.threads},
                     {"date", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))}};
  if (options_.wants('p') && !ceilings->gemm_rates().empty()) {
    about["copy_gb_per_s"] = 1e-9 * ceilings->copy_rate();
    for (const auto& [dtype, rate] : ceilings->gemm_rates())
      about["gemm_tflop_per_s"][name_of(kDtypes, dtype)] = 1e-12 * rate;
    fmt::print("ceilings: copy {:.1f} GB/s, GEMM", about["copy_gb_per_s"].get<double>());
    for (const auto& [dtype, rate] : ceilings->gemm_rates())
      fmt::print(" {} {:.4f}", name_of(kDtypes, dtype), 1e-12 * rate);
    fmt::print(" TFLOP/s\n");
  }
  write(about);
  return failed_;
}

void Report::write(const ordered_json& about) const {
  if (options_.json.empty()) return;
  std::ofstream file(options_.json);
  file << ordered_json{{"about", about}, {"notes", notes_}, {"results", results_}}.dump(1) << "\n";
  if (!file.flush()) fail("--json = {}: cannot be written", options_.json);
}

}  // namespace varlstm::lstm_driver
