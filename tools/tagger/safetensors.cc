// safetensors, with every size checked against the file's length before it is used.
// SPDX-License-Identifier: Apache-2.0
#include "safetensors.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "error.h"
#include "json_text.h"
#include "text.h"

namespace tagger {
namespace {

using nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
// The format's own bound on the header.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// Of a tensor. PyTorch has no more either.
constexpr size_t kMaxDimensions = 64;
// Twice as many as the deepest of our models has.
constexpr size_t kMaxTensors = 4096;

// The model file is read and written as the machine's own float and uint64.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors is little-endian");

uint64_t unsigned_value(const json& value, const char* what, const std::string& tensor) {
  if (!value.is_number_unsigned()) fail("{} of tensor {} is no whole number", what, in_quotes(tensor));
  return value.get<uint64_t>();
}

TensorEntry parse_entry(const std::string& name, const json& value) {
  TensorEntry entry;
  entry.name = name;
  if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") || !value.contains("data_offsets"))
    fail("tensor {} has no dtype, shape and data_offsets", in_quotes(name));
  if (value["dtype"] != "F32") fail("tensor {} is not of dtype F32", in_quotes(name));
  const json& shape = value["shape"];
  const json& offsets = value["data_offsets"];
  if (!shape.is_array() || !offsets.is_array() || offsets.size() != 2)
    fail("tensor {} has a shape or data_offsets that is no list", in_quotes(name));

  uint64_t elements = 1;
  for (const json& dim : shape) {
    const uint64_t size = unsigned_value(dim, "a dimension", name);
    constexpr uint64_t kMaxElements = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / sizeof(float);
    if (size > kMaxElements || (size > 0 && elements > kMaxElements / size))
      fail("tensor {} is too large", in_quotes(name));
    elements *= size;
    entry.shape.push_back(static_cast<int64_t>(size));
  }
  entry.begin = unsigned_value(offsets[0], "an offset", name);
  entry.end = unsigned_value(offsets[1], "an offset", name);
  if (entry.end < entry.begin || entry.end - entry.begin != elements * sizeof(float))
    fail("tensor {} has offsets that do not fit its shape", in_quotes(name));
  return entry;
}

}  // namespace

std::vector<TensorEntry> parse_safetensors_header(std::string_view text, uint64_t data_bytes) {
  if (text.empty()) fail("the header is empty");
  const auto hex = [](char c) { return fmt::format("0x{:02X}", static_cast<unsigned char>(c)); };
  if (text[0] != '{') fail("the header begins with byte {}, not with \"{{\"", hex(text[0]));
  const json header = parse_json_object(text, "the header", {kMaxDimensions, kMaxTensors});
  // The parser lets any white space follow, the format spaces alone.
  const char last = text[text.find_last_not_of(' ')];
  if (last != '}') fail("the header goes on after the end of its JSON with byte {}: only spaces may follow", hex(last));
  std::vector<TensorEntry> tensors;
  for (const auto& [name, value] : header.items())
    if (name != "__metadata__") tensors.push_back(parse_entry(name, value));

  std::vector<const TensorEntry*> by_offset;
  for (const TensorEntry& tensor : tensors) by_offset.push_back(&tensor);
  std::sort(by_offset.begin(), by_offset.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
  });
  uint64_t filled = 0;
  for (const TensorEntry* tensor : by_offset) {
    if (tensor->begin != filled) fail("tensor {} leaves a gap or overlaps another", in_quotes(tensor->name));
    filled = tensor->end;
  }
  if (filled != data_bytes) fail("the tensors need {} bytes of data, the file holds {}", filled, data_bytes);
  return tensors;
}

SafetensorsReader::SafetensorsReader(const std::string& path) : file_(path) {
  try {
    if (file_.bytes() < kLengthBytes) fail("the file has only {} bytes", file_.bytes());
    uint64_t header_bytes = 0;
    file_.read(0, &header_bytes, kLengthBytes);
    const uint64_t rest = file_.bytes() - kLengthBytes;
    if (header_bytes > rest) fail("the header has {} bytes, the file only {}", header_bytes, file_.bytes());
    if (header_bytes > kMaxHeaderBytes) fail("the header has {} bytes, more than the format allows", header_bytes);
    std::string header(header_bytes, '\0');
    file_.read(kLengthBytes, header.data(), header_bytes);
    data_start_ = kLengthBytes + header_bytes;
    tensors_ = parse_safetensors_header(header, rest - header_bytes);
  } catch (const Error& error) {
    fail("{} is no safetensors file of a model: {}", path, error.what());
  }
}

const TensorEntry* SafetensorsReader::find(std::string_view name) const {
  for (const TensorEntry& tensor : tensors_)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

void SafetensorsReader::read(const TensorEntry& tensor, int64_t first, float* data, int64_t count) const {
  const uint64_t bytes = sizeof(float);
  file_.read(data_start_ + tensor.begin + static_cast<uint64_t>(first) * bytes, data,
             static_cast<uint64_t>(count) * bytes);
}

void write_safetensors(const std::string& path, const std::vector<TensorData>& tensors) {
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  uint64_t offset = 0;
  for (const TensorData& tensor : tensors) {
    int64_t count = 0;
    for (const TensorData::Piece& piece : tensor.pieces) count += piece.count;
    const uint64_t bytes = static_cast<uint64_t>(count) * sizeof(float);
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  // Spaces at the end bring the data to a multiple of 8 bytes, as the format recommends.
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');
  const uint64_t header_bytes = text.size();

  OutputFile file(path);
  file.write(&header_bytes, kLengthBytes);
  file.write(text);
  for (const TensorData& tensor : tensors)
    for (const TensorData::Piece& piece : tensor.pieces)
      file.write(piece.data, static_cast<uint64_t>(piece.count) * sizeof(float));
  file.close();
}

}  // namespace tagger
