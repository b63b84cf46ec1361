// CoNLL-U: one pass over the text that keeps where each word's form and tag stand.
// SPDX-License-Identifier: Apache-2.0
#include "conllu.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "error.h"
#include "text.h"
#include "utf8.h"

namespace tagger {
namespace {

constexpr size_t kColumns = 10;
constexpr const char* kColumnNames[kColumns] = {"ID",    "FORM", "LEMMA",  "UPOS", "XPOS",
                                                "FEATS", "HEAD", "DEPREL", "DEPS", "MISC"};

constexpr const char* kFromText =
    R"(awk '{ for (i = 1; i <= NF; ++i) print i "\t" $i "\t_\t_\t_\t_\t_\t_\t_\t_"; print "" }')";

// What an ID says: a word (8), a range of words that share a token (8-9), an empty node (8.1).
struct RowId {
  enum Kind { kBroken, kWord, kRange, kEmptyNode } kind = kBroken;
  uint64_t first = 0, second = 0;
};

RowId parse_id(std::string_view text) {
  RowId id;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, id.first);
  if (first.ec != std::errc()) return id;
  if (first.ptr == end) {
    id.kind = RowId::kWord;
    return id;
  }
  const char separator = *first.ptr;
  const auto second = std::from_chars(first.ptr + 1, end, id.second);
  if (second.ec != std::errc() || second.ptr != end) return id;
  if (separator == '-') id.kind = RowId::kRange;
  if (separator == '.') id.kind = RowId::kEmptyNode;
  return id;
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

}  // namespace

const char* column_name(Column column) {
  return kColumnNames[static_cast<size_t>(column)];
}

Document::Document(std::string text, std::string name, Column column)
    : text_(std::move(text)), name_(std::move(name)), column_(column) {
  parse();
}

void Document::parse() {
  uint64_t last_id = 0;  // of this sentence; 0 before its first word
  uint64_t line = 0;
  for (const std::string_view mark : {std::string_view("\xFF\xFE"), std::string_view("\xFE\xFF")})
    if (starts_with(text_, mark)) fail("{}:1: the text is UTF-16, but CoNLL-U is UTF-8", name_);
  uint64_t begin = starts_with(text_, kByteOrderMark) ? kByteOrderMark.size() : 0;
  starts_.push_back(0);
  const auto end_sentence = [&] {
    if (words() > starts_.back()) starts_.push_back(words());
    last_id = 0;
  };
  while (begin < text_.size()) {
    ++line;
    const uint64_t newline = std::min<uint64_t>(text_.find('\n', begin), text_.size());
    uint64_t end = newline;
    if (end > begin && text_[end - 1] == '\r') --end;
    const std::string_view row = std::string_view(text_).substr(begin, end - begin);
    if (row.empty()) {
      end_sentence();
    } else if (row[0] != '#') {
      add_row(row, line, &last_id);
    }
    begin = newline + 1;
  }
  end_sentence();
}

void Document::add_row(std::string_view row, uint64_t line, uint64_t* last_id) {
  if (const auto unseen = looks_empty(row); unseen && *unseen != 0xFEFF)
    fail("{}:{}: the line looks empty, but holds {}: only an empty line ends a sentence", name_, line,
         character_name(*unseen));
  if (starts_with(row, kByteOrderMark))
    fail("{}:{}: the line starts with {}, which may stand at the very start of a file alone", name_, line,
         character_name(0xFEFF));
  if (row.find('\r') != std::string_view::npos)
    fail("{}:{}: there is {} inside the line: a line ends with LF or CR LF", name_, line, character_name('\r'));
  std::array<std::string_view, kColumns> columns;
  size_t count = 0;
  for (size_t at = 0; at <= row.size(); ++count) {
    const size_t tab = std::min(row.find('\t', at), row.size());
    if (count < kColumns) columns[count] = row.substr(at, tab - at);
    at = tab + 1;
  }
  if (count == 1 && words() == 0)
    fail(
        "{}:{}: there is no tab, so this is not CoNLL-U, whose rows have 10 columns separated by tabs. Text with "
        "spaces "
        "between the words becomes CoNLL-U by: {}",
        name_, line, kFromText);
  if (count != kColumns) fail("{}:{}: a row has 10 columns separated by tabs, this one has {}", name_, line, count);
  for (size_t k = 0; k < kColumns; ++k)
    if (columns[k].empty()) fail("{}:{}: column {} ({}) is empty", name_, line, k + 1, kColumnNames[k]);

  const RowId id = parse_id(columns[0]);
  const uint64_t next = *last_id + 1;
  switch (id.kind) {
    case RowId::kBroken:
      fail("{}:{}: the ID {} is no number, range or decimal", name_, line, in_quotes(columns[0]));
    case RowId::kRange:
      if (id.first != next || id.second < id.first)
        fail("{}:{}: the range {} does not start at the next word, {}", name_, line, in_quotes(columns[0]), next);
      return;
    case RowId::kEmptyNode:
      if (id.first != *last_id)
        fail("{}:{}: the empty node {} does not follow word {}", name_, line, in_quotes(columns[0]), *last_id);
      return;
    case RowId::kWord:
      if (id.first != next) fail("{}:{}: the ID is {}, but {} comes next", name_, line, in_quotes(columns[0]), next);
  }
  *last_id = id.first;

  const std::string_view form = columns[1], tag = columns[static_cast<size_t>(column_)];
  for (const auto& [value, column] : {std::pair{form, "FORM"}, std::pair{tag, column_name(column_)}}) {
    if (!is_utf8(value)) fail("{}:{}: {} is not UTF-8", name_, line, column);
    if (value.size() > std::numeric_limits<uint32_t>::max()) fail("{}:{}: {} is too long", name_, line, column);
  }
  if (const std::string fault = form_fault(form); !fault.empty())
    fail("{}:{}: FORM {} {}", name_, line, in_quotes(form), fault);
  const auto span = [this](std::string_view value) {
    return Span{static_cast<uint64_t>(value.data() - text_.data()), static_cast<uint32_t>(value.size())};
  };
  words_.push_back({span(form), span(tag), line});
}

int64_t Document::tagged_words() const {
  int64_t count = 0;
  for (int64_t w = 0; w < words(); ++w) count += has_tag(w) ? 1 : 0;
  return count;
}

void Document::check_tags() const {
  for (int64_t w = 0; w < words(); ++w) {
    if (!has_tag(w)) continue;
    if (const std::string fault = tag_fault(tag(w)); !fault.empty())
      fail("{}:{}: the tag {} in column {} ({}) {}", name_, line(w), in_quotes(tag(w)), static_cast<int>(column_) + 1,
           column_name(column_), fault);
  }
}

void Document::require_tags() const {
  if (words_.empty()) fail("{}: no sentence in it", name_);
  if (tagged_words() == 0)
    fail("{}: none of its {} words has a tag in column {} ({})", name_, words(), static_cast<int>(column_) + 1,
         column_name(column_));
}

std::string Document::with_tags(const std::vector<std::string_view>& tags) const {
  std::string out;
  out.reserve(text_.size() + words_.size() * 4);
  uint64_t copied = 0;
  for (size_t w = 0; w < words_.size(); ++w) {
    const Span& tag = words_[w].tag;
    out.append(text_, copied, tag.begin - copied);
    out.append(tags[w]);
    copied = tag.begin + tag.length;
  }
  out.append(text_, copied);
  return out;
}

}  // namespace tagger
