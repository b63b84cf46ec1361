// exchange_bench: what the primitives that a resident recurrence stands on cost on this GPU.
//   exchange_bench [--out exchange.json] [--repetitions 21] [--steps 2000]
// A table on standard output; JSON in the file, which is written anew after each figure. Status 1 where data did not
// arrive or a call failed; what was measured until then is written.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include <stdexcept>

#include "bench/exchange/cases.h"
#include "bench/exchange/device_figures.h"
#include "bench/exchange/report.h"
#include "bench/exchange/session.h"

namespace varlstm::bench {
namespace {

constexpr int kWarmUps = 2;
constexpr uint32_t kProductGroups = 100;

struct Settings {
  std::string out = "exchange.json";
  int repetitions = 21;
  int64_t steps = 2000;
};

// False for an option that does not exist, has no value or no positive number.
bool parse(int argc, char** argv, Settings* settings) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return false;
    const char* value = argv[i + 1];
    if (strcmp(argv[i], "--out") == 0) {
      settings->out = value;
    } else if (strcmp(argv[i], "--repetitions") == 0) {
      settings->repetitions = atoi(value);
    } else if (strcmp(argv[i], "--steps") == 0) {
      settings->steps = atoll(value);
    } else {
      return false;
    }
  }
  return settings->repetitions > 0 && settings->steps > 0 && settings->steps < (int64_t{1} << 31);
}

std::vector<std::pair<std::string, int64_t>> parameters(const Exchange& exchange) {
  std::vector<std::pair<std::string, int64_t>> where{
      {"team", exchange.team},
      {"teams", exchange.teams},
      {"bytes_of_block", int64_t{exchange.units} * unit_bytes(exchange.mechanism)}};
  if (exchange.hidden != 0) {
    where.emplace_back("H", exchange.hidden);
    where.emplace_back("slots", exchange.slots);
  }
  return where;
}

void write(const Settings& settings, const Report& report) {
  if (!write_json(settings.out, report)) throw std::runtime_error(settings.out + " cannot be written");
}

void measure_pieces(const Settings& settings, Report* report) {
  for (const Piece piece : kPieces) {
    PieceSamples samples = run_piece(piece, static_cast<uint32_t>(settings.steps), settings.repetitions);
    report->figures.push_back({name_of(piece), {}, "cycles", std::move(samples.cycles), samples.failure});
    write(settings, *report);
  }
}

void measure_products(const Settings& settings, Report* report) {
  if (!has_warpgroup_products()) return;
  for (const bool waited : {false, true}) {
    for (const unsigned columns : kProductColumns) {
      PieceSamples samples = run_products({columns, waited}, kProductGroups, settings.repetitions);
      report->figures.push_back({waited ? "wgmma, each waited for" : "wgmma in a row",
                                 {{"N", columns}},
                                 "cycles",
                                 std::move(samples.cycles),
                                 samples.failure});
      write(settings, *report);
    }
  }
}

void measure_exchanges(const Settings& settings, Report* report) {
  const auto resident = [](unsigned size) { return resident_clusters(size, kOneBlockShared); };
  Figure clock{"multiprocessor clock", {}, "GHz", {}, ""};
  for (const Exchange& exchange : measured_exchanges(multiprocessor_count(), resident)) {
    ExchangeSamples samples = run_exchange(exchange, settings.steps, kWarmUps, settings.repetitions);
    report->figures.push_back(
        {name_of(exchange.mechanism), parameters(exchange), "ns/step", std::move(samples.ns), samples.failure});
    clock.samples.insert(clock.samples.end(), samples.ghz.begin(), samples.ghz.end());
    write(settings, *report);
  }
  report->figures.push_back(std::move(clock));
}

void measure_all(const Settings& settings, Report* report) {
  report->device = describe_device();
  report->figures = resident_cluster_figures();
  for (Figure& figure : launch_figures(settings.repetitions)) report->figures.push_back(std::move(figure));
  report->figures.push_back(copy_figure(settings.repetitions));
  measure_pieces(settings, report);
  measure_products(settings, report);
  measure_exchanges(settings, report);
}

int run(const Settings& settings) {
  Report report;
  try {
    measure_all(settings, &report);
  } catch (const std::runtime_error& error) {
    report.error = error.what();
  }
  for (const auto& [name, value] : report.device) printf("%-22s %s\n", name.c_str(), value.c_str());
  print_table(stdout, report.figures);
  if (!report.error.empty()) fprintf(stderr, "exchange_bench: %s\n", report.error.c_str());
  write(settings, report);
  return all_is_well(report) ? 0 : 1;
}

}  // namespace
}  // namespace varlstm::bench

int main(int argc, char** argv) {
  varlstm::bench::Settings settings;
  if (!varlstm::bench::parse(argc, argv, &settings)) {
    fprintf(stderr, "usage: exchange_bench [--out FILE] [--repetitions N] [--steps N]\n");
    return 2;
  }
  try {
    return varlstm::bench::run(settings);
  } catch (const std::runtime_error& error) {
    fprintf(stderr, "exchange_bench: %s\n", error.what());
    return 1;
  }
}
