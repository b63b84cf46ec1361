// SPDX-License-Identifier: Apache-2.0
#include "bench/exchange/report.h"

#include <inttypes.h>

#include <algorithm>

namespace varlstm::bench {
namespace {

constexpr double kLow = 0.1;
constexpr double kMiddle = 0.5;
constexpr double kHigh = 0.9;

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + '"';
}

void write_figure(FILE* out, const Figure& figure) {
  fprintf(out, "{\"what\": %s", quoted(figure.what).c_str());
  for (const auto& [name, value] : figure.where) fprintf(out, ", %s: %" PRId64, quoted(name).c_str(), value);
  fprintf(out, ", \"unit\": %s", quoted(figure.unit).c_str());
  if (figure.failure.empty()) {
    fprintf(out, ", \"median\": %.6g, \"p10\": %.6g, \"p90\": %.6g, \"samples\": %zu}",
            quantile(figure.samples, kMiddle), quantile(figure.samples, kLow), quantile(figure.samples, kHigh),
            figure.samples.size());
  } else {
    fprintf(out, ", \"failure\": %s}", quoted(figure.failure).c_str());
  }
}

}  // namespace

double quantile(std::vector<double> samples, double share) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const double place = share * static_cast<double>(samples.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, samples.size() - 1);
  return samples[below] + (samples[above] - samples[below]) * (place - static_cast<double>(below));
}

void print_table(FILE* out, const std::vector<Figure>& figures) {
  fprintf(out, "%-28s %10s %10s %10s  %-8s %s\n", "what", "median", "p10", "p90", "unit", "where");
  for (const Figure& figure : figures) {
    fprintf(out, "%-28s ", figure.what.c_str());
    if (figure.failure.empty()) {
      fprintf(out, "%10.5g %10.5g %10.5g  ", quantile(figure.samples, kMiddle), quantile(figure.samples, kLow),
              quantile(figure.samples, kHigh));
    } else {
      fprintf(out, "FAILED: %s  ", figure.failure.c_str());
    }
    fprintf(out, "%-8s", figure.unit.c_str());
    for (const auto& [name, value] : figure.where) fprintf(out, " %s=%" PRId64, name.c_str(), value);
    fprintf(out, "\n");
  }
}

bool write_json(const std::string& path, const Report& report) {
  FILE* out = fopen(path.c_str(), "w");
  if (out == nullptr) return false;
  fprintf(out, "{\"device\": {");
  const char* separator = "";
  for (const auto& [name, value] : report.device) {
    fprintf(out, "%s%s: %s", separator, quoted(name).c_str(), quoted(value).c_str());
    separator = ", ";
  }
  fprintf(out, "},\n \"error\": %s,\n \"figures\": [", quoted(report.error).c_str());
  separator = "\n  ";
  for (const Figure& figure : report.figures) {
    fprintf(out, "%s", separator);
    write_figure(out, figure);
    separator = ",\n  ";
  }
  fprintf(out, "\n ]}\n");
  const bool written = ferror(out) == 0;
  return fclose(out) == 0 && written;
}

bool all_is_well(const Report& report) {
  return report.error.empty() && std::all_of(report.figures.begin(), report.figures.end(),
                                             [](const Figure& figure) { return figure.failure.empty(); });
}

}  // namespace varlstm::bench
