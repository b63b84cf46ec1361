// Distributions of lengths: see lengths.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/lengths.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>

#include "bench/lstm_driver/error.h"
#include "bench/lstm_driver/random.h"

namespace varlstm::lstm_driver {
namespace {

constexpr double kMaxLength = 1 << 24;
// Every 5 % of the sentence lengths of UD English EWT's train.conllu (12,544 sentences, mean 16.3), shortest to
// longest.
constexpr double kEwtQuantiles[] = {1, 2, 3, 4, 6, 7, 9, 10, 11, 13, 14, 15, 17, 19, 20, 22, 25, 28, 32, 39, 159};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ':')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

double number(const std::string& text, const std::string& part, const char* name, double min, double max) {
  double value = 0;
  const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (error != std::errc() || rest != part.data() + part.size())
    fail("--lens = {}: {} «{}» is no number", text, name, part);
  if (!(value >= min && value <= max)) fail("--lens = {}: {} {} is not from {} to {}", text, name, part, min, max);
  return value;
}

double whole(const std::string& text, const std::string& part, const char* name, double min) {
  const double value = number(text, part, name, min, kMaxLength);
  if (value != std::floor(value)) fail("--lens = {}: {} {} is not whole", text, name, part);
  return value;
}

std::vector<int64_t> read_lengths(const std::string& text, const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("--lens = {}: cannot be read", text);
  std::vector<int64_t> lengths;
  for (std::string word; file >> word;) lengths.push_back(static_cast<int64_t>(whole(text, word, "length", 0)));
  if (lengths.empty()) fail("--lens = {}: the file holds no length", text);
  return lengths;
}

void expect_parts(const std::string& text, size_t parts, size_t min, size_t max, const char* form) {
  if (parts < min || parts > max) fail("--lens = {}: the form is {}", text, form);
}

double ewt_length(Random& random) {
  constexpr int kSteps = std::size(kEwtQuantiles) - 1;
  const double at = random.uniform() * kSteps;
  const int below = static_cast<int>(at);
  return kEwtQuantiles[below] + (at - below) * (kEwtQuantiles[below + 1] - kEwtQuantiles[below]);
}

double draw(const Lengths& lengths, int64_t index, Random& random) {
  switch (lengths.kind) {
    case Lengths::kFixed:
      return lengths.first;
    case Lengths::kUniform:
      return std::floor(lengths.first + random.uniform() * (lengths.second - lengths.first + 1));
    case Lengths::kLogNormal:
      return std::clamp(std::floor(lengths.first * std::exp(lengths.second * random.normal()) + 0.5), 1.0, kMaxLength);
    case Lengths::kEwt:
      return std::floor(ewt_length(random) + 0.5);
    case Lengths::kFile:
      return static_cast<double>(lengths.from_file[static_cast<size_t>(index) % lengths.from_file.size()]);
  }
  return 0;
}

}  // namespace

Lengths parse_lengths(const std::string& text) {
  Lengths lengths;
  lengths.text = text;
  const std::vector<std::string> parts = split(text);
  if (parts[0] == "fixed") {
    expect_parts(text, parts.size(), 2, 2, "fixed:T");
    lengths.first = whole(text, parts[1], "T", 0);
  } else if (parts[0] == "uniform") {
    expect_parts(text, parts.size(), 3, 3, "uniform:A:B");
    lengths.kind = Lengths::kUniform;
    lengths.first = whole(text, parts[1], "A", 0);
    lengths.second = whole(text, parts[2], "B", lengths.first);
  } else if (parts[0] == "lognormal") {
    expect_parts(text, parts.size(), 1, 3, "lognormal:MEDIAN:SIGMA");
    lengths.kind = Lengths::kLogNormal;
    lengths.first = parts.size() > 1 ? number(text, parts[1], "median", 1, kMaxLength) : 32;
    lengths.second = parts.size() > 2 ? number(text, parts[2], "sigma", 0, 8) : 0.8;
  } else if (parts[0] == "ewt") {
    expect_parts(text, parts.size(), 1, 1, "ewt");
    lengths.kind = Lengths::kEwt;
  } else if (parts[0] == "file") {
    expect_parts(text, parts.size(), 2, SIZE_MAX, "file:F");
    lengths.kind = Lengths::kFile;
    lengths.from_file = read_lengths(text, text.substr(5));
  } else {
    fail("--lens = {}: «{}» is none of fixed, uniform, lognormal, ewt and file", text, parts[0]);
  }
  return lengths;
}

std::vector<int64_t> draw_lengths(const Lengths& lengths, int64_t batch, uint64_t seed) {
  Random random(seed);
  std::vector<int64_t> drawn;
  for (int64_t b = 0; b < batch; ++b) drawn.push_back(static_cast<int64_t>(draw(lengths, b, random)));
  return drawn;
}

}  // namespace varlstm::lstm_driver
