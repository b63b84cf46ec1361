// Files of word vectors, row by row: the text of GloVe, word2vec and fastText, and the binary form of word2vec, each
// plain or compressed by gzip. The form is told from the content.
//
//   text    a row has the token and d numbers, separated by spaces (U+0020). The last d fields are the numbers, the
//   rest
//           is the token, which may hold spaces. More than one space between fields, spaces after the last number and
//           an empty line at the end of the file say nothing. Before the rows word2vec and fastText have a header, a
//           row with the number of rows and d; GloVe has none, and d is how many numbers most of the first rows end in
//   binary  the header, then for each row the token, a space and d floats (little-endian), with or without a newline
//           after them
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gzip_input.h"

namespace tagger {

class VectorFile {
 public:
  // Opens the file and finds out its form. Error naming the file if it is no such file.
  explicit VectorFile(const std::string& path);

  int64_t features() const { return features_; }  // d
  const char* form() const;                       // "text of GloVe", ...
  uint64_t file_bytes() const { return file_.bytes(); }
  uint64_t file_bytes_read() const { return file_.bytes_read(); }

  // Goes to the next row and returns true; false after the last one. Error naming file and row if the row is broken, if
  // a value is not finite, or if there are not as many rows as the header says.
  bool next();
  std::string_view token() const { return token_; }       // valid until the next call of next()
  const float* values() const { return values_.data(); }  // [features], likewise
  uint64_t rows() const { return rows_; }                 // so far, with this one

 private:
  enum class Form { kText, kTextWithHeader, kBinary };

  std::string_view rest() const { return {buffer_.data() + begin_, end_ - begin_}; }  // what is read and not yet used
  bool read_more();
  bool has_bytes(uint64_t count);
  std::string_view peek_line(uint64_t* next_line);
  void find_form();
  int64_t numbers_of_most_rows();
  bool next_text();
  bool next_binary();
  void check_row_count() const;
  std::string place() const;  // «file:line» or «file, row 3»

  std::string path_;
  GzipInput file_;
  Form form_ = Form::kText;
  int64_t features_ = 0;
  uint64_t expected_rows_ = 0;  // that the header says
  uint64_t rows_ = 0;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
  bool at_end_ = false;  // of the file
  std::string_view token_;
  std::vector<float> values_;
};

}  // namespace tagger
