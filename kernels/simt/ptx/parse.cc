// Reading PTX as nvcc writes it.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <sstream>

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

constexpr uint32_t kUnused = ~0u;                   // a register's slot until it stands as an operand
constexpr uint32_t kUnusedPair = kUnused - 1;       // the same of a register of 128 bits, which takes two slots
constexpr const char* kOurKernels = "_ZN7varlstm";  // others are CUB's
constexpr const char* kDynamicSharedMemory = "_ZN7varlstm4simt2s_E";

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

// The timer that is the last operand: it changes while a thread runs, so that to read it is an instruction of its own.
std::string timer_of(const std::string& arguments) {
  const std::string last = trimmed(arguments.substr(arguments.find(',') + 1));
  for (const char* timer : {"%clock", "%clock64", "%globaltimer", "%globaltimer_lo"})
    if (last == timer) return timer;
  return "";
}

// One kernel, statement by statement.
class KernelParser {
 public:
  KernelParser(const std::string& file, const char* kept_file, const std::string& name)
      : file_(file), kept_file_(kept_file) {
    program_.name = name;
    slots_["_"] = new_slot(0);  // kSink
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
    if (starts_with(text, ".reg")) return declare_registers(text);
    if (starts_with(text, ".local")) return local(text);
    if (starts_with(text, ".pragma")) return;
    if (text[0] == '.') fail("unknown directive " + text);
    instruction(text);
  }

  void label(int line, const std::string& name) {
    line_ = line;
    if (!labels_.emplace(name, static_cast<int64_t>(program_.instructions.size())).second) fail("a second " + name);
  }

  Program finish() {
    for (const auto& [index, label] : branches_) {
      const auto found = labels_.find(label);
      if (found == labels_.end()) fail("no label " + label);
      program_.instructions[index].target = found->second;
    }
    return std::move(program_);
  }

  [[noreturn]] void fail(const std::string& why) const {
    fprintf(stderr, "%s:%d: %s\n", file_.c_str(), line_, why.c_str());
    abort();
  }

 private:
  // .reg .b128 takes two slots for each; .reg .b32 %r<5> declares %r0 to %r4; .reg .pred p, q declares those.
  void declare_registers(const std::string& text) {
    const size_t type = text.find('.', 1);
    const uint32_t unused = starts_with(text.substr(type), ".b128") ? kUnusedPair : kUnused;
    for (const std::string& name : split(text.substr(text.find_first_of(" \t", type)), ',')) {
      const size_t bracket = name.find('<');
      const bool many = bracket != std::string::npos;
      const uint64_t count = many ? strtoull(name.c_str() + bracket + 1, nullptr, 10) : 1;
      for (uint64_t k = 0; k < count; ++k)
        slots_.emplace(many ? name.substr(0, bracket) + std::to_string(k) : name, unused);
    }
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

  // Of a name that stands as an operand; made where it stands for the first time.
  uint32_t slot(const std::string& name) {
    const auto known = slots_.find(name);
    const bool declared = known != slots_.end();
    const bool pair = declared && known->second == kUnusedPair;
    if (declared && known->second != kUnused && !pair) return known->second;
    const bool number = isdigit(static_cast<unsigned char>(name[0])) || name[0] == '-';
    const uint32_t made = number ? immediate(name) : new_slot(0);
    if (pair) new_slot(0);
    slots_[name] = made;
    if (!number && !declared) bind(name, made);
    return made;
  }

  // A slot whose value each thread finds when it starts.
  void bind(const std::string& name, uint32_t made) {
    const auto special = special_registers().find(name);
    const auto parameter = parameters_.find(name);
    if (special != special_registers().end())
      program_.specials[made] = special->second;
    else if (parameter != parameters_.end())
      program_.parameter_addresses[made] = parameter->second;
    else if (name == local_)
      program_.local_addresses.push_back(made);
    else if (name == kDynamicSharedMemory)
      program_.shared_addresses.push_back(made);
    else if (name == "%envreg1" || name == "%envreg2")
      program_.grid_words[made] = name == "%envreg1" ? 32 : 0;
    else
      fail("unknown " + std::string(name[0] == '%' ? "special register " : "symbol ") + name);
  }

  // [%rd1+-8]
  void address(const std::string& text, Instruction* made) {
    const size_t plus = text.find('+');
    const int64_t offset = plus == std::string::npos ? 0 : strtoll(text.c_str() + plus + 1, nullptr, 10);
    if (offset != 0 && has_address_) fail("an offset at a second address");
    if (offset != 0) made->offset = offset;
    has_address_ = true;
    add_operand(trimmed(text.substr(0, plus)), made);
  }

  void add_operand(const std::string& name, Instruction* made) { add_slot(slot(name), made); }
  void add_slot(uint32_t number, Instruction* made) {
    if (made->operand_count == kMaxOperands) fail("too many operands");
    made->operands[made->operand_count++] = number;
  }

  // !%p1: an instruction of its own before the one that takes it.
  uint32_t opposite(const std::string& name) {
    Instruction made;
    made.run = handlers().at("not.pred");
    made.site = {kept_file_, line_};
    made.destinations = 1;
    const uint32_t result = new_slot(0);
    add_slot(result, &made);
    add_operand(name, &made);
    program_.instructions.push_back(made);
    return result;
  }

  // Operands as they stand; those of {a, b} and of a|b follow each other. Gives the number of the first group.
  int operands(const std::string& text, Instruction* made) {
    int first_group = 0;
    bool in_first = true;
    bool inverted = false;
    has_address_ = false;
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
        const std::string name = text.substr(at, end - at);
        add_slot(inverted ? opposite(name) : slot(name), made);
        inverted = false;
        at = end;
      } else {
        inverted = c == '!';
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
    std::string arguments = end == std::string::npos ? "" : trimmed(rest.substr(end));
    std::string mnemonic = without_modifiers(rest.substr(0, end), &made);
    if (const std::string timer = timer_of(arguments); !timer.empty()) {
      mnemonic += "." + timer;
      arguments.erase(arguments.rfind(','));
    }
    const auto handler = handlers().find(mnemonic);
    if (handler == handlers().end()) fail("unknown instruction " + rest.substr(0, end));
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
  bool has_address_ = false;  // the instruction that is read
};

std::string without_comment(const std::string& line) {
  return trimmed(line.substr(0, line.find("//")));
}

// Braces that a line opens less those that it closes.
int nesting(const std::string& code) {
  return static_cast<int>(std::count(code.begin(), code.end(), '{') - std::count(code.begin(), code.end(), '}'));
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
    add_async(made);
    add_atomics(made);
    add_bits(made);
    add_comparisons(made);
    add_control(made);
    add_conversions(made);
    add_functions(made);
    add_memory(made);
    add_warp(made);
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
    int depth = 0;  // of braces; limits of the launch stand before the first
    std::string statement;
    while (std::getline(lines, line)) {
      ++number;
      const std::string code = without_comment(line);
      const bool begins = depth == 0 && code == "{";
      depth += nesting(code);
      if (depth == 0 && code == "}") break;
      if (!ours || depth == 0 || begins) continue;
      if (!code.empty() && code.back() == ':') {
        parser.label(number, code.substr(0, code.size() - 1));
        continue;
      }
      statement += code + " ";
      for (size_t end = statement.find(';'); end != std::string::npos; end = statement.find(';')) {
        parser.statement(number, without_grouping(statement.substr(0, end)));
        statement.erase(0, end + 1);
      }
    }
    if (depth != 0 || !without_grouping(statement).empty()) parser.fail("the kernel has no end");
    if (ours) programs.push_back(parser.finish());
  }
  return programs;
}

}  // namespace varlstm::simt::ptx
