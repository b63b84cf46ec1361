// The compact descriptor: see problem.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/problem.h"

#include <charconv>
#include <fstream>
#include <sstream>

#include "bench/lstm_driver/error.h"

namespace varlstm::lstm_driver {
namespace {

struct Part {
  char letter;
  const char* name;
  int64_t max;
  int64_t Problem::*value;
};
// The bounds of varlstm.h where it has one, else of what a machine can hold.
constexpr Part kParts[] = {{'l', "layers", 4096, &Problem::layers},
                           {'b', "batch", int64_t{1} << 24, &Problem::batch},
                           {'i', "inputs", int64_t{1} << 20, &Problem::input},
                           {'h', "hidden units", int64_t{1} << 20, &Problem::hidden},
                           {'d', "directions", 2, &Problem::directions}};

const Part& part_of(const std::string& text, char letter) {
  for (const Part& part : kParts)
    if (part.letter == letter) return part;
  fail("«{}»: «{}» begins no part; there are l, b, i, h and d", text, letter);
}

}  // namespace

Problem parse_problem(const std::string& text) {
  Problem problem;
  std::string seen;
  if (text.empty()) fail("a problem is empty; one is, for example, l1b16i128h128d1");
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    const Part& part = part_of(text, *at);
    if (seen.find(part.letter) != std::string::npos) fail("«{}»: part {} is given twice", text, part.letter);
    seen += part.letter;
    int64_t value = 0;
    const auto [rest, error] = std::from_chars(at + 1, end, value);
    if (rest == at + 1) fail("«{}»: part {} ({}) has no number", text, part.letter, part.name);
    if (error != std::errc() || value < 1 || value > part.max)
      fail("«{}»: part {} ({}) = {} is not from 1 to {}", text, part.letter, part.name, std::string(at + 1, rest),
           part.max);
    problem.*part.value = value;
    at = rest;
  }
  if (seen.find('i') == std::string::npos) problem.input = problem.hidden;
  return problem;
}

std::string to_string(const Problem& problem) {
  std::string text;
  for (const Part& part : kParts) text += part.letter + std::to_string(problem.*part.value);
  return text;
}

std::vector<Problem> read_problems(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail("--batch = {}: cannot be read", path);
  std::vector<Problem> problems;
  std::string line;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    for (std::string word; words >> word;) {
      try {
        problems.push_back(parse_problem(word));
      } catch (const Error& error) {
        fail("{}:{}: {}", path, number, error.what());
      }
    }
  }
  if (problems.empty()) fail("--batch = {}: names no problem", path);
  return problems;
}

}  // namespace varlstm::lstm_driver
