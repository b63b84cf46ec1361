// safetensors (github.com/huggingface/safetensors): u64 header length, little-endian; header, JSON; data. Here with
// float32 tensors alone.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "file.h"

namespace tagger {

struct TensorEntry {
  std::string name;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // bytes from the start of the data
};

// What a header says about `data_bytes` bytes of data. Error unless every tensor is float32, has the bytes its shape
// asks for, and the tensors together fill the data without gap or overlap.
std::vector<TensorEntry> parse_safetensors_header(std::string_view json, uint64_t data_bytes);

class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::string& path);  // reads and checks the header; Error naming the file

  const std::string& path() const { return file_.path(); }
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  const TensorEntry* find(std::string_view name) const;  // or null
  // data <- `count` elements from `first` on, which the tensor has.
  void read(const TensorEntry& tensor, int64_t first, float* data, int64_t count) const;

 private:
  InputFile file_;
  uint64_t data_start_ = 0;
  std::vector<TensorEntry> tensors_;
};

// Elements one after the other, in one or more pieces.
struct TensorData {
  struct Piece {
    const float* data;
    int64_t count;
  };
  std::string name;
  std::vector<int64_t> shape;
  std::vector<Piece> pieces;
};

void write_safetensors(const std::string& path, const std::vector<TensorData>& tensors);

}  // namespace tagger
