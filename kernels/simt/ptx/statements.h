// Cuts the text of a PTX file into statements.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace varlstm::simt::ptx {

struct Statement {
  // kHead is everything before the body of a kernel or function. kOpen and kClose are the braces of a body, or of a
  // scope in it.
  enum class Kind { kStatement, kHead, kLabel, kOpen, kClose };
  Kind kind;
  std::string text;  // without comments, line ends and the final character
  int line;          // the line in which it begins
};

std::vector<Statement> statements_of(const std::string& text);

// The declaration of a variable, a parameter or a piece of memory: «.shared .align 8 .b8 name[4][16]».
struct Declaration {
  std::string name;
  size_t bytes = 0;                 // 0 if the last extent is open, as for dynamic shared memory
  size_t alignment = 1;             // the unit, if none is given
  size_t unit = 1;                  // bytes of an element
  std::vector<std::string> values;  // the values after =
};
Declaration read_declaration(const std::string& text);

// Helpers for readers.
std::string trimmed(const std::string& text);
bool starts_with(const std::string& text, const std::string& start);
bool is_word(char c);  // a character of names, numbers and mnemonics

}  // namespace varlstm::simt::ptx
