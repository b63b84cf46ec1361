// Finding the form of a file of word vectors, and reading its rows.
// SPDX-License-Identifier: Apache-2.0
#include "vector_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>

#include "error.h"
#include "text.h"

namespace tagger {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the binary form is little-endian");

constexpr size_t kReadBytes = size_t{1} << 20;
constexpr size_t kMaxRowBytes = size_t{1} << 24;  // of a text row, or of a binary row's token
constexpr int64_t kMaxFeatures = int64_t{1} << 20;
constexpr int kSampledRows = 200;  // of a text, for its number of features

// A row of text without what ends it: CR LF, and the spaces that word2vec and fastText leave after the last number.
std::string_view trimmed(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
  return line;
}

// The value of a field that is a number and nothing else. Numbers that a float cannot hold are 0 or infinite.
std::optional<float> number_of(std::string_view field) {
  if (!field.empty() && field[0] == '+') field.remove_prefix(1);
  float value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (field.empty() || end != field.data() + field.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtof(std::string(field).c_str(), nullptr);
  return error == std::errc() ? std::optional<float>(value) : std::nullopt;
}

std::optional<uint64_t> whole_number_of(std::string_view field) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return value;
}

// Takes the last field off a row, and the spaces before it; nothing if only the token is left. A token may be a space.
std::optional<std::string_view> take_last_field(std::string_view* row) {
  const size_t space = row->rfind(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view field = row->substr(space + 1);
  size_t end = space;
  while (end > 1 && (*row)[end - 1] == ' ') --end;
  *row = row->substr(0, end);
  return field;
}

// How many of the last fields are numbers, without the first field, which belongs to the token.
int64_t numbers_at_end(std::string_view row) {
  int64_t count = 0;
  for (auto field = take_last_field(&row); field && number_of(*field); field = take_last_field(&row)) ++count;
  return count;
}

// Takes the first of some fields off, and the spaces behind it.
std::string_view take_first_field(std::string_view* fields) {
  size_t end = std::min(fields->find(' '), fields->size());
  const std::string_view field = fields->substr(0, end);
  while (end < fields->size() && (*fields)[end] == ' ') ++end;
  fields->remove_prefix(end);
  return field;
}

}  // namespace

VectorFile::VectorFile(const std::string& path) : path_(path), file_(path) {
  find_form();
  values_.resize(static_cast<size_t>(features_));
}

const char* VectorFile::form() const {
  return form_ == Form::kText ? "text of GloVe" : form_ == Form::kBinary ? "binary of word2vec" : "text of word2vec";
}

std::string VectorFile::place() const {
  if (form_ == Form::kBinary) return fmt::format("{}, row {}", path_, rows_ + 1);
  return fmt::format("{}:{}", path_, rows_ + (form_ == Form::kText ? 1 : 2));
}

// Reads another piece of the file behind what is there; false at its end.
bool VectorFile::read_more() {
  if (at_end_) return false;
  std::copy(buffer_.begin() + static_cast<int64_t>(begin_), buffer_.begin() + static_cast<int64_t>(end_),
            buffer_.begin());
  end_ -= begin_;
  begin_ = 0;
  if (buffer_.size() < end_ + kReadBytes) buffer_.resize(end_ + kReadBytes);
  const size_t count = file_.read(buffer_.data() + end_, kReadBytes);
  end_ += count;
  at_end_ = count == 0;
  return count > 0;
}

// Whether so many bytes follow.
bool VectorFile::has_bytes(uint64_t count) {
  while (end_ - begin_ < count)
    if (!read_more()) return false;
  return true;
}

// The text up to the next newline or the end of the file; *next_line <- the bytes up to what follows. Null data at the
// end of the file.
std::string_view VectorFile::peek_line(uint64_t* next_line) {
  size_t searched = 0;
  for (;;) {
    const std::string_view text = rest();
    const size_t newline = text.find('\n', searched);
    if (newline != std::string_view::npos) {
      *next_line = newline + 1;
      return text.substr(0, newline);
    }
    searched = text.size();
    if (searched > kMaxRowBytes) fail("{}: the row has no end within {} bytes", place(), kMaxRowBytes);
    if (!read_more()) break;
  }
  *next_line = rest().size();
  return rest().empty() ? std::string_view() : rest();
}

void VectorFile::find_form() {
  uint64_t next_line = 0;
  if (!has_bytes(1)) fail("{} has no word vectors: it is empty", path_);
  if (has_bytes(3) && rest().substr(0, 3) == kByteOrderMark) begin_ += 3;
  if (!has_bytes(1)) fail("{} has no word vectors: it holds a byte order mark alone", path_);
  constexpr std::string_view kFastTextModel("\xBA\x16\x4F\x2F", 4);
  if (has_bytes(4) && rest().substr(0, 4) == kFastTextModel)
    fail("{} is a model of fastText, not its vectors: name the .vec file that fastText wrote beside it", path_);
  const std::string_view first = trimmed(peek_line(&next_line));
  std::string_view fields = first;
  const auto rows = whole_number_of(take_first_field(&fields)), features = whole_number_of(fields);
  if (!rows || !features) {
    if (numbers_at_end(first) == 0)
      fail("{}:1: the row {} is neither a token with a vector of numbers nor the header of such rows", path_,
           in_quotes(first));
    features_ = numbers_of_most_rows();
    if (features_ == 0) fail("{} has no word vectors: most of its rows do not end in numbers", path_);
    if (features_ > kMaxFeatures) fail("{}:1: a vector has {} features, more than {}", path_, features_, kMaxFeatures);
    return;
  }

  // A header, unless it is the first row of vectors with one feature. Only a header can come before a binary row.
  begin_ += next_line;
  if (*features < 1 || *features > static_cast<uint64_t>(kMaxFeatures))
    fail("{}:1: the header says that a vector has {} features, not 1 to {}", path_, *features, kMaxFeatures);
  if (*rows < 1) fail("{}:1: the header says that there is no vector", path_);
  features_ = static_cast<int64_t>(*features);
  expected_rows_ = *rows;
  form_ = Form::kTextWithHeader;
  if (!has_bytes(1)) fail("{}: the header says {} rows, but none follows", path_, expected_rows_);
  bool is_text = false;
  const std::string_view window = (has_bytes(kReadBytes), rest());
  if (const size_t newline = window.find('\n'); newline != std::string_view::npos || window.size() < kReadBytes) {
    const std::string_view row = trimmed(window.substr(0, newline));
    is_text = row.find('\0') == std::string_view::npos && numbers_at_end(row) >= features_;
    // A broken row of text is told as such, and not as a token that has no end.
    if (!is_text && form_fault(row).empty() && row.find(' ') != std::string_view::npos) is_text = true;
  }
  if (!is_text) form_ = Form::kBinary;
  if (const int64_t numbers = is_text ? numbers_of_most_rows() : 0; numbers > features_)
    fail("{}:1: the header says that a vector has {} features, but most rows end in {} numbers", path_, features_,
         numbers);
}

// How many numbers most of the next rows end in, the fewer of two that are as frequent: a token may hold spaces and end
// in numbers, and a row may be broken.
int64_t VectorFile::numbers_of_most_rows() {
  has_bytes(kReadBytes);
  std::string_view text = rest();
  std::map<int64_t, int64_t> rows_with;  // so many numbers
  int64_t most = 0;
  for (int k = 0; k < kSampledRows && !text.empty(); ++k) {
    const size_t newline = text.find('\n');
    if (newline == std::string_view::npos && k > 0 && !at_end_) break;
    if (const std::string_view row = trimmed(text.substr(0, newline)); !row.empty()) {
      const int64_t numbers = numbers_at_end(row), rows = ++rows_with[numbers];
      if (rows > rows_with[most] || (rows == rows_with[most] && numbers < most)) most = numbers;
    }
    text.remove_prefix(std::min(newline, text.size() - 1) + 1);
  }
  return most;
}

bool VectorFile::next() {
  return form_ == Form::kBinary ? next_binary() : next_text();
}

void VectorFile::check_row_count() const {
  if (form_ == Form::kText || rows_ == expected_rows_) return;
  fail("{}: the header says {} rows, but there are {}", path_, expected_rows_,
       rows_ < expected_rows_ ? std::to_string(rows_) : "more");
}

bool VectorFile::next_text() {
  uint64_t next_line = 0;
  const std::string_view line = peek_line(&next_line);
  if (line.data() == nullptr) {
    check_row_count();
    return false;
  }
  const std::string_view row = trimmed(line);
  token_ = row;
  std::optional<std::string_view> first;  // of the last d fields
  for (int64_t k = 0; k < features_; ++k)
    if (first = take_last_field(&token_); !first) break;
  if (row.empty() && !has_bytes(next_line + 1)) {  // an empty line at the end of the file
    begin_ = end_;
    return next_text();
  }
  if (!first || token_.empty())
    fail("{}: the row {} is not a token and {} numbers", place(), in_quotes(row), features_);
  std::string_view fields = row.substr(static_cast<size_t>(first->data() - row.data()));
  for (int64_t k = 0; k < features_; ++k) {
    const std::string_view field = take_first_field(&fields);
    const std::optional<float> value = number_of(field);
    if (!value || !std::isfinite(*value))
      fail("{}: number {} of {} of the token {} is {}", place(), k + 1, features_, in_quotes(token_), in_quotes(field));
    values_[static_cast<size_t>(k)] = *value;
  }
  begin_ += next_line;
  ++rows_;
  if (form_ == Form::kTextWithHeader && rows_ > expected_rows_) check_row_count();
  return true;
}

bool VectorFile::next_binary() {
  if (rows_ > 0 && has_bytes(1) && rest()[0] == '\n') ++begin_;
  if (rows_ == expected_rows_ || !has_bytes(1)) {
    if (has_bytes(1)) fail("{}: bytes follow the {} rows that the header says", path_, expected_rows_);
    check_row_count();
    return false;
  }
  size_t space = rest().find(' ');
  while (space == std::string_view::npos) {
    if (rest().size() > kMaxRowBytes) fail("{}: the token has no end within {} bytes", place(), kMaxRowBytes);
    if (!read_more()) fail("{}: the file is cut off: the header says {} rows", place(), expected_rows_);
    space = rest().find(' ');
  }
  const uint64_t bytes = static_cast<uint64_t>(features_) * sizeof(float);
  if (!has_bytes(space + 1 + bytes)) fail("{}: the file is cut off: the header says {} rows", place(), expected_rows_);
  token_ = rest().substr(0, space);
  if (token_.empty()) fail("{}: the token is empty", place());
  std::memcpy(values_.data(), rest().data() + space + 1, bytes);
  for (int64_t k = 0; k < features_; ++k)
    if (!std::isfinite(values_[static_cast<size_t>(k)]))
      fail("{}: number {} of {} of the token {} is {}", place(), k + 1, features_, in_quotes(token_),
           values_[static_cast<size_t>(k)]);
  begin_ += space + 1 + bytes;
  ++rows_;
  return true;
}

}  // namespace tagger
