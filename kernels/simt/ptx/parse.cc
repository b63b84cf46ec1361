// Reading PTX as nvcc writes it.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include <cctype>
#include <set>
#include <sstream>

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

constexpr const char* kOurKernels = "_ZN7varlstm4cuda";

bool is_word(char c) {
  return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '.' || c == '%';
}

bool starts_with(const std::string& text, const std::string& start) {
  return text.compare(0, start.size(), start) == 0;
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// One kernel, statement by statement.
class KernelParser {
 public:
  KernelParser(const std::string& file, const char* kept_file, const std::string& name)
      : file_(file), kept_file_(kept_file) {
    program_.name = name;
  }

  void parameter(int line, const std::string& declaration) {
    line_ = line;
    const std::string text = trimmed(declaration);
    size_t last = text.find('[');
    if (last == std::string::npos) last = text.find_last_not_of(", ") + 1;
    const size_t begin = text.find_last_of(" \t", last - 1) + 1;
    parameters_[text.substr(begin, last - begin)] = program_.parameters++;
  }

  void statement(int line, const std::string& text) {
    line_ = line;
    if (text.empty()) return;
    if (starts_with(text, ".reg")) return;  // registers get their slots where they are used
    if (starts_with(text, ".local")) return local(text);
    if (starts_with(text, ".pragma")) return;
    if (text[0] == '.') fail("unknown directive " + text);
    instruction(text);
  }

  void label(const std::string& name) { labels_[name] = static_cast<int64_t>(program_.instructions.size()); }

  Program finish() {
    for (const auto& [index, label] : branches_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) fail("no label " + label);
      program_.instructions[index].target = found->second;
    }
    return std::move(program_);
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    fprintf(stderr, "%s:%d: %s\n", file_.c_str(), line_, why.c_str());
    abort();
  }

  // .local .align 8 .b8 name[16]
  void local(const std::string& text) {
    const size_t bracket = text.find('[');
    const size_t name = text.find_last_of(" \t", bracket) + 1;
    if (!local_.empty()) fail("a second piece of local memory");
    local_ = text.substr(name, bracket - name);
    program_.local_bytes = strtoull(text.c_str() + bracket + 1, nullptr, 10);
  }

  uint32_t new_slot(uint64_t value) {
    program_.registers.push_back(value);
    return static_cast<uint32_t>(program_.registers.size() - 1);
  }

  uint32_t immediate(const std::string& text) {
    uint64_t bits = 0;
    if (starts_with(text, "0f") || starts_with(text, "0d"))
      bits = strtoull(text.c_str() + 2, nullptr, 16);
    else if (text[0] == '-')
      bits = static_cast<uint64_t>(strtoll(text.c_str(), nullptr, 10));
    else
      bits = strtoull(text.c_str(), nullptr, 0);
    return new_slot(bits);
  }

  uint32_t slot(const std::string& name) {
    static const std::map<std::string, Special> specials = {
        {"%tid.x", Special::kTidX},       {"%tid.y", Special::kTidY},       {"%tid.z", Special::kTidZ},
        {"%ntid.x", Special::kNtidX},     {"%ntid.y", Special::kNtidY},     {"%ntid.z", Special::kNtidZ},
        {"%ctaid.x", Special::kCtaidX},   {"%ctaid.y", Special::kCtaidY},   {"%ctaid.z", Special::kCtaidZ},
        {"%nctaid.x", Special::kNctaidX}, {"%nctaid.y", Special::kNctaidY}, {"%nctaid.z", Special::kNctaidZ}};
    const auto known = slots_.find(name);
    if (known != slots_.end()) return known->second;
    const bool number = isdigit(static_cast<unsigned char>(name[0])) || name[0] == '-';
    const uint32_t made = number ? immediate(name) : new_slot(0);
    slots_[name] = made;
    if (number) return made;
    const auto special = specials.find(name);
    const auto parameter = parameters_.find(name);
    if (special != specials.end())
      program_.specials[made] = special->second;
    else if (parameter != parameters_.end())
      program_.parameter_addresses[made] = parameter->second;
    else if (name == local_)
      program_.local_addresses.push_back(made);
    else if (name[0] == '%' && name.find('.') != std::string::npos)
      fail("unknown special register " + name);
    else if (name[0] != '%' && name != "_ZN7varlstm4simt2s_E")  // the dynamic shared memory: address 0
      fail("unknown symbol " + name);
    return made;
  }

  // [%rd1+-8]
  void address(const std::string& text, Instruction* made) {
    const size_t plus = text.find('+');
    if (plus != std::string::npos) made->offset = strtoll(text.c_str() + plus + 1, nullptr, 10);
    add_operand(trimmed(text.substr(0, plus)), made);
  }

  void add_operand(const std::string& name, Instruction* made) {
    if (made->operand_count == kMaxOperands) fail("too many operands");
    made->operands[made->operand_count++] = slot(name);
  }

  // Operands as they stand; those of {a, b} and of a|b follow each other. Gives the number of the first group.
  int operands(const std::string& text, Instruction* made) {
    int first_group = 0;
    bool in_first = true;
    size_t at = 0;
    while (at < text.size()) {
      const char c = text[at];
      if (c == '[') {
        const size_t end = text.find(']', at);
        address(text.substr(at + 1, end - at - 1), made);
        at = end + 1;
      } else if (is_word(c) || c == '-') {
        size_t end = at + 1;
        while (end < text.size() && is_word(text[end])) ++end;
        add_operand(text.substr(at, end - at), made);
        at = end;
      } else {
        if (c == '{') braces_ = true;
        if (c == '}') braces_ = false;
        if (c == ',' && !braces_) in_first = false;
        ++at;
        continue;
      }
      if (in_first) ++first_group;
    }
    return first_group;
  }

  void instruction(const std::string& text) {
    Instruction made;
    made.site = {kept_file_, line_};
    std::string rest = text;
    if (rest[0] == '@') {
      made.negated = rest[1] == '!';
      const size_t end = rest.find_first_of(" \t");
      made.predicate = slot(rest.substr(made.negated ? 2 : 1, end - (made.negated ? 2 : 1)));
      rest = trimmed(rest.substr(end));
    }
    const size_t end = rest.find_first_of(" \t");
    std::string mnemonic = rest.substr(0, end);
    const std::string arguments = end == std::string::npos ? "" : trimmed(rest.substr(end));
    for (const char* width : {".v2", ".v4"})
      if (const size_t at = mnemonic.find(width); at != std::string::npos) mnemonic.erase(at, 3);
    const auto handler = handlers().find(mnemonic);
    if (handler == handlers().end()) fail("unknown instruction " + mnemonic);
    made.run = handler->second;
    if (starts_with(mnemonic, "bra"))
      branches_.emplace_back(program_.instructions.size(), arguments);
    else
      made.destinations = operands(arguments, &made);
    program_.instructions.push_back(made);
  }

  const std::string& file_;
  const char* kept_file_;
  int line_ = 0;
  Program program_;
  std::map<std::string, size_t> parameters_;
  std::map<std::string, uint32_t> slots_;
  std::map<std::string, int64_t> labels_;
  std::vector<std::pair<size_t, std::string>> branches_;
  std::string local_;
  bool braces_ = false;
};

std::string without_comment(const std::string& line) {
  return trimmed(line.substr(0, line.find("//")));
}

// Without the braces that group statements, which stand before one.
std::string without_grouping(std::string statement) {
  statement = trimmed(statement);
  while (!statement.empty() && (statement[0] == '{' || statement[0] == '}')) statement = trimmed(statement.substr(1));
  return statement;
}

}  // namespace

const Handlers& handlers() {
  static const Handlers all = [] {
    Handlers made;
    add_arithmetic(made);
    add_conversions(made);
    add_memory(made);
    add_control(made);
    add_matrix(made);
    return made;
  }();
  return all;
}

std::vector<Program> parse(const std::string& file, const std::string& text) {
  static std::set<std::string> names;  // of files: sites point to them
  const char* kept = names.insert(file).first->c_str();
  std::vector<Program> programs;
  std::istringstream lines(text);
  std::string line;
  int number = 0;
  while (std::getline(lines, line)) {
    ++number;
    const size_t entry = line.find(".entry ");
    if (entry == std::string::npos) continue;
    const size_t bracket = line.find('(', entry);
    const std::string name = line.substr(entry + 7, bracket - entry - 7);
    const bool ours = starts_with(name, kOurKernels);
    KernelParser parser(file, kept, name);
    while (std::getline(lines, line) && line[0] != ')') {
      ++number;
      if (ours) parser.parameter(number, line);
    }
    ++number;
    bool in_body = false;  // limits of the launch stand before it
    std::string statement;
    while (std::getline(lines, line) && line[0] != '}') {
      ++number;
      const bool begins = !in_body && line == "{";
      in_body |= begins;
      if (!ours || !in_body || begins) continue;
      const std::string code = without_comment(line);
      if (!code.empty() && code.back() == ':') {
        parser.label(code.substr(0, code.size() - 1));
        continue;
      }
      statement += code + " ";
      for (size_t end = statement.find(';'); end != std::string::npos; end = statement.find(';')) {
        parser.statement(number, without_grouping(statement.substr(0, end)));
        statement.erase(0, end + 1);
      }
    }
    if (!without_grouping(statement).empty()) parser.statement(number, statement);  // an error
    ++number;
    if (ours) programs.push_back(parser.finish());
  }
  return programs;
}

}  // namespace varlstm::simt::ptx
