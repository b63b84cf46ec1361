// Reads the golden files that make_golden.py writes; the format stands there.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/test_dir.h"

namespace varlstm_test {

struct GoldenTensor {
  std::vector<int64_t> shape;
  std::vector<double> values;
};

class GoldenCase {
 public:
  std::string name;

  bool has(const std::string& item) const { return reals_.count(item) + ints_.count(item) > 0; }
  const GoldenTensor& tensor(const std::string& item) const { return find(reals_, item); }
  const std::vector<double>& real(const std::string& item) const { return find(reals_, item).values; }
  const std::vector<int64_t>& ints(const std::string& item) const { return find(ints_, item); }
  double scalar(const std::string& item) const { return real(item).at(0); }

  void add(const std::string& item, const GoldenTensor& value) { reals_[item] = value; }
  void add(const std::string& item, const std::vector<int64_t>& value) { ints_[item] = value; }

 private:
  template <class Map>
  const typename Map::mapped_type& find(const Map& map, const std::string& item) const {
    const auto found = map.find(item);
    if (found == map.end()) throw std::runtime_error("golden case " + name + " has no " + item);
    return found->second;
  }

  std::map<std::string, GoldenTensor> reals_;
  std::map<std::string, std::vector<int64_t>> ints_;
};

struct GoldenFile {
  std::string version;  // "PyTorch 1.13..., float64, ..."
  std::vector<GoldenCase> cases;
};

// The next word of `line` as a number; strtod reads "nan" too, which a stream does not.
inline double next_real(std::istringstream& line) {
  std::string word;
  if (!(line >> word)) throw std::runtime_error("golden file: a value is missing");
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (*end != '\0') throw std::runtime_error("golden file: " + word + " is not a number");
  return value;
}

inline GoldenTensor read_tensor(std::istringstream& line) {
  GoldenTensor tensor;
  std::string shape, dim;
  line >> shape;
  int64_t count = 1;
  for (std::istringstream dims(shape); std::getline(dims, dim, 'x');) {
    tensor.shape.push_back(std::stoll(dim));
    count *= tensor.shape.back();
  }
  for (int64_t k = 0; k < count; ++k) tensor.values.push_back(next_real(line));
  return tensor;
}

inline std::vector<int64_t> read_ints(std::istringstream& line) {
  int64_t count = 0;
  line >> count;
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (int64_t& value : values) line >> value;
  if (!line) throw std::runtime_error("golden file: an integer is missing");
  return values;
}

// `name`: "lstm.txt" and so on, in tests/golden.
inline GoldenFile read_golden(const std::string& name) {
  const std::string path = test_dir() + "/golden/" + name;
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path);
  GoldenFile golden;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string kind, item;
    line >> kind >> item;
    if (kind == "#") {
      if (golden.version.empty()) golden.version = text.substr(2);
    } else if (kind == "case") {
      golden.cases.emplace_back();
      golden.cases.back().name = item;
    } else if (golden.cases.empty()) {
      throw std::runtime_error(path + ": an item before the first case");
    } else if (kind == "real") {
      golden.cases.back().add(item, read_tensor(line));
    } else if (kind == "int") {
      golden.cases.back().add(item, read_ints(line));
    } else {
      throw std::runtime_error(path + ": unknown item " + kind);
    }
    std::string rest;
    if (kind != "#" && line >> rest) throw std::runtime_error(path + ": more values than the shape of " + item);
  }
  return golden;
}

}  // namespace varlstm_test
