// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/ptx/statements.h"

#include <stdlib.h>

#include <algorithm>
#include <cctype>
#include <sstream>

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

bool is_blank(char c) {
  return isspace(static_cast<unsigned char>(c)) != 0;
}

// Comments become blanks; line ends are kept.
std::string without_comments(std::string text) {
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    if (text[at] != '/' || (text[at + 1] != '/' && text[at + 1] != '*')) continue;
    const bool of_line = text[at + 1] == '/';
    const size_t found = of_line ? text.find('\n', at) : text.find("*/", at + 2);
    const size_t end = found == std::string::npos ? text.size() : of_line ? found : found + 2;
    for (; at < end; ++at)
      if (text[at] != '\n') text[at] = ' ';
    --at;
  }
  return text;
}

// Whether a directive begins here that ends with its line instead of a semicolon.
bool takes_a_line(const std::string& text, size_t at) {
  for (const char* directive : {".version", ".target", ".address_size", ".file", ".loc"}) {
    const std::string name = directive;
    if (text.compare(at, name.size(), name) != 0) continue;
    const size_t end = at + name.size();
    if (end == text.size() || is_blank(text[end])) return true;
  }
  return false;
}

std::string on_one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), is_blank, ' ');
  return trimmed(text);
}

class Cutter {
 public:
  explicit Cutter(const std::string& text) : text_(without_comments(text)) {}

  std::vector<Statement> cut() {
    while (at_ < text_.size()) {
      if (is_blank(text_[at_]) || text_[at_] == ';') {
        skip_to(at_ + 1);
      } else if (text_[at_] == '{' || text_[at_] == '}') {
        add(text_[at_] == '{' ? Statement::Kind::kOpen : Statement::Kind::kClose, at_);
        skip_to(at_ + 1);
      } else if (takes_a_line(text_, at_)) {
        skip_to(std::min(text_.find('\n', at_), text_.size()));
      } else if (const size_t colon = end_of_label(); colon != 0) {
        add(Statement::Kind::kLabel, colon);
        skip_to(colon + 1);
      } else {
        statement();
      }
    }
    return std::move(statements_);
  }

 private:
  void skip_to(size_t end) {
    line_ += static_cast<int>(
        std::count(text_.begin() + static_cast<ptrdiff_t>(at_), text_.begin() + static_cast<ptrdiff_t>(end), '\n'));
    at_ = end;
  }
  void add(Statement::Kind kind, size_t end) {
    statements_.push_back({kind, on_one_line(text_.substr(at_, end - at_)), line_});
  }
  // The end of the colon after a name; 0 if there is none.
  size_t end_of_label() const {
    size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    const size_t name_end = end;
    while (end < text_.size() && is_blank(text_[end])) ++end;
    const bool is_label = name_end > at_ && end + 1 < text_.size() && text_[end] == ':' && text_[end + 1] != ':';
    return is_label ? end : 0;
  }
  // Reads up to the semicolon, or to the brace that begins the body of a kernel or function.
  void statement() {
    const size_t end = std::min(text_.find(';', at_), text_.size());
    const size_t brace = std::min(text_.find('{', at_), text_.size());
    const std::string head = text_.substr(at_, brace - at_);
    const bool has_body =
        brace < end && (head.find(".entry") != std::string::npos || head.find(".func") != std::string::npos);
    add(has_body ? Statement::Kind::kHead : Statement::Kind::kStatement, has_body ? brace : end);
    skip_to(has_body ? brace : end);
  }

  const std::string text_;
  std::vector<Statement> statements_;
  size_t at_ = 0;
  int line_ = 1;
};

// The bytes of a type in a declaration, such as ".b8"; 0 if it is no type.
size_t bytes_of_type(const std::string& word) {
  if (word == ".pred") return 1;
  if (word.size() < 3 || std::string("bsuf").find(word[1]) == std::string::npos) return 0;
  return strtoul(word.c_str() + 2, nullptr, 10) / 8;
}

}  // namespace

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

bool is_word(char c) {
  return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '.' || c == '%';
}

std::vector<Statement> statements_of(const std::string& text) {
  return Cutter(text).cut();
}

Declaration read_declaration(const std::string& text) {
  Declaration made;
  const size_t equals = text.find('=');
  std::istringstream words(text.substr(0, equals));
  std::string word, rest;
  size_t alignment = 0;
  while (words >> word) {
    if (word == ".align")
      words >> alignment;
    else if (word[0] != '.')
      rest += word;
    else if (const size_t bytes = bytes_of_type(word); bytes != 0)
      made.unit = bytes;
  }
  made.alignment = alignment == 0 ? made.unit : alignment;
  made.name = rest.substr(0, rest.find('['));
  made.bytes = made.unit;
  for (size_t bracket = rest.find('['); bracket != std::string::npos; bracket = rest.find('[', bracket + 1))
    made.bytes *= strtoull(rest.c_str() + bracket + 1, nullptr, 10);
  if (equals != std::string::npos) {
    std::string values = text.substr(equals + 1);
    std::replace_if(
        values.begin(), values.end(), [](char c) { return c == '{' || c == '}'; }, ' ');
    made.values = split(values, ',');
  }
  return made;
}

}  // namespace varlstm::simt::ptx
