// The text of a PTX file cut into statements.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace varlstm::simt::ptx {

struct Statement {
  // kHead is all before the body of a kernel or function; kOpen and kClose are the braces of a body or of a scope in
  // it.
  enum class Kind { kStatement, kHead, kLabel, kOpen, kClose };
  Kind kind;
  std::string text;  // without comments, line ends and the mark at its end
  int line;          // that it begins in
};

std::vector<Statement> statements_of(const std::string& text);

// What a declaration of a variable, parameter or piece of memory says: «.shared .align 8 .b8 name[4][16]».
struct Declaration {
  std::string name;
  size_t bytes = 0;                 // 0 where the last extent is left open, as of dynamic shared memory
  size_t alignment = 1;             // its unit where none is given
  size_t unit = 1;                  // bytes of an element
  std::vector<std::string> values;  // behind =
};
Declaration read_declaration(const std::string& text);

// Helpers of readers.
std::string trimmed(const std::string& text);
bool starts_with(const std::string& text, const std::string& start);
bool is_word(char c);  // of names, numbers and mnemonics

}  // namespace varlstm::simt::ptx
