// CoNLL-U (universaldependencies.org/format.html): a text is kept byte for byte beside what it says, so that writing
// it with other tags changes nothing else: comments, ranges (8-9), empty nodes (8.1), CRLF, a missing last blank line.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tagger {

enum class Column { kUpos = 3, kXpos = 4 };  // 0-based columns of a row

const char* column_name(Column column);

// A piece of the document's text.
struct Span {
  uint64_t begin = 0;
  uint32_t length = 0;
};

struct Word {
  Span form;
  Span tag;       // the chosen column
  uint64_t line;  // 1-based
};

class Document {
 public:
  // Reads a text; `name` stands in the errors. Error «NAME:LINE: …» for the first broken row. A text without a word is
  // legal: an empty one, or comments alone.
  Document(std::string text, std::string name, Column column);
  static constexpr std::string_view kMissingTag = "_";

  int64_t sentences() const { return static_cast<int64_t>(starts_.size()) - 1; }
  int64_t words() const { return static_cast<int64_t>(words_.size()); }
  // Words of sentence s are those from start(s) to start(s + 1). Every sentence has one at least.
  int64_t start(int64_t sentence) const { return starts_[static_cast<size_t>(sentence)]; }
  int64_t length(int64_t sentence) const { return start(sentence + 1) - start(sentence); }

  std::string_view form(int64_t word) const { return view(words_[static_cast<size_t>(word)].form); }
  std::string_view tag(int64_t word) const { return view(words_[static_cast<size_t>(word)].tag); }
  uint64_t line(int64_t word) const { return words_[static_cast<size_t>(word)].line; }
  const std::string& name() const { return name_; }
  Column column() const { return column_; }

  // Whether the word has a tag. "_" means that it has none.
  bool has_tag(int64_t word) const { return tag(word) != kMissingTag; }
  int64_t tagged_words() const;

  // Error naming file and line where a word has a tag that no model can have (tag_fault in text.h).
  void check_tags() const;
  // Error naming the file if no word of it has a tag: nothing can be learned from it, or compared with it.
  void require_tags() const;

  // The text with the words' tags replaced; one tag a word.
  std::string with_tags(const std::vector<std::string_view>& tags) const;

 private:
  std::string_view view(Span span) const { return std::string_view(text_).substr(span.begin, span.length); }
  void parse();
  void add_row(std::string_view row, uint64_t line, uint64_t* last_id);

  std::string text_, name_;
  Column column_;
  std::vector<Word> words_;
  std::vector<int64_t> starts_;
};

}  // namespace tagger
