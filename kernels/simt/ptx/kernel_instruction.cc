// Reads an instruction of a kernel: its mnemonic and its operands.
// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include <algorithm>

#include "kernels/simt/ptx/kernel_parser.h"

namespace varlstm::simt::ptx {
namespace {

// Returns the timer that is the last operand. A timer changes while a thread runs, so reading it is an instruction of
// its own.
std::string timer_of(const std::string& arguments) {
  const std::string last = trimmed(arguments.substr(arguments.find(',') + 1));
  for (const char* timer : {"%clock", "%clock64", "%globaltimer", "%globaltimer_lo"})
    if (last == timer) return timer;
  return "";
}

}  // namespace

void KernelParser::instruction(const std::string& text) {
  Instruction made;
  made.site = {file_, line_};
  std::string rest = text;
  if (rest[0] == '@') {
    made.negated = rest[1] == '!';
    const size_t begin = made.negated ? 2 : 1;
    const size_t end = rest.find_first_of(" \t");
    made.predicate = slot(rest.substr(begin, end - begin));
    rest = trimmed(rest.substr(end));
  }
  const size_t end = rest.find_first_of(" \t");
  const std::string whole = rest.substr(0, end);
  std::string arguments = end == std::string::npos ? "" : trimmed(rest.substr(end));
  if (belongs_to_call(whole, arguments)) return;
  if (whole == "call" || starts_with(whole, "call.")) return call(arguments, &made);
  std::string mnemonic = without_modifiers(whole, &made);
  if (const std::string timer = timer_of(arguments); !timer.empty()) {
    mnemonic += "." + timer;
    arguments.erase(arguments.rfind(','));
  }
  const auto handler = handlers().find(mnemonic);
  if (handler == handlers().end()) fail("unknown instruction " + whole);
  made.run = handler->second;
  if (starts_with(mnemonic, "bra"))
    branches_.push_back({program_.instructions.size(), scope_, arguments, line_});
  else
    made.destinations = operands(arguments, &made);
  program_.instructions.push_back(made);
}

// Whether this is st.param to a parameter declared in the body: an argument of a call.
bool KernelParser::belongs_to_call(const std::string& mnemonic, const std::string& arguments) const {
  if (!starts_with(mnemonic, "st.param")) return false;
  const size_t open = arguments.find('[');
  return open != std::string::npos &&
         call_parameters_.count(arguments.substr(open + 1, arguments.find_first_of("+]", open) - open - 1)) != 0;
}

// Of the functions that nvcc does not inline, only the end of an assert is known.
void KernelParser::call(const std::string& text, Instruction* made) {
  if (text.find("__assertfail") == std::string::npos) fail("a call of an unknown function: " + text);
  made->run = handlers().at("trap");
  program_.instructions.push_back(*made);
}

// Reads the operands in their order; those of {a, b} and of a|b follow each other. Returns the number of operands in
// the first group.
int KernelParser::operands(const std::string& text, Instruction* made) {
  int first_group = 0;
  bool in_first = true, in_braces = false, inverted = false;
  has_address_ = false;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '[') {
      const size_t end = std::min(text.find(']', at), text.size());
      address(text.substr(at + 1, end - at - 1), made);
      at = end + 1;
    } else if (is_word(c) || c == '-') {
      size_t end = at + 1;
      while (end < text.size() && is_word(text[end])) ++end;
      const std::string name = text.substr(at, end - at);
      char* after = nullptr;
      const bool sum = end < text.size() && text[end] == '+';
      const int64_t offset = sum ? strtoll(text.c_str() + end + 1, &after, 0) : 0;
      add_slot(value(name, offset, inverted), made);
      inverted = false;
      at = sum ? static_cast<size_t>(after - text.c_str()) : end;
    } else {
      inverted = c == '!';
      if (c == '{') in_braces = true;
      if (c == '}') in_braces = false;
      if (c == ',' && !in_braces) in_first = false;
      ++at;
      continue;
    }
    if (in_first) ++first_group;
  }
  return first_group;
}

// name, name+8 or !%p1
uint32_t KernelParser::value(const std::string& name, int64_t offset, bool inverted) {
  const uint32_t named = slot(name);
  if (inverted) return computed("not.pred", named, kSink);
  return offset == 0 ? named : computed("add.s64", named, new_slot(static_cast<uint64_t>(offset)));
}

}  // namespace varlstm::simt::ptx
